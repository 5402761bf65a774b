"""Generated images of every model side by side: a row a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.figures.curves import class_title, in_lines, new_figure
from benchmark.report.statistics import Group
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 14  # images of each model


def samples_figure(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """One class, a row of generated images a model, real ones above; None if no model kept any.

    The class is the first that most models have; the real images are the normal ones of the contact sheet.
    """
    found: dict[int, dict[str, dict[str, np.ndarray]]] = {}
    for cell in cells:
        images = cell.record.images()
        if images is not None and "samples" in images:
            found.setdefault(cell.axes.normal_class, {}).setdefault(cell.label, images)
    if not found:
        return None
    chosen = max(sorted(found), key=lambda k: len(found[k]))
    models = found[chosen]
    first = next(iter(models.values()))
    real = first["input"][first["label"] == 0]
    rows = {"real": real, **{group.shown(label): images["samples"] for label, images in models.items()}}
    height, width = real.shape[1:]
    sheet = np.full((len(rows) * height, SHOWN * width), 255, np.uint8)
    for i, images in enumerate(rows.values()):
        for j, image in enumerate(images[:SHOWN]):
            sheet[i * height : (i + 1) * height, j * width : (j + 1) * width] = image
    figure = new_figure(1.6 + 0.45 * SHOWN * width / height, 0.6 + 0.45 * len(rows))
    role = "normal class" if group.split != "leave_one_out" else "class left out"
    axis = figure.add_subplot(title=f"{role}: {class_title(group, chosen)}")
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=255)
    axis.set_yticks((np.arange(len(rows)) + 0.5) * height, [in_lines(label) for label in rows], fontsize=7)
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure
