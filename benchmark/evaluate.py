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

from benchmark import metrics
from benchmark.cells import Cell
from benchmark.classifier import classifier_of
from benchmark.data.cache import data_dir
from benchmark.data.images import ImageData
from benchmark.fleet import Fleet, to_pixels
from benchmark.generation import GENERATION_SAMPLES, generation_metrics
from benchmark.models.base import Model
from benchmark.score import QUANTITIES, assess, draw_noise
from benchmark.train import Training, autocast

TRAIN_SAMPLE = 1000  # normal training images that train/ metrics and the threshold are taken from
THRESHOLD_QUANTILE = 0.95  # of their scores: the threshold of precision, recall and F1
PANEL = 8  # images in each group of the contact sheet
SAMPLES = 32  # generated images kept
STYLES = 8  # styles that are shown in every class
GRID = 15  # decoded images along each axis of a 2-D latent space
STEPS = 10  # decoded images on the line between two codes
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
    outcomes = [
        Outcome(_metrics(cell, training, found, sample, seconds, fleet) | _against_kinds(cell, fleet, found, data))
        for cell, training, found, sample in zip(cells, trainings, evaluated, trained, strict=True)
    ]
    for outcome, cell, found in zip(outcomes, cells, evaluated, strict=True):
        outcome.arrays["scores"] = _score_arrays(cell, found["scores"])
    _add_diagnostics(fleet, cells, images["train"], samples, precision, outcomes)
    _add_pictures(fleet, cells, images[source], seeds, precision, evaluated, outcomes)
    _add_generation(fleet, cells, data, evaluated, outcomes)
    for outcome in outcomes:
        outcome.metrics["evaluate_seconds"] = (time.perf_counter() - start) / len(cells)
    return outcomes


def _training_sample(cell: Cell) -> Tensor:
    """At most TRAIN_SAMPLE normal training images, evenly spaced."""
    normal = cell.split.train_index[cell.split.train_label == 0]
    count = min(TRAIN_SAMPLE, len(normal))
    return normal[torch.linspace(0, len(normal) - 1, count).long()]


def _metrics(
    cell: Cell, training: Training, found: dict[str, Any], sample: dict[str, Any], seconds: float, fleet: Fleet
) -> dict[str, float]:
    labels = cell.split.eval_label.numpy()
    scores = {name: values.numpy() for name, values in found["scores"].items()}
    headline = scores[fleet.model.headline]
    threshold = float(np.quantile(sample["scores"][fleet.model.headline].numpy(), THRESHOLD_QUANTILE))
    result = {
        "auroc": metrics.auroc(labels, headline),
        "average_precision": metrics.average_precision(labels, headline),
        "fpr95": metrics.fpr_at_tpr(labels, headline),
        **metrics.at_threshold(labels, headline, threshold),
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
        **{f"score/{name}": values.numpy().astype(np.float32) for name, values in scores.items()},
    }


def _add_diagnostics(
    fleet: Fleet,
    cells: Sequence[Cell],
    images: Tensor,
    samples: Sequence[Tensor],
    precision: str,
    outcomes: Sequence[Outcome],
) -> None:
    count = min(GENERATED, *(len(sample) for sample in samples))
    noise = draw_noise(fleet.model.diagnostic_noise, [cell.stream("diagnostics") for cell in cells], count)
    rows = torch.stack([sample[torch.linspace(0, len(sample) - 1, count).long()] for sample in samples])

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


def _add_pictures(
    fleet: Fleet,
    cells: Sequence[Cell],
    images: Tensor,
    seeds: Sequence[int],
    precision: str,
    evaluated: Sequence[dict[str, Any]],
    outcomes: Sequence[Outcome],
) -> None:
    """Contact sheet, generated samples and, for 2-D codes, the latent space."""
    panels = [_panel(cell, found["scores"][fleet.model.headline]) for cell, found in zip(cells, evaluated, strict=True)]
    rows = [cell.split.eval_index[chosen] for cell, (chosen, _) in zip(cells, panels, strict=True)]
    shown = assess(fleet, images, rows, seeds, len(rows[0]), precision, ("reconstruction",))
    for i, (cell, outcome, (chosen, groups)) in enumerate(zip(cells, outcomes, panels, strict=True)):
        content = {
            "index": rows[i].numpy(),
            "label": cell.split.eval_label[chosen].numpy().astype(np.uint8),
            "target": cell.split.eval_target[chosen].numpy(),
            "group": np.array(groups),
            "input": _side_by_side(images[rows[i].to(images.device)]),
            "score": evaluated[i]["scores"][fleet.model.headline][chosen].numpy(),
        }
        if "reconstruction" in shown[i]:
            content["reconstruction"] = _to_uint8(shown[i]["reconstruction"])
        decode = _decoder(fleet, i)
        code = evaluated[i].get("code")
        generated = _generated(fleet.model, code, SAMPLES, seeds[i], decode)
        if generated is not None:
            content["samples"] = _to_uint8(generated)
        styles = _styles(fleet.model, seeds[i], decode)
        if styles is not None:
            content["styles"] = styles
        if code is not None:
            content |= _interpolation(cell, code, decode, images)
        if code is not None and code.shape[1] == 2:
            latent = _latent_space(cell, code, decode, outcome, images)
            outcome.arrays |= {"latent": latent} if latent else {}
        outcome.arrays["images"] = content


