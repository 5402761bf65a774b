"""Runs one Hydra job: one fleet, from its configuration to recorded cells."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeVar

import torch

from benchmark.cells import Cell
from benchmark.data.splits import told_classes
from benchmark.engine.device import allow_tf32
from benchmark.engine.evaluate import evaluate
from benchmark.engine.fleet import Fleet
from benchmark.engine.score import Scoring
from benchmark.engine.state import Interrupted, Misfit, Training
from benchmark.engine.train import Member, Watch, train, train_in_company
from benchmark.models import model_class
from benchmark.say import named, warn
from benchmark.store.finished import finished_record, why_again
from benchmark.store.leases import Leases
from benchmark.store.records import Record, means
from benchmark.sweep import recording
from benchmark.sweep.fleets import make_plan, run_programs
from benchmark.sweep.job import Job, now

if TYPE_CHECKING:
    from benchmark.engine.state import Snapshot
    from benchmark.models.base import Model
    from benchmark.sweep.progress import Progress
    from benchmark.tracking.background import BackgroundTracker
    from benchmark.tracking.tracker import Tracker

Item = TypeVar("Item")
Busy = tuple[Path, str, str]  # folder and name of a cell, and the process that trains it
_BUILD_LOCK = Lock()  # torch's global generator is seeded while a model is built


@dataclass
class JobResult:
    """What became of a job's cells."""

    records: list[Record] = field(default_factory=list)
    resumed: int = 0
    busy: list[Busy] = field(default_factory=list)  # cells that another process trains now

    @property
    def not_done(self) -> list[Record]:
        return [record for record in self.records if record.state != "done"]


def run_job(job: Job, tracker: Tracker | BackgroundTracker | None, progress: Progress) -> JobResult:
    """Train, score and record every cell of a job that is not finished yet.

    A cell that fails or diverges is recorded as such and never stops the others. A cell that another process trains
    at this moment is left to it. On ``KeyboardInterrupt`` finished cells stay, running ones are given up, and the
    interrupt goes on to the caller.
    """
    result = JobResult()
    allow_tf32(job.precision)
    try:
        description = job.write_plan()
    except OSError as error:
        warn(f"the plan of {len(job.cells)} cells could not be written ({error})")
        description = job.describe(now())
    todo = []
    for cell in job.cells:
        record = finished_record(job.output_dir, cell) if job.config.resume else None
        if record is None:
            todo.append(cell)
            if job.config.resume and (why := why_again(job.output_dir, cell)) is not None:
                progress.say(f"  {cell.name}: {why}, trained again")
            continue
        result.records.append(record)
        result.resumed += 1
        job.checkpoints.drop(cell)  # of a process killed between the record and this
        recording.show(progress, cell, record, "finished before, ")
    if tracker is not None and not todo:  # a repeat of a finished command is no run of its own
        tracker.log_missing(description, result.records)
        return result
    parent = tracker.start_job(description) if tracker is not None else None
    for record in result.records if tracker is not None else ():
        tracker.log_cell(record, parent)
    ended = "KILLED"
    try:
        with closing(_run_cells(job, todo, progress, result.busy)) as records:  # an interrupt ends its programs
            for record in records:
                result.records.append(record)
                if tracker is not None and record.written:
                    tracker.log_cell(record, parent)
        ended = "FAILED" if result.not_done else "FINISHED"
    finally:
        if tracker is not None:
            tracker.end_job(parent, ended, means(result.records))
    return result


def _run_cells(job: Job, cells: Sequence[Cell], progress: Progress, busy: list[Busy]) -> Iterator[Record]:
    """Yield the record of every cell as its program ends; cells of other processes are entered in ``busy``."""
    if not cells:
        return
    trainer = job.config.trainer
    model = build_model(job, cells[0])
    plan = make_plan(model, job.device, len(cells), trainer.strategy, trainer.workers, job.cores)

    def run(program: Sequence[Cell], stop: Event) -> list[Record]:
        folders = [job.output_dir / cell.path for cell in program]
        if stop.is_set():
            return []
        try:
            try:
                mine, records = _claim(job, program, leases, progress, busy)
            except OSError as error:  # without a lease nothing may be written
                return [recording.unleased(job, cell, error, progress) for cell in program]
            return records + (_run_program(job, mine, plan.strategy, progress, stop) if mine else [])
        finally:
            leases.give_back(folders)

    with Leases(job.output_dir) as leases:
        for records in run_programs(run, plan.programs(cells), plan.workers, job.device):
            yield from records


def _claim(
    job: Job, cells: Sequence[Cell], leases: Leases, progress: Progress, busy: list[Busy]
) -> tuple[list[Cell], list[Record]]:
    """The cells whose lease this process got, and the records of those that another one has finished by now."""
    leased = leases.take([job.output_dir / cell.path for cell in cells])
    mine, records = [], []
    for cell in cells:
        lease = leased.get(job.output_dir / cell.path)
        record = finished_record(job.output_dir, cell) if job.config.resume and lease is None else None
        if lease is not None:
            busy.append((job.output_dir / cell.path, cell.name, lease.holder))
            progress.cell_done(cell.name, "busy", f"{lease.holder} trains it")
        elif record is not None:
            records.append(record)
            recording.show(progress, cell, record, "finished by another process, ")
        else:
            mine.append(cell)
    return mine, records


