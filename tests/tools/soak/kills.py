"""At least 50 random ``kill -9`` over a sweep of 40 cells, which ends as one that was never disturbed."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mlflow import MlflowClient

from benchmark.tracking.client import pages
from tests.faults.test_kill import job_is_recorded
from tests.tools.soak.checks import cell_folders, check_runs, command, done_records, finish, leftovers, tables

EXPERIMENT = "kills"
CELLS = 40
KILLS = 50
SEED = 4
SWEEP = [
    *("-m", "model=pca,ae,vae,aae", "dataset=digits", "split.normal_class=[0,1,2,3,4]", "seed=[0,1]"),
    *("trainer.epochs=300", "trainer.strategy=loop", "trainer.workers=1", "trainer.checkpoint_seconds=0.5"),
    *("tracking.figures=false", f"experiment_name={EXPERIMENT}"),
]
STARTING, WORKING, LOGGING = "while it started", "just after it began to train", "while it trained and logged"


LEFT = 4  # cells that are to be left when the last kill comes


@dataclass
class Tally:
    """What was killed."""

    moments: Counter[str] = field(default_factory=Counter)
    starting: float = 8.0  # seconds that a start takes
    writes: int = 0  # kills that left a half-written record or store behind


def run(folder: Path, kills: int = KILLS) -> list[tuple[str, str]]:
    """Returns what was found, as rows of a table. Raises ``AssertionError`` if anything is lost."""
    draw, tally = random.Random(SEED), Tally()
    plain, killed = folder / "plain", folder / "killed"
    finish(plain, *SWEEP, "tracking=off")
    while sum(tally.moments.values()) < kills:
        _kill(killed, draw, tally, kills)
    finish(killed, *SWEEP)
    records = done_records(killed)
    assert len(records) == CELLS
    assert leftovers(killed / "outputs") == []
    uri = f"sqlite:///{killed / 'outputs' / 'mlflow.db'}"
    values = check_runs(uri, EXPERIMENT, records)
    found, expected = tables(killed, EXPERIMENT), tables(plain, EXPERIMENT)
    assert found == expected, "the tables differ"
    statuses = _statuses(uri)
    return [
        ("kill -9", f"{sum(tally.moments.values())}: {', '.join(f'{n} {what}' for what, n in tally.moments.items())}"),
        ("of them in the middle of a write", str(tally.writes)),
        ("cells finished", f"{len(records)} of {CELLS}"),
        ("cell runs FINISHED in MLflow", f"{statuses['cell', 'FINISHED']}; {values:,} values equal to the folders'"),
        ("runs closed as KILLED", f"{statuses['job', 'KILLED']} of jobs, {statuses['cell', 'KILLED']} of cells"),
        ("runs still RUNNING", "0"),
        ("tables", f"{len(found)} equal byte for byte to the undisturbed sweep's (columns of seconds left out)"),
        ("leftovers", "none"),
    ]


def _kill(folder: Path, draw: random.Random, tally: Tally, kills: int) -> None:
    """Kill the sweep once, at a random moment of its start or of its work; ahead of its pace, of its start."""
    killed, before = sum(tally.moments.values()), len(cell_folders(folder))
    pace = (CELLS - LEFT) * killed / kills
    moment = STARTING if before > pace + 2 else draw.choice((STARTING, WORKING, LOGGING, LOGGING))
    begun, process = time.monotonic(), command(folder, *SWEEP)
    try:
        if moment == STARTING:
            time.sleep(draw.uniform(0, tally.starting))
        else:
            _wait_for_work(folder, process)
            tally.starting = time.monotonic() - begun
            if moment == LOGGING:
                _wait_for(lambda: job_is_recorded(folder / "outputs" / "mlflow.db"), folder, process)
            if before < pace:  # behind: one more cell is finished first
                _wait_for(lambda: len(cell_folders(folder)) > before, folder, process)
            time.sleep(draw.uniform(0, 0.7))
        ended = process.poll()
        assert ended is None, f"the sweep ended by itself ({ended}) after {killed} kills"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    tally.moments[moment] += 1
    tally.writes += any(name.endswith((".tmp", ".old")) for name in leftovers(folder / "outputs"))


def _wait_for_work(folder: Path, process: subprocess.Popen[str]) -> None:
    """Until a cell is in work that was not done before."""

    def at_work() -> bool:
        leases = (folder / "outputs" / "cells").glob("*/*/*/.*.lease")
        return any(leases) and "cells" in (folder / "err").read_text()

    _wait_for(at_work, folder, process)


def _wait_for(condition: Callable[[], bool], folder: Path, process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, (folder / "err").read_text()[-3000:]
        time.sleep(0.02)


def _statuses(uri: str) -> Counter[tuple[str, str]]:
    client = MlflowClient(uri)
    ids = [one.experiment_id for one in client.search_experiments()]
    runs = pages(client.search_runs, experiment_ids=ids)
    return Counter((run.data.tags["kind"], run.info.status) for run in runs)
