"""Labels that stay whole and apart: the width of a text, a legend that fits its figure, labels pushed apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = 9  # points, of a legend's text
HANDLE = 0.6  # inches of a legend's line sample and the gaps beside it
LINE = 0.17  # inches of a line of text
AT_LEAST = 3  # legend columns that a figure makes room for, however few its panels


def width_of(text: str, size: float = SIZE) -> float:
    """Inches that the longest line of ``text`` takes."""
    from matplotlib.textpath import TextPath

    return max(float(TextPath((0, 0), line, size=size).get_extents().x1) for line in text.split("\n")) / 72


def legend_room(names: Sequence[str], width: float) -> tuple[float, float, int]:
    """What a legend of these names above panels of ``width`` inches needs: figure width, its own height, columns."""
    if not names:
        return width, 0.0, 1
    entry = HANDLE + max(map(width_of, names))
    width = max(width, entry * min(AT_LEAST, len(names)) + 0.2)
    columns = max(1, min(len(names), math.floor((width - 0.2) / entry)))
    lines = max(name.count("\n") + 1 for name in names)
    return width, math.ceil(len(names) / columns) * (LINE * lines + 0.05), columns


def add_legend(figure: Figure, panels: np.ndarray) -> None:
    """One legend above all panels, with as many columns as fit into the figure's width."""
    handles: dict[str, Any] = {}
    for axis in panels.flat:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        columns = legend_room(list(handles), figure.get_figwidth())[2]
        figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=columns, fontsize=SIZE)


def apart(points: np.ndarray, least: float) -> np.ndarray:
    """``points`` (n, 2) moved as little as it takes until any two are at least about ``least`` from one another.

    Every pair that is too near is pushed apart along the line between them, again and again.
    """
    moved = np.array(points, dtype=float)
    angle = np.arange(len(moved)) * 2.4  # radians: tells equal points apart
    moved += 1e-3 * least * np.column_stack([np.cos(angle), np.sin(angle)])
    for _ in range(1000):
        gap = moved[:, None] - moved[None]  # (n, n, 2)
        far = np.linalg.norm(gap, axis=-1)  # (n, n)
        np.fill_diagonal(far, np.inf)
        lacking = np.clip(1.001 * least - far, 0, None)
        if not (lacking > 0.002 * least).any():
            break
        moved += (gap * (0.1 * lacking / far)[..., None]).sum(1)  # a little at a time, or equal points fly off
    return moved


def name_points(axis: Any, medians: Mapping[str, np.ndarray], span: float) -> None:
    """Write each name at its point (2,), pushed off the others, with a thin line to the point where it had to move.

    ``span`` is the width of the axes in data units.
    """
    if not medians:
        return
    points = np.array(list(medians.values()), dtype=float)
    for name, (x, y), (at_x, at_y) in zip(medians, points, apart(points, 0.065 * span), strict=True):
        if math.hypot(at_x - x, at_y - y) > 0.015 * span:
            axis.plot([x, at_x], [y, at_y], color="black", linewidth=0.6, zorder=4)
            axis.plot([x], [y], color="black", marker=".", markersize=3, zorder=4)
        axis.text(
            at_x, at_y, name, ha="center", va="center", fontsize=9, weight="bold", zorder=5, clip_on=True,
            bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )  # fmt: skip
