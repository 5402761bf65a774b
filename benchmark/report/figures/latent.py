"""The latent space of models with two-dimensional codes, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.engine.prior import PRIOR_RADIUS
from benchmark.report.figures.curves import class_title, in_lines, new_figure
from benchmark.report.figures.draw import ANOMALOUS, NORMAL
from benchmark.report.figures.interpolation import strip
from benchmark.report.figures.labels import name_points
from benchmark.report.statistics import Group
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Arrays = dict[str, np.ndarray]

POINTS = 3000  # codes that are drawn
COLOURS = [f"C{i}" for i in range(10)]  # of normal classes, where there are several
GRID = 7  # at least this many decoded images along an axis
NEAR = 3.5  # half the side of the map that looks at N(0, I) closely
FAR = 2  # such a map is drawn where the one of all codes is wider by this factor
CIRCLE = "#D55E00"


def latent_figure(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """One class, the models in columns: codes, decoded grids, interpolation. None if no model has 2-D codes.

    The class is the first that most models have. All maps of a row have one range, so that a model whose codes lie far
    outside of N(0, I) is seen to; where that makes the middle small, a second row of maps shows it.
    """
    found: dict[int, dict[str, Arrays]] = {}
    for cell in cells:
        arrays = cell.record.latent()
        if arrays:
            found.setdefault(cell.axes.normal_class, {}).setdefault(cell.label, arrays)
    if not found:
        return None
    chosen = max(sorted(found), key=lambda k: len(found[k]))
    columns = found[chosen]
    centre, half = _range([arrays["codes"] for arrays in columns.values()])
    near = half > FAR * NEAR
    prior = all("prior_grid" in arrays for arrays in columns.values())  # records from before have none
    parts = ["all", *(["near"] if near else []), *(["prior"] if prior else []), "own", "line"]
    heights = [0.22 if part == "line" else 1 for part in parts]
    figure = new_figure(0.4 + 4.0 * len(columns), 1.0 + 4.1 * sum(heights))
    role = "normal class" if group.split != "leave_one_out" else "anomalous class"
    figure.suptitle(f"{role}: {class_title(group, chosen)}", fontsize=10)
    panels = figure.subplots(len(parts), len(columns), squeeze=False, height_ratios=heights)
    for column, (label, arrays) in zip(panels.T, columns.items(), strict=True):
        axes = dict(zip(parts, column, strict=True))
        _map(axes["all"], arrays, centre, half, unnamed=NEAR if near else 0)
        axes["all"].set_title(f"{in_lines(group.shown(label))}\nall codes", fontsize=10)
        if near:
            _map(axes["near"], arrays, np.zeros(2), NEAR)
            axes["near"].set_title("the same map, near N(0, I)")
        if prior:
            _grid(axes["prior"], arrays["prior_grid"], arrays["prior_axis"], arrays["prior_axis"])
            axes["prior"].set_title("decoded over the square of N(0, I)")
        _grid(axes["own"], arrays["grid"], arrays["grid_x"], arrays["grid_y"])
        axes["own"].set_title("decoded over the range of its own codes")
        _interpolation(axes["line"], arrays)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, markerscale=3, handletextpad=0.3)
    return figure


def _range(codes: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """Centre (2,) and half side of the square that holds nearly all codes (N, 2) of every model, and the circle."""
    radius = np.full((1, 2), 1.1 * PRIOR_RADIUS)
    low = np.min([*(np.quantile(c, 0.002, axis=0) for c in codes), -radius[0]], axis=0)
    high = np.max([*(np.quantile(c, 0.998, axis=0) for c in codes), radius[0]], axis=0)
    return (low + high) / 2, float(1.05 * np.max(high - low) / 2)


def _map(axis: Any, arrays: Arrays, centre: np.ndarray, half: float, unnamed: float = 0) -> None:
    """The codes in a square around ``centre``, classes named but where their median is within +-``unnamed``."""
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
    line = arrays["interpolation_codes"]
    axis.plot(line[:, 0], line[:, 1], color="black", linewidth=1, marker="o", markersize=2.5)
    _circle(axis)
    medians = {str(int(k)): np.median(codes[target == k], axis=0) for k in np.unique(target)}
    within = {name: bool((np.abs(at - centre) < half).all()) for name, at in medians.items()}
    named = {name: at for name, at in medians.items() if within[name] and not (np.abs(at) < unnamed).all()}
    name_points(axis, named, 2 * half)
    axis.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - half, centre[1] + half), box_aspect=1)
    axis.set_xlabel("code, first dimension")
    axis.set_ylabel("code, second dimension")


def _circle(axis: Any) -> None:
    angle = np.linspace(0, 2 * np.pi, 181)
    axis.plot(
        PRIOR_RADIUS * np.cos(angle), PRIOR_RADIUS * np.sin(angle), color=CIRCLE, linewidth=1.4, label="95% of N(0, I)"
    )


def _points(axis: Any, codes: np.ndarray, colour: Any, name: str | None, **style: Any) -> None:
    style = {"s": 6, "alpha": 0.5, "linewidths": 0, "rasterized": True} | style
    axis.scatter(codes[:, 0], codes[:, 1], color=colour, label=name, **style)


def _grid(axis: Any, images: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> None:
    """Images (y, x, H, W) decoded at ``xs`` and ``ys``, each at its place, with the circle over them."""
    step = max(1, len(xs) // GRID)
    xs, ys, images = xs[::step], ys[::step], images[::step, ::step]  # (G,), (G,), (G, G, H, W)
    rows = [np.concatenate(list(row), axis=1) for row in images[::-1]]  # the largest y on top
    sheet = np.concatenate(rows, axis=0)
    half_x, half_y = (xs[1] - xs[0]) / 2, (ys[1] - ys[0]) / 2
    extent = (xs[0] - half_x, xs[-1] + half_x, ys[0] - half_y, ys[-1] + half_y)
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto")
    _circle(axis)
    axis.set(xlim=extent[:2], ylim=extent[2:], box_aspect=sheet.shape[0] / sheet.shape[1])
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
