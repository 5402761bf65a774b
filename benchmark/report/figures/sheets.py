"""The contact sheet of a model: input, reconstruction and residual, class by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.engine.colours import in_colour
from benchmark.report.figures.style import DPI, class_lines, without_frame
from benchmark.report.statistics import Group, per_class
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
MOST = 4  # classes that all have a block; of more the hardest, a middle one and the easiest
GAP = 10  # pixels between groups of images
HEAD = 15  # pixels above a block, for the scores
ZOOM = 2  # pixels of the PNG for one of an image
LEFT, TOP = 1.35, 0.5  # inches for the labels
LEVELS = 8  # grey levels are rounded to multiples of this: the files are half as large, the eye sees no difference
SCORE = 7  # points of the letters of a score
APART = 5  # pixels of the PNG at least between the scores of neighbours
ROWS = ("input", "recon.", "residual")


@dataclass(frozen=True)
class Places:
    """Where things lie on the canvas, in pixels of an image: a block a class, in it rows of tiles in groups."""

    blocks: int
    rows: int
    shown: int  # images of a group
    tall: int  # of a tile: an image and a margin of one pixel
    wide: int

    @property
    def width(self) -> int:
        return len(GROUPS) * self.shown * self.wide + (len(GROUPS) - 1) * GAP

    @property
    def height(self) -> int:
        return self.blocks * (self.rows * self.tall + HEAD)

    def top(self, block: int, row: float = 0) -> float:
        """Upper edge of a row of tiles; half rows for what stands in the middle."""
        return block * (self.rows * self.tall + HEAD) + HEAD + row * self.tall

    def left(self, group: int, image: float) -> float:
        """Left edge of an image; half images for what stands in the middle."""
        return (group * self.shown + image) * self.wide + group * GAP

    def tile(self, block: int, row: int, group: int, image: int) -> tuple[slice, slice]:
        """The pixels of an image, without its margin."""
        top, left = int(self.top(block, row)), int(self.left(group, image))
        return slice(top + 1, top + self.tall - 1), slice(left + 1, left + self.wide - 1)


def sheet_figure(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """A block a class (first seed) of one model, of those of ``shown_classes``; None if it kept no images."""
    kept = {k: images for k in shown_classes(group) if (images := _images(cells, k)) is not None}
    if not kept:
        return None
    rows = ROWS if all("reconstruction" in images for images in kept.values()) else ROWS[:1]
    tall, wide = (pixels + 2 for pixels in next(iter(kept.values()))["input"].shape[1:3])
    places = Places(len(kept), len(rows), SHOWN if wide < WIDE else 1, tall, wide)
    figure, axis = _empty(places)
    canvas = np.full((places.height, places.width, 3), 255, np.uint8)
    for block, (k, images) in enumerate(kept.items()):
        shown = list(_chosen(images, places.shown))
        scores, size = labelled([float(images["score"][position]) for *_, position in shown], places.wide * ZOOM)
        for (g, i, position), score in zip(shown, scores, strict=True):
            for row, tile in enumerate(tiles(images, position)[: len(rows)]):
                canvas[places.tile(block, row, g, i)] = tile
            at = places.left(g, i + 0.5), places.top(block) - 2
            axis.text(*at, score, ha="center", va="bottom", fontsize=size, color="0.25")
        middle = places.top(block, len(rows) / 2)
        axis.text(-40, middle, class_lines(group, k), ha="right", va="center", fontsize=10)
    axis.imshow(canvas, interpolation="nearest", aspect="equal")
    ticks = [places.top(block, row + 0.5) for block in range(len(kept)) for row in range(len(rows))]
    axis.set_yticks(ticks, rows * len(kept), fontsize=8)
    axis.xaxis.tick_top()
    middles = [places.left(g, places.shown / 2) for g in range(len(GROUPS))]
    axis.set_xticks(middles, list(GROUPS.values()), fontsize=9)
    without_frame(axis)
    return figure


def shown_classes(group: Group) -> list[int]:
    """All classes, or of more than MOST those of the lowest, the middle and the highest AUROC, mean over columns.

    The same ones for every model of a table. A sheet of ten classes is longer than any screen.
    """
    if len(group.classes) <= MOST:
        return list(group.classes)
    values: dict[int, list[float]] = {}
    for label in group.labels:
        for k, found in per_class(group, "auroc", label).items():
            values.setdefault(k, []).append(float(np.mean(found)))
    order = sorted(group.classes, key=lambda k: (float(np.mean(values[k])) if k in values else np.inf, k))
    picked = {order[0], order[len(order) // 2], order[-1]}
    return [k for k in group.classes if k in picked]


def _images(cells: Sequence[PlannedCell], number: int) -> dict[str, np.ndarray] | None:
    """What the first cell of a class kept."""
    cell = next((c for c in cells if c.axes.normal_class == number), None)
    return images_of(cell) if cell is not None else None


def images_of(cell: PlannedCell) -> dict[str, np.ndarray] | None:
    """What a cell kept to be shown, three channels as colours; None if it kept nothing."""
    found = cell.record.images() if cell.record is not None else None
    if found is None:
        return None
    return {
        name: in_colour(values) if name in ("input", "reconstruction") else values for name, values in found.items()
    }


def _empty(places: Places) -> tuple[Figure, Any]:
    """A figure for the canvas: each of its pixels is ZOOM of the PNG's, so that tiles stay sharp."""
    from matplotlib.figure import Figure

    width, height = (pixels * (ZOOM / DPI) for pixels in (places.width, places.height))  # inches
    whole = width + LEFT, height + TOP
    figure = Figure(figsize=whole)
    return figure, figure.add_axes((LEFT / whole[0], 0, width / whole[0], height / whole[1]))


