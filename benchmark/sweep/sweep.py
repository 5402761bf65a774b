"""One command: its jobs share the tracker and the summary at the end, in one process or in many."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.store.processes import end_with_parent
from benchmark.sweep.collector import collect_as_usual
from benchmark.sweep.launchers import Launcher, deal_gpu
from benchmark.tracking.background import BackgroundTracker

if TYPE_CHECKING:
    from benchmark.cells import Cell
    from benchmark.store.records import Record
    from benchmark.sweep.job import Job


class Session:
    """A command while it runs.

    Where a launcher runs jobs in workers, each of them gets a copy; what became of their cells is then read from the
    cells' folders.
    """

    def __init__(self, command: str, debug: bool = False) -> None:
        self.command, self.debug, self.start = command, debug, time.perf_counter()
        self.launcher = Launcher()
        self.devices: dict[tuple[str, str], tuple[str, str]] = {}  # as configured -> as planned
        self.gpus: list[str] = []  # to deal out to workers
        self.planned: list[tuple[Path, Cell]] = []  # every cell of a sweep, with its output directory
        self.finished_before: set[str] = set()  # fingerprints of those that are not trained again
        self.jobs: list[Job] = []  # laid out by the plan, for this process to run
        self.results: list[Any] = []
        self.broken: list[Exception] = []  # what jobs raised
        self.trackers: dict[tuple[str, ...], Any] = {}  # None: MLflow cannot be used

    def __getstate__(self) -> dict[str, Any]:
        """What a worker is sent: no connection, and nothing that grows with the sweep."""
        unusable = {key: tracker for key, tracker in self.trackers.items() if tracker is None}
        empty: dict[str, Any] = {"planned": [], "jobs": [], "finished_before": set(), "results": []}
        return self.__dict__ | empty | {"trackers": unusable}

    def plan(self, config: Any, overrides: Sequence[str]) -> Job:
        """Lay out the cells of a job. Raises ``UsageError`` if that cannot be; writes nothing."""
        from benchmark.store.finished import finished_record
        from benchmark.sweep.job import prepare_job

        key = (config.device, config.precision)
        self.devices.setdefault(key, self.launcher.resolve(*key))
        job = prepare_job(config, self.command, overrides, self.devices[key])
        if self.launcher.is_basic:
            self.jobs.append(job)
        for cell in job.cells:
            self.planned.append((job.output_dir, cell))
            if config.resume and finished_record(job.output_dir, cell) is not None:
                self.finished_before.add(cell.fingerprint)
        return job

    def prepare_workers(self, configs: Sequence[Any]) -> None:
        """Make stores and experiments once, before all workers would make them at once, and look which GPUs there are.

        An MLflow that cannot be used is said once, and no worker tries it again.
        """
        for config in configs:
            self._tracker(config)
        self.gpus = self.launcher.gpus()
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # Ray: every line of every worker

    def count_done(self) -> int:
        """Cells of the plan that are done by now."""
        if not self.planned:
            return 0
        from benchmark.store.finished import finished_record

        return sum(finished_record(output_dir, cell) is not None for output_dir, cell in self.planned)

    def run_or_note(self, config: Any) -> None:
        """``run``; what it raises is kept for the end, so that the other jobs go on and Hydra says nothing of it."""
        try:
            self.run(config)
        except Exception as error:
            self.broken.append(error)

    def run(self, config: Any) -> None:
        """One Hydra job, in this process or in a worker."""
        import torch
        from hydra.core.hydra_config import HydraConfig
        from rich.console import Console

        from benchmark.engine.device import resolve_device
        from benchmark.sweep.job import prepare_job
        from benchmark.sweep.progress import Progress
        from benchmark.sweep.run import run_job

        hydra = HydraConfig.get()
        if not self.launcher.is_basic:
            deal_gpu(self.gpus, int(hydra.job.num))
        if self.launcher.name == "joblib":
            end_with_parent()
        torch.use_deterministic_algorithms(config.deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = False
        collect_as_usual()  # what training imports is there
        planned, precision = self.devices.get((config.device, config.precision), (config.device, config.precision))
        device = resolve_device(planned, precision)
        overrides = list(hydra.overrides.task)
        place = next((i for i, job in enumerate(self.jobs) if job.config == config), None)
        if place is None:
            job = prepare_job(config, self.command, overrides, device, self.launcher.cores())
        else:
            job = replace(self.jobs.pop(place), overrides=overrides)
        title = f"{config.model.name} on {config.dataset.name}, {config.split.name}"
        tracker = self._tracker(config)
        console = Console(stderr=True) if self.launcher.is_basic else Console(stderr=True, force_terminal=False)
        with Progress(len(job.cells), title, console) as progress:
            self.results.append(run_job(job, tracker, progress))

    def _tracker(self, config: Any) -> Any:
        if not config.tracking.enabled:
            return None
        from benchmark.tracking.tracker import Tracker

        key = (str(config.tracking.uri), config.output_dir, config.experiment_name)
        if key not in self.trackers:
            open_it = partial(Tracker.open, config.tracking, config.output_dir, config.experiment_name)
            self.trackers[key] = BackgroundTracker(open_it) if self.launcher.is_basic else open_it()
        return self.trackers[key]

    def close(self, interrupted: bool = False) -> None:
        """Wait until MLflow has what it is to have; an interrupted command leaves unsent cells to the next one."""
        for tracker in self.trackers.values():
            if isinstance(tracker, BackgroundTracker):
                tracker.close(give_up=interrupted)
            elif tracker is not None:  # MLflow could not be used
                tracker.close()

    def summarise(self) -> int:
        """Print what became of every cell that is not done, and return the exit code."""
        from benchmark.sweep.progress import elapsed

        outcomes = self._outcomes()
        if not outcomes:
            return 0
        done = sum(state == "done" for state, *_ in outcomes)
        resumed = len(self.finished_before) if self.planned else sum(result.resumed for result in self.results)
        before = f" ({resumed} of them finished before)" if resumed else ""
        print(f"{done} of {len(outcomes)} cells done{before} in {elapsed(self.start)}.")
        for state, name, what in outcomes:
            if state != "done":
                print(f"  {state}: {name}: {what}")
        if done:
            self._say_what_is_next()
        return 0 if done == len(outcomes) else 1

    def _say_what_is_next(self) -> None:
        """Where the record is, if there is one cell only, and what makes tables of each experiment."""
        if len(self.planned) == 1:
            output_dir, cell = self.planned[0]
            print(f"Cell: {output_dir / cell.path}")
        settings = ((cell.config["experiment_name"], str(output_dir)) for output_dir, cell in self.planned)
        for experiment, output_dir in dict.fromkeys(settings):
            words = [f"experiment={experiment}", *([f"output_dir={output_dir}"] if output_dir != "outputs" else [])]
            print(f"Next: python -m benchmark.report {shlex.join(words)}")

    def _outcomes(self) -> list[tuple[str, str, str]]:
        """State, name and reason of every cell: what jobs in this process say, of others what their folders say."""
        found: dict[Path, tuple[str, str, str]] = {}
        for result in self.results:
            for record in result.records:
                found[record.path] = _outcome(record)
            for path, name, holder in result.busy:
                found[path] = ("running", name, _running(holder))
        for output_dir, cell in self.planned:
            path = output_dir / cell.path
            if path not in found:
                found[path] = _recorded(path, cell)
        return list(found.values())


def _recorded(path: Path, cell: Cell) -> tuple[str, str, str]:
    """What the folder of a cell says that a worker was to train."""
    from benchmark.store.leases import read_lease
    from benchmark.store.records import RecordError, read_record

    lease = read_lease(path)
    if lease is not None and lease.is_alive:
        return "running", cell.name, _running(lease.holder)
    if not path.exists():
        return "missing", cell.name, "no record of it was written: its worker says why, unless it was killed"
    try:
        return _outcome(read_record(path))
    except RecordError as error:
        return "unreadable", cell.name, str(error)


def _outcome(record: Record) -> tuple[str, str, str]:
    axes = record.axes
    parts = (axes.model, axes.dataset, str(axes.normal_class), f"seed {axes.seed}", record.status.variant)
    return record.state, " ".join(part for part in parts if part), f"{record.status.reason} ({record.path})"


def _running(holder: str) -> str:
    return f"{holder} trains it; the same command later counts it"
