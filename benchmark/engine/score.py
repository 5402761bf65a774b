"""Scoring: every image on its own, with noise fixed beforehand, in large batches."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.train import Interrupted, autocast
from benchmark.models.base import Noise

QUANTITIES = ("kl", "bits_per_dim")  # what a model may say of each image besides its scores
GPU_SHARE = 0.25  # of a GPU's memory that a batch of all cells may fill


def draw_noise(specs: Mapping[str, Noise], seeds: Sequence[int], *leading: int) -> dict[str, Tensor]:
    """Noise of every cell from its own seed: name -> (cells, *leading, *shape)."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return {
        name: torch.stack([spec.draw(*leading, generator=g) for g in generators])
        for name, spec in sorted(specs.items())
    }


def assess(
    fleet: Fleet,
    images: Tensor,
    indices: Sequence[Tensor],
    seeds: Sequence[int],
    batch_size: int,
    precision: str = "fp32",
    keep: Sequence[str] = ("scores", *QUANTITIES, "code"),
    stop: Event | None = None,
) -> list[dict[str, Any]]:
    """What each cell's model says of its images, in evaluation mode and without touching parameters or buffers.

    ``images`` is uint8 (N, C, H, W) on the fleet's device, ``indices[i]`` the rows that cell i looks at (equally many
    for all cells), ``seeds[i]`` the seed of its scoring noise. Returns for each cell the entries of ``Model.assess``
    named in ``keep``, concatenated over the images and on the CPU. On a GPU the batches grow after the first to what
    its memory holds, unless memory ran out in it; where memory runs out, they are halved. Raises ``Interrupted`` once
    ``stop`` is set.
    """
    fleet.model.eval()
    noise = {name: value.to(fleet.device) for name, value in draw_noise(fleet.model.score_noise, seeds).items()}

    def one_cell(parameters: Any, buffers: Any, pixels: Tensor, noise: Any) -> dict[str, Any]:
        with autocast(fleet.device, precision):
            found = fleet.call("assess", parameters, buffers, pixels, noise)
        return {name: found[name] for name in keep if name in found}

    assess_cells = fleet.over_cells(one_cell)
    rows = torch.stack(list(indices))  # (cells, N)
    parts, grow = [], True
    pending = deque(rows.split(batch_size, dim=1))
    with torch.no_grad():
        while pending:
            if stop is not None and stop.is_set():
                raise Interrupted("stopped while scoring")
            chunk = pending.popleft()
            meter = _Meter(fleet.device) if grow else None
            grow = False
            try:
                pixels = to_pixels(images[chunk.to(images.device)])  # (cells, B, C, H, W)
                found = assess_cells(fleet.parameters, fleet.buffers, pixels, noise)
                parts.append(tree_map(lambda t: t.float().cpu(), found))
                if meter is not None and pending:
                    size = fitting(chunk.shape[1], *meter.read())
                    pending = deque(torch.cat(list(pending), dim=1).split(size, dim=1))
            except torch.OutOfMemoryError:
                if chunk.shape[1] == 1:
                    raise
                half = -(-chunk.shape[1] // 2)
                print(f"no memory for {fleet.size} x {chunk.shape[1]} images; going on with {half}", file=sys.stderr)
                torch.cuda.empty_cache()
                rest = torch.cat([chunk, *pending], dim=1)
                pending = deque(rest.split(half, dim=1))
    whole = tree_map(lambda *pieces: torch.cat(pieces, dim=1), *parts)  # (cells, N, ...)
    return [tree_map(lambda t, i=cell: t[i], whole) for cell in range(fleet.size)]


def fitting(count: int, used: int, memory: int) -> int:
    """How many images a batch may have, if ``count`` of them used so many bytes: a power of two times ``count``.

    It follows from a GPU's whole memory and not from what happens to be free, so that a command gives the same batches,
    and with them the same last digits, whenever it is run on the same GPU by one program at a time (as it is unless
    ``trainer.workers`` says otherwise: what programs of one process use is counted together).

    >>> fitting(500, used=10, memory=1000), fitting(500, used=1000, memory=1000), fitting(500, used=0, memory=0)
    (8000, 500, 500)
    """
    times = int(GPU_SHARE * memory / used) if used > 0 else 1
    return count * 2 ** (max(times, 1).bit_length() - 1)


class _Meter:
    """Memory that a GPU's batch uses, from here to ``read``; a CPU's batch is as large as it should be."""

    def __init__(self, device: torch.device) -> None:
        self.device = device if device.type == "cuda" else None
        if self.device is not None:
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)

    def read(self) -> tuple[int, int]:
        """Bytes used at most since then, and bytes there are; zeros on a CPU."""
        if self.device is None:
            return 0, 0
        used = torch.cuda.max_memory_allocated(self.device) - self.before
        return used, torch.cuda.get_device_properties(self.device).total_memory
