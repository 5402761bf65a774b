"""Runs one Hydra job: one fleet, from its configuration to recorded cells."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import OmegaConf

from benchmark.cells import Cell, finished_record
from benchmark.environment import environment
from benchmark.evaluate import Outcome, evaluate
from benchmark.fleet import Fleet
from benchmark.jobs import Job, now
from benchmark.models import model_class
from benchmark.records import Record, read_record, write_record
from benchmark.train import Interrupted, Training, train

if TYPE_CHECKING:
    from benchmark.models.base import Model
    from benchmark.progress import Progress
    from benchmark.tracking import Tracker

_BUILD_LOCK = Lock()  # torch's global generator is seeded while a model is built


@dataclass
class JobResult:
    """What became of a job's cells."""

    records: list[Record] = field(default_factory=list)
    resumed: int = 0

    @property
    def not_done(self) -> list[Record]:
        return [record for record in self.records if record.state != "done"]


def run_job(job: Job, tracker: Tracker | None, progress: Progress) -> JobResult:
    """Train, score and record every cell of a job that is not finished yet.

    A cell that fails or diverges is recorded as such and never stops the others. On ``KeyboardInterrupt`` finished
    cells stay, running ones are given up, and the interrupt goes on to the caller.
    """
    result = JobResult()
    description = job.write_plan()
    todo = []
    parent = tracker.start_job(description) if tracker is not None else None
    for cell in job.cells:
        record = finished_record(job.output_dir, cell) if job.config.resume else None
        if record is None:
            todo.append(cell)
            continue
        result.records.append(record)
        result.resumed += 1
        if tracker is not None:
            tracker.log_cell(record, parent)
        progress.cell_done(cell.name, "done", f"finished before, AUROC {record.metrics['auroc']:.4f}")
    ended = "KILLED"
    try:
        for record in _run_cells(job, todo, progress):
            result.records.append(record)
            if tracker is not None:
                tracker.log_cell(record, parent)
        ended = "FAILED" if result.not_done else "FINISHED"
    finally:
        if tracker is not None:
            tracker.end_job(parent, ended)
    return result


