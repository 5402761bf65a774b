"""What is worth knowing of a job before it runs: a line each, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from benchmark.config import UsageError
from benchmark.data import is_own
from benchmark.data.splits import copies_kept
from benchmark.engine.device import memory
from benchmark.models import constructor

if TYPE_CHECKING:
    from benchmark.cells import Cell
    from benchmark.sweep.job import Job

FEW, ENOUGH = 400, 840  # updates of a training; the tables of README have 840
HANDED = 5.0  # bytes a pixel of images that a model is handed all at once: as bytes, and in float32
# At their largest, with all that a model makes of them; measured by tests/tools/speed/fits.py on 3 x 64 x 64 pixels.
FITTED = {
    "pca": 47.0,
    "gmm": 47.0,
    "ocsvm": 25.0,
    "histogram": 20.0,
    "iforest": 17.0,
    "knn": 16.0,
    "kde": 16.0,
    "mean_image": 12.0,
    "flow": 9.0,
    "deep_svdd": HANDED,
}
BY_COVARIANCE = 2000  # pixels up to which principal axes are those of a covariance, which takes a copy and no SVD
COPIED = 21.0  # bytes a pixel of that
GB = 1e9
SPARE = 0.8  # of the memory there is, that is filled


def foresee(job: Job, cells: Sequence[Cell], known: set[str], there: float | None = None) -> list[str]:
    """Warnings of what cells that are to be trained will suffer from, a line each.

    ``known`` holds what was looked at in earlier jobs, and grows; ``there`` is the memory in bytes, None: this
    machine's. Raises ``UsageError`` for a model that is fitted to more images at once than memory has room for.
    """
    if not cells:
        return []
    _refuse_hunger(job, cells, memory() if there is None else there)
    if not is_own(job.config.dataset):
        return []
    lines = [*_few_updates(job), *(_copies(job, cell) for cell in cells if cell.split.hash not in known)]
    known |= {cell.split.hash for cell in cells}
    return [line for line in lines if line]


def bytes_of_fit(job: Job, cell: Cell) -> float:
    """About how much memory a model takes that is handed all its training images at once; 0 for one that is not."""
    model, target = job.config.model, job.config.model._target_
    at_once = FITTED.get(model.name) if target.startswith("benchmark.models.") else None
    if at_once is None:
        at_once = 0.0 if "epochs" in constructor(target) else HANDED
    pixels, count = prod(job.data.image_shape), len(cell.split.train_index)
    if model.name in ("pca", "gmm") and pixels <= BY_COVARIANCE:
        at_once = min(at_once, COPIED)
    looked_at = min(count, model.get("most", count))  # the others are handed in and left alone
    return pixels * (count * min(at_once, HANDED) + looked_at * max(at_once - HANDED, 0.0))


def _refuse_hunger(job: Job, cells: Sequence[Cell], there: float) -> None:
    cell = max(cells, key=lambda one: bytes_of_fit(job, one))
    takes = bytes_of_fit(job, cell)
    if takes <= there:
        return
    fraction = job.config.split.train_fraction * SPARE * there / takes
    digits = max(2, 1 - math.floor(math.log10(fraction)))
    shape = " x ".join(map(str, job.data.image_shape))
    raise UsageError(
        f"model={job.config.model.name} is fitted to all images at once, which takes about {takes / GB:.3g} GB of "
        f"memory for the {len(cell.split.train_index):,} of {shape} pixels here, and there are {there / GB:.3g} GB. "
        f"Type split.train_fraction={math.floor(fraction * 10**digits) / 10**digits:g}, or take a model that is "
        "trained in steps, such as model=ae"
    )


def _few_updates(job: Job) -> list[str]:
    """That a network is hardly trained: a small folder has few batches an epoch."""
    epochs, steps = job.settings.epochs, job.settings.steps_per_epoch
    if "epochs" not in constructor(job.config.model._target_) or epochs * steps >= FEW:
        return []
    return [
        f"{job.config.model.name} on {job.config.dataset.name}: {epochs} epochs of {steps} "
        f"{'batch' if steps == 1 else 'batches'} are {epochs * steps} updates, which is little (the tables of README "
        f"have {ENOUGH}). Type trainer.epochs={math.ceil(ENOUGH / steps)}, or take model=pca, which needs none"
    ]


def _copies(job: Job, cell: Cell) -> str:
    """That calibration images are copies of images trained on, if some are."""
    split, axes = cell.split, cell.axes
    if not (copies := copies_kept(job.data.train_images, split)):
        return ""
    return (
        f"{axes.dataset} {axes.normal_class_name} seed {axes.seed}: {copies} of {len(split.calibration_index)} "
        "calibration images are copies of images trained on: p-values are too small and too many images are flagged. "
        "Take copies out of the folder"
    )
