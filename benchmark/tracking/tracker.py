"""MLflow: a parent run for each job, a child run for each cell.

Everything recorded is in the cell's folder first; a tracker that cannot be reached costs a warning, never a cell.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from benchmark.say import named, warn
from benchmark.store.format import PlannedJob
from benchmark.store.leases import lock
from benchmark.store.processes import Pulse
from benchmark.store.records import Record, means
from benchmark.tracking.client import connect, create_store, public, silent, tracking_uri, write_ahead
from benchmark.tracking.forgotten import is_forgotten
from benchmark.tracking.heartbeat import HEARTBEAT, close_dead_runs, owner_tags, sign_of_life
from benchmark.tracking.patience import SilentError, bounded, did_not_answer, heard, patience
from benchmark.tracking.texts import flatten, metrics_of, milliseconds, name_of, rules_of, tags_of

Result = TypeVar("Result")
RULES = "rules"  # tag of a cell's run: which rules have judged it
RULED = "/rule_"  # in the names of metrics under a rule
MAX_METRICS = 1000  # of one log_batch
MAX_PARAMS = 100
MAX_ATTEMPTS = 100  # runs of one cell that are looked at
MAX_VALUE = 6000  # characters of a parameter
SILENCE = 30.0  # seconds for which a server that did not answer is not asked again


class Tracker:
    """Writes jobs and cells to one MLflow experiment through ``MlflowClient``."""

    def __init__(
        self, client: Any, experiment_id: str, output_dir: Path, figures: bool, experiment_name: str = ""
    ) -> None:
        self.client, self.experiment_id, self.experiment_name = client, experiment_id, experiment_name
        self.output_dir, self.figures = Path(output_dir), figures
        self.warned = False
        self.missed: dict[str, list[Record]] = {}  # of each job, what MLflow did not take
        self.patience = patience()  # seconds that a call may wait for an answer
        self.silent_until = 0.0  # monotonic time before which a server that did not answer is not asked again
        self.pulses: dict[str, Pulse] = {}  # of the jobs that run

    @classmethod
    def open(cls, config: Any, output_dir: str | Path, experiment_name: str) -> Tracker | None:
        """Connect, and create store and experiment if they are not there: once, before any cell is trained.

        Returns None, after a warning, if the store cannot be reached.
        """
        output_dir = Path(output_dir).absolute()
        uri = tracking_uri(config.uri, output_dir)
        try:
            artifacts = None
            if uri.startswith("sqlite:///"):
                database = Path(uri.removeprefix("sqlite:///")).absolute()
                create_store(database)
            if uri in silent:
                raise SilentError(f"no answer within {patience():.3g} s")
            client = connect(uri)
            if uri.startswith("sqlite:///"):
                artifacts = (database.parent / "mlartifacts").as_uri()
                write_ahead(database)

            def begin() -> str:
                experiment_id = _experiment(client, experiment_name, artifacts)
                heard()
                close_dead_runs(client)
                return experiment_id

            experiment_id = bounded(uri, patience(), begin)
        except Exception as error:
            warn(
                f"MLflow at {public(uri)} cannot be used ({named(error)}); cells are kept in {output_dir / 'cells'}, "
                f"and python -m benchmark.sync experiment={experiment_name} sends them"
            )
            return None
        return cls(client, experiment_id, output_dir, config.figures, experiment_name)

    def start_job(self, job: PlannedJob) -> str | None:
        """Start the parent run of a job (as in its file in ``experiments/``); returns its id."""
        axes = job.cells[0].axes
        name = f"{axes.model} {axes.dataset} {axes.split}: {len(job.cells)} cells"
        tags = {key: getattr(axes, key) for key in ("model", "dataset", "split", "evaluate_on")}
        tags |= {"kind": "job", "job": job.job, "git_revision": job.git_revision, "command": job.command}

        def start() -> str:
            run = self.client.create_run(self.experiment_id, run_name=name, tags=tags_of(tags | owner_tags()))
            run_id = run.info.run_id
            self.pulses[run_id] = Pulse(lambda: self.client.set_tag(run_id, HEARTBEAT, sign_of_life()))
            return run_id

        return self._attempt(f"job {name}", start)

    def end_job(self, parent: str | None, status: str, means: Mapping[str, float] | None = None) -> None:
        """End a parent run: FINISHED, FAILED if one of its cells is not done, KILLED if it was interrupted.

        ``means`` are metrics of the job as a whole, such as the mean AUROC of its cells.
        """
        from mlflow.entities import Metric

        if parent is not None:
            for record in self.missed.pop(parent, []):
                self.log_cell(record, parent)
            self.missed.pop(parent, None)
            if parent in self.pulses:
                self.pulses.pop(parent).stop()
            now = int(time.time() * 1000)
            metrics = [Metric(key, value, now, 0) for key, value in (means or {}).items()]

            def end() -> None:
                self.client.log_batch(parent, metrics=metrics)
                self.client.set_terminated(parent, status)

            self._attempt("the end of a job", end)

    def log_cell(self, record: Record, parent: str | None) -> bool:
        """Record a cell as a child run, unless MLflow has it already (see ``has``). False if MLflow failed.

        Where it has the cell, but not what further rules say of it, that is added to the cell's run. What fails is
        tried again when the job ends.
        """

        def log() -> bool:
            with lock(self.output_dir, f"mlflow-{record.fingerprint[:1]}"):  # another process may be about to log it
                known = self._runs(record)
                if known and not _has_rules(known, record):
                    self._add_rules(known[0].info.run_id, record)
                elif not known:
                    self._log(record, parent)
            return True

        if self._attempt(name_of(record), log):
            return True
        if parent is not None:
            self.missed.setdefault(parent, []).append(record)
        return False

    def log_missing(self, job: PlannedJob, records: Sequence[Record]) -> None:
        """Log those cells of a finished job that MLflow does not have, below its newest run, or a new one."""

        def look() -> tuple[list[Record], str | None]:
            missing = [record for record in records if not self.has(record)]
            return missing, self.find_job(job) if missing else None

        missing, known = self._attempt("a look at what it has", look) or ([], None)
        parent = self.start_job(job) if missing and known is None else known
        for record in missing:
            self.log_cell(record, parent)
        if missing and known is None:
            self.end_job(parent, "FINISHED", means(records))

    def has(self, record: Record) -> bool:
        """Whether a FINISHED run holds fingerprint and code of a cell that is done; of another cell, this attempt.

        One whose cell was forgotten since does not count: the cell has been planned again. Nor does one that lacks what
        rules say of the cell.
        """
        found = self._runs(record)
        return bool(found) and _has_rules(found, record)

    def _runs(self, record: Record) -> list[Any]:
        """The runs that hold the cell, the newest first, whatever rules have said of it."""
        query = f"tags.fingerprint = '{record.fingerprint}' and attributes.status = "
        query += "'FINISHED'" if record.state == "done" else "'FAILED'"
        if record.status.code:
            query += f" and tags.code = '{record.status.code}'"
        if record.state != "done":
            query += f" and attributes.start_time = {milliseconds(record.status.started)}"
        found = self.client.search_runs([self.experiment_id], query, max_results=MAX_ATTEMPTS)
        heard()
        return [run for run in found if not is_forgotten(run)]

    def ask(self, call: Callable[[], Result]) -> Result:
        """What ``call`` returns or raises, given up when the store says nothing."""
        return bounded(self.client.tracking_uri, patience(), call)

    def find_job(self, job: PlannedJob) -> str | None:
        """The newest parent run of a job, or None."""
        query = f"tags.kind = 'job' and tags.job = '{job.job}'"
        found = self.client.search_runs([self.experiment_id], query, max_results=1)
        return found[0].info.run_id if found else None

    def close(self) -> None:
        """Merge SQLite's write-ahead log, so that the database is one file."""
        uri = self.client.tracking_uri
        if uri.startswith("sqlite:///"):
            with contextlib.suppress(sqlite3.Error), sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _log(self, record: Record, parent: str | None) -> None:
        from mlflow.entities import Metric, Param

        status, config = record.status, record.config()
        tags = {**asdict(record.axes), "kind": "cell", "state": record.state, "fingerprint": record.fingerprint}
        tags |= {"code": status.code} if status.code else {}
        tags |= {"variant": status.variant, "headline": status.headline or ""}
        tags |= {RULES: rules_of(record)} if rules_of(record) else {}
        tags |= {"git_revision": record.environment()["git_revision"]}
        tags["cell_path"] = record.path.absolute().relative_to(self.output_dir).as_posix()
        if status.reason is not None:
            tags["reason"] = status.reason
        if parent is not None:
            tags["mlflow.parentRunId"] = parent
        tags |= owner_tags()
        run = self.client.create_run(
            self.experiment_id, milliseconds(record.status.started), tags_of(tags), name_of(record)
        )
        run_id = run.info.run_id
        heard()
        ended = "KILLED"
        try:
            params = [Param(key, value[:MAX_VALUE]) for key, value in flatten(config)]
            now = milliseconds(status.finished)
            metrics = [Metric(key, value, now, step) for key, value, step in metrics_of(record)]
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
            ended = "FINISHED" if record.state == "done" else "FAILED"
        finally:
            self.client.set_terminated(run_id, ended, milliseconds(record.status.finished))

    def _add_rules(self, run_id: str, record: Record) -> None:
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

    def _attempt(self, what: str, call: Callable[[], Result]) -> Result | None:
        """What ``call`` returns; None, after one warning, if it fails: the record is on disk already.

        A store that did not answer is left alone for a while: waiting for it would hold up every cell. Each time it
        is given half the time, so that silence costs no more than twice the first wait in all.
        """
        if time.monotonic() < self.silent_until:
            return None
        try:
            result = bounded(self.client.tracking_uri, self.patience, call)
            self.patience = patience()
            return result
        except Exception as error:
            if not self.warned:
                warn(
                    f"MLflow did not take {what} ({named(error)}); the cell folders are complete, and "
                    f"python -m benchmark.sync experiment={self.experiment_name} sends what it misses"
                )
            self.warned = True
            if did_not_answer(error):
                self.patience /= 2
                self.silent_until = time.monotonic() + SILENCE
            return None


def _has_rules(runs: Sequence[Any], record: Record) -> bool:
    return any(run.data.tags.get(RULES, "") == rules_of(record) for run in runs)


def _experiment(client: Any, name: str, artifacts: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    try:
        return client.create_experiment(name, artifact_location=artifacts)
    except MlflowException:  # another process has just made it
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found.experiment_id
