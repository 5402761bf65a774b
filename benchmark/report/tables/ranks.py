"""Tables of average ranks with Friedman's test and Nemenyi's critical difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmark.report.measures.chosen import Chosen
from benchmark.report.measures.ranks import LEVEL, Ranking, rankings
from benchmark.report.statistics import MARK, Group
from benchmark.report.tables.chosen import under_rules
from benchmark.report.tables.paired import POOLED
from benchmark.report.tables.table import DATASET_TITLES, Entry, Table, file_name


def rank_tables(all_groups: Sequence[Group]) -> list[Table]:
    """A table for each split and data set, and one pooled over data sets; see ``report/measures/ranks.py``."""
    below = {label for group in all_groups for label in group.below}
    return [_table(found, below) for found in rankings(all_groups)]


def chosen_rank_tables(chosen: Chosen) -> list[Table]:
    """The same of models each under the rule that was chosen for it, which the first note names."""
    return [under_rules(_table(found, set()), chosen) for found in rankings(chosen.groups)]


def ranking_key(found: Ranking) -> str:
    """Part of file names that says what was ranked."""
    parts = [found.split, *([] if found.evaluate_on == "test" else [found.evaluate_on]), found.dataset]
    return "_".join(file_name(part) for part in parts)


def ranking_title(found: Ranking) -> str:
    """What was ranked, in words."""
    where = DATASET_TITLES.get(found.dataset, found.dataset)
    return ", ".join([found.split, *([] if found.evaluate_on == "test" else [found.evaluate_on]), where])


def _table(found: Ranking, below: set[str]) -> Table:
    rows = []
    for place, (label, rank) in enumerate(zip(found.labels, found.ranks, strict=True)):
        alike = found.alike(place)
        rows.append([Entry(f"{label} {MARK}" if label in below else label), Entry(_some(alike)), Entry(f"{rank:.2f}")])
    return Table(
        f"ranks_{ranking_key(found)}",
        f"Average ranks of AUROC, {ranking_title(found)}",
        ["model", "not separated from", "average rank"],
        rows,
        _notes(found, below),
        text_columns=2,
    )


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels) if labels else "none: it is apart from all"


def _notes(found: Ranking, below: set[str]) -> list[str]:
    k = len(found.labels)
    over = "data set x class cells" if found.dataset == POOLED else "classes"
    ratio = f"{found.f:.1f}" if math.isfinite(found.f) else "without bound"
    notes = [
        f"Ranks of {k} columns over {found.n} {over} (1: the largest; means over shared seeds; ties share a rank). "
        f"Friedman's test that all are alike: chi-squared {found.chi2:.1f} of {k - 1} degrees of freedom, "
        f"p = {_p(found.p)}; Iman and Davenport's F {ratio}, p = {_p(found.p_f)}. Nemenyi's test of every pair, at "
        f"{LEVEL:g} for all of them together: two columns are apart if their average ranks differ by "
        f"{found.difference:.2f} or more (Demsar 2006). It sees ranks alone and corrects for all pairs, so it "
        "separates less than the paired tests; classes of one data set share their images, so read p as a guide."
    ]
    if found.p >= LEVEL:
        notes.append("Friedman's test does not say that any column differs from another: read no order into the ranks.")
    if found.left_out:
        notes.append(f"Not ranked, as they lack a class: {', '.join(found.left_out)}.")
    if any(label in below for label in found.labels):
        notes.append(f"{MARK} below a floor on a data set of this report.")
    return notes


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"
