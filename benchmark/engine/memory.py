"""Peak memory of a fleet's training and scoring.

It is what the allocator had given out at most, less what it had given out at the start: on CUDA torch's, which keeps
count (``max_memory_allocated``); on a CPU malloc's (``mallinfo2`` of glibc 2.33 and later), which is looked at after
``FIRST`` seconds, then after twice as long each time, at last every ``TICK``: a look holds malloc up for a tenth of a
millisecond, and two hundred a second made training a fifth slower. A shorter peak that does not come again may be
missed. Elsewhere nothing keeps such a
count, and there is no number. What the process occupies is more, by a factor that changes from cell to cell: malloc
keeps what was freed.

Both counts are of a whole process. So a number is of all fleets that were at work in it meanwhile, and comes with how
many cells those had. Data sets and programs are in none of them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Event, Lock, Thread

import torch
from torch import Tensor

FIRST, TICK = 0.005, 0.25


@dataclass(frozen=True)
class Peak:
    """Bytes that were held at most, and the most cells that were at work at once meanwhile."""

    bytes: int
    cells: int


class Span:
    """A time whose peak is measured: ``peak`` is there once it is over, None where nothing can be measured."""

    def __init__(self, cells: int) -> None:
        self.cells = self.beside = cells  # its own; the most that were at work at once
        self.start = self.most = 0  # bytes
        self.peak: Peak | None = None

    def note(self, held: int) -> None:
        """So many bytes were held."""
        self.most = max(self.most, held - self.start)


_LOCK = Lock()  # fleets are threads of one process
_OPEN: dict[str, list[Span]] = {}  # those that are being measured, by device


@contextmanager
def measured(device: torch.device | str, cells: int) -> Iterator[Span]:
    """Measure what so many cells need until the block ends."""
    where, span = torch.device(device), Span(cells)
    if not (where.type == "cuda" or (where.type == "cpu" and given_out() is not None)):
        yield span
        return
    with _LOCK:
        span.start = _begin(where)
        spans = _OPEN.setdefault(str(where), [])
        spans.append(span)
        at_work = sum(one.cells for one in spans)
        for one in spans:
            one.beside = max(one.beside, at_work)
    over = Event()
    watch = Thread(target=_watch, args=(span, over), name="memory", daemon=True) if where.type == "cpu" else None
    if watch is not None:
        watch.start()
    try:
        yield span
    finally:
        over.set()
        if watch is not None:
            watch.join()
        with _LOCK:
            span.note(_most(where))
            _OPEN[str(where)].remove(span)
        span.peak = Peak(span.most, span.beside)


def begin_peak(device: torch.device) -> None:
    """Let CUDA count its peak anew, for a look of one's own, without a loss to what is being measured."""
    with _LOCK:
        _begin(device)


def larger(training: Peak | None, scoring: Peak | None, held: int) -> Peak | None:
    """The larger of both; scoring began with so many bytes of a trained model in memory. None if one is unknown."""
    if training is None or scoring is None:
        return None
    scoring = Peak(scoring.bytes + held, scoring.cells)
    return training if training.bytes >= scoring.bytes else scoring


def size_of(stacks: Mapping[str, Tensor]) -> int:
    """Bytes of tensors."""
    return sum(stack.numel() * stack.element_size() for stack in stacks.values())


def _begin(device: torch.device) -> int:
    """Note the peak so far for those that are being measured, and begin another; returns the bytes held now."""
    for one in _OPEN.get(str(device), ()):
        one.note(_most(device))
    if device.type != "cuda":
        return _most(device)
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _most(device: torch.device) -> int:
    """The most bytes held since the last beginning; of a CPU those held now."""
    count = given_out()
    if device.type == "cuda" or count is None:
        return torch.cuda.max_memory_allocated(device)
    return count()


def _watch(span: Span, over: Event) -> None:
    count, tick = given_out(), FIRST
    while count is not None and not over.wait(tick):
        span.note(count())
        tick = min(2 * tick, TICK)


class _Info(ctypes.Structure):
    """``struct mallinfo2`` of malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks"),
            "keepcost",
        )
    ]


@cache
def given_out() -> Callable[[], int] | None:
    """Counts the bytes that malloc has given out; None where it does not say."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError, TypeError):
        return None
    ask.argtypes, ask.restype = (), _Info

    def count() -> int:
        info = ask()
        return info.uordblks + info.hblkhd  # of its arenas, and mapped one by one

    return count
