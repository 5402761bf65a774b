"""Tables of a setting that was swept: a row a number, a column a model."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.report.measures.swept import Point, Swept, swept
from benchmark.report.statistics import Group
from benchmark.report.tables.table import ABSENT, Entry, Table, file_name, group_key, group_title, number


def sensitivity_tables(groups: Sequence[Group]) -> list[Table]:
    """A table for each setting with more than two numbers, data set and split; see ``report/measures/swept.py``."""
    return [_table(found) for found in swept(groups)]


def _table(found: Swept) -> Table:
    points = {(one.label, point.value): point for one in found.series for point in one.points}
    whole, labels = len(found.group.classes), [one.label for one in found.series]
    rows = [
        [Entry(f"{value:g}"), *(_entry(points.get((label, value)), whole) for label in labels)]
        for value in found.values
    ]
    several = any(point.seeds > 1 for point in points.values())
    return Table(
        f"sensitivity_{file_name(found.setting)}_{group_key(found.group)}",
        f"AUROC by {found.title}, {group_title(found.group)}",
        [found.setting, *labels],
        rows,
        [interval_note(several) + " Nothing is chosen by this table: it is made on what is evaluated."],
    )


def interval_note(several: bool) -> str:
    """What the means and intervals of a sweep are over."""
    over = (
        "seeds (Student's t)" if several else "evaluated images (DeLong's standard errors, classes as if independent)"
    )
    return f"Mean over classes{' and seeds' if several else ''} of the headline score, 95% interval over {over}."


def _entry(point: Point | None, classes: int) -> Entry:
    if point is None or point.classes == 0:
        return Entry("" if point is None else ABSENT)
    interval = f" [{point.low:.3f}, {point.high:.3f}]" if point.low == point.low else ""
    short = "" if point.classes == classes else f" ({point.classes}/{classes})"
    return Entry(number(point.mean) + interval + short)
