"""What a model measures of itself after training, on normal training images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from benchmark.cells import Cell
from benchmark.engine.device import autocast
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.score import draw_noise
from benchmark.models.parts.rows import evenly_spaced

TRAIN_SAMPLE = 1000  # normal training images that train/ metrics are taken from
DIAGNOSED = 256  # of them that diagnostics look at, beside as many generated ones


def training_sample(cell: Cell) -> Tensor:
    """The rows of at most TRAIN_SAMPLE of a cell's normal training images, evenly spaced."""
    return evenly_spaced(cell.split.train_index[cell.split.train_label == 0], TRAIN_SAMPLE)


def diagnostics(
    fleet: Fleet, cells: Sequence[Cell], images: Tensor, labels: Tensor, precision: str
) -> list[dict[str, float]]:
    """``Model.diagnostics`` of every cell, on equally many images of each.

    ``images`` are those of the official training split, uint8 (N, C, H, W) on the fleet's device; ``labels`` (N,).
    """
    samples = [training_sample(cell) for cell in cells]
    count = min(DIAGNOSED, *(len(sample) for sample in samples))
    noise = draw_noise(fleet.model.diagnostic_noise, [cell.stream("diagnostics") for cell in cells], count)
    rows = torch.stack([evenly_spaced(sample, count) for sample in samples])
    if fleet.model.label_share > 0:
        noise["label"] = labels[rows]

    def one_cell(parameters: Any, buffers: Any, pixels: Tensor, drawn: Any) -> dict[str, Tensor]:
        with autocast(fleet.device, precision):
            return fleet.call("diagnostics", parameters, buffers, pixels, drawn)

    with torch.no_grad():
        found = fleet.over_cells(one_cell)(
            fleet.parameters,
            fleet.buffers,
            to_pixels(images[rows.to(images.device)]),
            {name: values.to(fleet.device) for name, values in noise.items()},
        )
    of_cells = {name: values.tolist() for name, values in found.items()}
    return [{name: values[cell] for name, values in of_cells.items()} for cell in range(fleet.size)]
