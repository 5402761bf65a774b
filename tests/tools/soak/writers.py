"""Eight workers log 25 cells each into one fresh store at once: SQLite, then a server on PostgreSQL."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.servers import Postgres, Server, missing
from tests.tools.soak.checks import check_runs, done_records, finish, server_environment

EXPERIMENT = "writers"
WORKERS, CLASSES, SEEDS = 8, 5, 5


def sweep(workers: int, classes: int, seeds: int) -> list[str]:
    """A job a worker; a job has classes x seeds cells."""
    return [
        *("-m", "+launcher=joblib", f"hydra.launcher.n_jobs={workers}", "model=ae", "dataset=digits"),
        f"model.latent={','.join(str(2 + i) for i in range(workers))}",
        f"split.normal_class={list(range(classes))}".replace(" ", ""),
        f"seed={list(range(seeds))}".replace(" ", ""),
        *("split.test_limit=100", "trainer.epochs=3", "tracking.figures=false", f"experiment_name={EXPERIMENT}"),
    ]


def run(folder: Path, workers: int = WORKERS, classes: int = CLASSES, seeds: int = SEEDS) -> list[tuple[str, str]]:
    """Returns what was found, as rows of a table. Raises ``AssertionError`` for a warning or a lost value."""
    cells = workers * classes * seeds
    arguments = sweep(workers, classes, seeds)
    start = time.monotonic()
    _write(folder, arguments, cells)
    rows = [("SQLite", _found(f"sqlite:///{folder / 'outputs' / 'mlflow.db'}", folder, cells, start))]
    if (what := missing()) is not None:
        return [*rows, ("server and PostgreSQL", f"skipped: {what}")]
    database = Postgres(folder / "database")
    server = Server(folder / "server", database)
    try:
        server.start()
        start = time.monotonic()
        _write(folder, arguments, cells, **server_environment(server.client))
        rows.append(("server and PostgreSQL", _found(server.uri, folder, cells, start)))
    finally:
        server.stop()
        database.stop()
    return rows


def _write(folder: Path, arguments: list[str], cells: int, **environment: str) -> None:
    out = finish(folder, *arguments, **environment)
    assert f"{cells} of {cells} cells done" in out
    said = (folder / "err").read_text()
    assert "warning" not in said, said
    assert "Traceback" not in said, said


def _found(uri: str, folder: Path, cells: int, start: float) -> str:
    seconds = time.monotonic() - start
    records = done_records(folder)
    assert len(records) == cells
    values = check_runs(uri, EXPERIMENT, records)
    return f"{cells} runs FINISHED, each once; {values:,} values equal to the folders'; 0 errors; {seconds:.0f} s"
