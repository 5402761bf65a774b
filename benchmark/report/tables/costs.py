"""The table of what a model costs beside what it reaches."""

from __future__ import annotations

import math

from benchmark.report.measures.costs import costs
from benchmark.report.statistics import Group
from benchmark.report.tables.table import Entry, Table, group_key, group_title, measured, number


def cost_table(group: Group) -> Table | None:
    """Seconds of a cell beside AUROC, the cheapest first; None where fewer than two columns can be compared."""
    found = costs(group)
    if len(found) < 2:
        return None
    rows = [
        [
            Entry(group.shown(cost.label)),
            Entry(number(cost.auroc), cost.best),
            *(Entry(measured(value)) for value in (cost.train, cost.score, cost.seconds)),
            Entry("" if math.isnan(cost.parameters) or cost.parameters == 0 else f"{cost.parameters:,.0f}"),
        ]
        for cost in found
    ]
    return Table(
        f"costs_{group_key(group)}",
        f"Cost beside accuracy, {group_title(group)}",
        ["model", "AUROC", "training (s)", "scoring (s)", "both (s)", "parameters"],
        rows,
        [
            "Means over the done cells, of columns that have all planned classes; the cheapest first. Bold: no column "
            "that is as cheap has as large an AUROC. Seconds are wall-clock seconds of a cell on the machines that the "
            "manifest names, whatever ran beside it, those of a fleet shared evenly by its cells: read factors of two, "
            "not percents. Scoring: all evaluated images under the model's own scores. A committee is left out: it "
            "costs what its members do together."
        ],
    )
