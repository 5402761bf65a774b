"""Cells in training are seen in MLflow while they train, in the one run that takes their record later."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from benchmark.cells import Cell
from benchmark.code_hash import model_code
from benchmark.store import processes
from benchmark.store.format import PlannedJob
from benchmark.store.processes import SILENCE, Process
from benchmark.store.records import Record, read_record
from benchmark.tracking import watched
from benchmark.tracking.background import BackgroundTracker
from benchmark.tracking.heartbeat import close_dead_runs
from benchmark.tracking.tracker import Tracker
from benchmark.tracking.watched import Training, Watched
from tests.faults.helpers import run_here
from tests.faults.warm import Forked, python
from tests.tracking.test_tracker import HISTORY, cell, connect, job, output, runs  # noqa: F401

STARTED = "2026-01-01T00:00:00.250+00:00"  # of the records that `cell` makes
LATER = "2026-01-02T00:00:00.000+00:00"
CODE = model_code("vae")


def training(record: Record, epochs: int, started: str = STARTED) -> Training:
    """The cell of a record while it was trained, after so many epochs."""
    config = {**record.config(), "model": {**record.config()["model"], "headline": "reconstruction"}}
    config["model"]["_target_"] = "benchmark.models.vae.VAE"
    one = Cell(record.axes, record.status.variant, config, record.fingerprint, None)
    return Training(one, started, HISTORY[:epochs], None)


def history(tracker: Tracker, run: Any, key: str = "history/kl") -> list[tuple[int, float]]:
    found = tracker.client.get_metric_history(run.info.run_id, key)
    return sorted((one.step, one.value) for one in found)


def of_three_epochs(key: str = "train/kl") -> list[tuple[int, float]]:
    return [(row["epoch"], row[key]) for row in HISTORY]


@pytest.fixture
def store(output: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return output


def test_a_cell_in_training_is_a_run_that_takes_its_record_later(store: Path) -> None:
    tracker, record = connect(store), cell(store, code=CODE)
    parent = tracker.start_job(job(record, output=store))
    tracker.log_history([training(record, 1)], parent)
    (run,) = runs(tracker)
    assert (run.info.status, run.data.tags["state"], run.info.start_time) == ("RUNNING", "running", 1767225600250)
    assert run.info.run_name == "vae fashion_mnist 3 Dress seed 1"
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.params["trainer.epochs"] == "3"
    assert history(tracker, run) == of_three_epochs()[:1]
    tracker.log_history([training(record, 2)], parent)
    assert history(tracker, run) == of_three_epochs()[:2], "what was sent is not sent again"
    assert not tracker.has(record)
    assert tracker.log_cell(record, parent)
    tracker.end_job(parent, "FINISHED")
    (run,) = runs(tracker)
    assert (run.info.status, run.data.tags["state"], run.info.end_time) == ("FINISHED", "done", 1767225660500)
    assert history(tracker, run) == of_three_epochs()
    assert run.data.metrics["auroc"] == record.metrics["auroc"]
    assert run.data.tags["mlflow.note.content"].endswith("auroc 0.3333, fpr95 0.0000.")
    folder = Path(tracker.client.download_artifacts(run.info.run_id, "cell", str(store)))
    assert read_record(folder).fingerprint == record.fingerprint
    assert tracker.has(record)


def test_a_job_that_is_given_up_closes_its_cells_and_the_next_start_goes_on_in_them(store: Path) -> None:
    first, record = connect(store), cell(store, code=CODE)
    planned = job(record, output=store)
    parent = first.start_job(planned)
    first.log_history([training(record, 2)], parent)
    first.end_job(parent, "KILLED")
    (run,) = runs(first)
    assert run.info.status == "KILLED"
    second = connect(store)
    parent = second.start_job(planned)
    changed = [HISTORY[0], {**HISTORY[1], "train/kl": 7.0}, HISTORY[2]]  # another device rounds otherwise
    second.log_history([replace(training(record, 3, LATER), history=changed)], parent)
    (again,) = runs(second)
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "RUNNING")
    assert again.data.tags["mlflow.parentRunId"] == parent
    assert history(second, again, "history/reconstruction") == of_three_epochs("train/reconstruction")
    assert history(second, again) == [(1, 0.1), (2, 0.2), (2, 7.0), (3, HISTORY[2]["train/kl"])]
    failed = cell(store, code=CODE, started=LATER, state="failed", reason="no room", metrics={})
    assert second.log_cell(failed, parent)
    (again,) = runs(second)
    assert (again.info.status, again.data.tags["reason"]) == ("FAILED", "no room")
    assert second.has(failed), "by the time of its attempt, though the run began before"
    assert not second.has(cell(store, code=CODE, started="2026-01-03T00:00:00.000+00:00", state="failed", reason="-"))


@pytest.mark.parametrize("closed", [True, False])
def test_what_a_dead_process_left_open_takes_the_record_of_who_trained_the_cell_after_it(
    store: Path, closed: bool
) -> None:
    """It may have been trained in a moment, from its last checkpoint: then nothing was seen of it in between."""
    dead, record = connect(store), cell(store, code=CODE, started=LATER)
    parent = dead.start_job(job(record, output=store))
    dead.log_history([training(record, 2)], parent)
    (left,) = runs(dead)
    if closed:
        gone = json.dumps({**Process.here().to_json(), "started": "1"})
        dead.client.set_tag(left.info.run_id, "process", gone)
    other = connect(store)
    assert other.client.get_run(left.info.run_id).info.status == ("KILLED" if closed else "RUNNING")
    assert other.log_cell(record, None)
    states = Counter(run.info.status for run in runs(other))
    assert states == ({"FINISHED": 1} if closed else {"RUNNING": 1, "FINISHED": 1}), "one that lives is not taken away"


@pytest.mark.parametrize(
    ("step", "late", "state"),
    [
        ("log_batch", False, "done"),
        ("log_batch", True, "failed"),
        ("log_inputs", True, "done"),
        ("end", False, "done"),
        ("end", False, "failed"),
        ("end", True, "done"),
    ],
)
def test_a_process_killed_while_it_logs_a_short_cell_leaves_the_run_to_the_next(
    store: Path, step: str, late: bool, state: str
) -> None:
    """Before and after each step, with no more warning than kill -9 gives: the cell has one run, and all is in it."""
    script = f"""
