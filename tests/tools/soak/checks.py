"""What a sweep must have left behind: finished cells, their runs in MLflow value by value, and its tables."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmark.store.records import Record, read_record
from benchmark.tracking.client import pages
from tests.test_cli import user_environment

TIMED = re.compile(r"second|^(train|score) s$")  # columns that differ between any two runs


def command(folder: Path, *arguments: str, module: str = "benchmark", **environment: str) -> subprocess.Popen[str]:
    """``python -m MODULE ARGUMENTS``, started in ``folder``; what it prints goes to ``out`` and ``err`` there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env={**clean_environment(), **environment},
            stdout=out,
            stderr=err,
            text=True,
        )


def clean_environment() -> dict[str, str]:
    """The environment of a command that knows no MLflow server."""
    return {name: value for name, value in user_environment().items() if not name.startswith("MLFLOW_")}


def finish(folder: Path, *arguments: str, module: str = "benchmark", **environment: str) -> str:
    """Run a command to its end, which has to be a good one; returns what it printed to standard output."""
    process = command(folder, *arguments, module=module, **environment)
    code = process.wait()
    assert code == 0, f"exit code {code}: {' '.join(arguments)}\n{(folder / 'err').read_text()[-3000:]}"
    return (folder / "out").read_text()


def done_records(folder: Path) -> list[Record]:
    """The records of all cells below ``folder/outputs``, which all have to be done."""
    records = [read_record(path) for path in cell_folders(folder)]
    assert {record.state for record in records} <= {"done"}
    return records


def cell_folders(folder: Path) -> list[Path]:
    return [path.parent for path in (folder / "outputs" / "cells").glob("*/*/*/[!.]*/status.json")]


def check_runs(uri: str, experiment: str, records: list[Record]) -> int:
    """Every record is one FINISHED run with the very same values, and nothing runs; returns how many values that is."""
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    runs = pages(client.search_runs, experiment_ids=[found.experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}, "a run of a dead process is open"
    finished = [run for run in runs if run.data.tags["kind"] == "cell" and run.info.status == "FINISHED"]
    assert Counter(run.data.tags["fingerprint"] for run in finished) == Counter(r.fingerprint for r in records)
    by_fingerprint = {run.data.tags["fingerprint"]: run for run in finished}
    return sum(_check_run(client, by_fingerprint[record.fingerprint], record) for record in records)


def _check_run(client: MlflowClient, run: Any, record: Record) -> int:
    values = 0
    for key, value in record.metrics.items():
        logged = run.data.metrics[key]
        assert logged == value or (math.isnan(logged) and math.isnan(value)), (key, logged, value)
        values += 1
    history = record.history()
    for column in [] if history is None else [name for name in history if name.startswith("train/")]:
        logged = client.get_metric_history(run.info.run_id, f"history/{column.removeprefix('train/')}")
        assert [(one.step, one.value) for one in logged] == list(zip(history["epoch"], history[column], strict=True))
        values += len(logged)
    assert run.data.params["seed"] == str(record.axes.seed)
    assert len(run.data.params) > 20
    files = {one.path.rpartition("/")[2]: one.file_size for one in client.list_artifacts(run.info.run_id, "cell")}
    assert files == {file.name: file.stat().st_size for file in record.path.iterdir()}, "an artifact is missing"
    return values + len(run.data.params) + len(files)


def tables(folder: Path, experiment: str) -> dict[str, str]:
    """Every table of a report as CSV, without the columns that hold seconds."""
    finish(folder, f"experiment={experiment}", "figures=false", module="benchmark.report")
    results = folder / "outputs" / "reports" / experiment
    return {path.name: _untimed(path) for path in [results / "cells.csv", *sorted((results / "tables").glob("*.csv"))]}


def _untimed(path: Path) -> str:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    kept = [i for i, name in enumerate(header) if not TIMED.search(name)]
    text = io.StringIO()
    csv.writer(text).writerows([row[i] for i in kept] for row in [header, *rows])
    return text.getvalue()


def leftovers(outputs: Path) -> list[str]:
    """What processes that were killed have left in an output directory."""
    return sorted(path.name for path in outputs.rglob(".*") if path.name != ".locks")


def server_environment(client: Mapping[str, str]) -> Mapping[str, str]:
    """Let this process be a client of a server, too; returns the same environment for commands."""
    os.environ.update(client)
    return client
