"""Cells that ``benchmark.forget`` took out of an experiment stay in MLflow, marked: they count no more in reports."""

from __future__ import annotations

import os
from collections.abc import Set
from pathlib import Path
from typing import Any

from benchmark.say import named, warn
from benchmark.tracking.client import connect, pages, public, refuse, tracking_uri
from benchmark.tracking.heartbeat import sign_of_life
from benchmark.tracking.patience import bounded, heard, patience

FORGOTTEN = "forgotten"  # tag of a run: since when


def is_forgotten(run: Any) -> bool:
    """Whether the cell of this run was forgotten after it was logged."""
    return FORGOTTEN in run.data.tags


def mark_forgotten(uri: str | None, output_dir: Path, experiment: str, fingerprints: Set[str]) -> int:
    """Mark the runs of these cells; returns how many. What MLflow does not take costs a warning."""
    address = tracking_uri(uri, output_dir)
    if address.startswith("sqlite:///") and not os.path.exists(address.removeprefix("sqlite:///")):
        return 0

    def mark() -> int:
        client = connect(address)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return 0
        runs = pages(client.search_runs, experiment_ids=[found.experiment_id], filter_string="tags.kind = 'cell'")
        wanted = [run for run in runs if run.data.tags.get("fingerprint") in fingerprints and not is_forgotten(run)]
        for run in wanted:
            client.set_tag(run.info.run_id, FORGOTTEN, sign_of_life())
            heard()
        return len(wanted)

    try:
        refuse(address)
        return bounded(address, patience(), mark)
    except Exception as error:  # MLflow's own, or of its database's driver
        what = f"MLflow at {public(address)} was not told ({named(error)})"
        warn(f"{what}; benchmark.report source=mlflow still counts these cells")
        return 0
