"""Heat map, ROC curves, score histograms and training curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.report.figures.labels import add_legend, legend_room
from benchmark.report.figures.style import (
    ANOMALOUS,
    NORMAL,
    class_lines,
    in_lines,
    new_figure,
    palette,
    without_frame,
)
from benchmark.report.statistics import Group, class_mean, per_class
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = np.linspace(0, 1, 201)  # false positive rates that curves are averaged at
NAMES = {
    "kl": "KL",
    "gan_value": "V(D, G)",
    "d_real": "D(real)",
    "d_fake": "D(generated)",
    "gradient_norm_minimax": "|grad|, minimax",
    "gradient_norm_non_saturating": "|grad|, non-saturating",
}
QUANTITIES = 7  # training curves of a model that are shown


def heat_map(group: Group) -> Figure:
    """AUROC: a row a model, a column a class and the mean."""
    labels, classes = group.labels, list(group.classes)
    values = np.full((len(labels), len(classes) + 1), np.nan)
    notes = [[""] * (len(classes) + 1) for _ in labels]
    for i, label in enumerate(labels):
        found = per_class(group, "auroc", label)
        for j, k in enumerate(classes):
            if k in found:
                values[i, j] = np.mean(found[k])
        mean = class_mean(group, "auroc", label)
        values[i, -1] = mean.value
        notes[i][-1] = "" if mean.complete or mean.present == 0 else f"\n{mean.present}/{mean.expected}"
    low = math.floor(np.nanmin(values) * 20) / 20 if np.isfinite(values).any() else 0.5
    names = [in_lines(group.shown(label)) for label in labels]
    beside = 0.08 * max(len(line) for name in names for line in name.split("\n"))
    below = sum(max(0.5, 0.17 * (name.count("\n") + 1)) for name in names)
    figure = new_figure(1.9 + beside + 0.72 * (len(classes) + 1), 1.5 + below)
    axis = figure.add_subplot()
    image = axis.imshow(values, cmap="cividis", vmin=min(low, 0.95), vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if not math.isnan(value):
            dark = (value - image.norm.vmin) / (image.norm.vmax - image.norm.vmin) < 0.5
            text = f"{value:.3f}{notes[i][j]}"
            axis.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    axis.set_xticks(range(len(classes) + 1), [*(class_lines(group, k) for k in classes), "mean"])
    axis.set_yticks(range(len(labels)), names)
    axis.axvline(len(classes) - 0.5, color="white", linewidth=3)
    without_frame(axis)
    axis.set_xlabel(group.role)
    figure.colorbar(image, ax=axis, pad=0.02, fraction=0.04).set_label("AUROC")
    return figure


def headline(cell: PlannedCell) -> tuple[np.ndarray, np.ndarray]:
    """Labels and headline scores of a cell, both (N,): of its calibration images where it evaluated none."""
    arrays, name = cell.record.scores(), f"score/{cell.record.status.headline}"
    if len(arrays["label"]) == 0 and name in (kept := cell.record.calibration() or {}):
        return np.zeros(len(kept[name]), np.uint8), kept[name]
    return arrays["label"], arrays[name]


def roc(cell: PlannedCell) -> np.ndarray:
    """True positive rate at RATES."""
    from sklearn.metrics import roc_curve

    false_positive, true_positive, _ = roc_curve(*headline(cell))
    return np.interp(RATES, false_positive, true_positive)


def with_anomalies(cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    """The cells that have an AUROC: that evaluated anomalous images."""
    return [cell for cell in cells if "auroc" in cell.record.metrics]


def roc_by_model(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """A panel a model: its classes thin, their mean thick; None without anomalies."""
    if not (cells := with_anomalies(cells)):
        return None
    labels = [label for label in group.labels if any(cell.label == label for cell in cells)]
    columns = min(len(labels), 5)
    rows = math.ceil(len(labels) / columns)
    colours = palette(group.labels)
    lines = max(in_lines(group.shown(label)).count("\n") for label in labels)
    figure = new_figure(0.6 + 2.2 * columns, 0.3 + (2.6 + 0.25 * lines) * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis, label in zip(panels.flat, labels, strict=False):
        curves = [roc(cell) for cell in cells if cell.label == label]
        for curve in curves:
            axis.plot(RATES, curve, color="0.7", linewidth=0.7)
        axis.plot(RATES, np.mean(curves, axis=0), color=colours[label][0], linewidth=2.2)
        axis.set_title(in_lines(group.shown(label)))
        _roc_frame(axis)
    _label_outer(figure, panels, len(labels), "false positive rate", "true positive rate")
    return figure


def roc_by_class(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """A panel a class: a line a model; None without anomalies."""
    if not (cells := with_anomalies(cells)):
        return None
    classes = list(group.classes)
    columns = min(len(classes), 5)
    rows = math.ceil(len(classes) / columns)
    colours = palette(group.labels)
    names = {label: in_lines(group.shown(label)) for label in dict.fromkeys(cell.label for cell in cells)}
    width, above, _ = legend_room(list(names.values()), 0.6 + 2.2 * columns)
    figure = new_figure(width, 0.4 + above + 2.5 * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis, k in zip(panels.flat, classes, strict=False):
        for label in group.labels:
            curves = [roc(c) for c in cells if c.label == label and c.axes.normal_class == k]
            if curves:
                colour, line = colours[label]
                mean = np.mean(curves, axis=0)
                axis.plot(RATES, mean, color=colour, linestyle=line, linewidth=1.4, label=names[label])
        axis.set_title(group.class_title(k))
        _roc_frame(axis)
    _label_outer(figure, panels, len(classes), "false positive rate", "true positive rate")
    add_legend(figure, panels)
    return figure


def _roc_frame(axis: Any) -> None:
    axis.plot([0, 1], [0, 1], color="0.8", linewidth=0.7, linestyle=":", zorder=0)
    axis.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axis.set_xticklabels(["0", "0.5", "1"])
    axis.set_yticklabels(["0", "0.5", "1"])


def _label_outer(figure: Figure, panels: np.ndarray, used: int, x: str, y: str) -> None:
    for axis in list(panels.flat)[used:]:
        axis.set_axis_off()
    figure.supxlabel(x, fontsize=9)
    figure.supylabel(y, fontsize=9)


def histograms(group: Group, cells: Sequence[PlannedCell]) -> Figure:
    """Headline scores of normal and anomalous images: a row a class, a column a model (first seed)."""
    labels = [label for label in group.labels if any(cell.label == label for cell in cells)]
    classes = list(group.classes)
    figure = new_figure(1.0 + 2.0 * len(labels), 0.9 + 1.15 * len(classes))
    panels = figure.subplots(len(classes), len(labels), squeeze=False)
    for i, k in enumerate(classes):
        for j, label in enumerate(labels):
            axis = panels[i, j]
            axis.set_yticks([])
            axis.spines["left"].set_visible(False)
            if i == 0:
                axis.set_title(in_lines(group.shown(label)))
            if j == 0:
                axis.set_ylabel(group.class_title(k), rotation=0, ha="right", va="center")
            cell = next((c for c in cells if c.label == label and c.axes.normal_class == k), None)
            if cell is None:
                axis.text(0.5, 0.5, "not done", ha="center", va="center", transform=axis.transAxes, color="0.5")
                axis.set_xticks([])
            else:
                _histogram(axis, cell)
    add_legend(figure, panels)
    figure.supxlabel("headline score (larger = more anomalous)", fontsize=9)
    return figure


def _histogram(axis: Any, cell: PlannedCell) -> None:
    from matplotlib.ticker import MaxNLocator

    label, score = headline(cell)
    if len(score) == 0:
        axis.text(0.5, 0.5, "no images", ha="center", va="center", transform=axis.transAxes, color="0.5")
        axis.set_xticks([])
        return
    low, high = float(score.min()), float(np.quantile(score, 0.995))
    if not high > low:
        high = low + 1
    edges = np.linspace(low, high, 41)
    for value, name, colour in ((0, "normal", NORMAL), (1, "anomalous", ANOMALOUS)):
        chosen = score[label == value]
        if len(chosen) == 0:
            continue
        heights = np.histogram(chosen, edges)[0] / max(len(chosen), 1)
        axis.stairs(heights, edges, fill=True, alpha=0.45, color=colour, label=name)
        axis.stairs(heights, edges, color=colour, linewidth=0.8)
    metrics = cell.record.metrics
    what = f"{metrics['auroc']:.3f}" if "auroc" in metrics else "calibration" if not metrics["n_test"] else ""
    axis.text(0.98, 0.92, what, ha="right", va="top", transform=axis.transAxes, fontsize=8)
    axis.xaxis.set_major_locator(MaxNLocator(3))
    axis.tick_params(axis="x", labelsize=7, pad=1.5, length=2)


def training_curves(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """A row a model, a panel a quantity; None if no model has a history."""
    histories: dict[str, list[Any]] = {}
    for cell in cells:
        history = cell.record.history()
        if history is not None and len(history) > 0:
            histories.setdefault(cell.label, []).append(history)
    if not histories:
        return None
    labels = [label for label in group.labels if label in histories]
    quantities = {label: _quantities(histories[label]) for label in labels}
    columns = max(len(q) for q in quantities.values())
    colours = palette(group.labels)
    figure = new_figure(0.8 + 2.3 * columns, 0.4 + 1.9 * len(labels))
    panels = figure.subplots(len(labels), columns, squeeze=False)
    for row, label in zip(panels, labels, strict=True):
        for axis in row[len(quantities[label]) :]:
            axis.set_axis_off()
        for axis, quantity in zip(row, quantities[label], strict=False):
            _training_panel(axis, histories[label], quantity, colours[label][0])
        row[0].set_ylabel(in_lines(group.shown(label)), rotation=0, ha="right", va="center", fontsize=10)
    figure.supxlabel("epoch", fontsize=9)
    return figure


def _quantities(histories: Sequence[Any]) -> list[str]:
    """What is shown of a model's training; both of the generator's gradients, where it logs them."""
    names = list(dict.fromkeys(column for history in histories for column in history if column.startswith("train/")))
    gradients = [name for name in names if name.startswith("train/gradient_norm")]
    return [name for name in names if name not in gradients][: QUANTITIES - len(gradients)] + gradients


def _training_panel(axis: Any, histories: Sequence[Any], quantity: str, colour: str) -> None:
    from matplotlib.ticker import MaxNLocator

    shown = [h for h in histories if quantity in h]
    for history in shown:
        axis.plot(history["epoch"], history[quantity], color="0.72", linewidth=0.7)
    shortest = min(len(h) for h in shown)
    mean = np.mean([h[quantity].to_numpy()[:shortest] for h in shown], axis=0)
    axis.plot(shown[0]["epoch"][:shortest], mean, color=colour, linewidth=2)
    name = quantity.removeprefix("train/")
    axis.set_title(NAMES.get(name, name.replace("_", " ")))
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.yaxis.set_major_locator(MaxNLocator(4))
