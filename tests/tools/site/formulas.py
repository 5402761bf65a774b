"""Formulas of the pages, typeset as MathML, which browsers draw and screen readers read without a script.

The pages write them in plain Unicode, to be read in a terminal. ``formulas.yaml`` says the same in TeX: for
each page pairs of the text as it stands there and its TeX. A text that its page no longer has is an error, so the two
cannot come apart unseen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from tests.tools.site import HERE, TOP

PAIRS = HERE / "formulas.yaml"
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
    """Path of a page from the top -> its formulas: ``text``, ``tex``, and ``block: true`` for a line of its own."""
    import yaml

    return yaml.safe_load(PAIRS.read_text(encoding="utf-8"))


def typeset(page: str, text: str) -> str:
    """The Markdown ``text`` of the page at ``page`` with its formulas as MathML.

    Raises ``ValueError`` for a formula whose text the page does not have.
    """
    text = marked(page, text)
    made = [mathml(formula["tex"], formula.get("block", False)) for formula in formulas().get(page, ())]
    return re.sub(r"\0(\d+)\0", lambda found: made[int(found[1])], text)


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

    ``\\text{`beta`}`` is the name of a setting.
    """
    from latex2mathml.converter import convert

    made = convert(tex, display="block" if block else "inline")
    for pattern, text in SPACING.items():
        made = re.sub(pattern, text, made)
    if block:
        made = re.sub(r"<msub>(<mo>(?:min|max)</mo>.*?)</msub>", r"<munder>\1</munder>", made)
    made = re.sub(r">([^<]+)<", lambda found: ">" + "".join(SPECIAL.get(c, c) for c in found[1]) + "<", made)
    made = re.sub("&#96;(.*?)&#96;", r"<code>\1</code>", made)
    return f'<span class="formula{" block" if block else ""}">{made}</span>'
