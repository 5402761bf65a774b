"""Images decoded between the codes of the same two test images, model under model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.figures.curves import class_title, in_lines, new_figure
from benchmark.report.statistics import Group
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP = 4  # pixels between an image and the decoded ones


def interpolation_figure(group: Group, cells: Sequence[PlannedCell]) -> Figure | None:
    """One class (the first that most models have), a row a model; None if fewer than two models decode codes."""
    found: dict[int, dict[str, dict[str, np.ndarray]]] = {}
    for cell in cells:
        arrays = cell.record.images()
        if arrays is not None and "interpolation" in arrays:
            found.setdefault(cell.axes.normal_class, {}).setdefault(cell.label, arrays)
    chosen = max(sorted(found), key=lambda k: len(found[k]), default=None)
    if chosen is None or len(found[chosen]) < 2:
        return None
    strips = {label: strip(arrays) for label, arrays in found[chosen].items()}
    tall, wide = next(iter(strips.values())).shape
    width = 8.0
    figure = new_figure(width + 1.8, 0.9 + len(strips) * (width * tall / wide + 0.15))
    role = "normal class" if group.split != "leave_one_out" else "anomalous class"
    figure.suptitle(f"{role}: {class_title(group, chosen)}", fontsize=10)
    panels = figure.subplots(len(strips), 1, squeeze=False)[:, 0]
    for axis, (label, image) in zip(panels, strips.items(), strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_yticks([tall / 2], [in_lines(group.shown(label))])
        axis.set_xticks([])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    first = next(iter(found[chosen].values()))["interpolation_ends"].shape[2]
    panels[-1].set_xticks([first / 2, wide / 2, wide - first / 2], ["image", "decoded on the line", "image"])
    return figure


def strip(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The first image, what was decoded on the way, and the last image, side by side: uint8 (H, W)."""
    first, last = arrays["interpolation_ends"]
    gap = np.full((first.shape[0], GAP), 255, np.uint8)
    return np.concatenate([first, gap, *arrays["interpolation"], gap, last], axis=1)
