"""The runs of cells in training.

A cell that trains for longer than some seconds gets its run while it trains, with the state ``running``; the same run
takes its record later. Where the process dies, or gives up, that run ends as KILLED; who trains the cell next goes on
in it, so that a cell never has two.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmark.store.environment import git_revision
from benchmark.tracking.heartbeat import owner_tags
from benchmark.tracking.origin import origin_tags
from benchmark.tracking.patience import heard
from benchmark.tracking.texts import (
    ATTEMPT,
    HISTORY,
    MAX_METRICS,
    MAX_PARAMS,
    MAX_VALUE,
    PARENT,
    cell_tags,
    flatten,
    metrics_of_epoch,
    milliseconds,
    run_name,
    tags_of,
)

if TYPE_CHECKING:
    from benchmark.tracking.watched import Training

RUNNING = "running"  # tag state of a cell in training
Value = tuple[str, float, int]  # name, value, step


@dataclass
class Open:
    """A run of a cell in training, and which values it has."""

    run_id: str
    parent: str | None = None
    values: dict[tuple[str, int], float] = field(default_factory=dict)  # by name and step

    def missing(self, values: Iterable[Value]) -> list[Value]:
        """Those that it does not have; a value that differs from the one it has at that step is missing."""
        return [(key, value, step) for key, value, step in values if not self._has(key, value, step)]

    def took(self, values: Iterable[Value]) -> None:
        self.values |= {(key, step): value for key, value, step in values}

    def _has(self, key: str, value: float, step: int) -> bool:
        there = self.values.get((key, step))
        return there is not None and (
            math.isclose(there, value, rel_tol=1e-12) or (math.isnan(there) and math.isnan(value))
        )


@dataclass(frozen=True)
class LiveRuns:
    """Makes and feeds the runs of cells in training in one experiment of MLflow; its errors are the caller's."""

    client: Any
    experiment_id: str

    def begin(self, training: Training, parent: str, command: str, earlier: Any | None) -> Open:
        """The run of a cell in training, below that of its job: a new one, or ``earlier``, in which it goes on."""
        from mlflow.entities import Param, RunTag

        cell, revision = training.cell, git_revision()
        tags = cell_tags(cell.axes, cell.fingerprint, cell.path)
        tags |= {"state": RUNNING, "variant": cell.variant, "headline": cell.config["model"]["headline"]}
        tags |= {"code": cell.code, ATTEMPT: training.started, "git_revision": revision, PARENT: parent}
        tags |= {**origin_tags(command, revision), **owner_tags()}
        if earlier is not None:
            found = self.opened(earlier, parent)
            self.client.log_batch(found.run_id, tags=[RunTag(*tag) for tag in tags_of(tags).items()])
            self.client.update_run(found.run_id, "RUNNING")
            return found
        started, name = milliseconds(training.started), run_name(cell.axes, cell.variant)
        run_id = self.client.create_run(self.experiment_id, started, tags_of(tags), name).info.run_id
        heard()
        params = [Param(key, value[:MAX_VALUE]) for key, value in flatten(cell.config)]
        try:
            for i in range(0, len(params), MAX_PARAMS):
                self.client.log_batch(run_id, params=params[i : i + MAX_PARAMS])
        except Exception:
            self.client.set_terminated(run_id, "KILLED")
            raise
        return Open(run_id, parent)

    def opened(self, run: Any, parent: str | None = None) -> Open:
        """A run of a cell in training as MLflow has it, with the values that it has by now."""
        found = Open(run.info.run_id, parent)
        for key in run.data.metrics:
            if key.startswith(HISTORY):
                history = self.client.get_metric_history(found.run_id, key)
                found.took((key, one.value, one.step) for one in history)
                heard()
        return found

    def add_history(self, run: Open, history: Sequence[Mapping[str, float]]) -> None:
        """Send what the epochs of a cell said since it was sent last."""
        from mlflow.entities import Metric

        now, values = int(time.time() * 1000), run.missing(value for row in history for value in metrics_of_epoch(row))
        for i in range(0, len(values), MAX_METRICS):
            part = values[i : i + MAX_METRICS]
            self.client.log_batch(run.run_id, metrics=[Metric(key, value, now, step) for key, value, step in part])
            run.took(part)
            heard()


def is_unfinished(run: Any) -> bool:
    """Whether a run of a cell was not ended, whoever feeds it, or was given up: its ``state`` may be told already."""
    return run.info.status in ("RUNNING", "KILLED")
