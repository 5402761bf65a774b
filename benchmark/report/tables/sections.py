"""All tables of a report, in order, from the frame alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.report.measures.chosen import under_chosen
from benchmark.report.statistics import Group, groups
from benchmark.report.tables.auroc import auroc_table, scores_table
from benchmark.report.tables.chosen import chosen_table
from benchmark.report.tables.comparison import chosen_comparison_tables, comparison_tables
from benchmark.report.tables.costs import cost_table
from benchmark.report.tables.details import detail_tables
from benchmark.report.tables.detection import detection_table
from benchmark.report.tables.floors import explained
from benchmark.report.tables.intervals import chosen_interval_tables, interval_table
from benchmark.report.tables.losses import gan_table, loss_table
from benchmark.report.tables.published import Quote, appendix_tables, beside_table, read_published
from benchmark.report.tables.ranks import chosen_rank_tables, rank_tables
from benchmark.report.tables.rules import rules_table
from benchmark.report.tables.sensitivity import sensitivity_tables
from benchmark.report.tables.table import (
    DATASET_TITLES,
    RULES_SECTION,
    SWEPT_SECTION,
    TESTS_SECTION,
    Table,
    group_title,
)
from benchmark.report.tables.variance import seeds_table, variance_table

if TYPE_CHECKING:
    import pandas as pd


def build_tables(frame: pd.DataFrame) -> dict[str, list[Table]]:
    """Section heading -> its tables; models and rules come first, where cells were judged under rules.

    Between settings on validation images nothing is tested: they are there to choose from.
    """
    parts, published = groups(frame), read_published()
    crossed = [table for group in parts for table in crossing_tables(group)]
    sections = {RULES_SECTION: crossed} if crossed else {}
    if swept := sensitivity_tables(parts):
        sections[SWEPT_SECTION] = swept
    sections |= {group_title(group): group_tables(group, published) for group in parts}
    tested = [group for group in parts if group.evaluate_on == "test"]
    if tests := [*test_tables(tested), *chosen_tables(tested)]:
        sections[TESTS_SECTION] = tests
    datasets = list(dict.fromkeys(group.dataset for group in parts if group.evaluate_on == "test"))
    if appendix := appendix_tables(published, datasets, DATASET_TITLES):
        sections["Appendix: published figures"] = appendix
    return sections


def test_tables(tested: Sequence[Group]) -> list[Table]:
    """Tests between models under their own scores."""
    return [*comparison_tables(tested), *rank_tables(tested)]


def chosen_tables(tested: Sequence[Group]) -> list[Table]:
    """The same tests under the rules that were chosen; none where no column has one."""
    chosen = under_chosen(tested)
    return [*chosen_comparison_tables(chosen), *chosen_rank_tables(chosen), *chosen_interval_tables(chosen)]


def crossing_tables(group: Group) -> list[Table]:
    """The tables of models and rules of one data set and split; none where no cell was judged under a rule."""
    found = [rules_table(group), variance_table(group), chosen_table(group)]
    return [explained(table, group) for table in found if table is not None]


def group_tables(group: Group, published: Sequence[Quote] = ()) -> list[Table]:
    """The tables of one data set and split, the empty ones left out; the mark of a floor explained in each."""
    found = [
        auroc_table(group),
        beside_table(group, published),
        interval_table(group),
        seeds_table(group),
        cost_table(group),
        loss_table(group),
        scores_table(group),
        detection_table(group),
        gan_table(group),
        *detail_tables(group),
    ]
    return [explained(table, group) for table in found if table is not None]
