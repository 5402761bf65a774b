"""The models side by side: what each makes of one normal and one anomalous image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.figures.sheets import images_of, tiles
from benchmark.report.figures.side_by_side import Arrays, of_one_class
from benchmark.report.figures.style import in_lines, new_figure, without_frame
from benchmark.report.statistics import Group
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 10  # models beside each other; more begin another row of models
KINDS = {"normal": "normal image", "anomalous": "anomalous image"}  # the random ones of the contact sheet
HEAD = 0.55  # of an image's height, above a row of models for their names
GAP = 0.15  # of an image's width, between two images


def reconstructions_figure(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """One class, a column a model: of a normal and an anomalous image its reconstruction, and the residual below.

    The class is the first that most models have; the images are the first random ones of the contact sheet that all of
    its models kept. None if fewer than two models reconstruct, or no image is in all their records.
    """
    chosen, models = of_one_class(cells, _with_reconstructions)
    shown = {kind: _in_all(models.values(), kind) for kind in KINDS}
    if len(models) < 2 or None in shown.values():
        return None
    first = next(iter(models.values()))["input"]
    tall, wide = first.shape[1:3]
    across, down = wide + max(2, round(GAP * wide)), tall + max(1, round(0.05 * tall))
    columns, lines = min(len(models), COLUMNS), math.ceil(len(models) / COLUMNS)
    height = round(HEAD * tall) + 2 * len(KINDS) * down
    canvas = np.full((lines * height, (1 + columns) * across, 3), 255, np.uint8)
    figure = new_figure(1.1 + 0.78 * (1 + columns), 0.5 + 0.78 * lines * height / across)
    axis = figure.add_subplot(title=f"{group.role}: {group.class_title(chosen)}")
    ticks, names = [], []
    for number, (label, images) in enumerate(models.items()):
        line, column = divmod(number, COLUMNS)
        top, left = line * height + height - 2 * len(KINDS) * down, (1 + column) * across
        name = in_lines(label)  # without the mark of a floor: nothing is ranked here
        axis.text(left + wide / 2, top - 2, name, ha="center", va="bottom", fontsize=8)
        for row, (kind, title) in enumerate(KINDS.items()):
            found = tiles(images, _place(images, kind, shown[kind]))
            rows = [top + (2 * row + i) * down for i in range(2)]
            if column == 0:
                canvas[rows[0] : rows[0] + tall, :wide] = found[0]
                ticks += [y + tall / 2 for y in rows]
                names += [title, "residual"]
            for y, tile in zip(rows, found[1:], strict=True):
                canvas[y : y + tall, left : left + wide] = tile
    axis.imshow(canvas, interpolation="nearest")
    axis.set_yticks(ticks, names, fontsize=8)
    axis.set_xticks([])
    without_frame(axis)
    return figure


def _with_reconstructions(cell: PlannedCell) -> Arrays | None:
    images = images_of(cell)
    return images if images is not None and "reconstruction" in images else None


def _in_all(models: Iterable[Arrays], kind: str) -> int | None:
    """The index in the split of the first image of a kind that every model kept; None without one."""
    kept = [[int(i) for i in images["index"][images["group"] == kind]] for images in models]
    return next((i for i in (kept[0] if kept else []) if all(i in others for others in kept)), None)


def _place(images: Arrays, kind: str, index: int | None) -> int:
    return int(np.flatnonzero((images["group"] == kind) & (images["index"] == index))[0])
