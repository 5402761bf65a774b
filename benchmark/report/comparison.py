"""The table of paired tests between models."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.report.statistics import Group, comparisons
from benchmark.report.tables import Entry, Table


def comparison_tables(all_groups: Sequence[Group]) -> list[Table]:
    """Paired signed-rank tests between models, a table for each split."""
    found = comparisons(all_groups)
    tables = []
    for kind in dict.fromkeys((c.split, c.evaluate_on) for c in found):
        alike = [c for c in found if (c.split, c.evaluate_on) == kind]
        rows = [
            [
                Entry(f"{c.first} – {c.second}"), Entry(str(c.n)), Entry(f"{c.difference:+.4f}"),
                Entry(f"{c.wins}/{c.n}"), Entry(_p(c.p)), Entry(_p(c.p_holm), c.p_holm < 0.05),
            ]
            for c in alike
        ]  # fmt: skip
        name = "_".join(part for part in kind if part != "test")
        title = kind[0] if kind[1] == "test" else f"{kind[0]}, {kind[1]}"
        tables.append(
            Table(
                f"tests_{name}",
                f"Paired Wilcoxon signed-rank tests of AUROC, {title}",
                ["pair", "n", "mean difference", "first is larger", "p", "p (Holm)"],
                rows,
                [
                    "Pairs are data set x class cells (mean over seeds); two-sided; Holm's correction over the rows of "
                    "this table; bold: below 0.05. Cells of one data set share their images, so read p as a guide."
                ],
            )
        )
    return tables


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"
