"""Tables as CSV, Markdown, LaTeX and on a terminal; ``page.html`` has them as HTML."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.report.tables.table import Entry, Table

if TYPE_CHECKING:
    import rich.table

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "—": "---", "–": "--", "±": r"$\pm$", "†": r"\dag{}", "‡": r"\ddag{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "[": "{[}", "]": "{]}", "×": r"$\times$", "·": r"$\cdot$", "’": "'",
    "▽": r"$\bigtriangledown$", "²": r"\textsuperscript{2}", "³": r"\textsuperscript{3}",
}  # fmt: skip
PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[landscape,margin=15mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\setlength{\parindent}{0pt}
\sloppy
"""


def to_csv(table: Table) -> str:
    """The table as it is shown, comma-separated; exact numbers are in ``cells.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([entry.text for entry in row] for row in table.rows)
    return text.getvalue()


def to_markdown(table: Table, level: int = 3) -> str:
    """The table under a heading, its notes below."""
    align = ["---" if i < table.text_columns else "---:" for i in range(len(table.columns))]
    lines = [_markdown_row([escape_markdown(c) for c in table.columns]), _markdown_row(align)]
    lines += [_markdown_row([_markdown_entry(entry) for entry in row]) for row in table.rows]
    notes = "".join(f"\n{escape_markdown(note)}\n" for note in table.notes)
    return f"{'#' * level} {escape_markdown(table.title)}\n\n" + "\n".join(lines) + "\n" + notes


def to_latex(table: Table) -> str:
    """A ``table`` environment (booktabs) for ``\\input``; needs the packages booktabs and graphicx."""
    columns = "".join("l" if i < table.text_columns else "r" for i in range(len(table.columns)))
    body = []
    for i, row in enumerate(table.rows):
        body += ["\\midrule"] if i in table.rules else []
        body.append(" & ".join(_latex_entry(entry) for entry in row) + r" \\")
    tabular = "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(latex_escape(c) for c in table.columns) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )
    notes = "\n\n".join(latex_escape(note) for note in table.notes)
    shrink = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    return (
        "\\begin{table}[htbp]\n\\centering\n\\small\n"
        f"\\caption{{{latex_escape(table.title)}}}\n\\label{{tab:{table.key.replace('_', '-')}}}\n"
        f"{shrink}\n{tabular}}}\n\n\\medskip\n"
        f"\\parbox{{\\linewidth}}{{\\footnotesize {notes}}}\n\\end{{table}}\n"
    )


def latex_document(title: str, tables: Sequence[Table]) -> str:
    """A document with all tables, for ``pdflatex`` in the folder that has each as ``tables/KEY.tex``."""
    body = "\n\\clearpage\n".join(rf"\input{{tables/{table.key}}}" for table in tables)
    return f"{PREAMBLE}\\begin{{document}}\n\\section*{{{latex_escape(title)}}}\n{body}\n\\end{{document}}\n"


def latex_escape(text: str) -> str:
    """``text`` with every character that LaTeX reads as a command, and every one its fonts lack, made printable."""
    return "".join(LATEX.get(c, c if _in_latex_fonts(c) else rf"\texttt{{U+{ord(c):04X}}}") for c in text)


def to_rich(table: Table) -> rich.table.Table:
    """The table for a terminal."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(title=Text(table.title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for i, column in enumerate(table.columns):
        header = Text(column, overflow="fold")
        shown.add_column(header, justify="left" if i < table.text_columns else "right", overflow="fold", no_wrap=i == 0)
    for i, row in enumerate(table.rows):
        if i in table.rules:
            shown.add_section()
        shown.add_row(*(Text(entry.text, style="bold" if entry.bold else "") for entry in row))
    return shown


def _in_latex_fonts(character: str) -> bool:
    return " " <= character <= "~" or "À" <= character <= "ÿ"


def _latex_entry(entry: Entry) -> str:
    text = latex_escape(entry.text)
    return rf"\textbf{{{text}}}" if entry.bold else text


def _markdown_row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _markdown_entry(entry: Entry) -> str:
    text = escape_markdown(entry.text)
    return f"**{text}**" if entry.bold else text


def escape_markdown(text: str) -> str:
    """``text`` in one line, with every character that Markdown or HTML reads as markup made printable."""
    plain = " ".join(text.split())
    markup = "\\`*|<>" + ("[]" if re.search(r"\][(\[:]", plain) else "")  # an interval [0.1, 0.2] is no link
    return "".join(f"\\{c}" if c in markup or (c == "_" and not plain.isidentifier()) else c for c in plain)
