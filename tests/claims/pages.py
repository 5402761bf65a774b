"""Pages with the numbers and tables of the committed cells put in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tests.claims.claim import Absent, Claim, normal


def block(text: str, name: str) -> re.Match[str] | None:
    """What stands between the markers of a name."""
    return re.search(rf"(?<=<!-- {name}:begin -->).*(?=<!-- {name}:end -->)", text, re.DOTALL)


def with_tables(text: str, tables: Sequence[Sequence[str]]) -> str:
    """``text`` with its Markdown tables replaced in order; rows without a head keep the page's."""
    left = list(tables)

    def fill(match: re.Match[str]) -> str:
        rows, old = list(left.pop(0)), match[0].splitlines()
        return "\n".join(rows if len(rows) > 1 and rows[1].startswith("| ---") else [*old[:2], *rows]) + "\n"

    result = re.sub(r"(?:^\|.*\n)+", lambda match: fill(match) if left else match[0], text, flags=re.MULTILINE)
    if left:
        raise ValueError(f"{len(left)} tables have no place: put a table's head between the markers")
    return result


def refreshed(text: str, claims: Sequence[Claim], blocks: dict[str, Callable[[], list[list[str]]]]) -> str:
    """A page with every claim's numbers and every marked table as the committed cells have them."""
    for name, tables in blocks.items():
        found = block(text, name)
        if found is not None:
            text = text[: found.start()] + with_tables(found[0], tables()) + text[found.end() :]
    for claim in claims:
        try:
            parts = claim.parts()
        except Absent:
            continue
        for match in reversed(list(claim.pattern.finditer(text))):
            for i in reversed(range(len(parts))):
                if normal(match[i + 1]) != parts[i]:
                    text = text[: match.start(i + 1)] + parts[i] + text[match.end(i + 1) :]
    return text
