"""Runs in MLflow name the process that logs them, so that those of a dead one can be found and closed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from benchmark.store.processes import Process
from benchmark.tracking.client import pages

PROCESS, HEARTBEAT = "process", "heartbeat"  # tags: who logs a run, and when it last gave a sign of life


def close_dead_runs(client: Any) -> int:
    """End runs as KILLED that a process left RUNNING when it died; returns how many.

    Only runs that name their process are looked at. One of this machine is looked up; another counts as dead when its
    heartbeat has stopped, and that of the run above it: a cell in training has that of its job.
    """
    experiments = [experiment.experiment_id for experiment in pages(client.search_experiments)]
    closed = 0
    running = pages(client.search_runs, experiment_ids=experiments, filter_string="attributes.status = 'RUNNING'")
    heartbeats = {run.info.run_id: _owner_of(run.data.tags)[1] for run in running}
    for run in running:
        process, heartbeat = _owner_of(run.data.tags)
        above = heartbeats.get(run.data.tags.get("mlflow.parentRunId", ""), 0.0)
        if process is not None and not process.is_alive(max(heartbeat, above)):
            client.set_terminated(run.info.run_id, "KILLED")
            closed += 1
    return closed


def owner_tags() -> dict[str, str]:
    """Tags of a run that this process logs."""
    return {PROCESS: json.dumps(Process.here().to_json()), HEARTBEAT: sign_of_life()}


def _owner_of(tags: Mapping[str, str]) -> tuple[Process | None, float]:
    try:
        process = Process.from_json(json.loads(tags[PROCESS]))
        return process, datetime.fromisoformat(tags[HEARTBEAT]).timestamp()
    except (KeyError, ValueError):
        return None, 0.0


def sign_of_life() -> str:
    """The time now, as it stands in a heartbeat: ISO 8601, UTC, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
