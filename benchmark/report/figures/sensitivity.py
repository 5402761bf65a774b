"""How AUROC moves with a setting: a panel a data set, a line a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.report.figures.labels import add_legend, legend_room
from benchmark.report.figures.rules import markers
from benchmark.report.figures.style import in_lines, new_figure, palette
from benchmark.report.measures.swept import Swept
from benchmark.report.tables.table import DATASET_TITLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 3.9, 3.1  # inches of a panel
COLUMNS = 2  # panels beside one another
WIDE = 8  # the largest number by the smallest, from which on the axis is even in the logarithm


def sensitivity_figure(found: Sequence[Swept]) -> Figure | None:
    """Mean AUROC with its 95% interval by one setting; ``found`` are its data sets. None without a whole mean."""
    found = [one for one in found if any(_whole(one, series.points) for series in one.series)]
    if not found:
        return None
    labels = list(dict.fromkeys(series.label for one in found for series in one.series))
    names = {label: in_lines(label) for label in labels}
    columns = min(len(found), COLUMNS)
    rows = math.ceil(len(found) / columns)
    width, above, _ = legend_room(list(names.values()), 0.5 + WIDTH * columns)
    figure = new_figure(width, above + HEIGHT * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    looks, shapes = palette(labels), markers(labels)
    for axis, one in zip(panels.flat, found, strict=False):
        for i, series in enumerate(one.series):
            points = _whole(one, series.points)
            if points:
                colour, line = looks[series.label]
                style = {"color": colour, "linestyle": line, "marker": shapes[series.label], "markersize": 4.5}
                errors = [[p.mean - p.low for p in points], [p.high - p.mean for p in points]]
                axis.errorbar(
                    [p.value for p in points], [p.mean for p in points], yerr=errors, label=names[series.label],
                    elinewidth=0.8, capsize=2, linewidth=1.3, zorder=3 + i, **style,
                )  # fmt: skip
        _frame(axis, one)
    for axis in list(panels.flat)[len(found) :]:
        axis.set_axis_off()
    add_legend(figure, panels)
    return figure


def _whole(one: Swept, points: Sequence[Any]) -> list[Any]:
    """The points that have all planned classes."""
    return [point for point in points if point.classes == len(one.group.classes)]


def _frame(axis: Any, one: Swept) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    values = one.values
    if values[0] > 0 and values[-1] / values[0] >= WIDE:
        axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(values))
    axis.xaxis.set_major_formatter(FixedFormatter([f"{value:g}" for value in values]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel(one.title)
    classes = len(one.group.classes)
    axis.set_ylabel(f"AUROC, mean over {classes} {'class' if classes == 1 else 'classes'}")
    axis.set_title(DATASET_TITLES.get(one.group.dataset, one.group.dataset))
    axis.grid(axis="y", color="0.88", linewidth=0.5)
    axis.set_axisbelow(True)
