"""A command: its jobs laid out and written down, run one after the other or by workers, and what became of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import partial
from typing import Any

from benchmark.report.committed import report_of
from benchmark.say import warn
from benchmark.store.finished import finished_record
from benchmark.store.recovery import recover
from benchmark.sweep.compose import ComposedCommand, ComposedJob, through_hydra
from benchmark.sweep.explain import say
from benchmark.sweep.foresee import foresee
from benchmark.sweep.job import Job, lay_out_job
from benchmark.sweep.summary import Planned, summarise
from benchmark.sweep.workers import Luggage, do_job, store_of
from benchmark.tracking.background import BackgroundTracker


class Unwritable(Exception):
    """The output directory takes no more files; shown in one line, exit code 1."""


class Sweep:
    """The jobs of a command while they run: of a sweep, or a single one."""

    def __init__(self, command: ComposedCommand, typed: str, start: float, debug: bool = False) -> None:
        self.command, self.typed, self.start, self.debug = command, typed, start, debug
        self.launcher = command.launcher
        self.devices: dict[tuple[str, str], tuple[str, str]] = {}  # as configured -> as planned
        self.planned: list[Planned] = []
        self.foreseen: set[str] = set()  # splits that were looked at
        self.jobs: list[Job] = []  # for this process to run
        self.results: list[Any] = []  # of those that it ran
        self.trackers: dict[tuple[str, ...], Any] = {}  # None: MLflow cannot be used

    def plan(self) -> None:
        """Lay out every cell and write it down, before any of them starts.

        A report on half a sweep then shows what is missing. Nothing is written if a job of it cannot be run.
        """
        put_right({job.config.output_dir for job in self.command.jobs})
        jobs = [self._lay_out(job) for job in self.command.jobs]
        for job in jobs:
            try:
                job.write()
            except OSError as error:
                where = f"output_dir={job.config.output_dir}"
                raise Unwritable(
                    f"{where} cannot be written ({error}). Make room there, or type output_dir=<a folder>"
                ) from error
        self.jobs = jobs if self.launcher.is_basic else []

    def take(self, jobs: Iterable[Job]) -> None:
        """Plan jobs that were laid out elsewhere."""
        self.jobs = list(jobs)
        self.planned = [Planned(job.output_dir, cell, True) for job in self.jobs for cell in job.cells]

    def _lay_out(self, composed: ComposedJob) -> Job:
        """The cells of a job. Raises ``UsageError`` if they cannot be; writes nothing."""
        config = composed.config
        key = (config.device, config.precision)
        self.devices.setdefault(key, self.launcher.resolve(*key))
        job = lay_out_job(config, self.typed, composed.overrides, self.devices[key])
        folder = report_of(config.experiment_name)
        ahead = []
        for cell in job.cells:
            finished = config.resume and finished_record(job.output_dir, cell) is not None
            skipped = cell.fingerprint in job.published
            self.planned.append(Planned(job.output_dir, cell, finished, folder.as_posix() if skipped else ""))
            ahead += [] if finished or skipped else [cell]
        for line in foresee(job, ahead, self.foreseen):
            warn(line)
        return job

    def run(self, words: list[str]) -> int:
        """Run what was planned, say what became of it, and return the exit code; ``words`` are those of the command."""
        try:
            code = self._run_here() if self.launcher.is_basic else self._run_in_workers(words)
        except BaseException:
            self.close(interrupted=True)
            raise
        self.close()
        return summarise(self.planned, self.results, self.start) or code

    def _run_here(self) -> int:
        """The jobs one after the other. What one of them raises is said at the end, so that the others go on."""
        broken = []
        while self.jobs:
            job = self.jobs.pop(0)  # so that its images go when it is done
            try:
                self.results.append(do_job(job, self._tracker(job.config)))
            except Exception as error:
                broken.append(error)
        for error in broken:
            say(error, self.debug)
        return 1 if broken else 0

    def _run_in_workers(self, words: list[str]) -> int:
        """The jobs in the launcher's workers, which Hydra composes once more; 1 if it or a worker broke down.

        joblib gives up all jobs when a worker is killed: what is left is started again as long as that gets on.
        """
        luggage = self.pack()
        while True:
            done = self._count_done()
            try:
                return through_hydra(words, luggage.run)
            except Exception as error:
                say(error, self.debug)
                killed = type(error).__name__ in ("TerminatedWorkerError", "BrokenProcessPool")
                if killed:
                    put_right({str(planned.output_dir) for planned in self.planned})
                if not killed or self._count_done() <= done:
                    return 1
                print("benchmark: a worker was killed; going on with the cells that are left", file=sys.stderr)

    def pack(self) -> Luggage:
        """What workers are sent; stores and experiments are made before, once, as all workers would make them at once.

        An MLflow that cannot be used is said here, and no worker tries it again.
        """
        for job in self.command.jobs:
            self._tracker(job.config)
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # Ray: every line of every worker
        off = frozenset(key for key, tracker in self.trackers.items() if tracker is None)
        return Luggage(self.launcher, self.devices, self.launcher.gpus(), self.typed, off)

    def _count_done(self) -> int:
        """Planned cells that are done by now."""
        return sum(finished_record(planned.output_dir, planned.cell) is not None for planned in self.planned)

    def _tracker(self, config: Any) -> Any:
        if not config.tracking.enabled:
            return None
        from benchmark.tracking.tracker import Tracker

        key = store_of(config)
        if key not in self.trackers:
            open_it = partial(Tracker.open, config.tracking, config.output_dir, config.experiment_name)
            seconds = config.tracking.history_seconds
            self.trackers[key] = BackgroundTracker(open_it, seconds) if self.launcher.is_basic else open_it()
        return self.trackers[key]

    def close(self, interrupted: bool = False) -> None:
        """Wait until MLflow has what it is to have; an interrupted command leaves unsent cells to the next one."""
        for tracker in self.trackers.values():
            if isinstance(tracker, BackgroundTracker):
                tracker.close(give_up=interrupted)
            elif tracker is not None:  # MLflow could not be used
                tracker.close()


def put_right(output_dirs: set[str]) -> None:
    """Put right what a killed process left behind."""
    for output_dir in output_dirs:
        try:
            recovery = recover(output_dir)
        except OSError as error:
            warn(f"leftovers in {output_dir} cannot be put right ({error})")
            continue
        if recovery.restored or recovery.removed:
            print(f"An earlier run was killed: {recovery} in {output_dir}.", file=sys.stderr)
