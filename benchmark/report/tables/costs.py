"""The table of what a model costs beside what it reaches."""

from __future__ import annotations

import math

from benchmark.report.measures.costs import Cost, costs
from benchmark.report.statistics import Group
from benchmark.report.tables.table import Entry, Table, group_key, group_title, measured, number

MEMORY = ("peak memory (MiB)", "of cells")
NOTE = (
    "Peak memory: the most that training or scoring under the own score had in use at once, without data sets and "
    "programs, of all cells that the process had at work meanwhile, which are counted beside it: a fleet trains "
    "several as one. Blank: not recorded."
)


def cost_table(group: Group) -> Table | None:
    """Seconds and memory beside AUROC, the cheapest first; None where fewer than two columns can be compared.

    Memory has no columns where no cell has recorded it.
    """
    found = costs(group)
    if len(found) < 2:
        return None
    with_memory = any(not math.isnan(cost.memory) for cost in found)
    rows = [
        [
            Entry(group.shown(cost.label)),
            Entry(number(cost.auroc), cost.best),
            *(Entry(measured(value)) for value in (cost.train, cost.score, cost.seconds)),
            Entry("" if math.isnan(cost.parameters) or cost.parameters == 0 else f"{cost.parameters:,.0f}"),
            *(_memory(cost) if with_memory else ()),
        ]
        for cost in found
    ]
    return Table(
        f"costs_{group_key(group)}",
        f"Cost beside accuracy, {group_title(group)}",
        ["model", "AUROC", "training (s)", "scoring (s)", "both (s)", "parameters", *(MEMORY if with_memory else ())],
        rows,
        [
            "Means over the done cells, of columns that have all planned classes; the cheapest first. Bold: no column "
            "that is as cheap has as large an AUROC. Seconds are wall-clock seconds of a cell on the machines that the "
            "manifest names, whatever ran beside it, those of a fleet shared evenly by its cells: read factors of two, "
            "not percents. Scoring: all evaluated images under the model's own scores. A committee "
            "costs what its members, other columns here, do together.",
            *([NOTE] if with_memory else []),
        ],
    )


def _memory(cost: Cost) -> list[Entry]:
    if math.isnan(cost.memory):
        return [Entry(""), Entry("")]
    return [Entry(measured(cost.memory)), Entry(f"{cost.at_work:.3g}")]
