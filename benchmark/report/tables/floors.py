"""What is said of columns below a trivial detector, under tables and figures."""

from __future__ import annotations

from benchmark.report.statistics import FLOORS, MARK, Group
from benchmark.report.tables.table import Table


def floor_note(group: Group) -> str:
    """Which columns are below a floor, or that no floor was run."""
    if not any(floor in group.labels for floor in FLOORS):
        return (
            f"No floor ({', '.join(FLOORS)}) was run beside these: whether they beat a trivial detector is not known."
        )
    if not group.below:
        return "No column is below a floor that was run (mean_image, histogram, pca)."
    named = ", ".join(f"{label} ({', '.join(floors)})" for label, floors in group.below.items())
    return (
        f"{MARK} below a floor in mean AUROC over the classes that both have: {named}. "
        "Nothing is concluded in favour of such a column."
    )


def mark_note(*groups: Group) -> str:
    """What the mark of a floor means, for a table or figure of these groups that shows it."""
    below = [found for group in groups for found in group.below.values()]
    floors = [floor for floor in FLOORS if any(floor in found for found in below)]
    where = " on a data set that is shown" if len(groups) > 1 else ""
    return f"{MARK} below a floor ({', '.join(floors)}) in mean AUROC{where}: nothing is concluded in its favour."


def explained(table: Table, group: Group) -> Table:
    """``table``, with a note on the mark of a floor where it shows the mark and says nothing of it."""
    shown = [*table.columns, *(row[0].text for row in table.rows)]
    if any(MARK in text for text in shown) and not any(MARK in note for note in table.notes):
        table.notes.append(mark_note(group))
    return table
