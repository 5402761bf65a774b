"""The files of a report's tables: all in tables.md, and each as CSV and LaTeX, but for a brief report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.report.tables.formats import escape_markdown, latex_document, to_csv, to_latex, to_markdown
from benchmark.report.tables.table import Table


def write_tables(made: Path, experiment: str, sections: Mapping[str, Sequence[Table]], brief: bool) -> None:
    """Write them into the folder ``made``; of a brief report tables.md alone."""
    parts = [f"# Experiment {escape_markdown(experiment)}\n"]
    for heading, tables in sections.items():
        parts += [f"## {escape_markdown(heading)}\n", *(to_markdown(table) for table in tables)]
    (made / "tables.md").write_text("\n".join(parts), encoding="utf-8")
    if brief:
        return
    everything = [table for tables in sections.values() for table in tables]
    (made / "tables").mkdir()
    for table in everything:
        (made / "tables" / f"{table.key}.csv").write_text(to_csv(table), encoding="utf-8")
        (made / "tables" / f"{table.key}.tex").write_text(to_latex(table), encoding="utf-8")
    (made / "tables.tex").write_text(latex_document(f"Experiment {experiment}", everything), encoding="utf-8")
