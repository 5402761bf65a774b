"""The latent space of models with two-dimensional codes, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.report.collect import PlannedCell
from benchmark.report.curves import class_title, in_lines, new_figure
from benchmark.report.figures import ANOMALOUS, NORMAL
from benchmark.report.interpolation import strip
from benchmark.report.statistics import Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 3000  # codes that are drawn
COLOURS = [f"C{i}" for i in range(10)]  # of normal classes, where there are several
GRID = 7  # at least this many decoded images along an axis


def latent_figure(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """One class, the models in columns: codes, decoded grid, interpolation. None if no model has 2-D codes.

    The class is the first that most models have.
    """
    found: dict[int, dict[str, dict[str, np.ndarray]]] = {}
    for cell in cells:
        arrays = cell.record.latent()
        if arrays:
            found.setdefault(int(cell.axes["normal_class"]), {}).setdefault(cell.label, arrays)
    if not found:
        return None
    chosen = max(sorted(found), key=lambda k: len(found[k]))
    columns = found[chosen]
    figure = new_figure(0.4 + 4.0 * len(columns), 9.4)
    role = "normal class" if group.split != "leave_one_out" else "anomalous class"
    figure.suptitle(f"{role}: {class_title(group, chosen)}", fontsize=10)
    panels = figure.subplots(3, len(columns), squeeze=False, height_ratios=[1, 1, 0.22])
    for column, (label, arrays) in zip(panels.T, columns.items(), strict=True):
        _codes(column[0], arrays)
        column[0].set_title(in_lines(label), fontsize=11)
        _grid(column[1], arrays)
        _interpolation(column[2], arrays)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, markerscale=4, handletextpad=0.1)
    return figure


def _codes(axis: Any, arrays: dict[str, np.ndarray]) -> None:
    codes, label, target = arrays["codes"], arrays["label"], arrays["target"]
    some = np.random.default_rng(0).permutation(len(codes))[:POINTS]
    normal, anomalous = some[label[some] == 0], some[label[some] == 1]
    classes = np.unique(target[normal])
    if len(classes) == 1:
        _points(axis, codes[anomalous], ANOMALOUS, "anomalous")
        _points(axis, codes[normal], NORMAL, "normal")
    else:
        for i, k in enumerate(classes):
            name = "normal, a colour for each class" if i == 0 else None
            _points(axis, codes[normal[target[normal] == k]], COLOURS[i % len(COLOURS)], name)
        _points(axis, codes[anomalous], "black", "anomalous", marker="x", linewidths=0.7, alpha=0.8)
    for k in np.unique(target):
        x, y = np.median(codes[target == k], axis=0)
        axis.text(
            x, y, str(int(k)), ha="center", va="center", fontsize=9, weight="bold",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )  # fmt: skip
    low, high = np.quantile(codes, 0.002, axis=0), np.quantile(codes, 0.998, axis=0)
    edge = 0.05 * (high - low) + 1e-6
    line = arrays["interpolation_codes"]
    axis.plot(line[:, 0], line[:, 1], color="black", linewidth=1, marker="o", markersize=2.5)
    axis.set(xlim=(low[0] - edge[0], high[0] + edge[0]), ylim=(low[1] - edge[1], high[1] + edge[1]))
    axis.set_xlabel("code, first dimension")
    axis.set_ylabel("code, second dimension")


def _points(axis: Any, codes: np.ndarray, colour: Any, name: str | None, **style: Any) -> None:
    style = {"s": 6, "alpha": 0.5, "linewidths": 0, "rasterized": True} | style
    axis.scatter(codes[:, 0], codes[:, 1], color=colour, label=name, **style)


def _grid(axis: Any, arrays: dict[str, np.ndarray]) -> None:
    step = max(1, len(arrays["grid_x"]) // GRID)
    xs, ys = arrays["grid_x"][::step], arrays["grid_y"][::step]  # (G,), (G,)
    grid = arrays["grid"][::step, ::step]  # (G, G, H, W)
    rows = [np.concatenate(list(row), axis=1) for row in grid[::-1]]  # the largest y on top
    half_x, half_y = (xs[1] - xs[0]) / 2, (ys[1] - ys[0]) / 2
    extent = (xs[0] - half_x, xs[-1] + half_x, ys[0] - half_y, ys[-1] + half_y)
    axis.imshow(np.concatenate(rows, axis=0), cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto")
    axis.spines[:].set_visible(False)
    axis.set_xlabel("code, first dimension")
    axis.set_ylabel("code, second dimension")


def _interpolation(axis: Any, arrays: dict[str, np.ndarray]) -> None:
    image = strip(arrays)
    axis.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    width = arrays["interpolation_ends"].shape[2]
    middle = image.shape[1] / 2
    axis.set_xticks([width / 2, middle, image.shape[1] - width / 2], ["image", "decoded on the line", "image"])
    axis.set_yticks([])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
