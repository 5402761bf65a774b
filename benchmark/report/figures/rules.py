"""The two axes at a glance: a row a rule, a mark a model, a panel a data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.report.crossing import OWN, chosen_rule, in_order, largest_block, metric_of, rules_of
from benchmark.report.figures.labels import add_legend, legend_room, width_of
from benchmark.report.figures.style import in_lines, new_figure, palette
from benchmark.report.frame import MODELS
from benchmark.report.statistics import MARK, Group, class_mean
from benchmark.report.tables.rules import OWN_ROW
from benchmark.report.tables.table import DATASET_TITLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d", "8", "H")
TICKS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99)
TICKS = (*TICKS, 0.995, 0.999)
EDGE = 0.0005  # AUROC is drawn this far from 0 and 1 at least, whose logit has no end
WIDTH, HEIGHT = 4.3, 0.32  # inches of a panel and of a row
RING = {"s": 110, "facecolor": "none", "edgecolor": "black", "linewidth": 1.3}
REACH = {"color": "0.55", "linewidth": 1.2}
COLUMNS = 2  # panels beside one another
SPREAD = 0.64  # share of a row's height that its marks are spread over
CHOSEN_NAME = "chosen rule"
REACH_NAME = "smallest to largest"


def rules_figure(groups: Sequence[Group]) -> Figure | None:
    """AUROC, mean over classes and seeds, of every model under every rule; None where no rule was used.

    ``groups`` are of one split and one kind of evaluated images, a panel each. The models' own scores are the top row.
    Only means over all planned classes are drawn. The axis is even in logits: 0.97 and 0.98 are apart beside 0.7.
    """
    groups = [group for group in groups if rules_of(group)]
    if not groups:
        return None
    rules = in_order({rule for group in groups for rule in rules_of(group)})
    labels = list(dict.fromkeys(label for group in groups for label in group.labels))
    below = {label for group in groups for label in group.below}
    names = {label: in_lines(f"{label} {MARK}" if label in below else label) for label in labels}
    columns = min(len(groups), COLUMNS)
    rows = math.ceil(len(groups) / columns)
    beside = max(map(width_of, (OWN_ROW, *rules))) + 0.2
    height = HEIGHT * max(1.0, len(labels) / 8)
    width, above, _ = legend_room([*names.values(), CHOSEN_NAME, REACH_NAME], beside + WIDTH * columns)
    figure = new_figure(width, above + rows * (1.0 + height * (len(rules) + 1)) + 0.1)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axis, group in zip(panels.flat, groups, strict=False):
        _panel(axis, group, [OWN, *rules], labels, names)
    for axis in list(panels.flat)[len(groups) :]:
        axis.set_axis_off()
    last = panels.flat[len(groups) - 1]  # what is no model comes last in the legend
    if any(chosen_rule(group, label) for group in groups for label in group.labels):
        last.scatter([], [], label=CHOSEN_NAME, **RING)
    last.hlines([], 0.5, 0.5, label=REACH_NAME, **REACH)
    add_legend(figure, panels)
    return figure


def markers(labels: Sequence[str]) -> dict[str, str]:
    """The mark of every column: MODELS keep their own whatever else is shown, others get those that are left."""
    own = {label: MARKERS[MODELS.index(label)] for label in labels if label in MODELS}
    free = [marker for marker in MARKERS if marker not in own.values()]
    others = [label for label in labels if label not in own]
    return own | {label: free[i % len(free)] for i, label in enumerate(others)}


def _panel(axis: Any, group: Group, rules: Sequence[str], labels: Sequence[str], names: Mapping[str, str]) -> None:
    means = {
        (label, rule): mean.value
        for label in group.labels
        for rule in rules
        if (mean := class_mean(group, metric_of(rule), label)).present == len(group.classes)
    }
    looks, shapes = palette(labels), markers(labels)
    for row in range(1, len(rules)):
        axis.axhline(row - 0.5, color="0.4" if row == 1 else "0.85", linewidth=0.7 if row == 1 else 0.5, zorder=1)
    _reach(axis, group, rules)
    for i, label in enumerate(labels):
        place = {rule: row + SPREAD * ((i + 0.5) / len(labels) - 0.5) for row, rule in enumerate(rules)}
        found = [(inside(means[label, rule]), place[rule]) for rule in rules if (label, rule) in means]
        style = {"marker": shapes[label], "color": looks[label][0], "edgecolor": "black", "linewidth": 0.4}
        if found:
            axis.scatter(*zip(*found, strict=True), s=26, zorder=3, label=names[label], **style)
        rule = chosen_rule(group, label)
        if rule is not None and (label, rule) in means:
            where = [inside(means[label, rule])], [place[rule]]
            axis.scatter(*where, s=26, zorder=4, **style)  # above the others, so that it shows whose ring it is
            axis.scatter(*where, zorder=4, **RING)
    axis.set_yticks(range(len(rules)), [OWN_ROW if rule == OWN else rule for rule in rules])
    axis.set_ylim(len(rules) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.set_title(_title(group))
    of_all = "" if len(group.classes) == group.n_classes else f" of {group.n_classes}"
    axis.set_xlabel(f"AUROC, mean over {len(group.classes)}{of_all} classes (logit scale)")
    logit_scale(axis, [inside(value) for value in means.values()])


def _reach(axis: Any, group: Group, rules: Sequence[str]) -> None:
    """A line in the row of each rule of the shared block, from its smallest to its largest model."""
    block = largest_block(group)
    if block is None:
        return
    for i, rule in enumerate(block.rules):
        values = block.by_model_and_rule[:, i]
        axis.hlines(rules.index(rule), inside(float(values.min())), inside(float(values.max())), zorder=2, **REACH)


def _title(group: Group) -> str:
    title, block = DATASET_TITLES.get(group.dataset, group.dataset), largest_block(group)
    if block is None:
        return title
    models, rules = (median(found.values()) for found in (block.over_rules, block.over_models))
    return f"{title}\nmedian range {models:.3f} over rules, {rules:.3f} over models"


def inside(value: float) -> float:
    """``value`` as it is drawn: not at 0 or 1, whose logit has no end."""
    return min(max(value, EDGE), 1 - EDGE)


def logit_scale(axis: Any, values: Sequence[float], which: str = "x") -> None:
    """An axis of logits ("x" or "y") around ``values``, with those of TICKS that fit and are apart."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    if not values:
        return
    logits = np.log(values) - np.log1p(-np.array(values))
    low, high = logits.min(), logits.max()
    pad = 0.06 * max(high - low, 0.5)
    low, high = low - pad, high + pad
    axis.set(**{f"{which}scale": "logit", f"{which}lim": (1 / (1 + math.exp(-low)), 1 / (1 + math.exp(-high)))})
    shown: list[float] = []
    last = -math.inf
    for tick in TICKS:
        place = math.log(tick / (1 - tick))
        if low <= place <= high and place - last >= 0.08 * (high - low):
            shown.append(tick)
            last = place
    side = getattr(axis, f"{which}axis")
    side.set_major_locator(FixedLocator(shown))
    side.set_major_formatter(FixedFormatter([f"{tick:g}" for tick in shown]))
    side.set_minor_locator(NullLocator())
    axis.grid(axis=which, color="0.85", linewidth=0.5, zorder=0)
    axis.set_axisbelow(True)
