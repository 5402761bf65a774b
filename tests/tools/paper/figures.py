"""The figures of the paper, as PDF alone: vector graphics in the paper's own fonts, the same bytes every time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.report.crossing import OWN, metric_of, rules_of
from benchmark.report.figures.rules import markers
from benchmark.report.figures.style import palette
from benchmark.report.statistics import Group, class_mean, column_mean, per_class
from tests.tools.paper.sources import DATASETS, core, crossing, groups_of, name_of
from tests.tools.paper.tables import TIMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 6.5  # inches of a line of text
STYLE: dict[str, Any] = {
    "font.family": "STIXGeneral", "mathtext.fontset": "stix", "font.size": 8, "axes.titlesize": 8.5,
    "axes.labelsize": 8, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5, "legend.fontsize": 8, "axes.linewidth": 0.6,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "pdf.fonttype": 42,
}  # fmt: skip
MOST_IN_A_ROW = 7  # of a legend's names
TICKS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
MARK: dict[str, Any] = {"s": 15, "edgecolor": "black", "linewidth": 0.35, "zorder": 3}


def draw_all(folder: Path) -> list[str]:
    """Draw every figure into ``folder``, which is there; their file names."""
    import matplotlib

    names = []
    with matplotlib.rc_context(STYLE):
        for name, draw in {"rules": rules, "cost": cost, "classes": classes}.items():
            undated = dict.fromkeys(("CreationDate", "Creator", "Producer"))
            draw().savefig(folder / f"{name}.pdf", metadata=undated)
            names.append(f"{name}.pdf")
    return names


def rules() -> Figure:
    """AUROC of every model under every rule, a panel a data set, on an axis that is even in logits."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    parts = groups_of(crossing())
    rows = [OWN, *rules_of(parts[0])]
    labels = [label for label in parts[0].labels if label != "histogram"]
    figure, panels = _panels(4.3, sharey=True)
    looks, shapes = palette(labels), markers(labels)
    for axis, part in zip(panels, parts, strict=True):
        lowest, largest = 1.0, 0.0
        for i, label in enumerate(labels):
            found = {row: class_mean(part, metric_of(rule), label).value for row, rule in enumerate(rows)}
            found = {row: value for row, value in found.items() if value == value}
            lowest, largest = min(lowest, *found.values()), max(largest, *found.values())
            places = [row + 0.6 * ((i + 0.5) / len(labels) - 0.5) for row in found]
            look = {"color": looks[label][0], "marker": shapes[label]}
            axis.scatter(list(found.values()), places, label=name_of(label), **MARK, **look)
        for row in range(1, len(rows)):
            axis.axhline(row - 0.5, color="0.35" if row == 1 else "0.88", linewidth=0.5, zorder=1)
        axis.set_yticks(range(len(rows)), ["own score" if rule == OWN else rule for rule in rows])
        axis.tick_params(axis="y", length=0)
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_xscale("logit")
        low, high = lowest - 0.03, 1 - 0.7 * (1 - largest)
        axis.set_xlim(low, high)
        shown = [tick for tick in TICKS if low <= tick <= high]
        axis.xaxis.set_major_locator(FixedLocator(shown))
        axis.xaxis.set_major_formatter(FixedFormatter([f"{tick:g}" for tick in shown]))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.grid(axis="x", color="0.88", linewidth=0.5, zorder=0)
        axis.set_xlabel("mean AUROC (logit scale)")
    _legend(figure, panels[0], len(labels))
    return figure


def cost() -> Figure:
    """Mean AUROC against seconds a cell, training and scoring."""
    parts = groups_of(core())
    figure, panels = _panels(2.2)
    labels = [label for label in parts[0].labels if label != "histogram"]
    looks, shapes = palette(labels), markers(labels)
    for axis, part in zip(panels, parts, strict=True):
        points = {label: (_seconds(part, label), class_mean(part, "auroc", label).value) for label in labels}
        front = _front(points)
        axis.plot(*zip(*front, strict=True), color="0.4", linewidth=0.8, linestyle=":", drawstyle="steps-post")
        for label, (seconds, value) in points.items():
            look = {"color": looks[label][0], "marker": shapes[label]}
            axis.scatter([seconds], [value], label=name_of(label), **(MARK | {"s": 26}), **look)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")
        axis.set_xlabel("seconds a cell, training and scoring")
        axis.grid(color="0.9", linewidth=0.5, zorder=0)
    panels[0].set_ylabel("mean AUROC, own score")
    _legend(figure, panels[0], len(labels))
    return figure


def _seconds(part: Group, label: str) -> float:
    return sum(column_mean(part, name, label)[0] for name in TIMES)


def _front(points: Mapping[str, tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no other beats in both: cheaper and better.

    >>> _front({"a": (1.0, 0.9), "b": (2.0, 0.8), "c": (3.0, 0.95)})
    [(1.0, 0.9), (3.0, 0.95)]
    """
    found: list[tuple[float, float]] = []
    for point in sorted(points.values()):
        if not found or point[1] > found[-1][1]:
            found.append(point)
    return found


def classes() -> Figure:
    """AUROC of every class under the models' own scores."""
    parts = groups_of(core())
    figure, panels = _panels(2.5, sharey=True)
    labels = [label for label in parts[0].labels if label != "histogram"]
    looks, shapes = palette(labels), markers(labels)
    for axis, part in zip(panels, parts, strict=True):
        columns = {
            label: {k: float(np.mean(v)) for k, v in per_class(part, "auroc", label).items()} for label in labels
        }
        for k in part.classes:
            values = [column[k] for column in columns.values()]
            axis.vlines(k, min(values), max(values), color="0.75", linewidth=0.8, zorder=1)
        for i, (label, column) in enumerate(columns.items()):
            places = [k + 0.5 * ((i + 0.5) / len(labels) - 0.5) for k in column]
            look = {"color": looks[label][0], "marker": shapes[label]}
            axis.scatter(places, list(column.values()), label=name_of(label), **MARK, **look)
        names = [name if name != str(k) else str(k) for k, name in part.classes.items()]
        long = max(map(len, names)) > 2
        axis.set_xticks(list(part.classes), names, rotation=35 if long else 0, ha="right" if long else "center")
        axis.set_xlabel("normal class")
        axis.grid(axis="y", color="0.9", linewidth=0.5, zorder=0)
    panels[0].set_ylabel("AUROC, own score")
    _legend(figure, panels[0], len(labels))
    return figure


def _panels(height: float, sharey: bool = False) -> tuple[Figure, np.ndarray]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(1, len(DATASETS), sharey=sharey)
    for axis, title in zip(panels, DATASETS.values(), strict=True):
        axis.set_title(title)
    return figure, panels


def _legend(figure: Figure, axis: Any, names: int) -> None:
    """Above the panels, in as many rows as the width asks for."""
    columns = math.ceil(names / math.ceil(names / MOST_IN_A_ROW))
    handles, texts = axis.get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside upper center", ncols=columns, handletextpad=0.2, columnspacing=1.2)