import os, sys
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Store
from pathlib import Path
from benchmark.store.records import read_record
from tests.tracking.test_tracker import connect
name = {"update_run_info" if step == "end" else step!r}
original = getattr(Store, name)
def dying(*arguments, **keywords):
    if {late}:
        original(*arguments, **keywords)
    os.kill(os.getpid(), 9)
tracker = connect(Path(sys.argv[1]))
setattr(Store, name, dying)
tracker.log_cell(read_record(Path(sys.argv[2])), None)
"""
    changes = {"state": "failed", "reason": "no room", "metrics": {}} if state == "failed" else {}
    record = cell(store, code=CODE, **changes)
    killed = python(Path(__file__).parents[2], "-c", script, str(store), str(record.path))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    ended = step == "end" and late
    other = connect(store)
    (left,) = runs(other)
    assert ended or (left.info.status == "KILLED" and not other.has(record))
    assert ended or step == "end" or left.data.tags["state"] == "running", "it has not told what became of the cell"
    assert other.log_cell(record, None)
    (run,) = runs(other)
    assert (run.info.run_id, run.data.tags["state"]) == (left.info.run_id, state)
    assert run.info.status == ("FINISHED" if state == "done" else "FAILED")
    assert {key: run.data.metrics[key] for key in record.metrics} == record.metrics
    assert history(other, run) == of_three_epochs()
    assert len(run.inputs.dataset_inputs) == 2
    assert other.has(record)


def test_a_cell_that_is_done_after_its_failure_was_logged_by_half_has_no_reason(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = connect(store)
    with monkeypatch.context() as patch:

        def gone(*arguments: Any, **keywords: Any) -> None:
            raise OSError("gone")

        patch.setattr(SqlAlchemyStore, "update_run_info", gone)
        assert not tracker.log_cell(cell(store, code=CODE, state="failed", reason="no room", metrics={}), None)
    (left,) = runs(tracker)
    tracker.client.set_terminated(left.info.run_id, "KILLED")
    assert tracker.log_cell(cell(store, code=CODE, started=LATER), None)
    (run,) = runs(tracker)
    assert (run.info.status, run.data.tags["state"]) == ("FINISHED", "done")
    assert "reason" not in run.data.tags


def test_a_cell_that_mlflow_has_and_that_is_trained_again_gets_no_second_run(store: Path) -> None:
    tracker, record = connect(store), cell(store, code=CODE)
    assert tracker.log_cell(record, None)
    parent = tracker.start_job(job(record, output=store))
    tracker.log_history([training(record, 2, LATER)], parent)
    tracker.end_job(parent, "FINISHED")
    assert [run.info.status for run in runs(tracker)] == ["FINISHED"]


def test_a_record_that_mlflow_did_not_take_at_once_ends_in_the_run_of_its_training(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, record = connect(store), cell(store, code=CODE)
    parent = tracker.start_job(job(record, output=store))
    tracker.log_history([training(record, 2)], parent)
    with monkeypatch.context() as patch:

        def full(*arguments: Any, **keywords: Any) -> None:
            raise OSError("disk full")

        patch.setattr(SqlAlchemyStore, "log_inputs", full)
        assert not tracker.log_cell(record, parent)
    tracker.end_job(parent, "FINISHED")
    (run,) = runs(tracker)
    assert (run.info.status, run.data.tags["state"]) == ("FINISHED", "done")
    assert history(tracker, run) == of_three_epochs()


def test_losses_that_are_no_numbers_are_sent_once(store: Path) -> None:
    tracker, record = connect(store), cell(store, code=CODE)
    parent = tracker.start_job(job(record, output=store))
    rows = [{"epoch": 1, "step": 10, "train/kl": math.nan, "train/reconstruction": math.inf}]
    for _ in range(2):
        tracker.log_history([replace(training(record, 1), history=rows)], parent)
    (run,) = runs(tracker)
    for key in ("history/kl", "history/reconstruction"):
        assert len(history(tracker, run, key)) == 1


def test_a_cell_lives_while_its_job_gives_signs_of_life(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another machine, whose processes cannot be looked up."""
    tracker, record = connect(store), cell(store, code=CODE)
    parent = tracker.start_job(job(record, output=store))
    tracker.log_history([training(record, 1)], parent)
    elsewhere = json.dumps({**Process.here().to_json(), "host": "elsewhere"})
    long_ago = (datetime.now(UTC) - timedelta(seconds=2 * SILENCE)).isoformat()
    (run,) = runs(tracker)
    for run_id in (run.info.run_id, parent):
        tracker.client.set_tag(run_id, "process", elsewhere)
    tracker.client.set_tag(run.info.run_id, "heartbeat", long_ago)
    assert close_dead_runs(tracker.client) == 0
    tracker.client.set_tag(parent, "heartbeat", long_ago)
    assert close_dead_runs(tracker.client) == 2
    assert processes.SILENCE == SILENCE


