"""MLflow: a parent run for each job, a child run for each cell.

Everything recorded is in the cell's folder first; a tracker that cannot be reached costs a warning, never a cell.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from benchmark.say import named, warn
from benchmark.store.format import PlannedJob
from benchmark.store.leases import lock
from benchmark.store.processes import Pulse
from benchmark.store.records import Record, means
from benchmark.tracking.client import connect, create_store, experiment_id_of, public, silent, tracking_uri, write_ahead
from benchmark.tracking.forgotten import is_forgotten
from benchmark.tracking.heartbeat import HEARTBEAT, close_dead_runs, owner_tags, sign_of_life
from benchmark.tracking.live import LiveRuns, Open, is_unfinished
from benchmark.tracking.models import chosen, log_model
from benchmark.tracking.origin import PROGRAM, origin_tags
from benchmark.tracking.patience import SilentError, bounded, did_not_answer, heard, patience
from benchmark.tracking.runs import CellRuns, has_rules, holding
from benchmark.tracking.texts import ATTEMPT, NOTE, description_of_job, name_of, tags_of

if TYPE_CHECKING:
    from benchmark.tracking.watched import Training

Result = TypeVar("Result")
MAX_ATTEMPTS = 100  # runs of one cell that are looked at
SILENCE = 30.0  # seconds for which a server that did not answer is not asked again


class Tracker:
    """Writes jobs and cells to one MLflow experiment through ``MlflowClient``."""

    def __init__(
        self,
        client: Any,
        experiment_id: str,
        output_dir: Path,
        figures: bool,
        experiment_name: str = "",
        models: str = "off",
    ) -> None:
        self.client, self.experiment_id, self.experiment_name = client, experiment_id, experiment_name
        self.output_dir, self.models = Path(output_dir), models
        self.runs = CellRuns(client, experiment_id, self.output_dir, figures)
        self.warned = False
        self.missed: dict[str, list[Record]] = {}  # of each job, what MLflow did not take
        self.patience = patience()  # seconds that a call may wait for an answer
        self.silent_until = 0.0  # monotonic time before which a server that did not answer is not asked again
        self.pulses: dict[str, Pulse] = {}  # of the jobs that run
        self.commands: dict[str | None, str] = {}  # that made them
        self.live = LiveRuns(client, experiment_id)
        self.running: dict[str, Open] = {}  # runs of cells in training, by their fingerprints

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
                experiment_id = experiment_id_of(client, experiment_name, artifacts)
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
        return cls(client, experiment_id, output_dir, config.figures, experiment_name, config.models)

    def start_job(self, job: PlannedJob) -> str | None:
        """Start the parent run of a job (as in its file in ``experiments/``); returns its id."""
        axes = job.cells[0].axes
        name = f"{axes.model} {axes.dataset} {axes.split}: {len(job.cells)} cells"
        tags = {key: getattr(axes, key) for key in ("model", "dataset", "split", "evaluate_on")}
        tags |= {"kind": "job", "job": job.job, "git_revision": job.git_revision, "command": job.command}
        tags |= {**origin_tags(job.command, job.git_revision), NOTE: description_of_job(job)}

        def start() -> str:
            run = self.client.create_run(self.experiment_id, run_name=name, tags=tags_of(tags | owner_tags()))
            run_id = run.info.run_id
            self.commands[run_id] = job.command
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
            for fingerprint in [one for one, run in self.running.items() if run.parent == parent]:
                given_up = self.running.pop(fingerprint)
                self._attempt("the end of a cell", partial(self.client.set_terminated, given_up.run_id, "KILLED"))
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
                found = self._all_runs(record.fingerprint, record.status.code)
                known = holding(found, record)
                if known and not has_rules(known, record):
                    self.runs.add_rules(known[0].info.run_id, record)
                elif not known:
                    command = self.commands.get(parent, PROGRAM)
                    self.runs.log(record, parent, command, self._begun(found, record))
                self.running.pop(record.fingerprint, None)
            return True

        if self._attempt(name_of(record), log):
            return True
        if parent is not None:
            self.missed.setdefault(parent, []).append(record)
        return False

    def log_history(self, trainings: Sequence[Training], parent: str | None) -> None:
        """Tell what the epochs of cells in training said by now; a cell that has no run yet gets one.

        One whose record MLflow has already, and that is trained again, is left as it is.
        """
        for training in trainings if parent is not None else ():
            self._attempt(f"the history of {training.cell.name}", partial(self._log_history, training, parent))

    def _log_history(self, training: Training, parent: str) -> None:
        cell = training.cell
        if cell.fingerprint not in self.running:
            with lock(self.output_dir, f"mlflow-{cell.fingerprint[:1]}"):
                found = self._all_runs(cell.fingerprint, cell.code)
                if any(run.info.status == "FINISHED" for run in found):
                    return
                earlier = next(filter(is_unfinished, found), None)
                command = self.commands.get(parent, PROGRAM)
                self.running[cell.fingerprint] = self.live.begin(training, parent, command, earlier)
            heard()
        self.live.add_history(self.running[cell.fingerprint], training.history)

    def log_models(self, records: Sequence[Record]) -> None:
        """Log models of a job's cells, of which ``tracking.models`` says; a cell whose run has one keeps it."""
        for record in chosen(records, self.models):
            self._attempt(f"the model of {name_of(record)}", partial(self._log_model, record))

    def _log_model(self, record: Record) -> None:
        with lock(self.output_dir, f"mlflow-{record.fingerprint[:1]}"):
            for run in self._runs(record)[:1]:  # MLflow did not take the cell: nor does it get a model
                outputs = self.client.get_run(run.info.run_id).outputs
                if not outputs or not outputs.model_outputs:
                    log_model(self.client, self.experiment_id, run.info.run_id, record)

    def _begun(self, found: Sequence[Any], record: Record) -> Open | None:
        """The run that the cell of a record had while it was trained, or that was left by a process that died."""
        if record.fingerprint in self.running:
            return self.running[record.fingerprint]
        for run in filter(is_unfinished, found):
            same = run.data.tags.get(ATTEMPT) == record.status.started
            if same or (record.state == "done" and run.info.status == "KILLED"):
                return self.live.opened(run)
        return None

    def log_missing(self, job: PlannedJob, records: Sequence[Record]) -> None:
        """Log those cells of a finished job that MLflow does not have, below its newest run, or a new one."""

        def look() -> tuple[list[Record], str | None]:
            missing = [record for record in records if not self.has(record)]
            return missing, self.find_job(job) if missing else None

        missing, known = self._attempt("a look at what it has", look) or ([], None)
        parent = self.start_job(job) if missing and known is None else known
        for record in missing:
            self.log_cell(record, parent)
        self.log_models(records)
        if missing and known is None:
            self.end_job(parent, "FINISHED", means(records))

    def has(self, record: Record) -> bool:
        """Whether a FINISHED run holds fingerprint and code of a cell that is done; of another cell, this attempt.

        One whose cell was forgotten since does not count: the cell has been planned again. Nor does one that lacks what
        rules say of the cell.
        """
        found = self._runs(record)
        return bool(found) and has_rules(found, record)

    def _runs(self, record: Record) -> list[Any]:
        """The runs that hold the cell, the newest first, whatever rules have said of it."""
        return holding(self._all_runs(record.fingerprint, record.status.code), record)

    def _all_runs(self, fingerprint: str, code: str) -> list[Any]:
        """The runs of a cell as trained by this code, the newest first, however they ended."""
        query = f"tags.fingerprint = '{fingerprint}'" + (f" and tags.code = '{code}'" if code else "")
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
