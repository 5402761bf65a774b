"""A tracking server that goes away three times in the middle of a sweep of 40 cells, and its database once."""

from __future__ import annotations

import random
import re
import subprocess
import time
from pathlib import Path

from tests.faults.servers import Postgres, Server, missing
from tests.tools.soak.checks import cell_folders, check_runs, command, done_records, finish, server_environment
from tests.tools.soak.kills import CELLS, SWEEP

EXPERIMENT = "outages"
SEED = 5


def run(folder: Path) -> list[tuple[str, str]]:
    """Returns what was found, as rows of a table. Raises ``AssertionError`` if anything is lost."""
    if (what := missing()) is not None:
        return [("server and PostgreSQL", f"skipped: {what}")]
    database = Postgres(folder / "database")
    server = Server(folder / "server", database)
    try:
        server.start()
        return _run(folder, database, server)
    finally:
        server.stop()
        database.stop()


def _run(folder: Path, database: Postgres, server: Server) -> list[tuple[str, str]]:
    client = server_environment(server.client)
    arguments = [*SWEEP, f"experiment_name={EXPERIMENT}", "trainer.checkpoint_seconds=null"]
    sweep = command(folder, *arguments, **client)
    try:
        return _disturb(folder, database, server, sweep, client)
    finally:
        sweep.kill()
        sweep.wait()


def _disturb(
    folder: Path, database: Postgres, server: Server, sweep: subprocess.Popen[str], client: dict[str, str]
) -> list[tuple[str, str]]:
    draw = random.Random(SEED)
    rows = []
    for number, (what, stop, start) in enumerate(
        (
            ("server", server.stop, server.start),
            ("database", database.stop, database.start),
            ("server", server.stop, server.start),
            ("server", server.stop, server.start),
        )
    ):
        while len(cell_folders(folder)) < 4 + 9 * number:
            assert sweep.poll() is None, (folder / "err").read_text()[-3000:]
            time.sleep(0.05)
        before, down = len(cell_folders(folder)), time.monotonic()
        stop()
        time.sleep(draw.uniform(2, 6))
        start()
        trained = len(cell_folders(folder)) - before
        rows.append(
            (f"outage {number + 1}: {what}", f"{time.monotonic() - down:.0f} s; {trained} cells done meanwhile")
        )
    code = sweep.wait()
    said = (folder / "err").read_text()
    assert code == 0, said[-3000:]
    assert "Traceback" not in said, said[-3000:]
    records = done_records(folder)
    assert len(records) == CELLS
    sent = finish(folder, f"experiment={EXPERIMENT}", module="benchmark.sync", **client)
    found = re.fullmatch(rf"(\d+) of {CELLS} cells sent to MLflow, (\d+) were there\.\n", sent)
    assert found is not None, sent
    again = finish(folder, f"experiment={EXPERIMENT}", module="benchmark.sync", **client)
    assert again == f"0 of {CELLS} cells sent to MLflow, {CELLS} were there.\n", again
    values = check_runs(server.uri, EXPERIMENT, records)
    return [
        *rows,
        ("cells finished", f"{len(records)} of {CELLS}; exit code 0"),
        ("in MLflow when the sweep ended", found[2]),
        ("sent by benchmark.sync", found[1]),
        ("cell runs FINISHED in MLflow", f"{CELLS}, each once; {values:,} values equal to the folders'"),
    ]
