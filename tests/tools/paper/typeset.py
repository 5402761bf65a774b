"""LaTeX from plain data: a table with its caption, a long table, a macro. Characters by the report's own escapes."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.report.statistics import MARK
from benchmark.report.tables.formats import latex_escape
from benchmark.report.tables.table import Entry

Row = Sequence[Entry]
BELOW = r"\below"  # the mark of a floor, defined in docs/paper/paper.tex


def plain(text: str) -> str:
    """``text`` with its special characters escaped; the mark of a floor is the paper's own."""
    return latex_escape(text).replace(latex_escape(MARK), rf"{BELOW}{{}}")


def code(text: str) -> str:
    """A name of the suite, as it is typed; it may be broken behind ``_``, ``=`` and ``,``."""
    escaped = latex_escape(text)
    for character in (r"\_", "=", ",", "/"):
        escaped = escaped.replace(character, character + r"\allowbreak{}")
    return rf"\texttt{{{escaped}}}"


def entry(text: str, bold: bool = False) -> Entry:
    """An entry that is LaTeX already."""
    return Entry(text, bold)


def tabular(spec: str, heads: Sequence[str], rows: Sequence[Row], lines: frozenset[int] = frozenset()) -> str:
    """A booktabs ``tabular``; ``heads`` are whole lines of LaTeX, ``lines`` rows that a rule is drawn above."""
    body = []
    for i, row in enumerate(rows):
        body += [r"\midrule"] if i in lines else []
        body.append(_line(row))
    head = "\n".join(heads)
    return f"\\begin{{tabular}}{{{spec}}}\n\\toprule\n{head}\n\\midrule\n" + "\n".join(
        [*body, r"\bottomrule", r"\end{tabular}"]
    )


def table(key: str, caption: str, body: str, size: str = r"\small", place: str = "t") -> str:
    """A floating table, its caption above, as the field has it."""
    return (
        f"\\begin{{table}}[{place}]\n\\centering\n\\caption{{{caption}}}\n\\label{{tab:{key}}}\n{size}\n{body}\n"
        "\\end{table}\n"
    )


def long_table(key: str, caption: str, spec: str, heads: Sequence[str], rows: Sequence[Row]) -> str:
    """A table over pages; the head stands on each of them."""
    head, width = " & ".join(heads) + r" \\", len(heads)
    return "\n".join(
        [
            rf"\begin{{longtable}}{{{spec}}}",
            rf"\caption{{{caption}}}\label{{tab:{key}}}\\",
            rf"\toprule {head} \midrule\endfirsthead",
            rf"\multicolumn{{{width}}}{{l}}{{\emph{{Table \thetable{{}}, continued}}}}\\",
            rf"\toprule {head} \midrule\endhead",
            r"\bottomrule\endfoot",
            *map(_line, rows),
            r"\end{longtable}",
            "",
        ]
    )


def macro(name: str, text: str) -> str:
    """The definition of a macro that a source uses as ``\\name{}``."""
    if not name.isalpha() or not name.isascii():
        raise ValueError(f"{name!r} is no name of a macro: LaTeX allows letters alone")
    return rf"\newcommand{{\{name}}}{{{text}}}"


def _line(row: Row) -> str:
    return " & ".join(rf"\textbf{{{one.text}}}" if one.bold else one.text for one in row) + r" \\"
