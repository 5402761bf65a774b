"""The way of a cell from its layout to its record: train, score and judge, write. A step returns what the next takes.

Steps take many cells at once, a fleet or a part of one, and what fails with many is tried again with fewer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from benchmark.cells import Cell
from benchmark.data.splits import told_classes
from benchmark.engine import build, memory
from benchmark.engine.evaluate import evaluate
from benchmark.engine.fleet import Fleet
from benchmark.engine.score import Scoring
from benchmark.engine.state import Interrupted, Misfit, Snapshot, Training
from benchmark.engine.train import Member, Watch, train, train_in_company
from benchmark.say import named
from benchmark.store.records import Record
from benchmark.sweep.ending import End, show, write
from benchmark.sweep.job import Job, now

if TYPE_CHECKING:
    from benchmark.models.base import Model
    from benchmark.sweep.progress import Progress

EpochWatch = Callable[[Cell, str, list[dict[str, Any]]], None]  # of a cell: when it started, its history so far
Item = TypeVar("Item")
Result = TypeVar("Result")


def unwatched(cell: Cell, started: str, history: list[dict[str, Any]]) -> None:
    """Nobody is told of epochs."""


@dataclass(frozen=True)
class Work:
    """What every step of a job needs besides its cells."""

    job: Job
    strategy: str  # loop | vmap
    progress: Progress
    stop: Event  # set once the job is given up
    watch: EpochWatch = unwatched


@dataclass(frozen=True)
class Start:
    """A cell that is to be trained, from its beginning or from a checkpoint."""

    cell: Cell
    snapshot: Snapshot | None = None

    @property
    def epoch(self) -> int:
        return self.snapshot.epoch if self.snapshot is not None else 0


@dataclass(frozen=True)
class Trained:
    """Cells after their training, as one fleet."""

    cells: Sequence[Cell]
    fleet: Fleet
    trainings: Sequence[Training]
    started: str


def run_fleet(work: Work, cells: Sequence[Cell]) -> Iterator[Record]:
    """Train the cells as one fleet, score and judge them, and write what came of it."""
    for trained in _trained(work, cells):
        for end in _judged(work, trained) if isinstance(trained, Trained) else [trained]:
            record = write(work.job, end)
            show(work.progress, end.cell, record)
            yield record


# train


def _trained(work: Work, cells: Sequence[Cell]) -> Iterator[Trained | End]:
    """The cells trained, in as few fleets as it went with."""
    started = now()

    def smaller(starts: Sequence[Start], error: Exception) -> list[Sequence[Start]]:
        if isinstance(error, Misfit):  # said before anything is trained
            work.job.checkpoints.refuse(starts[error.cell].cell, error)
            again = [replace(start, snapshot=None) if i == error.cell else start for i, start in enumerate(starts)]
            return _split_by_epoch(again)
        return [fleet for part in _fewer(starts, error) for fleet in _split_by_epoch(_again(work.job, part))]

    def attempt(starts: Sequence[Start]) -> Trained:
        return _train(work, starts)

    for starts, found in _retry_smaller(attempt, _split_by_epoch(_starts(work.job, cells)), smaller):
        yield found if isinstance(found, Trained) else End.failed(starts[0].cell, started, found)


def _starts(job: Job, cells: Sequence[Cell]) -> list[Start]:
    return [Start(cell, job.checkpoints.load(cell) if job.config.resume else None) for cell in cells]


def _again(job: Job, starts: Sequence[Start]) -> list[Start]:
    return _starts(job, [start.cell for start in starts])


def _split_by_epoch(starts: Sequence[Start]) -> list[Sequence[Start]]:
    """Fleets of which each is at one epoch."""
    epochs = sorted({start.epoch for start in starts})
    return [[start for start in starts if start.epoch == epoch] for epoch in epochs]


def _train(work: Work, starts: Sequence[Start]) -> Trained:
    """Cells trained as one fleet, all from the same epoch on."""
    job, started = work.job, now()
    cells = [start.cell for start in starts]
    resumed = [start.snapshot for start in starts if start.snapshot is not None]
    for start in starts:
        work.progress.cell_started(start.cell.name)
        if resumed:
            work.progress.say(f"  {start.cell.name}: goes on after epoch {start.epoch} of {job.settings.epochs}")
    with memory.measured(job.device, len(cells)) as span:
        fleet = Fleet([build_model(job, cell) for cell in cells], job.device)
        members = [_member(job, start, fleet.model.label_share) for start in starts]
        reporter = _epoch_reporter(work, cells, started)
        watch = Watch(reporter, job.checkpoints.keeper(cells, resumed), work.stop)
        train_cells = train_in_company if work.strategy == "vmap" and job.device == "cpu" else train
        trainings = train_cells(fleet, job.images["train"], members, job.settings, watch)
    for training in trainings:
        training.peak = span.peak
    for training, snapshot in zip(trainings, resumed, strict=False):
        training.seconds += snapshot.seconds
    return Trained(cells, fleet, trainings, started)


def build_model(job: Job, cell: Cell) -> Model:
    """The cell's model with its first weights, which depend on the cell's own seed alone."""
    return build.build_model(cell.config["model"], job.data.image_shape, cell.stream("init"), job.settings.batch_size)


def _member(job: Job, start: Start, share: float) -> Member:
    """What the cell trains on; ``share`` of its images' classes is told to its model."""
    cell = start.cell
    told = told_classes(cell.split, job.data.train_labels, share, cell.stream("labels")) if share > 0 else None
    return Member(cell.split.train_index, cell.stream("order"), cell.stream("noise"), told, start.snapshot)


