"""A claim: a text of a page with the function that gives its numbers, or a condition that must hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import Formatter

NUMBER = r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?%?"
PHRASE = r"(?:not\s+separated|separated,\s+`[^`]+`\s+ahead)\s+\(Wilcoxon[^)]*\)"


class Absent(LookupError):
    """The cells that a number is made of are not in results/."""


@dataclass(frozen=True)
class Claim:
    """A text of a page: a format template with the function that gives its values, or a condition that must hold."""

    text: str
    values: Callable[[], Sequence[object]] | None = None
    holds: Callable[[], bool] | None = None

    def parts(self) -> list[str]:
        """The texts of this claim's fields, in order."""
        fields = [spec for _, name, spec, _ in Formatter().parse(self.text) if name is not None]
        values = list(self.values()) if self.values else []
        if len(fields) != len(values):
            raise ValueError(f"{self.text!r} has {len(fields)} fields and {len(values)} values")
        return [format(value, spec or "") for spec, value in zip(fields, values, strict=True)]

    def rendered(self) -> str:
        return "".join(
            part if i % 2 == 0 else text for i, (part, text) in enumerate(_alternate(self.text, self.parts()))
        )

    def stands(self) -> bool:
        """Whether the condition holds; true as long as its cells are not there."""
        try:
            return self.holds is None or self.holds()
        except Absent:
            return True

    @property
    def pattern(self) -> re.Pattern[str]:
        """The text with any numbers or verdicts in its fields, wrapped in any way; a group a field."""
        found = ""
        for literal, name, spec, _ in Formatter().parse(self.text):
            found += flexible(literal)
            if name is not None:
                found += f"({NUMBER})" if spec else f"({PHRASE})"
        return re.compile(found)


def _alternate(text: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """Literals and values in turn, as (literal, value) with the one that does not count empty."""
    rows, rest = [], iter(values)
    for literal, name, _, _ in Formatter().parse(text):
        rows += [(literal, ""), ("", next(rest) if name is not None else "")]
    return rows


def flexible(text: str) -> str:
    """A pattern for ``text`` in which white space may be any other."""
    return r"\s+".join(re.escape(word) for word in re.split(r"\s+", text))


def normal(text: str) -> str:
    return " ".join(text.split())
