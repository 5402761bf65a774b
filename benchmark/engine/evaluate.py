"""From trained cells to what is recorded of them: scores, metrics, pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from benchmark.cells import Cell
from benchmark.data.images import ImageData
from benchmark.engine.diagnostics import diagnostics, training_sample
from benchmark.engine.fleet import Fleet
from benchmark.engine.generation import judge_samples
from benchmark.engine.pictures import pictures
from benchmark.engine.score import QUANTITIES, Scored, Scoring, View, score_images
from benchmark.engine.state import Training
from benchmark.engine.verdict import Evaluated, named
from benchmark.models.parts.rows import evenly_spaced

CALIBRATION = 2000  # calibration images that are scored at most


@dataclass(frozen=True)
class Outcome:
    """What one cell leaves behind besides its weights."""

    metrics: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)  # file -> its arrays


def evaluate(
    fleet: Fleet,
    trained: Sequence[tuple[Cell, Training]],
    data: ImageData,
    images: Mapping[str, Tensor],
    how: Scoring,
) -> list[Outcome]:
    """Score the evaluated images of every cell and a sample of its training images, and draw up what is recorded.

    ``images`` holds the official splits "train" and "test", uint8 (N, C, H, W) on the fleet's device.
    """
    start = time.perf_counter()
    cells, headline = [cell for cell, _ in trained], fleet.model.headline
    source = images[cells[0].split.eval_source]
    found = score_images(fleet, source, [_view(cell, cell.split.eval_index) for cell in cells], how)
    scored_in = (time.perf_counter() - start) / len(cells)
    views = [_view(cell, training_sample(cell)) for cell in cells]
    sampled = score_images(fleet, images["train"], views, how, ("scores", *QUANTITIES))
    calibrated = _calibrate(fleet, cells, images["train"], how)
    size = float(sum(stack[0].numel() for stack in fleet.parameters.values()))
    scores = [_arrays(scored.scores) for scored in found]
    measured = [
        _evaluated(cell).quality(scores[i], headline)
        | _means(cell, found[i], sampled[i])
        | _costs(cell, training, scored_in, size)
        | _evaluated(cell).at_threshold(scores[i][headline], calibrated[i].get(headline))
        | _evaluated(cell).against_kinds(scores[i][headline], len(data.class_names), data.other_kinds)
        for i, (cell, training) in enumerate(trained)
    ]
    diagnosed = diagnostics(fleet, cells, images["train"], data.train_labels, how.precision)
    shown = pictures(fleet, cells, source, found, how.precision)
    judged = judge_samples(fleet, cells, data, found)
    seconds = (time.perf_counter() - start) / len(cells)
    return [
        Outcome(
            measured[i] | diagnosed[i] | judged[i] | {"evaluate_seconds": seconds},
            {
                "scores": _evaluated(cell).arrays(scores[i]),
                "calibration": {"index": _calibration_index(cell).numpy(), **named(calibrated[i])},
                **shown[i],
            },
        )
        for i, cell in enumerate(cells)
    ]


def _view(cell: Cell, index: Tensor) -> View:
    return View(index, cell.stream("score"))


def _calibration_index(cell: Cell) -> Tensor:
    return evenly_spaced(cell.split.calibration_index, CALIBRATION)


def _calibrate(fleet: Fleet, cells: Sequence[Cell], images: Tensor, how: Scoring) -> list[dict[str, np.ndarray]]:
    """The scores of each cell's calibration images, of which cells may have different numbers, none among them."""
    indices = [_calibration_index(cell) for cell in cells]
    longest = max(len(index) for index in indices)
    if min(len(index) for index in indices) == 0:
        return [{} for _ in indices]
    padded = [torch.cat([index, index[:1].expand(longest - len(index))]) for index in indices]
    views = [_view(cell, index) for cell, index in zip(cells, padded, strict=True)]
    found = score_images(fleet, images, views, how, ("scores",))
    return [
        {name: values[: len(index)] for name, values in _arrays(scored.scores).items()}
        for scored, index in zip(found, indices, strict=True)
    ]


def _means(cell: Cell, found: Scored, sampled: Scored) -> dict[str, float]:
    """Means over training, normal and anomalous images of what can be compared between them."""
    normal, of_training, result = cell.split.eval_label.numpy() == 0, _comparable(sampled), {}
    for name, values in _comparable(found).items():
        result[f"train/{name}"] = float(of_training[name].double().mean())
        result[f"test/{name}_normal"] = float(values.numpy()[normal].mean(dtype=np.float64))
        result[f"test/{name}_anomalous"] = float(values.numpy()[~normal].mean(dtype=np.float64))
    return result


def _comparable(scored: Scored) -> dict[str, Tensor]:
    error = {name: values for name, values in scored.scores.items() if name == "reconstruction"}
    return error | dict(scored.quantities)


def _costs(cell: Cell, training: Training, seconds: float, parameters: float) -> dict[str, float]:
    """Times and sizes; ``seconds`` are those that scoring the evaluated images took."""
    return {
        "train_seconds": training.seconds,
        "score_seconds": seconds,
        "train_images_per_second": training.images / training.seconds,
        "score_images_per_second": len(cell.split.eval_label) / seconds,
        "parameters": parameters,
        **_evaluated(cell).counts(len(cell.split.train_index)),
        "epochs": float(len(training.history)),
        "steps": float(training.steps),
    }


def _evaluated(cell: Cell) -> Evaluated:
    split = cell.split
    return Evaluated(split.eval_index.numpy(), split.eval_label.numpy(), split.eval_target.numpy())


def _arrays(scores: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in scores.items()}
