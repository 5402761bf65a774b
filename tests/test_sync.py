"""What MLflow does not have is sent once; runs of dead processes are ended, those of live ones are not."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from benchmark.config import TrackingConfig
from benchmark.store import processes
from benchmark.store.processes import SILENCE, Process
from benchmark.sync import main, sync
from benchmark.tracking.tracker import Tracker
from tests.faults.helpers import dead_process
from tests.tracking.test_tracker import EXPERIMENT, cell, connect, job, output_dir, runs


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, to copy."""
    folder = tmp_path_factory.mktemp("blank")
    Tracker.open(TrackingConfig(), folder, "blank").close()
    return folder / "mlflow.db"


@pytest.fixture
def output(blank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return output_dir(tmp_path / "outputs", blank)


def finished(tracker: Tracker) -> Counter[str]:
    return Counter(
        run.data.tags["fingerprint"] for run in runs(tracker, "tags.kind = 'cell' and attributes.status = 'FINISHED'")
    )


# sending


def test_what_is_not_there_is_sent_once(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracker = connect(output, EXPERIMENT)
    records = [cell(output, seed=seed) for seed in range(3)]
    parent = tracker.start_job(job(*records, output=output))
    assert tracker.log_cell(records[0], parent)
    tracker.end_job(parent, "KILLED")
    arguments = [f"experiment={EXPERIMENT}", f"output_dir={output}"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == "2 of 3 cells sent to MLflow, 1 were there.\n"
    assert main(arguments) == 0
    assert capsys.readouterr().out == "0 of 3 cells sent to MLflow, 3 were there.\n"
    assert finished(tracker) == Counter(record.fingerprint for record in records)
    found = runs(tracker, "tags.kind = 'job'")
    assert [run.info.run_id for run in found] == [parent], "the cells of a job stand below its run"
    assert {run.data.tags["mlflow.parentRunId"] for run in runs(tracker)} == {parent}


def test_a_sweep_without_mlflow_is_sent_whole(output: Path) -> None:
    tracker = connect(output, EXPERIMENT)
    records = [cell(output), cell(output, seed=2, state="failed", reason="ValueError: no good")]
    job(*records, output=output)
    result = sync(tracker, output, EXPERIMENT)
    assert (result.sent, result.there, result.refused) == (2, 0, 0)
    (parent,) = runs(tracker, "tags.kind = 'job'")
    assert parent.info.status == "FAILED"
    assert parent.data.metrics["cells_done"] == 1
    assert parent.data.metrics["auroc"] == records[0].metrics["auroc"]
    assert {run.info.status for run in runs(tracker)} == {"FINISHED", "FAILED"}
    result = sync(tracker, output, EXPERIMENT)
    assert (result.sent, result.there) == (0, 2), "a failed attempt is sent once, too"
    again = cell(output, seed=2, state="failed", reason="again", started="2026-01-02T00:00:00.000+00:00")
    assert not tracker.has(again), "another attempt is another run"


def test_a_run_that_was_given_up_halfway_does_not_count(output: Path) -> None:
    tracker = connect(output, EXPERIMENT)
    record = cell(output)
    job(record, output=output)
    assert tracker.log_cell(record, None)
    (first,) = runs(tracker)
    tracker.client.set_terminated(first.info.run_id, "KILLED")
    assert sync(tracker, output, EXPERIMENT).sent == 1
    assert [(run.info.run_id, run.info.status) for run in runs(tracker)] == [(first.info.run_id, "FINISHED")]


def test_a_cell_that_cannot_be_read_is_said(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, other = cell(output), cell(output, seed=2)
    job(record, other, output=output)
    (record.path / "metrics.json").write_text("{")
    assert main([f"experiment={EXPERIMENT}", f"output_dir={output}"]) == 1
    out = capsys.readouterr().out
    assert "1 of 1 cells sent" in out
    assert "1 cells cannot be read; python -m benchmark.status names them." in out


def test_a_store_that_cannot_be_used_costs_one_line(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = cell(output)
    job(record, output=output)
    (output / "mlflow.db").write_bytes(b"no database at all" * 100)
    assert main([f"experiment={EXPERIMENT}", f"output_dir={output}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be used" in line


def test_a_store_that_goes_away_is_said_and_the_rest_is_sent_later(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [cell(output, seed=seed) for seed in range(2)]
    job(*records, output=output)
    tracker = connect(output, EXPERIMENT)
    artifacts = Path(output / "mlartifacts")
    artifacts.write_text("a file where the folder of artifacts should be")
    assert sync(tracker, output, EXPERIMENT).refused == 2
    assert "MLflow did not take" in capsys.readouterr().err
    assert finished(tracker) == Counter()
    artifacts.unlink()
    assert sync(tracker, output, EXPERIMENT).sent == 2
    assert finished(tracker) == Counter(record.fingerprint for record in records)


def test_two_that_log_one_cell_at_once_make_one_run(output: Path) -> None:
    records = [cell(output, seed=seed) for seed in range(3)]
    trackers = [connect(output, EXPERIMENT) for _ in range(3)]
    barrier = Barrier(len(trackers))

    def log(tracker: Tracker) -> None:
        for record in records:
            barrier.wait(timeout=60)
            assert tracker.log_cell(record, None)

    threads = [Thread(target=log, args=(tracker,)) for tracker in trackers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert finished(trackers[0]) == Counter(record.fingerprint for record in records)


# dead processes


def own(tracker: Tracker, run_id: str, process: dict[str, Any], silent: float = 0.0) -> None:
    """Make a run one of this process, last heard of so many seconds ago."""
    heard = datetime.now(UTC) - timedelta(seconds=silent)
    tracker.client.set_tag(run_id, "process", json.dumps(process))
    tracker.client.set_tag(run_id, "heartbeat", heard.isoformat(timespec="seconds"))


def test_runs_of_dead_processes_are_ended_and_those_of_live_ones_are_not(output: Path) -> None:
    tracker = connect(output, EXPERIMENT)
    elsewhere = replace(Process.here(), host="another").to_json()
    owners = {
        "ours": (None, 0.0, "RUNNING"),
        "dead": (dead_process(), 0.0, "KILLED"),
        "number used again": ({**Process.here().to_json(), "started": "1"}, 0.0, "KILLED"),
        "elsewhere": (elsewhere, SILENCE - 60, "RUNNING"),
        "silent elsewhere": (elsewhere, SILENCE + 5, "KILLED"),
        "silent here": (Process.here().to_json(), SILENCE + 5, "RUNNING"),
    }
    content = job(cell(output), output=output)
    made = {}
    for name, (process, silent, _) in owners.items():
        made[name] = tracker.start_job(content)
        if process is not None:
            own(tracker, made[name], process, silent)
    other = connect(output, "other")
    ended = other.start_job(content)
    other.end_job(ended, "FINISHED")
    own(other, ended, dead_process())
    foreign = other.client.create_run(other.experiment_id, tags={"process": "nonsense"}).info.run_id
    connect(output, "a third")
    status = {name: tracker.client.get_run(run_id).info.status for name, run_id in made.items()}
    assert status == {name: expected for name, (*_, expected) in owners.items()}
    assert tracker.client.get_run(ended).info.status == "FINISHED"
    assert tracker.client.get_run(foreign).info.status == "RUNNING"
    for name in made:
        tracker.end_job(made[name], "FINISHED")


def test_a_job_gives_signs_of_life_until_it_ends(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "BEAT", 0.05)
    tracker = connect(output, EXPERIMENT)
    parent = tracker.start_job(job(cell(output), output=output))
    own(tracker, parent, Process.here().to_json(), silent=1000)

    def heard() -> datetime:
        return datetime.fromisoformat(tracker.client.get_run(parent).data.tags["heartbeat"])

    pulse = tracker.pulses[parent]
    for _ in range(200):
        if datetime.now(UTC) - heard() < timedelta(seconds=60):
            break
        pulse.thread.join(0.05)
    assert datetime.now(UTC) - heard() < timedelta(seconds=60)
    tracker.end_job(parent, "FINISHED")
    pulse.thread.join(10)
    assert not pulse.thread.is_alive()


def test_a_store_is_made_whole_or_not_at_all(tmp_path: Path, blank: Path) -> None:
    """What a kill in the middle of its making left is not taken for a store."""
    half = tmp_path / f".mlflow.db.{'0' * 32}.tmp"
    with sqlite3.connect(half) as database:
        database.execute("CREATE TABLE experiments (half INTEGER)")
    shutil.copy(half, half.with_name(half.name + "-journal"))
    tracker = connect(tmp_path)
    assert tracker.client.get_experiment_by_name("cells") is not None
    tracker.close()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".mlflow")]
