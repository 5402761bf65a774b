"""Style and content apart: one style a row, one class a column, for models with a code of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.figures.curves import class_title, new_figure, wrapped
from benchmark.report.statistics import Group
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Generated images of the first cell: each row has one style code, drawn from N(0, I), each column the code of one "
    "class; {} Down a column the class should stay, along a row the manner (slant, stroke, cut)."
)


def style_figures(group: Group, cells: Sequence[PlannedCell]) -> Iterator[tuple[str, str, str, Figure]]:
    """Name, title, caption and grid of each model whose cells kept styles (first cell of each)."""
    for label in group.labels:
        for cell in cells:
            images = cell.record.images() if cell.label == label else None
            if images is not None and "styles" in images:
                name = "".join(c if c.isalnum() else "-" for c in label).strip("-")
                k = cell.axes.normal_class
                rest = (
                    f"class {class_title(group, k)} was left out of training, its code never used."
                    if group.split == "leave_one_out"
                    else f"only class {class_title(group, k)} was trained on."
                )
                grid = _grid(group, images["styles"])
                yield f"styles_{name}", f"Style and class of {group.shown(label)}", CAPTION.format(rest), grid
                break


def _grid(group: Group, styles: np.ndarray) -> Figure:
    """``styles`` is uint8 (rows, classes, H, W)."""
    rows, classes, height, width = styles.shape
    figure = new_figure(0.55 * classes * width / height + 0.3, 0.55 * rows + 0.4)
    axis = figure.add_subplot()
    axis.imshow(styles.transpose(0, 2, 1, 3).reshape(rows * height, classes * width), cmap="gray", vmin=0, vmax=255)
    names = [wrapped(group.classes.get(k, str(k))) for k in range(classes)]
    axis.set_xticks((np.arange(classes) + 0.5) * width, names, fontsize=7)
    axis.set_yticks([])
    axis.set_ylabel("one style a row")
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure
