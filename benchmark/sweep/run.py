"""Runs one job: its cells, from their layout to records in folders and in MLflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import torch

from benchmark.cells import Cell
from benchmark.engine.device import allow_tf32
from benchmark.report.committed import report_of
from benchmark.report.parts import RETRY
from benchmark.say import named, warn
from benchmark.store.finished import finished_record, why_again
from benchmark.store.format import PlannedJob, Status
from benchmark.store.leases import Leases
from benchmark.store.records import Record, means
from benchmark.sweep.ending import show
from benchmark.sweep.fleets import lay_out_fleets, run_fleets
from benchmark.sweep.job import Job, now
from benchmark.sweep.rescoring import judged_record, left, rescore
from benchmark.sweep.steps import EpochWatch, Work, build_model, run_fleet, unwatched

if TYPE_CHECKING:
    from benchmark.sweep.progress import Progress
    from benchmark.tracking.background import BackgroundTracker


@dataclass(frozen=True)
class Busy:
    """A cell that another process trains now."""

    path: Path
    name: str
    holder: str


@dataclass(frozen=True)
class JobResult:
    """What became of a job's cells."""

    records: list[Record]
    resumed: int  # of them, finished before
    busy: list[Busy]


def run_job(job: Job, tracker: BackgroundTracker | None, progress: Progress) -> JobResult:
    """Train, score and record every cell of a job that is not finished yet.

    A cell that fails or diverges is recorded as such and never stops the others. A cell that another process trains
    at this moment is left to it. On ``KeyboardInterrupt`` finished cells stay, running ones are given up, and the
    interrupt goes on to the caller.
    """
    torch.use_deterministic_algorithms(job.config.deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False
    allow_tf32(job.precision)
    description = _written(job)
    finished = _finished(job, progress)
    _say_published(job, progress)
    todo = [cell for cell in job.cells if cell.fingerprint not in finished and cell.fingerprint not in job.published]
    records, busy = list(finished.values()), []
    if tracker is not None and not todo:  # a repeat of a finished command is no run of its own
        tracker.log_missing(description, records)
        return JobResult(records, len(finished), busy)
    with (
        _tracked(tracker, description, records) as (track, watch),
        closing(_run_cells(job, todo, progress, watch)) as cells,  # an interrupt ends its fleets
    ):
        for found in cells:
            if isinstance(found, Busy):
                busy.append(found)
            else:
                records.append(found)
                track(found)
    return JobResult(records, len(finished), busy)


def _written(job: Job) -> PlannedJob:
    """The job's description, as it stands in its file."""
    try:
        return job.write()
    except OSError as error:
        warn(f"the plan of {len(job.cells)} cells could not be written ({error})")
        return job.describe(now())


def _finished(job: Job, progress: Progress) -> dict[str, Record]:
    """Records of the cells that are done already, by fingerprint."""
    found, waiting = {}, []
    for cell in job.cells if job.config.resume else ():
        record = finished_record(job.output_dir, cell)
        if record is not None:
            job.checkpoints.drop(cell)  # of a process killed between the record and this
        if record is not None and (more := left(job, record)):
            waiting.append(_listed(more))
        elif record is not None:
            found[cell.fingerprint] = record
            show(progress, cell, record, "finished before, ")
        elif cell.fingerprint not in job.published and (why := why_again(job.output_dir, cell)) is not None:
            progress.say(f"  {cell.name}: {why}, trained again")
    for what, count in Counter(waiting).items():
        progress.say(f"  {_cells(count)} finished before, to be judged from their weights: {what}")
    return found


def _say_published(job: Job, progress: Progress) -> None:
    """That cells are left to the published report, in one line; and what tries those again that failed here."""
    if not (count := len(job.published)):
        return
    where = report_of(job.config.experiment_name).as_posix()
    tried = sum(cell.fingerprint in job.published and job.has_record(cell) for cell in job.cells)
    again = f" ({tried} with a record here that is not finished: published={RETRY} tries such cells again)"
    progress.skip(count, f"{_cells(count)} published in {where}, not trained again{again if tried else ''}")


@contextmanager
def _tracked(
    tracker: BackgroundTracker | None, description: PlannedJob, finished: Sequence[Record]
) -> Iterator[tuple[Callable[[Record], None], EpochWatch]]:
    """The job's run in MLflow, with the cells that were finished before.

    The first of what it gives takes each further record, the second the epochs of cells in training.
    """
    if tracker is None:
        yield lambda record: None, unwatched
        return
    parent = tracker.start_job(description)
    seen: list[Record] = []

    def watch(cell: Cell, started: str, history: list[dict[str, Any]]) -> None:
        tracker.log_epoch(cell, started, history, parent)

    def track(record: Record) -> None:
        seen.append(record)
        if record.written:
            tracker.log_cell(record, parent)

    for record in finished:
        track(record)
    ended = "KILLED"
    try:
        yield track, watch
        tracker.log_models(seen)
        ended = "FAILED" if any(record.state != "done" for record in seen) else "FINISHED"
    finally:
        tracker.end_job(parent, ended, means(seen))


def _run_cells(job: Job, cells: Sequence[Cell], progress: Progress, watch: EpochWatch) -> Iterator[Record | Busy]:
    """Yield what became of every cell as its fleet ends."""
    if not cells:
        return
    trainer = job.config.trainer
    cores = job.cores if job.device == "cpu" else None
    workers = trainer.workers if trainer.workers is not None else cores
    fleets = lay_out_fleets(build_model(job, cells[0]), job.device, len(cells), trainer.strategy, workers)

    def run(fleet: Sequence[Cell], stop: Event) -> list[Record | Busy]:
        if stop.is_set():
            return []
        try:
            others = _claim(job, fleet, leases)
            for cell in fleet:
                if cell.fingerprint in others:
                    _say(progress, cell, others[cell.fingerprint])
            work = Work(job, fleets.strategy, progress, stop, watch)
            mine = [cell for cell in fleet if cell.fingerprint not in others]
            trained = _trained(job, mine)
            again = [cell for cell in mine if cell.fingerprint in trained]
            fresh = [cell for cell in mine if cell.fingerprint not in trained]
            return [*others.values(), *rescore(work, trained, again), *(run_fleet(work, fresh) if fresh else ())]
        finally:
            leases.give_back([job.output_dir / cell.path for cell in fleet])

    with Leases(job.output_dir) as leases:
        for ended in run_fleets(run, fleets.of(cells), fleets.workers, job.device):
            yield from ended


def _claim(job: Job, cells: Sequence[Cell], leases: Leases) -> dict[str, Record | Busy]:
    """Take the leases of these cells; returns, by fingerprint, what is to be said of those that are not to be trained.

    Another process trains them now or has finished them by now, or their leases cannot be taken: without one nothing
    may be written.
    """
    try:
        leased = leases.take([job.output_dir / cell.path for cell in cells])
    except OSError as error:
        return {cell.fingerprint: _unleased(job, cell, error) for cell in cells}
    found: dict[str, Record | Busy] = {}
    for cell in cells:
        lease = leased.get(job.output_dir / cell.path)
        if lease is not None:
            found[cell.fingerprint] = Busy(job.output_dir / cell.path, cell.name, lease.holder)
        elif job.config.resume and (record := judged_record(job, cell)) is not None:
            found[cell.fingerprint] = record
    return found


def _trained(job: Job, cells: Sequence[Cell]) -> dict[str, Record]:
    """Records, by fingerprint, of those cells that are done but for what rules say of them."""
    records = [finished_record(job.output_dir, cell) for cell in cells] if job.config.resume else []
    return {record.fingerprint: record for record in records if record is not None}


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more rules" if len(names) > 3 else "")


def _unleased(job: Job, cell: Cell, error: OSError) -> Record:
    reason = f"its lease could not be taken ({named(error, 300)})"
    status = Status(state="failed", reason=reason, fingerprint=cell.fingerprint, axes=cell.axes)
    return Record(job.output_dir / cell.path, status, {}, written=False)


def _say(progress: Progress, cell: Cell, found: Record | Busy) -> None:
    if isinstance(found, Busy):
        progress.cell_done(cell.name, "busy", f"{found.holder} trains it")
    else:
        show(progress, cell, found, "finished by another process, " if found.state == "done" else "")
