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
from benchmark.engine import metrics
from benchmark.engine.diagnostics import diagnostics, training_sample
from benchmark.engine.fleet import Fleet
from benchmark.engine.generation import judge_samples
from benchmark.engine.pictures import pictures
from benchmark.engine.score import QUANTITIES, Scored, Scoring, View, score_images
from benchmark.engine.state import Training
from benchmark.models.base import Model
from benchmark.models.parts.rows import evenly_spaced

CALIBRATION = 2000  # calibration images that are scored at most
ALPHA = 0.05  # share of new normal images that the threshold may flag


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
    bound = _bound(fleet.model)
    measured = [
        _quality(cell, found[i].scores, headline)
        | _means(cell, found[i], sampled[i])
        | _costs(cell, training, scored_in, size)
        | _at_threshold(cell, found[i].scores[headline], calibrated[i].get(headline))
        | _against_kinds(cell, found[i].scores[headline], data)
        | bound
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
                "scores": _score_arrays(cell, found[i].scores),
                "calibration": {"index": _calibration_index(cell).numpy(), **_named(calibrated[i])},
                **shown[i],
            },
        )
        for i, cell in enumerate(cells)
    ]


def _view(cell: Cell, index: Tensor) -> View:
    return View(index, cell.stream("score"))


def _calibration_index(cell: Cell) -> Tensor:
    return evenly_spaced(cell.split.calibration_index, CALIBRATION)


def _calibrate(fleet: Fleet, cells: Sequence[Cell], images: Tensor, how: Scoring) -> list[Mapping[str, Tensor]]:
    """The scores of each cell's calibration images, of which cells may have different numbers, none among them."""
    indices = [_calibration_index(cell) for cell in cells]
    longest = max(len(index) for index in indices)
    if min(len(index) for index in indices) == 0:
        return [{} for _ in indices]
    padded = [torch.cat([index, index[:1].expand(longest - len(index))]) for index in indices]
    views = [_view(cell, index) for cell, index in zip(cells, padded, strict=True)]
    found = score_images(fleet, images, views, how, ("scores",))
    return [
        {name: values[: len(index)] for name, values in scored.scores.items()}
        for scored, index in zip(found, indices, strict=True)
    ]


def _quality(cell: Cell, scores: Mapping[str, Tensor], headline: str) -> dict[str, float]:
    """How well the scores tell anomalous images from normal ones."""
    labels, values = cell.split.eval_label.numpy(), scores[headline].numpy()
    return {
        "auroc": metrics.auroc(labels, values),
        "auroc_se": metrics.delong_se(labels, values),
        "average_precision": metrics.average_precision(labels, values),
        "fpr95": metrics.fpr_at_tpr(labels, values),
        **{f"auroc/{name}": metrics.auroc(labels, values.numpy()) for name, values in scores.items()},
    }


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


def _bound(model: Model) -> dict[str, float]:
    """The steps of the chain whose bound a model's bits per dimension are, and the draws that estimate it.

    A model has one if it has so many ``timesteps`` and draws ``score_noise`` by the name of ``bound``: (draws, ...).
    """
    noise, steps = model.score_noise.get("bound"), getattr(model, "timesteps", None)
    if noise is None or steps is None:
        return {}
    return {"bound/chain_steps": float(steps), "bound/draws": float(noise.shape[0])}


def _costs(cell: Cell, training: Training, seconds: float, parameters: float) -> dict[str, float]:
    """Times and sizes; ``seconds`` are those that scoring the evaluated images took."""
    labels = cell.split.eval_label
    return {
        "train_seconds": training.seconds,
        "score_seconds": seconds,
        "train_images_per_second": training.images / training.seconds,
        "score_images_per_second": len(labels) / seconds,
        "parameters": parameters,
        "n_train": float(len(cell.split.train_index)),
        "n_test": float(len(labels)),
        "n_test_anomalous": float(labels.sum()),
        "epochs": float(len(training.history)),
        "steps": float(training.steps),
    }


def _at_threshold(cell: Cell, headline: Tensor, calibration: Tensor | None) -> dict[str, float]:
    """What the conformal threshold does; without enough calibration images there is none, and nothing is said."""
    if calibration is None:
        return {"n_calibration": 0.0}
    result = {"n_calibration": float(len(calibration))}
    threshold = metrics.conformal_threshold(calibration.numpy(), ALPHA)
    if threshold is None:
        return result
    found = metrics.at_threshold(cell.split.eval_label.numpy(), headline.numpy(), threshold)
    return result | {"threshold": threshold, **found}


def _against_kinds(cell: Cell, headline: Tensor, data: ImageData) -> dict[str, float]:
    """AUROC of the headline score against each kind of anomaly alone, where the data set has several."""
    if not data.other_kinds:
        return {}
    scores, label = headline.numpy(), cell.split.eval_label.numpy()
    kind = cell.split.eval_target.numpy() // len(data.class_names)
    result = {}
    for number, name in enumerate(("other class", *data.other_kinds)):
        chosen = (label == 0) | (kind == number)
        if label[chosen].any():
            key = f"against/auroc_{name.replace(' ', '_')}"
            result[key] = metrics.auroc(label[chosen], scores[chosen])
    return result


def _score_arrays(cell: Cell, scores: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    split = cell.split
    return {
        "index": split.eval_index.numpy(),
        "label": split.eval_label.numpy().astype(np.uint8),
        "target": split.eval_target.numpy(),
        **_named(scores),
    }


def _named(scores: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {f"score/{name}": values.numpy().astype(np.float32) for name, values in scores.items()}