def _run_program(job: Job, cells: Sequence[Cell], strategy: str, progress: Progress, stop: Event) -> list[Record]:
    """Train cells as one program, then score and record them; what fails is tried again with fewer cells."""
    if stop.is_set():
        return []
    snapshots = [job.checkpoints.load(cell) if job.config.resume else None for cell in cells]
    epochs = [snapshot.epoch if snapshot is not None else 0 for snapshot in snapshots]
    if len(set(epochs)) > 1:  # a program is at one epoch
        parts = [[cell for cell, at in zip(cells, epochs, strict=True) if at == epoch] for epoch in sorted(set(epochs))]
        return [record for part in parts for record in _run_program(job, part, strategy, progress, stop)]
    resumed = [snapshot for snapshot in snapshots if snapshot is not None]
    start = now()
    for cell in cells:
        progress.cell_started(cell.name)
        if resumed:
            progress.say(f"  {cell.name}: goes on after epoch {epochs[0]} of {job.settings.epochs}")
    try:
        fleet = Fleet([build_model(job, cell) for cell in cells], job.device)
        members = [_member(job, *pair, fleet.model.label_share) for pair in zip(cells, snapshots, strict=True)]
        reporter = _epoch_reporter(cells, job.settings.epochs, progress)
        watch = Watch(reporter, job.checkpoints.keeper(cells, resumed), stop)
        train_cells = train_in_company if strategy == "vmap" and job.device == "cpu" else train
        trainings = train_cells(fleet, job.images["train"], members, job.settings, watch)
        for training, snapshot in zip(trainings, resumed, strict=False):
            training.seconds += snapshot.seconds
    except Interrupted:
        return []
    except Misfit as error:  # said before anything is trained
        job.checkpoints.refuse(cells[error.cell], error)
        return _run_program(job, cells, strategy, progress, stop)
    except Exception as error:
        if len(cells) == 1:
            return [recording.failed(job, cells[0], start, error, progress)]
        parts = _fewer(cells, error)
        return [record for part in parts for record in _run_program(job, part, strategy, progress, stop)]
    records = []
    alive = []
    for i, (cell, training) in enumerate(zip(cells, trainings, strict=True)):
        if training.diverged is None:
            alive.append(i)
        else:
            weights = fleet.state(i)
            records.append(
                recording.write(job, cell, "diverged", training.diverged, start, training=training, weights=weights)
            )
            recording.show(progress, cell, records[-1])
    alone = job.device == "cpu" or fleet.model.one_by_one  # on a CPU a cell's images fill the caches by themselves
    size = 1 if alone else max(len(alive), 1)
    for part in (alive[i : i + size] for i in range(0, len(alive), size)):
        records += _score(job, fleet.subset(part), [(cells[i], trainings[i]) for i in part], start, progress, stop)
    return records


def _score(
    job: Job,
    fleet: Fleet,
    trained: Sequence[tuple[Cell, Training]],
    start: str,
    progress: Progress,
    stop: Event,
) -> list[Record]:
    """Score and record the cells of a trained fleet; what fails is tried again with fewer cells."""
    cells = [cell for cell, _ in trained]
    try:
        how = Scoring(job.config.trainer.score_batch_size, job.precision, stop)
        outcomes = evaluate(fleet, trained, job.data, job.images, how)
    except Interrupted:
        return []
    except Exception as error:
        if len(cells) == 1:
            return [recording.failed(job, cells[0], start, error, progress)]
        parts = _fewer(range(len(cells)), error)
        return [
            record
            for part in parts
            for record in _score(job, fleet.subset(part), [trained[i] for i in part], start, progress, stop)
        ]
    records = []
    for i, ((cell, training), outcome) in enumerate(zip(trained, outcomes, strict=True)):
        records.append(recording.write(job, cell, "done", None, start, outcome, training, fleet.state(i)))
        recording.show(progress, cell, records[-1])
    return records


def _fewer(items: Sequence[Item], error: Exception) -> tuple[Sequence[Item], Sequence[Item]]:
    """Two parts to go on with: halves when memory ran out, else the first alone and the rest."""
    print(f"{len(items)} cells as one program failed ({named(error, 300)}); going on with fewer", file=sys.stderr)
    torch.cuda.empty_cache()
    middle = len(items) // 2 if isinstance(error, torch.OutOfMemoryError) else 1
    return items[:middle], items[middle:]


def build_model(job: Job, cell: Cell) -> Model:
    """The cell's model with its first weights, which depend on the cell's own seed alone."""
    arguments = {key: value for key, value in cell.config["model"].items() if key != "name"}
    with _BUILD_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(cell.stream("init"))
        model = model_class(cell.config["model"]["name"])(job.data.image_shape, **arguments)
    model.batch_size = job.settings.batch_size  # which trainer.batch_size may have changed
    return model


def _member(job: Job, cell: Cell, snapshot: Snapshot | None, share: float) -> Member:
    """What the cell trains on; ``share`` of its images' classes is told to its model."""
    told = told_classes(cell.split, job.data.train_labels, share, cell.stream("labels")) if share > 0 else None
    return Member(cell.split.train_index, cell.stream("order"), cell.stream("noise"), told, snapshot)


def _epoch_reporter(cells: Sequence[Cell], epochs: int, progress: Progress) -> Callable[[int, list[Training]], None]:
    def report(epoch: int, trainings: list[Training]) -> None:
        for cell, training in zip(cells, trainings, strict=True):
            row = training.history[-1]
            losses = {name.removeprefix("train/"): value for name, value in row.items() if name.startswith("train/")}
            progress.update(cell.name, epoch, epochs, losses)

    return report
