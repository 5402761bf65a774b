"""Scoring: every image on its own, with noise fixed beforehand, in large batches."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from benchmark.engine.batching import Batching
from benchmark.engine.device import autocast
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.state import Interrupted
from benchmark.models.base import Noise
from benchmark.rules.base import Rule

QUANTITIES = ("kl", "bits_per_dim")  # what a model may say of each image besides its scores


@dataclass(frozen=True)
class View:
    """The images that one cell looks at, and the seed of its scoring noise."""

    index: Tensor  # (N,): rows of the images, equally many for all cells of a fleet
    seed: int


@dataclass(frozen=True)
class Scoring:
    """How a fleet is scored."""

    batch_size: int  # images at once, of every cell
    precision: str = "fp32"  # fp32 | tf32 | bf16
    stop: Event | None = None  # once it is set, scoring raises ``Interrupted``
    rules: Mapping[str, Rule] = field(default_factory=dict)  # that judge each cell besides its headline score, by name


@dataclass(frozen=True)
class Scored:
    """What a cell's model says of N images, on the CPU; what was not wanted, or what it lacks, is empty or None."""

    scores: Mapping[str, Tensor] = field(default_factory=dict)  # name -> (N,)
    quantities: Mapping[str, Tensor] = field(default_factory=dict)  # name of QUANTITIES -> (N,)
    code: Tensor | None = None  # (N, D)
    reconstruction: Tensor | None = None  # (N, C, H, W)

    def first(self, count: int) -> Scored:
        """What is said of the first ``count`` images."""
        scores, quantities = ({k: v[:count] for k, v in each.items()} for each in (self.scores, self.quantities))
        code, reconstruction = (None if t is None else t[:count] for t in (self.code, self.reconstruction))
        return Scored(scores, quantities, code, reconstruction)


def draw_noise(specs: Mapping[str, Noise], seeds: Sequence[int], *leading: int) -> dict[str, Tensor]:
    """Noise of every cell from its own seed: name -> (cells, *leading, *shape)."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return {
        name: torch.stack([spec.draw(*leading, generator=g) for g in generators])
        for name, spec in sorted(specs.items())
    }


def score_images(
    fleet: Fleet,
    images: Tensor,
    views: Sequence[View],
    how: Scoring,
    wanted: Sequence[str] = ("scores", *QUANTITIES, "code"),
) -> list[Scored]:
    """What each cell's model says of its images, in evaluation mode and without touching parameters or buffers.

    ``images`` is uint8 (N, C, H, W) on the fleet's device. ``wanted`` are entries of ``Model.assess``. Where memory
    runs out the batches are halved; one image that has no room is an error.
    """
    fleet.model.eval()
    noise = draw_noise(fleet.model.score_noise, [view.seed for view in views])
    noise = {name: values.to(fleet.device) for name, values in noise.items()}

    def one_cell(parameters: Any, buffers: Any, pixels: Tensor, noise: Any) -> dict[str, Any]:
        with autocast(fleet.device, how.precision):
            found = fleet.call("assess", parameters, buffers, pixels, noise)
        return {name: found[name] for name in wanted if name in found}

    over_cells, parts = fleet.over_cells(one_cell), []
    batches = Batching(torch.stack([view.index for view in views]), how.batch_size, fleet.device)
    for rows in batches:
        if how.stop is not None and how.stop.is_set():
            raise Interrupted("stopped while scoring")
        try:
            pixels = to_pixels(images[rows.to(images.device)])  # (cells, B, C, H, W)
            with torch.no_grad():
                found = over_cells(fleet.parameters, fleet.buffers, pixels, noise)
            parts.append(tree_map(lambda t: t.float().cpu(), found))
        except torch.OutOfMemoryError:
            if rows.shape[1] == 1:
                raise
            half = batches.halve(rows)
            print(f"no memory for {fleet.size} x {rows.shape[1]} images; going on with {half}", file=sys.stderr)
            torch.cuda.empty_cache()
    whole = tree_map(lambda *pieces: torch.cat(pieces, dim=1), *parts)  # (cells, N, ...)
    return [_of_cell(tree_map(lambda t, i=cell: t[i], whole)) for cell in range(fleet.size)]


def score_unequal(
    fleet: Fleet, images: Tensor, views: Sequence[View], how: Scoring, wanted: Sequence[str]
) -> list[Scored]:
    """``score_images`` of cells that look at different numbers of images; of none, if one of them looks at none."""
    longest = max(len(view.index) for view in views)
    if min(len(view.index) for view in views) == 0:
        return [Scored() for _ in views]
    filled = [
        View(torch.cat([view.index, view.index[:1].expand(longest - len(view.index))]), view.seed) for view in views
    ]
    found = score_images(fleet, images, filled, how, wanted)
    return [scored.first(len(view.index)) for scored, view in zip(found, views, strict=True)]


def _of_cell(found: Mapping[str, Any]) -> Scored:
    quantities = {name: found[name] for name in QUANTITIES if name in found}
    return Scored(found.get("scores", {}), quantities, found.get("code"), found.get("reconstruction"))