def _epoch_reporter(work: Work, cells: Sequence[Cell], started: str) -> Callable[[int, list[Training]], None]:
    epochs = work.job.settings.epochs

    def report(epoch: int, trainings: list[Training]) -> None:
        for cell, training in zip(cells, trainings, strict=True):
            row = training.history[-1]
            losses = {name.removeprefix("train/"): value for name, value in row.items() if name.startswith("train/")}
            work.progress.update(cell.name, epoch, epochs, losses)
            work.watch(cell, started, training.history)

    return report


# score and judge


def _judged(work: Work, trained: Trained) -> Iterator[End]:
    """How each cell ended: those that diverged first, the others with what their scores are worth."""
    alive = []
    for i, (cell, training) in enumerate(zip(trained.cells, trained.trainings, strict=True)):
        if training.diverged is None:
            alive.append(i)
        else:
            weights = trained.fleet.state(i)
            yield End(cell, trained.started, "diverged", training.diverged, training=training, weights=weights)
    alone = work.job.device == "cpu" or trained.fleet.model.one_by_one  # a CPU's caches are full with one cell's images
    size = 1 if alone else max(len(alive), 1)
    parts = [alive[i : i + size] for i in range(0, len(alive), size)]
    for part, found in _retry_smaller(lambda chosen: _judge(work, trained, chosen), parts, _fewer):
        if isinstance(found, Exception):
            yield End.failed(trained.cells[part[0]], trained.started, found)
        else:
            yield from found


def _judge(work: Work, trained: Trained, chosen: Sequence[int]) -> list[End]:
    """Score some cells of a trained fleet, and judge their scores."""
    job, fleet = work.job, trained.fleet.subset(chosen)
    pairs = [(trained.cells[i], trained.trainings[i]) for i in chosen]
    how = Scoring(job.config.trainer.score_batch_size, job.precision, work.stop, job.rules_built(job.rules))
    outcomes = evaluate(fleet, pairs, job.data, job.images, how)
    return [
        End(cell, trained.started, "done", None, None, outcome, training, fleet.state(i))
        for i, ((cell, training), outcome) in enumerate(zip(pairs, outcomes, strict=True))
    ]


# what training and scoring share


def _retry_smaller(
    attempt: Callable[[Sequence[Item]], Result],
    parts: Sequence[Sequence[Item]],
    smaller: Callable[[Sequence[Item], Exception], Sequence[Sequence[Item]]],
) -> Iterator[tuple[Sequence[Item], Result | Exception]]:
    """Yield each part with what ``attempt`` makes of it; one that fails is tried again as the parts of ``smaller``.

    One that has no smaller parts is yielded with its error. Ends early once the job is given up.
    """
    waiting = list(parts)
    while waiting:
        part = waiting.pop(0)
        found: Result | Exception
        try:
            found = attempt(part)
        except Interrupted:
            return
        except Exception as error:
            if again := smaller(part, error):
                waiting = [*again, *waiting]
                continue
            found = error
        yield part, found


def _fewer(items: Sequence[Item], error: Exception) -> list[Sequence[Item]]:
    """Two parts to go on with: halves when memory ran out, else the first alone and the rest; none of one item."""
    if len(items) == 1:
        return []
    print(f"{len(items)} cells as one fleet failed ({named(error, 300)}); going on with fewer", file=sys.stderr)
    torch.cuda.empty_cache()
    middle = len(items) // 2 if isinstance(error, torch.OutOfMemoryError) else 1
    return [items[:middle], items[middle:]]
