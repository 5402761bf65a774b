"""Batches as large as memory has room for: they grow after the first, and are halved where memory runs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmark.engine import memory

GPU_SHARE = 0.25  # of a GPU's memory that a batch of all cells may fill


class Batching:
    """Iterates over rows (cells, N) in batches (cells, B), all of them in order.

    On a GPU the batches grow after the first to what its memory holds. A batch that it has no room for is handed back
    with ``halve``: it comes again in halves, all later ones are as small, and none grows any more.
    """

    def __init__(self, rows: Tensor, size: int, device: torch.device) -> None:
        self.pending = deque(rows.split(size, dim=1))
        self.size, self.device = size, device
        self.meter: _Meter | None = None  # of the first batch, while it is out
        self.may_grow = True

    def __iter__(self) -> Iterator[Tensor]:
        return self

    def __next__(self) -> Tensor:
        if self.meter is not None and self.pending:
            self._split(fitting(self.size, *self.meter.read()))
        self.meter = _Meter(self.device) if self.may_grow else None
        self.may_grow = False
        if not self.pending:
            raise StopIteration
        return self.pending.popleft()

    def halve(self, batch: Tensor) -> int:
        """Go on from this batch, the last one given, with half its size, which is returned."""
        self.meter = None
        self.pending.appendleft(batch)
        half = -(-batch.shape[1] // 2)
        self._split(half)
        return half

    def _split(self, size: int) -> None:
        self.size = size
        self.pending = deque(torch.cat(list(self.pending), dim=1).split(size, dim=1))


def fitting(count: int, used: int, memory: int) -> int:
    """How many images a batch may have, if ``count`` of them used so many bytes: a power of two times ``count``.

    It follows from a GPU's whole memory and not from what happens to be free, so that a command gives the same batches,
    and with them the same last digits, whenever it is run on the same GPU by one fleet at a time (as it is unless
    ``trainer.workers`` says otherwise: what fleets of one process use is counted together).

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
            memory.begin_peak(self.device)
            self.before = torch.cuda.memory_allocated(self.device)

    def read(self) -> tuple[int, int]:
        """Bytes used at most since then, and bytes there are; zeros on a CPU."""
        if self.device is None:
            return 0, 0
        used = torch.cuda.max_memory_allocated(self.device) - self.before
        return used, torch.cuda.get_device_properties(self.device).total_memory
