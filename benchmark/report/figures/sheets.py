"""The contact sheet of a model: input, reconstruction and residual, class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.figures.curves import wrapped
from benchmark.report.figures.draw import DPI
from benchmark.report.statistics import Group
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS = {
    "normal": "normal",
    "anomalous": "anomalous",
    "normal_most": "normal,\nhighest scores",
    "anomalous_least": "anomalous,\nlowest scores",
}
SHOWN = 3  # images of each group; of a wide one, such as the frames of a sequence, one
WIDE = 80  # pixels from which on an image counts as wide
GAP = 10  # pixels between groups of images
HEAD = 15  # pixels above a block, for the scores
ZOOM = 2  # pixels of the PNG for one of an image
LEFT, TOP = 1.35, 0.5  # inches for the labels
LEVELS = 8  # grey levels are rounded to multiples of this: the files are half as large, the eye sees no difference
ROWS = ("input", "recon.", "residual")


def contact_sheet(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """A block a class (first seed) of one model; None if it kept no images."""
    from matplotlib.figure import Figure

    blocks = []
    for k in group.classes:
        cell = next((c for c in cells if c.axes.normal_class == k), None)
        images = cell.record.images() if cell is not None else None
        if images is not None:
            blocks.append((k, images))
    if not blocks:
        return None
    rows = ROWS if all("reconstruction" in images for _, images in blocks) else ROWS[:1]
    tall, wide = (pixels + 2 for pixels in blocks[0][1]["input"].shape[1:])
    shown = SHOWN if wide < WIDE else 1
    width = len(GROUPS) * shown * wide + (len(GROUPS) - 1) * GAP
    height = len(blocks) * (len(rows) * tall + HEAD)
    pixel = ZOOM / DPI  # inches of one pixel of the canvas: a whole number of the PNG's, so that tiles stay sharp
    whole = ((width * pixel) + LEFT, (height * pixel) + TOP)
    figure = Figure(figsize=whole)
    axis = figure.add_axes((LEFT / whole[0], 0, width * pixel / whole[0], height * pixel / whole[1]))
    canvas = np.full((height, width, 3), 255, np.uint8)
    ticks, names = [], []
    for b, (k, images) in enumerate(blocks):
        top = b * (len(rows) * tall + HEAD) + HEAD
        for g, name in enumerate(GROUPS):
            for i, position in enumerate(np.flatnonzero(images["group"] == name)[:shown]):
                left = (g * shown + i) * wide + g * GAP
                for r, tile in enumerate(_tiles(images, position, len(rows))):
                    y = top + r * tall + 1
                    canvas[y : y + tall - 2, left + 1 : left + wide - 1] = tile
                text = _short(float(images["score"][position]))
                axis.text(left + wide / 2, top - 2, text, ha="center", va="bottom", fontsize=7, color="0.25")
        for r, row in enumerate(rows):
            ticks.append(top + (r + 0.5) * tall)
            names.append(row)
        name = group.classes[k] if group.classes[k] == str(k) else f"{k}\n{wrapped(group.classes[k])}"
        axis.text(-40, top + len(rows) * tall / 2, name, ha="right", va="center", fontsize=10)
    axis.imshow(canvas, interpolation="nearest", aspect="equal")
    axis.set_yticks(ticks, names, fontsize=8)
    middles = [(g * shown + shown / 2) * wide + g * GAP for g in range(len(GROUPS))]
    axis.xaxis.tick_top()
    axis.set_xticks(middles, list(GROUPS.values()), fontsize=9)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


def _tiles(images: dict[str, np.ndarray], position: int, rows: int) -> list[np.ndarray]:
    """Input, reconstruction and coloured residual of one image, each uint8 (H, W, 3)."""
    import matplotlib

    shown = images["input"][position] // LEVELS * LEVELS
    tiles = [np.repeat(shown[..., None], 3, axis=-1)]
    if rows > 1:
        back = images["reconstruction"][position] // LEVELS * LEVELS
        residual = np.abs(shown.astype(int) - back.astype(int)).astype(np.uint8)
        colours = matplotlib.colormaps["magma"](residual, bytes=True)[..., :3]
        tiles += [np.repeat(back[..., None], 3, axis=-1), colours]
    return tiles


def _short(value: float) -> str:
    """About three digits, and never an exponent: the number stands above one small image."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
