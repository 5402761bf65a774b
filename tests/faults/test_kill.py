"""A sweep that is killed again and again ends as one that never was."""

from __future__ import annotations

import contextlib
import csv
import random
import re
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmark.store.records import read_record
from tests.faults.warm import Forked, run
from tests.stores import MIGRATED

SWEEP = [
    *("-m", "model=pca,ae", "dataset=digits", "split.normal_class=[0,1]", "seed=[0,1]", "split.test_limit=100"),
    *("trainer.epochs=120", "trainer.workers=1", "tracking.figures=false", "experiment_name=kill"),
]
CELLS = 8
SEED = 20
UNLIKE = re.compile(r"second|peak_memory")  # columns that differ between any two runs


def test_a_sweep_killed_at_random_moments_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """Killed while the store is made, in its first job and in its second; ``tests.tools.soak`` kills far more often."""
    plain, killed = tmp_path / "plain", tmp_path / "killed"
    plain.mkdir()
    killed.mkdir()
    undisturbed = run(plain, *SWEEP, "tracking=off")
    assert undisturbed.returncode == 0, undisturbed.stderr
    draw = random.Random(SEED)
    kill_while_the_store_is_made(killed, draw)
    done_before = [
        kill_at_work(killed, lambda: job_is_recorded(killed / "outputs" / "mlflow.db"), draw.uniform(0, 0.3)),
        kill_at_work(killed, lambda: "\nae on digits" in (killed / "log").read_text(), draw.uniform(0.1, 0.5)),
    ]
    last = run(killed, *SWEEP)
    assert last.returncode == 0, last.stderr
    assert f"{CELLS} of {CELLS} cells done" in last.stdout
    assert min(done_before) < CELLS, "the kills came after the work"

    outputs = killed / "outputs"
    cells = [path.parent for path in (outputs / "cells").rglob("status.json")]
    assert [read_record(path).state for path in cells] == ["done"] * CELLS
    hidden = {path.name for path in outputs.rglob(".*")}
    assert hidden == {".locks"}, "something of a killed process is left"
    client = MlflowClient(f"sqlite:///{outputs / 'mlflow.db'}")
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = client.search_runs(experiments)
    finished = [one for one in runs if one.data.tags["kind"] == "cell" and one.info.status == "FINISHED"]
    assert Counter(one.data.tags["fingerprint"] for one in finished) == Counter(
        read_record(path).fingerprint for path in cells
    )
    assert {one.info.status for one in runs} <= {"FINISHED", "KILLED"}, "a run of a dead process is still RUNNING"
    assert "KILLED" in {one.info.status for one in runs}, "no job was interrupted"
    assert table(killed) == table(plain)
    status = run(killed, "experiment=kill", module="benchmark.status")
    assert (status.returncode, status.stderr) == (0, "")
    assert f"{CELLS} of {CELLS} cells done." in status.stdout


def start(folder: Path, **changes: str) -> tuple[Forked, Path]:
    log = folder / "log"
    log.write_text("")
    return Forked(folder, "-m", "benchmark", *SWEEP, out=log, err=log, **changes), log


def kill_while_the_store_is_made(folder: Path, draw: random.Random) -> None:
    """MLflow's migrations of an empty store take a while; what is half made must not be used.

    A kill that came after them is no test: it is tried again on an empty folder.
    """
    for _ in range(5):
        process, log = start(folder, **{MIGRATED: "1"})
        try:
            wait_for(lambda: list((folder / "outputs").glob(".mlflow.db.*.tmp")), process, log)
            time.sleep(draw.uniform(0, 0.2))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if not (folder / "outputs" / "mlflow.db").exists():
            return
        shutil.rmtree(folder / "outputs")
    pytest.fail("five kills in a row came after the store was made")


def kill_at_work(folder: Path, condition: Callable[[], object], delay: float) -> int:
    """Kill a sweep so many seconds after the condition holds; returns how many cells are done."""
    process, log = start(folder)
    try:
        wait_for(condition, process, log)
        time.sleep(delay)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return len(list((folder / "outputs" / "cells").rglob("status.json")))


def job_is_recorded(store: Path) -> bool:
    """Whether a job is running, for all that MLflow knows."""
    if not store.exists():
        return False
    with contextlib.closing(sqlite3.connect(store)) as database:
        return database.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone()[0] > 0


def wait_for(condition: Callable[[], object], process: Forked, log: Path) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


def table(folder: Path) -> list[list[str]]:
    """``cells.csv`` of a report, without the columns that hold times."""
    done = run(folder, "experiment=kill", "figures=false", module="benchmark.report")
    assert done.returncode == 0, done.stderr
    with (folder / "outputs" / "reports" / "kill" / "cells.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    kept = [i for i, name in enumerate(header) if not UNLIKE.search(name)]
    assert {"auroc", "fingerprint"} <= {header[i] for i in kept}
    assert len(rows) == CELLS
    return [[row[i] for i in kept] for row in [header, *rows]]
