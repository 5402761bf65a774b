"""Accuracy against cost: a mark a model, a line through those that no other model beats in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.figures.labels import add_legend, legend_room
from benchmark.report.figures.rules import inside, logit_scale, markers
from benchmark.report.figures.style import in_lines, new_figure, palette
from benchmark.report.measures.costs import costs
from benchmark.report.statistics import Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 5.6, 3.6  # inches of the panel
FRONTIER = "no other is better and as cheap"


def pareto_figure(group: Group) -> Figure | None:
    """Mean AUROC (even in the logit) by seconds of a cell (even in the logarithm); None below two columns."""
    from matplotlib.ticker import FuncFormatter

    found = costs(group)
    if len(found) < 2:
        return None
    names = {cost.label: in_lines(group.shown(cost.label)) for cost in found}
    width, above, _ = legend_room([*names.values(), FRONTIER], WIDTH)
    figure = new_figure(width, HEIGHT + above)
    axis = figure.add_subplot()
    looks, shapes = palette(group.labels), markers(group.labels)
    for cost in sorted(found, key=lambda cost: group.labels.index(cost.label)):
        style = {"marker": shapes[cost.label], "color": looks[cost.label][0], "edgecolor": "black", "linewidth": 0.5}
        axis.scatter(max(cost.seconds, 1e-3), inside(cost.auroc), s=48, zorder=3, label=names[cost.label], **style)
    best = [cost for cost in found if cost.best]
    places = [[max(cost.seconds, 1e-3) for cost in best], [inside(cost.auroc) for cost in best]]
    axis.plot(*places, color="0.4", linewidth=1, drawstyle="steps-post", zorder=2, label=FRONTIER)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    logit_scale(axis, [inside(cost.auroc) for cost in found], "y")
    axis.set_xlabel("seconds of a cell, training and scoring")
    axis.set_ylabel(f"AUROC, mean over {len(group.classes)} classes")
    axis.grid(axis="x", color="0.85", linewidth=0.5)
    add_legend(figure, np.array([axis], dtype=object))
    return figure
