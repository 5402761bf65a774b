"""Generated images: of every model side by side, and style by class for models with a code of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.figures.side_by_side import Arrays, of_one_class
from benchmark.report.figures.style import in_lines, new_figure, slug, without_frame, wrapped
from benchmark.report.statistics import Group
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 14  # images of each model
STYLES = (
    "Generated images of the first cell: each row has one style code, drawn from N(0, I), each column the code of one "
    "class; {} Down a column the class should stay, along a row the manner (slant, stroke, cut)."
)


def samples_figure(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """One class, a row of generated images a model, real ones above; None if no model kept any.

    The class is the first that most models have; the real images are the normal ones of the contact sheet.
    """
    chosen, models = of_one_class(cells, lambda cell: _with(cell, "samples"))
    if not models:
        return None
    first = next(iter(models.values()))
    real = first["input"][first["label"] == 0]
    rows = {"real": real, **{group.shown(label): images["samples"] for label, images in models.items()}}
    height, width = real.shape[1:]
    sheet = np.full((len(rows), SHOWN, height, width), 255, np.uint8)  # what a model has too few of stays white
    for row, images in zip(sheet, rows.values(), strict=True):
        row[: len(images)] = images[:SHOWN]
    figure = new_figure(1.6 + 0.45 * SHOWN * width / height, 0.6 + 0.45 * len(rows))
    axis = figure.add_subplot(title=f"{group.role}: {group.class_title(chosen)}")
    axis.imshow(_joined(sheet), cmap="gray", vmin=0, vmax=255)
    axis.set_yticks((np.arange(len(rows)) + 0.5) * height, [in_lines(label) for label in rows], fontsize=7)
    axis.set_xticks([])
    without_frame(axis)
    return figure


def style_figures(group: Group, cells: Sequence[PlannedCell]) -> Iterator[tuple[str, str, str, Figure]]:
    """Name, title, caption and grid of each model whose cells kept styles (first cell of each)."""
    for label in group.labels:
        own = ((cell, _with(cell, "styles")) for cell in cells if cell.label == label)
        cell, images = next((pair for pair in own if pair[1]), (None, None))
        if cell is None or images is None:
            continue
        name = group.class_title(cell.axes.normal_class)
        rest = (
            f"class {name} was left out of training, its code never used."
            if group.split == "leave_one_out"
            else f"only class {name} was trained on."
        )
        title = f"Style and class of {group.shown(label)}"
        yield f"styles_{slug(label)}", title, STYLES.format(rest), _styles(group, images["styles"])


def _styles(group: Group, styles: np.ndarray) -> Figure:
    """``styles`` is uint8 (rows, classes, H, W)."""
    rows, classes, height, width = styles.shape
    figure = new_figure(0.55 * classes * width / height + 0.3, 0.55 * rows + 0.4)
    axis = figure.add_subplot()
    axis.imshow(_joined(styles), cmap="gray", vmin=0, vmax=255)
    names = [wrapped(group.classes.get(k, str(k))) for k in range(classes)]
    axis.set_xticks((np.arange(classes) + 0.5) * width, names, fontsize=7)
    axis.set_yticks([])
    axis.set_ylabel("one style a row")
    axis.xaxis.tick_top()
    without_frame(axis)
    return figure


def _with(cell: PlannedCell, name: str) -> Arrays | None:
    """The cell's images, if those of ``name`` are among them."""
    images = cell.record.images() if cell.record is not None else None
    return images if images is not None and name in images else None


def _joined(images: np.ndarray) -> np.ndarray:
    """Images (rows, columns, H, W) as one, (rows * H, columns * W)."""
    rows, columns, height, width = images.shape
    return images.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
