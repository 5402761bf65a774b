"""Tables of paired tests between models: one a data set, and one pooled over data sets."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.report.measures.chosen import Chosen
from benchmark.report.statistics import MARK, Group
from benchmark.report.tables.chosen import under_rules
from benchmark.report.tables.paired import (
    MINIMUM_PAIRS,
    POOLED,
    SEPARATED,
    Comparison,
    comparisons,
    least_p,
    without_shared_seeds,
)
from benchmark.report.tables.table import DATASET_TITLES, Entry, Table, file_name


def comparison_tables(all_groups: Sequence[Group]) -> list[Table]:
    """Paired signed-rank tests between models, a table for each split and data set, and pooled."""
    tables, apart = _tables(all_groups, {label for group in all_groups for label in group.below})
    if apart and not tables:
        rows = [[Entry(f"{first} – {second}")] for first, second in apart]
        tables = [Table("tests_not_made", "Not compared: no seed in common", ["pair"], rows)]
    return tables


def chosen_comparison_tables(chosen: Chosen) -> list[Table]:
    """The same between models each under the rule that was chosen for it, which the first note names."""
    tables, _ = _tables(chosen.groups, set())
    return [under_rules(table, chosen) for table in tables]


def _tables(all_groups: Sequence[Group], below: set[str]) -> tuple[list[Table], list[tuple[str, str]]]:
    """A table for each split and data set, and pooled; and the pairs that share no seed."""
    found, apart = comparisons(all_groups), without_shared_seeds(all_groups)
    scopes = dict.fromkeys((c.split, c.evaluate_on, c.dataset) for c in found)
    parts = ([c for c in found if (c.split, c.evaluate_on, c.dataset) == scope] for scope in scopes)
    return [_table(part, apart, below) for part in parts], apart


def _table(alike: Sequence[Comparison], apart: Sequence[tuple[str, str]], below: set[str]) -> Table:
    one = alike[0]
    rows = [
        [
            Entry(" – ".join(f"{label} {MARK}" if label in below else label for label in (c.first, c.second))),
            Entry(str(c.n)), Entry(str(c.ties)), Entry(f"{c.difference:+.4f}"),
            Entry(f"[{c.low:+.4f}, {c.high:+.4f}]"), Entry(f"{c.wins}/{c.n}"), Entry(f"{c.effect:+.2f}"),
            Entry(f"{c.dz:+.2f}"),
            Entry(_p(c.p)), Entry(_p(c.p_holm), c.p_holm < 0.05), Entry(c.verdict),
        ]
        for c in alike
    ]  # fmt: skip
    where = DATASET_TITLES.get(one.dataset, one.dataset)
    title = ", ".join([one.split, *([] if one.evaluate_on == "test" else [one.evaluate_on]), where])
    parts = [one.split, *([] if one.evaluate_on == "test" else [one.evaluate_on]), one.dataset]
    columns = ["pair", "n", "ties", "mean difference", "95% interval of it", "first is larger", "effect", "dz", "p"]
    return Table(
        f"tests_{'_'.join(file_name(part) for part in parts)}",
        f"Paired Wilcoxon signed-rank tests of AUROC, {title}",
        [*columns, "p (Holm)", "verdict"],
        rows,
        _notes(alike, apart, below),
    )


def _notes(alike: Sequence[Comparison], apart: Sequence[tuple[str, str]], below: set[str]) -> list[str]:
    pooled = alike[0].dataset == POOLED
    over = "data set x class cells, pooled over data sets that may disagree" if pooled else "classes"
    notes = [
        f"Pairs are {over} (means over the seeds that both columns have); two-sided; ties are left out of the test, "
        f"which needs {MINIMUM_PAIRS} pairs without; Holm's correction over the rows of this table; bold: below 0.05. "
        "Effect: matched-pairs rank-biserial correlation (Kerby 2014); dz: Cohen's, the mean difference by the "
        "standard deviation of the differences. Not separated is not equal. Cells of one data set share their images, "
        "so read p as a guide."
    ]
    if any(c.first in below or c.second in below for c in alike):
        notes.append(f"{MARK} below a floor on a data set of this report.")
    if (least := least_p(alike)) >= SEPARATED:
        notes.append(
            f"With so few classes and so many pairs no corrected p can be below {least:.2g}: nothing is separated here."
        )
    fewer = [f"{c.first} – {c.second}" for c in alike if c.restricted]
    if fewer:
        notes.append(f"On shared seeds alone, as the columns have others too: {', '.join(fewer)}.")
    if apart:
        pairs = ", ".join(f"{first} – {second}" for first, second in apart)
        notes.append(f"Not compared, as they share no seed: {pairs}.")
    return notes


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"
