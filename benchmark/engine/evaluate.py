"""From trained cells to what is recorded of them: scores, metrics, pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.cells import Cell
from benchmark.data.files import data_dir
from benchmark.data.images import ImageData
from benchmark.engine import metrics
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.generation import GENERATION_SAMPLES, generation_metrics
from benchmark.engine.judge import classifier_of
from benchmark.engine.pictures import add_pictures, decoder_of, generated_images
from benchmark.engine.score import QUANTITIES, assess, draw_noise
from benchmark.engine.train import Training, autocast

TRAIN_SAMPLE = 1000  # normal training images that train/ metrics are taken from
CALIBRATION = 2000  # calibration images that are scored at most
ALPHA = 0.05  # share of new normal images that the threshold may flag
GENERATED = 256  # images that diagnostics look at, real and generated


@dataclass
class Outcome:
    """What one cell leaves behind besides its weights."""

    metrics: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


def evaluate(
    fleet: Fleet,
    cells: Sequence[Cell],
    trainings: Sequence[Training],
    data: ImageData,
    images: Mapping[str, Tensor],
    batch_size: int,
    precision: str,
    stop: Event | None = None,
) -> list[Outcome]:
    """Score the evaluated images of every cell and a sample of its training images, and draw up what is recorded.

    ``images`` holds the official splits "train" and "test", uint8 (N, C, H, W) on the fleet's device.
    """
    seeds = [cell.stream("score") for cell in cells]
    source = cells[0].split.eval_source
    start = time.perf_counter()
    evaluated = assess(
        fleet, images[source], [c.split.eval_index for c in cells], seeds, batch_size, precision, stop=stop
    )
    seconds = (time.perf_counter() - start) / len(cells)
    samples = [_training_sample(cell) for cell in cells]
    trained = assess(fleet, images["train"], samples, seeds, batch_size, precision, ("scores", *QUANTITIES), stop)
    held = [_evenly(cell.split.calibration_index, CALIBRATION) for cell in cells]
    calibrated = _assess_unequal(fleet, images["train"], held, seeds, batch_size, precision, stop)
    outcomes = [
        Outcome(
            _metrics(cell, training, found, sample, seconds, fleet)
            | _at_threshold(cell, fleet.model.headline, found["scores"], scores)
            | _against_kinds(cell, fleet, found, data)
        )
        for cell, training, found, sample, scores in zip(cells, trainings, evaluated, trained, calibrated, strict=True)
    ]
    for outcome, cell, found, rows, scores in zip(outcomes, cells, evaluated, held, calibrated, strict=True):
        outcome.arrays["scores"] = _score_arrays(cell, found["scores"])
        outcome.arrays["calibration"] = {"index": rows.numpy(), **_named(scores)}
    _add_diagnostics(fleet, cells, images["train"], data.train_labels, samples, precision, outcomes)
    add_pictures(fleet, cells, images[source], seeds, precision, evaluated, outcomes)
    _add_generation(fleet, cells, data, evaluated, outcomes)
    for outcome in outcomes:
        outcome.metrics["evaluate_seconds"] = (time.perf_counter() - start) / len(cells)
    return outcomes


def _training_sample(cell: Cell) -> Tensor:
    """At most TRAIN_SAMPLE normal training images, evenly spaced."""
    return _evenly(cell.split.train_index[cell.split.train_label == 0], TRAIN_SAMPLE)


def _evenly(rows: Tensor, most: int) -> Tensor:
    """At most ``most`` of the rows, evenly spaced."""
    return rows[torch.linspace(0, len(rows) - 1, min(most, len(rows))).long()]


def _assess_unequal(
    fleet: Fleet,
    images: Tensor,
    indices: Sequence[Tensor],
    seeds: Sequence[int],
    batch_size: int,
    precision: str,
    stop: Event | None,
) -> list[dict[str, Tensor]]:
    """The scores of each cell's images, of which cells may have different numbers, none among them."""
    longest = max(len(index) for index in indices)
    if min(len(index) for index in indices) == 0:
        return [{} for _ in indices]
    padded = [torch.cat([index, index[:1].expand(longest - len(index))]) for index in indices]
    found = assess(fleet, images, padded, seeds, batch_size, precision, ("scores",), stop)
    return [
        {name: values[: len(index)] for name, values in cell["scores"].items()}
        for cell, index in zip(found, indices, strict=True)
    ]


