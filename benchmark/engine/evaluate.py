"""From trained cells to what is recorded of them: scores, metrics, pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from benchmark.cells import Cell
from benchmark.data import synthetic
from benchmark.data.images import ImageData
from benchmark.engine import memory, metrics
from benchmark.engine.diagnostics import diagnostics, training_sample
from benchmark.engine.fleet import Fleet
from benchmark.engine.generation import judge_samples
from benchmark.engine.pictures import pictures
from benchmark.engine.rules import SEEN, Ruled, Sight, apply_rules
from benchmark.engine.score import QUANTITIES, Scored, Scoring, View, score_images, score_unequal
from benchmark.engine.state import Training
from benchmark.engine.verdict import Images, score_arrays
from benchmark.models.base import Model
from benchmark.models.parts.rows import evenly_spaced

CALIBRATION = 2000  # calibration images that are scored at most


@dataclass(frozen=True)
class Outcome:
    """What one cell leaves behind besides its weights."""

    metrics: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)  # file -> its arrays
    reasons: dict[str, str] = field(default_factory=dict)  # of rules that do not apply to it


def evaluate(
    fleet: Fleet,
    trained: Sequence[tuple[Cell, Training]],
    data: ImageData,
    images: Mapping[str, Tensor],
    how: Scoring,
) -> list[Outcome]:
    """Score the evaluated images of every cell and a sample of its training images, and draw up what is recorded.

    ``images`` holds the official splits "train" and "test", uint8 (N, C, H, W) on the fleet's device. Where no
    anomalies are evaluated nothing is recorded that is made of them, AUROC above all; where nothing is evaluated at
    all the scores of the calibration images stand alone, and pictures are of these.
    """
    start = time.perf_counter()
    cells, headline = [cell for cell, _ in trained], fleet.model.headline
    asked = _asked(cells, data, images)
    with memory.measured(fleet.device, len(cells)) as span:
        found = _evaluated(fleet, cells, asked, images["train"], how)
    scored_in = (time.perf_counter() - start) / len(cells)
    views = [_view(cell, training_sample(cell)) for cell in cells]
    sampled = score_images(fleet, images["train"], views, how, ("scores", *QUANTITIES))
    calibrated = _calibrated(fleet, cells, images["train"], how)
    ruled = apply_rules(fleet, cells, images["train"], _sights(cells, asked, images, found, calibrated), how)
    size = float(sum(stack[0].numel() for stack in fleet.parameters.values()))
    bound = _bound(fleet.model)
    judgeable = [_images(cell) for cell in cells]
    kinds = synthetic.kinds_of(cells[0].axes.evaluate_on, data.other_kinds)
    scores, kept = ([_arrays(scored) for scored in those] for those in (found, calibrated))
    measured = [
        judgeable[i].quality(scores[i], headline)
        | _means(cell, found[i], sampled[i])
        | _costs(cell, training, scored_in, size)
        | _peak(training, span, memory.size_of(fleet.stacks))
        | judgeable[i].at_threshold(scores[i][headline], kept[i].get(headline))
        | judgeable[i].against_kinds(scores[i][headline], len(data.class_names), kinds)
        | bound
        for i, (cell, training) in enumerate(trained)
    ]
    diagnosed = diagnostics(fleet, cells, images["train"], data.train_labels, how.precision)
    shown = _pictures(fleet, cells, data, images["train"], asked, found, how)
    judged = judge_samples(fleet, cells, data, found)
    seconds = (time.perf_counter() - start) / len(cells)
    return [
        Outcome(
            measured[i] | diagnosed[i] | judged[i] | rule_metrics(cell, ruled[i]) | {"evaluate_seconds": seconds},
            {
                "scores": judgeable[i].arrays(scores[i]),
                "calibration": {"index": _calibration_index(cell).numpy(), **score_arrays(kept[i])},
                **shown[i],
                **rule_arrays(ruled[i]),
            },
            dict(ruled[i].reasons),
        )
        for i, cell in enumerate(cells)
    ]


def judge_again(
    fleet: Fleet, cells: Sequence[Cell], data: ImageData, images: Mapping[str, Tensor], how: Scoring
) -> list[Ruled]:
    """What ``how.rules`` say of cells that were trained before: bit for bit what ``evaluate`` would have recorded."""
    asked = _asked(cells, data, images)
    found = _evaluated(fleet, cells, asked, images["train"], how)
    calibrated = _calibrated(fleet, cells, images["train"], how)
    return apply_rules(fleet, cells, images["train"], _sights(cells, asked, images, found, calibrated), how)


def rule_metrics(cell: Cell, ruled: Ruled) -> dict[str, float]:
    """The AUROC under each rule; none without anomalies."""
    labels = cell.split.eval_label.numpy()
    if not labels.any():
        return {}
    return {f"auroc/rule_{name}": metrics.auroc(labels, scores) for name, scores in ruled.scores.items()}


def rule_arrays(ruled: Ruled) -> dict[str, dict[str, np.ndarray]]:
    """File and arrays of what rules say: ``score/NAME`` of evaluated images, ``calibration/NAME`` of the others."""
    scores = {f"score/{name}": values for name, values in ruled.scores.items()}
    calibration = {f"calibration/{name}": values for name, values in ruled.calibration.items()}
    return {"rules": scores | calibration} if scores else {}


@dataclass(frozen=True)
class _Asked:
    """The images that cells are evaluated on."""

    images: Tensor  # uint8 (N, C, H, W), on the fleet's device
    rows: Sequence[Tensor]  # of each cell, int64 (M,): which of them are its own


def _asked(cells: Sequence[Cell], data: ImageData, images: Mapping[str, Tensor]) -> _Asked:
    """Rows of an official split; of synthetic images, of which each cell has its own, one cell's after the other's."""
    splits = [cell.split for cell in cells]
    if splits[0].eval_seed is None:
        return _Asked(images[splits[0].eval_source], [split.eval_index for split in splits])
    made = [synthetic.synthetic_images(data, one.eval_index, one.eval_target, one.eval_seed) for one in splits]
    ends = torch.tensor([len(part) for part in made]).cumsum(0)
    rows = [torch.arange(int(end) - len(part), int(end)) for part, end in zip(made, ends, strict=True)]
    return _Asked(torch.cat(made).to(images["train"].device), rows)


def _evaluated(fleet: Fleet, cells: Sequence[Cell], asked: _Asked, images: Tensor, how: Scoring) -> list[Scored]:
    """What the models say of each cell's evaluated images; of no images, under the same names, where there are none."""
    wanted = SEEN if how.rules else SEEN[:-1]  # reconstructions are large
    if _evaluates(cells):
        views = [_view(cell, rows) for cell, rows in zip(cells, asked.rows, strict=True)]
        return score_unequal(fleet, asked.images, views, how, wanted)  # held-out images are a share of each class
    views = [_view(cell, cell.split.train_index[:1]) for cell in cells]
    return [one.first(0) for one in score_images(fleet, images, views, how, wanted)]


