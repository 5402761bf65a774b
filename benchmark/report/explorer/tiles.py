"""Images and reconstructions as one picture each, made again from the weights of a record."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.engine.fleet import Fleet
from benchmark.engine.pictures import side_by_side
from benchmark.engine.score import Scoring, View, score_images
from benchmark.models import model_class
from benchmark.models.refusals import arguments_of
from benchmark.seeds import derive_seed
from benchmark.store.foreign import refuse_model
from benchmark.store.records import Record

COLUMNS = 16  # tiles beside one another
GREYS = 16  # of a picture: 4 bits a pixel


def reconstructed(record: Record, config: dict[str, Any], images: Tensor) -> Tensor | None:
    """What a finished cell makes of uint8 images (N, C, H, W): uint8 of that shape; None if it reconstructs nothing.

    On the CPU, with the noise that the cell was scored with. Raises ``UsageError`` for a model that is not to be run.
    """
    refuse_model(record, config)
    axes = record.axes
    with torch.random.fork_rng(devices=[]):
        model = model_class(config["model"]["_target_"])(tuple(images.shape[1:]), **arguments_of(config["model"]))
    model.load_state_dict(record.weights())
    seed = derive_seed("score", axes.model, axes.dataset, axes.split, axes.normal_class, axes.seed)
    how = Scoring(config["trainer"]["score_batch_size"])
    (found,) = score_images(
        Fleet([model], torch.device("cpu")), images, [View(torch.arange(len(images)), seed)], how, ("reconstruction",)
    )
    pixels = found.reconstruction
    return None if pixels is None else pixels.clamp(0, 1).mul(255).round().byte()


def picture(images: Tensor) -> str:
    """uint8 (N, C, H, W) as a PNG in a ``data:`` address: rows of COLUMNS tiles, channels or frames side by side."""
    from PIL import Image

    tiles = side_by_side(images)  # (N, H, W)
    count, height, width = tiles.shape
    rows = -(-count // COLUMNS)
    sheet = np.zeros((rows * COLUMNS, height, width), dtype=np.uint8)
    sheet[:count] = np.round(tiles / 255 * (GREYS - 1)).astype(np.uint8)
    grid = sheet.reshape(rows, COLUMNS, height, width).swapaxes(1, 2).reshape(rows * height, COLUMNS * width)
    made = Image.fromarray(grid, mode="P")
    made.putpalette([level * 255 // (GREYS - 1) for level in range(GREYS) for _ in range(3)])
    file = io.BytesIO()
    made.save(file, "PNG", bits=4, optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