# when


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr(watched.time, "monotonic", lambda: now[0])

    def set_to(seconds: float) -> None:
        now[0] = 1000 + seconds

    return set_to


def test_short_cells_are_not_sent_and_long_ones_at_most_a_hundredth_of_the_time(
    tmp_path: Path, clock: Callable[[float], None]
) -> None:
    one, two = (training(cell(tmp_path, seed=seed), 3) for seed in (1, 2))
    watch = Watched(10)
    assert not watch.add(one)
    clock(9)
    assert not watch.add(one)
    watch.drop(one.cell.fingerprint)  # it is done
    clock(11)
    assert not watch.add(two), "it has only begun"
    clock(21)
    assert watch.add(two)
    assert not watch.add(two), "asked for already"
    assert [(sent.cell, sent.history) for sent in watch.take()] == [(two.cell, tuple(two.history))]
    watch.sent(seconds=0.5)
    clock(70)
    assert not watch.add(two), "half a second is a hundredth of fifty"
    clock(72)
    assert watch.add(two)
    watch.clear()
    assert watch.take() == []


def test_null_sends_nothing_before_the_end(tmp_path: Path, clock: Callable[[float], None]) -> None:
    watch, one = Watched(None), training(cell(tmp_path), 3)
    for seconds in (0, 100, 1000):
        clock(seconds)
        assert not watch.add(one)


