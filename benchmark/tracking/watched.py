"""Cells in training: what their epochs said, and when MLflow is told of it, seldom and of all cells together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.cells import Cell

SHARE = 100  # what is sent takes at most a hundredth of the time


@dataclass(frozen=True)
class Training:
    """A cell in training, and what its epochs said so far."""

    cell: Cell
    started: str  # ISO 8601
    history: Sequence[Mapping[str, float]]  # a row an epoch
    parent: Any  # the run of its job, as who sends it has it


class Watched:
    """The cells in training, and when MLflow is to be told of them next. Called from several threads."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds  # between two sendings, at least; None: nothing is sent
        self.lock = Lock()
        self.cells: dict[str, Training] = {}  # that have more to say, by their fingerprints
        self.since: dict[str, float] = {}  # monotonic time of each cell's first epoch
        self.next = 0.0  # monotonic time before which nothing is sent
        self.waiting = False  # until one has ended that was asked for

    def add(self, training: Training) -> bool:
        """Note that a cell has ended an epoch; returns whether it is time to send, as it then has to be done."""
        if self.seconds is None:
            return False
        fingerprint, now = training.cell.fingerprint, time.monotonic()
        with self.lock:
            self.cells[fingerprint] = training
            self.since.setdefault(fingerprint, now)
            due = not self.waiting and now >= self.next and self._is_long(fingerprint, now)
            self.waiting = self.waiting or due
        return due

    def _is_long(self, fingerprint: str, now: float) -> bool:
        """Whether the cell trains for long enough by now to have its run before its end."""
        return self.seconds is not None and now - self.since[fingerprint] >= self.seconds

    def drop(self, fingerprint: str) -> None:
        """The cell is trained: its record tells the rest."""
        with self.lock:
            self.cells.pop(fingerprint, None)
            self.since.pop(fingerprint, None)

    def clear(self) -> None:
        """No cell is trained any more."""
        with self.lock:
            self.cells.clear()
            self.since.clear()

    def take(self) -> list[Training]:
        """What there is to be sent, each history as long as it is now."""
        now = time.monotonic()
        with self.lock:
            ready = [fingerprint for fingerprint in self.cells if self._is_long(fingerprint, now)]
            taken = [self.cells.pop(fingerprint) for fingerprint in ready]
        return [replace(one, history=tuple(one.history)) for one in taken]

    def sent(self, seconds: float) -> None:
        """A sending has ended that took so many seconds."""
        with self.lock:
            self.waiting = False
            self.next = time.monotonic() + max(self.seconds or 0.0, SHARE * seconds)
