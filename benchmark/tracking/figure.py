"""One figure for a cell, logged with its run: ROC curve, scores, training, and what the model reconstructs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.engine.colours import in_colour
from benchmark.store.records import auroc_text

if TYPE_CHECKING:
    from benchmark.store.records import Record

NORMAL, ANOMALOUS = "#0072B2", "#D55E00"
SHOWN = 8  # images of each group, or a quarter of them
WIDE = 80  # pixels from which on an image, such as the frames of a sequence, counts as wide
GROUPS = {
    "normal": "normal",
    "anomalous": "anomalous",
    "normal_most": "normal, highest scores",
    "anomalous_least": "anomalous, lowest scores",
}


def cell_figure(record: Record, path: Path) -> Path:
    """Draw a done cell's figure as a PNG at ``path``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axes = record.axes
    scores, images, history = record.scores(), record.images(), record.history()
    headline = record.status.headline
    values, label = scores[f"score/{headline}"], scores["label"]
    figure = Figure(figsize=(11, 5.2), dpi=80)  # no layout engine: it draws everything twice
    FigureCanvasAgg(figure)
    variant = f" {record.status.variant}" if record.status.variant != "" else ""
    figure.suptitle(
        f"{axes.model}{variant} on {axes.dataset}, {axes.split} class {axes.normal_class} "
        f"({axes.normal_class_name}), seed {axes.seed}: {auroc_text(record.metrics)}",
        parse_math=False,  # a $ in a name is a $
    )
    grid = figure.add_gridspec(
        2, 3, height_ratios=[1.6, 1], left=0.085, right=0.985, top=0.92, bottom=0.05, hspace=0.25, wspace=0.25
    )
    if "auroc" in record.metrics:
        draw_roc(figure.add_subplot(grid[0, 0]), label, values)
    if len(values) == 0:  # nothing was evaluated
        values = (record.calibration() or {}).get(f"score/{headline}", values)
        label = np.zeros(len(values), np.uint8)
    if len(values):
        draw_histogram(figure.add_subplot(grid[0, 1]), label, values, headline)
    if history is not None:
        draw_history(figure.add_subplot(grid[0, 2]), history)
    if images is not None:
        draw_contact_sheet(figure.add_subplot(grid[1, :]), images)
    for axis in figure.axes:
        _few_ticks(axis)
    figure.savefig(path, metadata={"Software": None}, pil_kwargs={"compress_level": 2})
    return path


def _few_ticks(axis: Any) -> None:
    """At most five labelled ticks an axis and none between: ticks cost more than all else in a figure."""
    from matplotlib.ticker import LogFormatter, LogLocator, MaxNLocator, NullLocator

    for each in (axis.xaxis, axis.yaxis):
        each.set_minor_locator(NullLocator())
        if each.get_scale() == "log":
            each.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
            each.set_major_formatter(LogFormatter(labelOnlyBase=False))  # plain digits: mathematical type is slow
        elif isinstance(each.get_major_locator(), MaxNLocator):
            each.set_major_locator(MaxNLocator(4))


def draw_roc(axis: Any, label: np.ndarray, values: np.ndarray) -> None:
    from sklearn.metrics import roc_curve

    false_positive, true_positive, _ = roc_curve(label, values)
    axis.plot(false_positive, true_positive, color="black")
    axis.plot([0, 1], [0, 1], color="0.7", linestyle=":")
    axis.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")


def draw_histogram(axis: Any, label: np.ndarray, values: np.ndarray, headline: str) -> None:
    """Scores of normal and anomalous images, each as shares of its own images; the top 0.5% are cut off."""
    bins = np.linspace(values.min(), np.quantile(values, 0.995), 50)
    for kind, name, colour in ((0, "normal", NORMAL), (1, "anomalous", ANOMALOUS)):
        if not (label == kind).any():
            continue
        counts, _ = np.histogram(np.clip(values[label == kind], bins[0], bins[-1]), bins)
        axis.stairs(counts / max(counts.sum(), 1), bins, fill=True, color=colour, alpha=0.6, label=name)
    axis.set(xlabel=f"score: {headline}", ylabel="share of images")
    axis.legend(frameon=False)


def draw_history(axis: Any, history: Any) -> None:
    for name in [column for column in history if column.startswith("train/")]:
        axis.plot(history["epoch"], history[name], label=name.removeprefix("train/"))
    axis.set(xlabel="epoch", ylabel="mean over the epoch")
    if all((history[c] > 0).all() for c in history if c.startswith("train/")):
        axis.set_yscale("log")
    axis.legend(frameon=False, fontsize=8)


def draw_contact_sheet(axis: Any, images: dict[str, np.ndarray]) -> None:
    """Input, reconstruction and residual of each group of images, side by side."""
    sheet, ticks = contact_sheet(images)
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axis.set_xticks([position for position, _ in ticks], [name for _, name in ticks])
    rows = ["input", "reconstr.", "residual"] if "reconstruction" in images else ["input"]
    height = images["input"].shape[1] + 2
    axis.set_yticks([height * (i + 0.5) for i in range(len(rows))], rows)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def contact_sheet(images: dict[str, np.ndarray]) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """The sheet as one uint8 image, grey or in colour, and the horizontal middle and name of each group."""
    rows = [in_colour(images["input"])]
    shown = SHOWN if rows[0].shape[2] < WIDE else SHOWN // 4
    if "reconstruction" in images:
        rows.append(in_colour(images["reconstruction"]))
        rows.append(np.abs(rows[0].astype(int) - rows[1].astype(int)).astype(np.uint8))
    edge = ((0, 0), (1, 1), (1, 1), *[(0, 0)] * (rows[0].ndim - 3))
    blocks, ticks, left = [], [], 0
    for group, name in GROUPS.items():
        chosen = np.flatnonzero(images["group"] == group)[:shown]
        if len(chosen) == 0:
            continue
        tiles = [np.pad(row[chosen], edge, constant_values=255) for row in rows]
        block = np.concatenate([np.concatenate(list(row), axis=1) for row in tiles], axis=0)
        gap = np.full((block.shape[0], 12, *block.shape[2:]), 255, np.uint8)
        ticks.append((left + block.shape[1] / 2, name))
        left += block.shape[1] + gap.shape[1]
        blocks += [block, gap]
    return np.concatenate(blocks[:-1], axis=1), ticks
