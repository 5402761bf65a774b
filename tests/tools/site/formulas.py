"""Formulas of the pages, typeset as MathML, which browsers draw and screen readers read without a script.

A formula on a line of its own is TeX in its page, in a block ```math, which GitHub draws. Those in sentences and tables
are plain Unicode there, to be read in a terminal; ``formulas.yaml`` says the same in TeX: for each page pairs of the
text as it stands there and its TeX. A text that its page no longer has is an error: the two cannot come apart unseen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from tests.tools.site import HERE, TOP

PAIRS = HERE / "formulas.yaml"
BLOCK = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REFUSED = re.compile(r"\\operatorname|\\text[a-z]*\{[^}]*_|(?<!\\)%|\$|`")  # in a block, by GitHub
SPECIAL = {"|": "&#124;", "*": "&#42;", "_": "&#95;", "`": "&#96;", "[": "&#91;", "]": "&#93;", "\\": "&#92;"}

SPACING = {  # what browsers are not told by latex2mathml: a function's name, its argument, a minus that is a sign
    r"<mo>(?!min|max)([A-Za-z]{2,})</mo>": r"<mi>\1</mi>",
    r"(?<!<msub>)<mi>(log|ln|exp|det|tanh)</mi>(?!<mo[^>]*>(?:\(|&#x00028;)|</)":
        r'<mi>\1</mi><mspace width="0.167em" />',
    r"((?:<mrow>|<mo[^>]*>(?:\[|\(|=|&#x0003D;|&#x00028;|&#x0002C;)</mo>|</mtext>))<mo>&#x02212;</mo>":
        r'\1<mo form="prefix">&#x02212;</mo>',
    r"<mo>(\||‖|&#x0007C;|&#x02016;)</mo>": r'<mo stretchy="false">\1</mo>',
    r"<mo([^>]*)>(\(|\)|\[|\]|\||‖|&#x0007C;|&#x02016;|&#x00028;|&#x00029;)</mo>":
        r'<mo\1 lspace="0" rspace="0">\2</mo>',
    r"<mo>&#x02223;</mo>": '<mo lspace="0.1em" rspace="0.1em">&#x02223;</mo>',
    r"<mo>&#x0223C;</mo>": '<mo lspace="0.28em" rspace="0.28em">&#x0223C;</mo>',
    r"<msup>(<mi>.</mi>)<mi>&#x02032;</mi></msup>": r'\1<mo lspace="0" rspace="0">&#x02032;</mo>',
    r"<mo>&#x0005E;</mo></mover>": '<mo stretchy="false">&#x002C6;</mo></mover>',
}  # fmt: skip


@cache
def formulas() -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Path of a page from the top -> its formulas in sentences: ``text`` and ``tex``."""
    import yaml

    return yaml.safe_load(PAIRS.read_text(encoding="utf-8"))


def typeset(page: str, text: str) -> str:
    """The Markdown ``text`` of the page at ``page`` with its formulas as MathML.

    Raises ``ValueError`` for a block that GitHub does not draw, and for a formula whose text the page does not have.
    """
    lines = iter([mathml(tex, block=True) for tex in blocks(page, text)])
    sentences = [mathml(formula["tex"]) for formula in formulas().get(page, ())]
    text = marked(page, BLOCK.sub("\x01", text))
    text = re.sub(r"\0(\d+)\0", lambda found: sentences[int(found[1])], text)
    return re.sub("\x01", lambda found: next(lines), text)


def blocks(page: str, text: str) -> list[str]:
    """The TeX of every block ```math. Raises as ``typeset``."""
    found = BLOCK.findall(text)
    for tex in found:
        if refused := REFUSED.search(tex):
            raise ValueError(
                f"{page}: GitHub draws no formula with {refused[0]!r}. Type a name such as KL as \\mathrm{{KL}}; give "
                "a setting a letter, and say in the sentence after the formula which it is"
            )
    return found


def marked(page: str, text: str) -> str:
    """``text`` with the number of a formula between two NUL where the formula stood. Raises as ``typeset``."""
    for number, formula in enumerate(formulas().get(page, ())):
        pattern = r"\s+".join(map(re.escape, formula["text"].split()))
        text, count = re.subn(pattern, f"\0{number}\0", text)
        if not count:
            where = PAIRS.relative_to(TOP)
            raise ValueError(f"{page} no longer has the text {formula['text']!r}: change it and its TeX in {where} too")
    return text


def mathml(tex: str, block: bool = False) -> str:
    """TeX as MathML in a box that scrolls by itself; no character of it means anything in Markdown.

    In a sentence \\text{`beta`} is the name of a setting.
    """
    from latex2mathml.converter import convert

    tex = re.sub(r"\\mathrm\{([A-Za-z]{2,})\}", r"\\operatorname{\1}", tex)  # one name, no product of letters
    made = convert(tex, display="block" if block else "inline")
    for pattern, text in SPACING.items():
        made = re.sub(pattern, text, made)
    if block:
        made = re.sub(r"<msub>(<mo>(?:min|max)</mo>.*?)</msub>", r"<munder>\1</munder>", made)
    made = re.sub(r">([^<]+)<", lambda found: ">" + "".join(SPECIAL.get(c, c) for c in found[1]) + "<", made)
    made = re.sub("&#96;(.*?)&#96;", r"<code>\1</code>", made)
    return f'<span class="formula{" block" if block else ""}">{made}</span>'
