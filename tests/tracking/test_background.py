"""The tracker's thread: order, what is sent after an interrupt, and where an error comes out."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

import pytest

from benchmark.tracking.background import BackgroundTracker


@dataclass(frozen=True)
class Named:
    """A cell or its record, for all that the thread looks at."""

    fingerprint: str


ONE, TWO, THREE = map(Named, ("one", "two", "three"))


class Log:
    """Writes down what it is asked, in the place of MLflow."""

    def __init__(self, gate: Event | None = None) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.gate = gate

    def start_job(self, job: dict[str, str]) -> str:
        self.calls.append(("start", job["job"]))
        return f"run of {job['job']}"

    def log_cell(self, record: Named, parent: str) -> bool:
        if self.gate is not None:
            assert self.gate.wait(20)
        self.calls.append(("cell", record.fingerprint, parent))
        return True

    def end_job(self, parent: str, status: str, means: dict[str, float] | None) -> None:
        self.calls.append(("end", parent, status, means))

    def close(self) -> None:
        self.calls.append(("close",))


def test_calls_are_made_in_order_by_one_thread_while_the_caller_goes_on() -> None:
    gate = Event()
    log = Log(gate)
    tracker = BackgroundTracker(lambda: log)
    parent = tracker.start_job({"job": "a"})
    tracker.log_cell(ONE, parent)
    tracker.log_cell(TWO, parent)
    tracker.end_job(parent, "FINISHED", {"auroc": 0.5})
    assert ("end", "run of a", "FINISHED", {"auroc": 0.5}) not in log.calls  # nobody waited for it
    gate.set()
    tracker.close()
    assert log.calls == [
        ("start", "a"),
        ("cell", "one", "run of a"),
        ("cell", "two", "run of a"),
        ("end", "run of a", "FINISHED", {"auroc": 0.5}),
        ("close",),
    ]


def test_after_an_interrupt_the_cell_being_sent_is_finished_and_the_others_wait_for_the_next_start() -> None:
    gate = Event()
    log = Log(gate)
    tracker = BackgroundTracker(lambda: log)
    parent = tracker.start_job({"job": "a"})
    for record in (ONE, TWO, THREE):
        tracker.log_cell(record, parent)
    tracker.end_job(parent, "KILLED")
    while len(log.calls) < 1:
        pass
    tracker.given_up.set()
    gate.set()
    tracker.close(give_up=True)
    sent = [call for call in log.calls if call[0] == "cell"]
    assert sent in ([], [("cell", "one", "run of a")])
    assert log.calls[-2:] == [("end", "run of a", "KILLED", None), ("close",)]


def test_nothing_is_opened_before_it_is_needed_and_a_tracker_that_cannot_be_opened_is_done_without() -> None:
    opened = []

    def nothing() -> None:
        opened.append(1)

    BackgroundTracker(nothing).close()
    assert opened == []
    tracker = BackgroundTracker(nothing)
    parent = tracker.start_job({"job": "a"})
    tracker.log_cell(ONE, parent)
    tracker.end_job(parent, "FINISHED")
    tracker.close()
    assert opened == [1]


def test_an_error_is_raised_at_the_end() -> None:
    tracker = BackgroundTracker(lambda: Log())
    tracker.start_job({})  # no job: KeyError
    with pytest.raises(KeyError):
        tracker.close()