def _generated(model: Model, code: Tensor | None, count: int, seed: int, decode: Any) -> Tensor | None:
    """``count`` generated images (B, C, H, W) from noise of the given seed; None if the model generates nothing."""
    shape = model.sample_shape if code is None else model.sample_shape or tuple(code.shape[1:])
    if not shape:
        return None
    noise = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))
    parts = [decode("sample", part) for part in noise.split(GENERATED)]
    return None if parts[0] is None else torch.cat(parts)


def _styles(model: Model, seed: int, decode: Any) -> np.ndarray | None:
    """STYLES styles of the model in every class, uint8 (STYLES, classes, H, C*W); None if it has no such codes."""
    if not model.sample_shape:
        return None
    images = decode("styles", torch.randn(STYLES, *model.sample_shape, generator=torch.Generator().manual_seed(seed)))
    return None if images is None else np.stack([_to_uint8(row) for row in images])


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
        generated = _generated(fleet.model, code, GENERATION_SAMPLES, seed, _decoder(fleet, i))
        if generated is not None:
            judge = classifier_of(data, data_dir(cell.config["data_dir"]))
            normal = cell.split.train_index[cell.split.train_label == 0]
            outcome.metrics |= generation_metrics(generated, data, normal, judge)


def _panel(cell: Cell, headline: Tensor) -> tuple[Tensor, list[str]]:
    """Positions of the images that the contact sheet shows, and the group of each."""
    label = cell.split.eval_label
    generator = torch.Generator().manual_seed(cell.stream("panel"))
    chosen, groups = [], []
    for name, value in (("normal", 0), ("anomalous", 1)):
        positions = (label == value).nonzero().flatten()
        picks = positions[torch.randperm(len(positions), generator=generator)[:PANEL]]
        ranked = positions[headline[positions].argsort(descending=value == 0)[:PANEL]]
        extreme = "normal_most" if value == 0 else "anomalous_least"
        chosen += [picks, ranked]
        groups += [name] * len(picks) + [extreme] * len(ranked)
    return torch.cat(chosen), groups


def _decoder(fleet: Fleet, cell: int) -> Any:
    """A function that runs ``decode`` or ``sample`` with the cell's weights: images (B, C, H, W) or None."""
    parameters = {name: stack[cell] for name, stack in fleet.parameters.items()}
    buffers = {name: stack[cell] for name, stack in fleet.buffers.items()}

    def run(method: str, codes: Tensor) -> Tensor | None:
        with torch.no_grad():
            images = fleet.call(method, parameters, buffers, codes.to(fleet.device))
        return None if images is None else images.float().cpu()

    return run


def _latent_space(cell: Cell, code: Tensor, decode: Any, outcome: Outcome, images: Tensor) -> dict[str, np.ndarray]:
    normal = code[cell.split.eval_label == 0]
    low, high = normal.quantile(0.01, dim=0), normal.quantile(0.99, dim=0)
    xs, ys = (torch.linspace(float(low[d]), float(high[d]), GRID) for d in (0, 1))
    mesh = torch.stack(torch.meshgrid(ys, xs, indexing="ij"), dim=-1).flip(-1)  # (GRID, GRID, 2) of (x, y)
    grid = decode("decode", mesh.reshape(-1, 2))
    if grid is None:
        return {}
    return {
        "codes": code.numpy().astype(np.float32),
        "label": cell.split.eval_label.numpy().astype(np.uint8),
        "target": cell.split.eval_target.numpy(),
        "grid": _as_grid(_to_uint8(grid)),
        "grid_x": xs.numpy(),
        "grid_y": ys.numpy(),
        **_interpolation(cell, code, decode, images),
    }


def _interpolation(cell: Cell, code: Tensor, decode: Any, images: Tensor) -> dict[str, np.ndarray]:
    """Images decoded along the straight line between the codes of two normal images; empty without a decoder."""
    positions = (cell.split.eval_label == 0).nonzero().flatten()
    pixels = to_pixels(images[cell.split.eval_index[positions].to(images.device)]).flatten(1).cpu()
    far = (pixels - pixels[0]).square().sum(1)  # in pixels: every model is asked for the same two images
    ends = positions[torch.stack([torch.tensor(0), far.argsort()[int(0.9 * (len(far) - 1))]])]
    line = torch.lerp(code[ends[0]], code[ends[1]], torch.linspace(0, 1, STEPS).unsqueeze(1))  # (STEPS, D)
    decoded = decode("decode", line)
    if decoded is None:
        return {}
    return {
        "interpolation": _to_uint8(decoded),
        "interpolation_codes": line.numpy().astype(np.float32),
        "interpolation_ends": _side_by_side(images[cell.split.eval_index[ends].to(images.device)]),
    }


def _as_grid(images: np.ndarray) -> np.ndarray:
    """Images (GRID * GRID, H, W) -> (GRID, GRID, H, W)."""
    return images.reshape(GRID, GRID, *images.shape[1:])


def _to_uint8(pixels: Tensor) -> np.ndarray:
    """(B, C, H, W) in [0, 1] -> uint8, laid out as by ``_side_by_side``."""
    return _side_by_side(pixels.clamp(0, 1).mul(255).round().byte())


def _side_by_side(images: Tensor) -> np.ndarray:
    """Images (B, C, H, W) with their channels beside one another, as they are shown: (B, H, C*W).

    More than three channels are frames: they stand in equal rows, about as many rows as columns, first frame top left.
    """
    count = images.shape[1]
    columns = next(n for n in range(1, count + 1) if count % n == 0 and (n == count or (n * n >= count > 3)))
    rows = images.unflatten(1, (-1, columns))  # (B, rows, columns, H, W)
    return rows.transpose(2, 3).flatten(3, 4).flatten(1, 2).cpu().numpy()