def _evaluates(cells: Sequence[Cell]) -> bool:
    """Whether the cells, which have one data set and split, evaluate any images."""
    return len(cells[0].split.eval_index) > 0


def _pictures(
    fleet: Fleet,
    cells: Sequence[Cell],
    data: ImageData,
    images: Tensor,
    asked: _Asked,
    found: Sequence[Scored],
    how: Scoring,
) -> list[dict[str, dict[str, np.ndarray]]]:
    """Pictures of the evaluated images; where there are none, of the calibration images among the training images."""
    if _evaluates(cells):
        return pictures(fleet, cells, asked.images, asked.rows, found, how.precision)
    instead = [_with_calibration(cell, data.train_labels) for cell in cells]
    rows = [cell.split.eval_index for cell in instead]
    views = [_view(cell, chosen) for cell, chosen in zip(instead, rows, strict=True)]
    found = score_unequal(fleet, images, views, how, SEEN[:-1])
    return pictures(fleet, instead, images, rows, found, how.precision)


def _with_calibration(cell: Cell, labels: Tensor) -> Cell:
    """The cell as if it evaluated its calibration images, or without any images that it was trained on."""
    index = _calibration_index(cell)
    index = index if len(index) else training_sample(cell)
    split = replace(
        cell.split,
        eval_source="train",
        eval_index=index,
        eval_label=torch.zeros(len(index), dtype=torch.uint8),
        eval_target=labels[index],
    )
    return replace(cell, split=split)


def _sights(
    cells: Sequence[Cell],
    asked: _Asked,
    images: Mapping[str, Tensor],
    found: Sequence[Scored],
    calibrated: Sequence[Scored],
) -> list[tuple[Sight, Sight]]:
    """What rules are shown of each cell: the evaluated images, and the calibration images."""
    return [
        (
            Sight(asked.images, rows, scored),
            Sight(images["train"], _calibration_index(cell), kept)
            if kept.scores
            else Sight(images["train"], _calibration_index(cell)[:0], scored.first(0)),
        )
        for cell, rows, scored, kept in zip(cells, asked.rows, found, calibrated, strict=True)
    ]


def _view(cell: Cell, index: Tensor) -> View:
    return View(index, cell.stream("score"))


def _calibration_index(cell: Cell) -> Tensor:
    return evenly_spaced(cell.split.calibration_index, CALIBRATION)


def _calibrated(fleet: Fleet, cells: Sequence[Cell], images: Tensor, how: Scoring) -> list[Scored]:
    """What models say of each cell's calibration images, of which cells may have different numbers, none among them."""
    views = [_view(cell, _calibration_index(cell)) for cell in cells]
    return score_unequal(fleet, images, views, how, SEEN if how.rules else SEEN[:1])


def _means(cell: Cell, found: Scored, sampled: Scored) -> dict[str, float]:
    """Means over training, normal and anomalous images, those that there are, of what can be compared between them."""
    normal, of_training, result = cell.split.eval_label.numpy() == 0, _comparable(sampled), {}
    for name, values in _comparable(found).items():
        result[f"train/{name}"] = float(of_training[name].double().mean())
        for kind, chosen in (("normal", normal), ("anomalous", ~normal)):
            if chosen.any():
                result[f"test/{name}_{kind}"] = float(values.numpy()[chosen].mean(dtype=np.float64))
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
    count = len(cell.split.eval_label)
    return {
        "train_seconds": training.seconds,
        **({"score_seconds": seconds} if count else {}),
        "train_images_per_second": training.images / training.seconds,
        **({"score_images_per_second": count / seconds} if count else {}),
        "parameters": parameters,
        **_images(cell).counts(len(cell.split.train_index)),
        "epochs": float(len(training.history)),
        "steps": float(training.steps),
    }


def _peak(training: Training, scoring: memory.Span, held: int) -> dict[str, float]:
    """Peak memory of training and scoring, whose model is of so many bytes, and of how many cells it is."""
    peak = memory.larger(training.peak, scoring.peak, held)
    return {} if peak is None else {"peak_memory_mib": peak.bytes / 2**20, "peak_memory_cells": float(peak.cells)}


def _images(cell: Cell) -> Images:
    """The evaluated images of a cell, as arrays."""
    split = cell.split
    return Images(split.eval_index.numpy(), split.eval_label.numpy(), split.eval_target.numpy())


def _arrays(scored: Scored) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in scored.scores.items()}