def test_the_thread_tells_epochs_before_the_record_and_nothing_after_it(tmp_path: Path) -> None:
    told = []

    class Log:
        def start_job(self, job: PlannedJob) -> str:
            return "run"

        def log_history(self, trainings: list[Training], parent: str) -> None:
            told.extend(("epochs", len(one.history), parent) for one in trainings)

        def log_cell(self, record: Record, parent: str) -> None:
            told.append(("record", parent))

        def end_job(self, parent: str, status: str, means: object) -> None:
            told.append(("end", status))

        def close(self) -> None:
            pass

    record = cell(tmp_path, code=CODE)
    tracker, one = BackgroundTracker(Log, 0.0), training(record, 3)
    parent = tracker.start_job(job(record, output=tmp_path))
    rows: list[dict[str, float]] = []
    for row in one.history:
        rows.append(row)
        tracker.log_epoch(one.cell, one.started, rows, parent)
        while tracker.watched.waiting:
            time.sleep(0.001)
        tracker.watched.next = 0.0  # a sending takes its time, and a hundred times as long nothing is sent
    tracker.log_cell(record, parent)
    tracker.end_job(parent, "FINISHED")
    tracker.close()
    assert told == [*(("epochs", count, "run") for count in (1, 2, 3)), ("record", "run"), ("end", "FINISHED")]


# a whole command


def test_a_command_killed_in_training_goes_on_in_the_run_of_its_cell(store: Path, tmp_path: Path) -> None:
    arguments = ["model=ae", "dataset=digits", "split.normal_class=0", "split.test_limit=100", "trainer.epochs=200"]
    arguments += ["tracking.figures=false", "tracking.history_seconds=0.05", "trainer.checkpoint_seconds=0.01"]
    log = tmp_path / "log"
    log.write_text("")
    process = Forked(tmp_path, "-m", "benchmark", *arguments, out=log, err=log, MLFLOW_TRACKING_URI="")
    database, seen = store / "mlflow.db", 0
    try:
        deadline = time.monotonic() + 120
        while seen == 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
            seen = epochs_seen(database)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert run_here(tmp_path, *arguments).returncode == 0
    client = MlflowClient(f"sqlite:///{database}")
    experiments = [one.experiment_id for one in client.search_experiments()]
    (found,) = client.search_runs(experiments, "tags.kind = 'cell'")
    assert (found.info.status, found.data.tags["state"]) == ("FINISHED", "done")
    steps = [one.step for one in client.get_metric_history(found.info.run_id, "history/loss")]
    assert steps == list(range(1, 201)), "an epoch is missing or there twice"
    sent = {one.timestamp for one in client.get_metric_history(found.info.run_id, "history/loss")}
    assert len(sent) > 1, "all of it came with the record"
    jobs = client.search_runs(experiments, "tags.kind = 'job'")
    assert sorted(run.info.status for run in jobs) == ["FINISHED", "KILLED"]


def epochs_seen(path: Path) -> int:
    """Of cells in training, for all that MLflow knows."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        query = "SELECT count(*) FROM metrics JOIN runs USING (run_uuid) WHERE status = 'RUNNING' AND key LIKE 'hist%'"
        return int(database.execute(query).fetchone()[0])