def _chosen(images: dict[str, np.ndarray], shown: int) -> Iterator[tuple[int, int, int]]:
    """Group, place in it and position among ``images`` of each image that is shown."""
    for g, name in enumerate(GROUPS):
        for i, position in enumerate(np.flatnonzero(images["group"] == name)[:shown]):
            yield g, i, int(position)


def tiles(images: dict[str, np.ndarray], position: int) -> list[np.ndarray]:
    """Input, and where there is one reconstruction and coloured residual of one image, each uint8 (H, W, 3)."""
    import matplotlib

    shown = images["input"][position] // LEVELS * LEVELS
    tiles = [_with_colours(shown)]
    if "reconstruction" in images:
        back = images["reconstruction"][position] // LEVELS * LEVELS
        residual = np.abs(shown.astype(int) - back.astype(int)).astype(np.uint8)
        residual = residual.max(-1) if residual.ndim == 3 else residual  # of the colour that is furthest off
        colours = matplotlib.colormaps["magma"](residual, bytes=True)[..., :3]
        tiles += [_with_colours(back), colours]
    return tiles


def _with_colours(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)


def labelled(scores: Sequence[float], room: float) -> tuple[list[str], float]:
    """What stands above the images of a class, each in ``room`` pixels of the PNG, and the size of its letters.

    All in the first form that fits: three digits, the same with an exponent, then fewer; if none does, the narrowest in
    smaller letters.
    """
    room -= APART
    forms = [[form(score) for score in scores] for form in FORMS]
    widths = [max(map(_width, texts), default=0.0) for texts in forms]
    best = next((place for place, width in enumerate(widths) if width <= room), widths.index(min(widths)))
    return forms[best], SCORE * min(1.0, room / max(widths[best], 1.0))


def _width(text: str) -> float:
    """Pixels of a score in the PNG, whose letters are wider than in a PDF: each is put on whole ones."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    return RendererAgg(1, 1, DPI).get_text_width_height_descent(text, FontProperties(size=SCORE), False)[0]


def _plain(value: float, digits: int) -> str:
    return f"{value:.0f}" if abs(value) >= 10 ** (digits - 1) else _brief(f"{value:.{digits}g}")


def _with_exponent(value: float, digits: int) -> str:
    return _brief(f"{value:.{digits - 1}e}")


def _brief(text: str) -> str:
    """``2.57e-4`` of ``2.57e-04``: without the sign and the zero that an exponent need not have."""
    number, e, exponent = text.partition("e")
    return f"{number}e{int(exponent)}" if e else text


FORMS = tuple(partial(form, digits=digits) for digits in (3, 2, 1) for form in (_plain, _with_exponent))
