"""Cells back from MLflow: their folders as the runner wrote them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from benchmark.code_hash import model_code
from benchmark.config import UsageError
from benchmark.say import one_line
from benchmark.store.experiments import write_job
from benchmark.store.files import RecordError
from benchmark.store.format import Entry, PlannedJob
from benchmark.store.records import read_record
from benchmark.tracking.client import connect, pages, public, refuse, tracking_uri
from benchmark.tracking.forgotten import is_forgotten
from benchmark.tracking.patience import heard, patience, within


def fetch_cells(experiment_name: str, uri: str | None, output_dir: Path, destination: Path) -> Path:
    """Download every cell of an experiment from MLflow into ``destination``, laid out as ``output_dir``.

    Of runs with one fingerprint the newest counts, a FINISHED one before any other, of those one of the model's code
    as it is now; runs that are not ended, were given up halfway, or whose cell was forgotten are left out. Raises
    ``UsageError`` if MLflow has no such experiment, ``RecordError`` if it cannot be asked.
    """
    address = tracking_uri(uri, output_dir)
    _refuse(address)
    try:
        client = connect(address)
        return within(2 * patience(), lambda: _fetch(client, experiment_name, destination))
    except (UsageError, RecordError, OSError):
        raise
    except Exception as error:  # MLflow's own, or of its database's driver
        reason = f"MLflow at {public(address)} cannot be read ({one_line(error)})"
        raise RecordError(f"{reason}. Type source=folders") from error


def _fetch(client: Any, experiment_name: str, destination: Path) -> Path:
    experiment = client.get_experiment_by_name(experiment_name)
    if experiment is None:
        known = ", ".join(e.name for e in client.search_experiments())
        raise UsageError(f"experiment={experiment_name} is not in MLflow. There is: {known}")
    chosen: dict[str, Any] = {}
    query = {"experiment_ids": [experiment.experiment_id], "filter_string": "tags.kind = 'cell'"}
    for run in pages(client.search_runs, **query):
        if run.info.status not in ("FINISHED", "FAILED") or is_forgotten(run):
            continue
        known = chosen.get(run.data.tags["fingerprint"])
        if known is None or _rank(run) > _rank(known):
            chosen[run.data.tags["fingerprint"]] = run  # newest first
    if not chosen:
        raise UsageError(f"experiment={experiment_name} has no cell in MLflow that has ended. Type source=folders")
    cells = []
    for run in sorted(chosen.values(), key=lambda run: run.info.start_time):  # as jobs: the last one counts
        relative = run.data.tags["cell_path"]
        target = (destination / relative).resolve()
        if not target.is_relative_to(destination.resolve()):
            raise UsageError(f"run {run.info.run_id} names the folder {relative!r}, outside the destination")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            found = client.download_artifacts(run.info.run_id, "cell", folder)
            os.replace(found, target)
        heard()
        record = read_record(target)
        cells.append(Entry(axes=record.axes, fingerprint=record.fingerprint, path=relative))
    write_job(destination, experiment_name, PlannedJob(job="mlflow", cells=tuple(cells)))
    return destination


def _rank(run: Any) -> tuple[bool, bool]:
    tags = run.data.tags
    return run.info.status == "FINISHED", tags.get("code") == model_code(tags.get("model", ""))


def _refuse(uri: str) -> None:
    """Raise ``UsageError`` for a store that is not there, is another MLflow's, or refuses this account."""
    if uri.startswith("sqlite:///") and not os.path.exists(uri.removeprefix("sqlite:///")):
        raise UsageError(f"there is no MLflow store {uri}. Type source=folders, or uri=<its address>")
    refuse(uri, "type source=folders, or uri=<another store>")