def _run_cells(job: Job, cells: Sequence[Cell], progress: Progress) -> Any:
    """Yield the record of every cell as it ends; programs run in worker threads, records are written here."""
    strategy, workers = plan_programs(job)
    size = len(cells) if strategy == "vmap" else 1
    programs = [cells[i : i + size] for i in range(0, len(cells), max(size, 1))]
    stop = Event()
    threads = torch.get_num_threads()
    if workers > 1:
        torch.set_num_threads(1)
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(max(1, threads // workers),))
    waiting: set[Future[list[Record]]] = {pool.submit(_run_program, job, part, progress, stop) for part in programs}
    try:
        while waiting:
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ended:
                yield from future.result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)


def plan_programs(job: Job) -> tuple[str, int]:
    """Strategy and number of worker threads.

    On a CPU, one thread a cell and a cell a core: small networks leave most of a second thread idle, and a number
    computed by one thread is the same bit for bit whatever the number of cores or of cells beside it.
    """
    strategy = job.config.trainer.strategy
    on_cpu = job.device == "cpu"
    if strategy == "auto":
        strategy = "loop" if on_cpu else "vmap"
    if not model_class(job.config.model.name).vmappable:
        strategy = "loop"
    workers = job.config.trainer.workers
    if workers is None:
        workers = os.cpu_count() or 1 if on_cpu and strategy == "loop" else 1
    return strategy, min(workers, max(len(job.cells), 1))


def _run_program(job: Job, cells: Sequence[Cell], progress: Progress, stop: Event) -> list[Record]:
    """Train and score cells as one program; where that fails, in halves or one by one."""
    if stop.is_set():
        return []
    start = now()
    for cell in cells:
        progress.cell_started(cell.name)
    try:
        trainings, outcomes, states = _compute(job, cells, progress, stop)
    except Interrupted:
        return []
    except Exception as error:
        if len(cells) > 1:
            middle = len(cells) // 2 if isinstance(error, torch.OutOfMemoryError) else 1
            print(f"{len(cells)} cells as one program failed ({_line(error)}); going on with fewer", file=sys.stderr)
            torch.cuda.empty_cache()
            parts = [cells[:middle], cells[middle:]]
            return [record for part in parts for record in _run_program(job, part, progress, stop)]
        reason = _line(error)
        progress.cell_done(cells[0].name, "failed", reason)
        return [_write(job, cells[0], "failed", reason, start, trace=traceback.format_exc())]
    records = []
    for cell, training, outcome, state in zip(cells, trainings, outcomes, states, strict=True):
        if training.diverged is not None:
            records.append(_write(job, cell, "diverged", training.diverged, start, training=training, weights=state))
            progress.cell_done(cell.name, "diverged", training.diverged)
        else:
            records.append(_write(job, cell, "done", None, start, outcome, training, state))
            progress.cell_done(cell.name, "done", f"AUROC {outcome.metrics['auroc']:.4f}")
    return records


def _compute(
    job: Job, cells: Sequence[Cell], progress: Progress, stop: Event
) -> tuple[list[Training], list[Outcome], list[dict[str, torch.Tensor]]]:
    fleet = Fleet([build_model(job, cell) for cell in cells], job.device)
    trainings = train(
        fleet,
        job.images["train"],
        [cell.split.train_index for cell in cells],
        [cell.stream("order") for cell in cells],
        [cell.stream("noise") for cell in cells],
        job.settings,
        _epoch_reporter(cells, job.settings.epochs, progress),
        stop,
    )
    states = [fleet.state(i) for i in range(fleet.size)]
    alive = [i for i, training in enumerate(trainings) if training.diverged is None]
    outcomes = [Outcome() for _ in cells]
    if alive:
        fleet = fleet.subset(alive)
        evaluated = evaluate(
            fleet,
            [cells[i] for i in alive],
            [trainings[i] for i in alive],
            job.data,
            job.images,
            job.config.trainer.score_batch_size,
            job.precision,
            stop,
        )
        for i, outcome in zip(alive, evaluated, strict=True):
            outcomes[i] = outcome
    return trainings, outcomes, states


def build_model(job: Job, cell: Cell) -> Model:
    """The cell's model with its first weights, which depend on the cell's own seed alone."""
    arguments = {key: value for key, value in cell.config["model"].items() if key != "name"}
    with _BUILD_LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(cell.stream("init"))
        return model_class(cell.config["model"]["name"])((1, *job.data.train_images.shape[1:]), **arguments)


def _epoch_reporter(cells: Sequence[Cell], epochs: int, progress: Progress) -> Callable[[int, list[Training]], None]:
    def report(epoch: int, trainings: list[Training]) -> None:
        for cell, training in zip(cells, trainings, strict=True):
            row = training.history[-1]
            losses = {name.removeprefix("train/"): value for name, value in row.items() if name.startswith("train/")}
            progress.update(cell.name, epoch, epochs, losses)

    return report


def _write(
    job: Job,
    cell: Cell,
    state: str,
    reason: str | None,
    started: str,
    outcome: Outcome | None = None,
    training: Training | None = None,
    weights: Mapping[str, torch.Tensor] | None = None,
    trace: str | None = None,
) -> Record:
    path = job.output_dir / cell.path
    status = {
        "state": state,
        "reason": reason,
        "fingerprint": cell.fingerprint,
        "experiment_name": job.config.experiment_name,
        "axes": dict(cell.axes),
        "variant": cell.variant,
        "headline": cell.config["model"]["headline"],
        "split": {"version": cell.split.version, "hash": cell.split.hash},
        "data_version": job.data.version,
        "started": started,
        "finished": now(),
    }
    write_record(
        path,
        status=status,
        config_yaml=OmegaConf.to_yaml(OmegaConf.create(dict(cell.config))),
        metrics=outcome.metrics if outcome is not None else {},
        environment=environment(job.device, job.precision),
        arrays=outcome.arrays if outcome is not None else None,
        history=training.history if training is not None else None,
        weights=weights,
        traceback=trace,
    )
    return read_record(path)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]


def elapsed(start: float) -> str:
    """Seconds since ``start`` (``time.perf_counter``) as ``m:ss``."""
    seconds = int(time.perf_counter() - start)
    return f"{seconds // 60}:{seconds % 60:02d}"
