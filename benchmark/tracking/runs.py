"""What MLflow is told of a cell: tags, parameters, metrics, its data, its files and a figure; which runs hold one."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.store.records import Record
from benchmark.tracking.heartbeat import owner_tags
from benchmark.tracking.live import RUNNING, Open
from benchmark.tracking.origin import PROGRAM, origin_tags
from benchmark.tracking.patience import heard
from benchmark.tracking.texts import (
    ATTEMPT,
    MAX_METRICS,
    MAX_PARAMS,
    MAX_VALUE,
    NOTE,
    PARENT,
    cell_tags,
    description_of,
    flatten,
    metrics_of,
    milliseconds,
    name_of,
    rules_of,
    tags_of,
)

RULES = "rules"  # tag of a cell's run: which rules have judged it
RULED = "/rule_"  # in the names of metrics under a rule


@dataclass(frozen=True)
class CellRuns:
    """Makes the runs of cells in one experiment of MLflow; its errors are the caller's."""

    client: Any
    experiment_id: str
    output_dir: Path
    figures: bool  # a figure with each run

    def log(self, record: Record, parent: str | None, command: str = PROGRAM, begun: Open | None = None) -> None:
        """A run with everything of a cell's folder, below the run of its job: ``begun``, if it has one already.

        What became of the cell is told last: until then its run is that of a cell in training, and can be taken again.
        """
        from mlflow.entities import Metric, Param, RunTag

        status, config = record.status, record.config()
        tags = cell_tags(record.axes, record.fingerprint, record.path.absolute().relative_to(self.output_dir))
        tags |= {"variant": status.variant, "headline": status.headline or "", ATTEMPT: status.started}
        tags |= {"code": status.code} if status.code else {}
        revision = str(record.environment()["git_revision"])
        tags |= {"git_revision": revision, **origin_tags(command, revision)}
        tags |= {PARENT: parent} if parent is not None else {}
        tags |= owner_tags()
        ending = {"state": record.state, NOTE: description_of(record)}
        ending |= {RULES: rules_of(record)} if rules_of(record) else {}
        ending |= {"reason": status.reason} if status.reason is not None else {}
        if begun is None:
            started, first = milliseconds(status.started), tags_of({**tags, "state": RUNNING})
            run = self.client.create_run(self.experiment_id, started, first, name_of(record))
            begun, known = Open(run.info.run_id), set()
        else:
            ending = {**tags, **ending}
            there = self.client.get_run(begun.run_id).data
            known = set(there.params)
            for key in {"reason", RULES} & there.tags.keys() - ending.keys():  # of an attempt whose end was cut short
                self.client.delete_tag(begun.run_id, key)
        run_id = begun.run_id
        heard()
        ended = "KILLED"
        try:
            params = [Param(key, value[:MAX_VALUE]) for key, value in flatten(config) if key not in known]
            now = milliseconds(status.finished)
            metrics = [Metric(key, value, now, step) for key, value, step in begun.missing(metrics_of(record))]
            self.client.log_batch(run_id, metrics=metrics[:MAX_METRICS], params=params[:MAX_PARAMS])
            for i in range(MAX_METRICS, len(metrics), MAX_METRICS):
                self.client.log_batch(run_id, metrics=metrics[i : i + MAX_METRICS])
            for i in range(MAX_PARAMS, len(params), MAX_PARAMS):
                self.client.log_batch(run_id, params=params[i : i + MAX_PARAMS])
            heard()
            self._log_inputs(run_id, record)
            for file in sorted(record.path.iterdir()):
                heard()
                self.client.log_artifact(run_id, str(file), "cell")
            heard()
            if self.figures and record.state == "done":
                self._log_figure(run_id, record)
            self.client.log_batch(run_id, tags=[RunTag(*tag) for tag in tags_of(ending).items()])
            ended = "FINISHED" if record.state == "done" else "FAILED"
        finally:
            self.client.set_terminated(run_id, ended, milliseconds(record.status.finished))

    def add_rules(self, run_id: str, record: Record) -> None:
        """Add to a cell's run what rules have said of it since: metrics, the files that hold it, and their tag."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(key, value, now, 0) for key, value in record.metrics.items() if RULED in key]
        self.client.log_batch(run_id, metrics=metrics)
        heard()
        for name in ("status.json", "metrics.json", "rules.json", "rules.npz"):
            if (file := record.path / name).exists():
                self.client.log_artifact(run_id, str(file), "cell")
                heard()
        self.client.set_tag(run_id, RULES, rules_of(record))

    def _log_inputs(self, run_id: str, record: Record) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.exceptions import MlflowException

        axes, split = record.axes, record.status.split
        digest = record.status.data_version[:8] + str(split.get("hash", ""))[:8]
        source = json.dumps({"split": axes.split, "normal_class": axes.normal_class, **split})
        inputs = []
        for context in ("train", "test"):  # MLflow keeps one input of a run for each name and digest
            name = f"{axes.dataset} {axes.normal_class} {context}"
            profile = json.dumps({key: record.metrics[key] for key in (f"n_{context}",) if key in record.metrics})
            dataset = Dataset(name, digest, "local", source, profile=profile)
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
        try:
            self.client.log_inputs(run_id, inputs)
        except MlflowException:  # another process has just made one of them in the store: now it is there
            self.client.log_inputs(run_id, inputs)

    def _log_figure(self, run_id: str, record: Record) -> None:
        from benchmark.tracking.figure import cell_figure

        with tempfile.TemporaryDirectory() as folder:
            self.client.log_artifact(run_id, str(cell_figure(record, Path(folder) / "cell.png")), "figures")


def holding(runs: Sequence[Any], record: Record) -> list[Any]:
    """Those of a cell's runs that hold its record: of one that is not done, this attempt."""
    if record.state == "done":
        return [run for run in runs if run.info.status == "FINISHED"]
    started = record.status.started
    failed = [run for run in runs if run.info.status == "FAILED"]
    return [
        run for run in failed if run.info.start_time == milliseconds(started) or run.data.tags.get(ATTEMPT) == started
    ]


def has_rules(runs: Sequence[Any], record: Record) -> bool:
    """Whether one of these runs has what rules have said of the record by now."""
    return any(run.data.tags.get(RULES, "") == rules_of(record) for run in runs)
