"""A tracker with a thread of its own: cells go to MLflow, in order, while the next ones are trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

from benchmark.tracking.watched import Training, Watched

if TYPE_CHECKING:
    from benchmark.cells import Cell
    from benchmark.store.format import PlannedJob
    from benchmark.store.records import Record
    from benchmark.tracking.tracker import Tracker

Parent = Future[str | None]  # of the run id of a job


class BackgroundTracker:
    """What ``Tracker`` does, each call handed to one thread that does them in order.

    The thread also opens the tracker, at the first call, so that importing MLflow and looking at its store do not keep
    the first cell waiting. What a call raises (a tracker itself only warns) is raised by ``close``.
    """

    def __init__(self, open_tracker: Callable[[], Tracker | None], history_seconds: float | None = None) -> None:
        self.open_tracker = open_tracker
        self.watched = Watched(history_seconds)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="tracker")
        self.calls: list[Future[Any]] = []
        self.given_up = Event()
        self.opened: Future[Tracker | None] | None = None

    def start_job(self, job: PlannedJob) -> Parent:
        return self._call(lambda tracker: tracker.start_job(job))

    def log_epoch(self, cell: Cell, started: str, history: Sequence[Mapping[str, float]], parent: Parent) -> None:
        """Take note of an epoch of a cell in training. It returns at once, and most often nothing is sent."""
        if self.watched.add(Training(cell, started, history, parent)):
            self._call(self._log_history)

    def _log_history(self, tracker: Tracker) -> None:
        start = time.monotonic()
        try:
            for training in self.watched.take() if not self.given_up.is_set() else ():
                tracker.log_history([training], training.parent.result())
        finally:
            self.watched.sent(time.monotonic() - start)

    def log_cell(self, record: Record, parent: Parent) -> None:
        self.watched.drop(record.fingerprint)
        self._call(lambda tracker: None if self.given_up.is_set() else tracker.log_cell(record, parent.result()))

    def log_missing(self, job: PlannedJob, records: Sequence[Record]) -> None:
        finished = list(records)
        self._call(lambda tracker: None if self.given_up.is_set() else tracker.log_missing(job, finished))

    def log_models(self, records: Sequence[Record]) -> None:
        finished = list(records)
        self._call(lambda tracker: None if self.given_up.is_set() else tracker.log_models(finished))

    def end_job(self, parent: Parent, status: str, means: Mapping[str, float] | None = None) -> None:
        self.watched.clear()
        self._call(lambda tracker: tracker.end_job(parent.result(), status, means))

    def close(self, give_up: bool = False) -> None:
        """Wait for what was asked for, without the cells still to be sent where ``give_up`` (they are on disk)."""
        if give_up:
            self.given_up.set()
        if self.opened is not None:
            self._call(lambda tracker: tracker.close())
        self.thread.shutdown(wait=True)
        for call in self.calls:
            call.result()

    def _call(self, function: Callable[[Tracker], Any]) -> Future[Any]:
        if self.opened is None:
            self.opened = self.thread.submit(self.open_tracker)
        opened = self.opened

        def run() -> Any:
            tracker = opened.result()
            return None if tracker is None else function(tracker)  # MLflow cannot be used: said when it was opened

        self.calls.append(self.thread.submit(run))
        return self.calls[-1]
