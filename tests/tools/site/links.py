"""Links of a page of Markdown: where they go in the repository, and where in the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

LINK = re.compile(r"(?P<code>```.*?```|`[^`]+`)|(?P<head>\]\()(?P<target>[^()\s]+)(?P<tail>\))", re.DOTALL)


def rewrite(text: str, where: Callable[[str], str]) -> str:
    """``text`` with the target of every link outside code replaced by what ``where`` says of it.

    Links to other hosts and into the page itself stay as they are.

    >>> rewrite("[a](b.md#c) and `[a](b.md)`, [d](https://e.org), [f](#g)", str.upper)
    '[a](B.MD#C) and `[a](b.md)`, [d](https://e.org), [f](#g)'
    """

    def replaced(found: re.Match[str]) -> str:
        target = found["target"]
        if found["code"] or is_outside(target) or target.startswith("#"):
            return found[0]
        return found["head"] + where(target) + found["tail"]

    return LINK.sub(replaced, text)


def is_outside(target: str) -> bool:
    """Whether a link names another host or a scheme.

    >>> is_outside("https://e.org"), is_outside("//e.org/x"), is_outside("mailto:a@e.org"), is_outside("a/b.md#c:d")
    (True, True, True, False)
    """
    return target.startswith("//") or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", target) is not None


def resolved(page: str, target: str) -> tuple[str, str]:
    """The path from the top that ``target`` means on the page at ``page``, and its anchor with ``#`` or "".

    >>> resolved("docs/models/vae.md", "../rules.md#own"), resolved("docs/a.md", "../results/")
    (('docs/rules.md', '#own'), ('results', ''))
    """
    path, mark, anchor = target.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)), mark + anchor


def relative(page: str, path: str) -> str:
    """How the page at ``page`` names ``path``, both from the top.

    >>> relative("docs/models/vae.md", "results/family/tables.md"), relative("index.md", "docs/a.md")
    ('../../results/family/tables.md', 'docs/a.md')
    """
    return posixpath.relpath(path, posixpath.dirname(page) or ".")