def _metrics(
    cell: Cell, training: Training, found: dict[str, Any], sample: dict[str, Any], seconds: float, fleet: Fleet
) -> dict[str, float]:
    labels = cell.split.eval_label.numpy()
    scores = {name: values.numpy() for name, values in found["scores"].items()}
    headline = scores[fleet.model.headline]
    result = {
        "auroc": metrics.auroc(labels, headline),
        "auroc_se": metrics.delong_se(labels, headline),
        "average_precision": metrics.average_precision(labels, headline),
        "fpr95": metrics.fpr_at_tpr(labels, headline),
        **{f"auroc/{name}": metrics.auroc(labels, values) for name, values in scores.items()},
    }
    normal = labels == 0
    if "reconstruction" in scores:
        result["train/reconstruction"] = float(sample["scores"]["reconstruction"].double().mean())
        result["test/reconstruction_normal"] = float(scores["reconstruction"][normal].mean(dtype=np.float64))
        result["test/reconstruction_anomalous"] = float(scores["reconstruction"][~normal].mean(dtype=np.float64))
    for name in (name for name in QUANTITIES if name in found):
        values = found[name].numpy()
        result[f"train/{name}"] = float(sample[name].double().mean())
        result[f"test/{name}_normal"] = float(values[normal].mean(dtype=np.float64))
        result[f"test/{name}_anomalous"] = float(values[~normal].mean(dtype=np.float64))
    result |= {
        "train_seconds": training.seconds,
        "score_seconds": seconds,
        "train_images_per_second": training.images / training.seconds,
        "score_images_per_second": len(labels) / seconds,
        "parameters": float(sum(stack[0].numel() for stack in fleet.parameters.values())),
        "n_train": float(len(cell.split.train_index)),
        "n_test": float(len(labels)),
        "n_test_anomalous": float(labels.sum()),
        "epochs": float(len(training.history)),
        "steps": float(training.steps),
    }
    return result


def _at_threshold(
    cell: Cell, headline: str, scores: Mapping[str, Tensor], calibration: Mapping[str, Tensor]
) -> dict[str, float]:
    """What the conformal threshold does; without enough calibration images there is none, and nothing is said."""
    count = len(calibration[headline]) if calibration else 0
    result = {"n_calibration": float(count)}
    threshold = metrics.conformal_threshold(calibration[headline].numpy(), ALPHA) if calibration else None
    if threshold is None:
        return result
    found = metrics.at_threshold(cell.split.eval_label.numpy(), scores[headline].numpy(), threshold)
    return result | {"threshold": threshold, **found}


def _against_kinds(cell: Cell, fleet: Fleet, found: dict[str, Any], data: ImageData) -> dict[str, float]:
    """AUROC of the headline score against each kind of anomaly alone, where the data set has several."""
    if not data.other_kinds:
        return {}
    scores, label = found["scores"][fleet.model.headline].numpy(), cell.split.eval_label.numpy()
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


def _add_diagnostics(
    fleet: Fleet,
    cells: Sequence[Cell],
    images: Tensor,
    labels: Tensor,
    samples: Sequence[Tensor],
    precision: str,
    outcomes: Sequence[Outcome],
) -> None:
    count = min(GENERATED, *(len(sample) for sample in samples))
    noise = draw_noise(fleet.model.diagnostic_noise, [cell.stream("diagnostics") for cell in cells], count)
    rows = torch.stack([sample[torch.linspace(0, len(sample) - 1, count).long()] for sample in samples])
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
    for name, values in found.items():
        for outcome, value in zip(outcomes, values.tolist(), strict=True):
            outcome.metrics[name] = value


def _add_generation(
    fleet: Fleet,
    cells: Sequence[Cell],
    data: ImageData,
    evaluated: Sequence[dict[str, Any]],
    outcomes: Sequence[Outcome],
) -> None:
    """What the classifier of the training split says of generated images, where the configuration asks for it."""
    if not cells[0].config["trainer"]["generation_metrics"] or fleet.model.samples_slowly:
        return
    for i, (cell, outcome) in enumerate(zip(cells, outcomes, strict=True)):
        code, seed = evaluated[i].get("code"), cell.stream("generation")
        generated = generated_images(fleet.model, code, GENERATION_SAMPLES, seed, decoder_of(fleet, i))
        if generated is not None:
            judge = classifier_of(data, data_dir(cell.config["data_dir"]))
            normal = cell.split.train_index[cell.split.train_label == 0]
            outcome.metrics |= generation_metrics(generated, data, normal, judge)
