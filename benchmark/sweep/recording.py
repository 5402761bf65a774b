"""What became of a cell: written to its folder, and said."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from benchmark.cells import NUMERICS_VERSION, Cell
from benchmark.say import named
from benchmark.store.environment import environment
from benchmark.store.files import RecordError
from benchmark.store.format import Status
from benchmark.store.records import Content, Record, read_record, write_record
from benchmark.sweep.job import Job, now

if TYPE_CHECKING:
    import torch

    from benchmark.engine.evaluate import Outcome
    from benchmark.engine.state import Training
    from benchmark.sweep.progress import Progress


def write(
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
    """Write the cell's folder; a record that cannot be written is a failed one, and what was there before stays."""
    path = job.output_dir / cell.path
    status = Status(
        state=state,
        reason=reason,
        fingerprint=cell.fingerprint,
        code=cell.code,
        numerics=NUMERICS_VERSION,
        experiment_name=job.config.experiment_name,
        axes=cell.axes,
        variant=cell.variant,
        headline=cell.config["model"]["headline"],
        split={"version": cell.split.version, "hash": cell.split.hash},
        data_version=job.data.version,
        started=started,
        finished=now(),
    )
    content = Content(
        config=OmegaConf.to_yaml(OmegaConf.create(dict(cell.config))),
        environment=environment(job.device, job.precision),
        metrics=outcome.metrics if outcome is not None else {},
        arrays=outcome.arrays if outcome is not None else {},
        history=training.history if training is not None else (),
        weights=weights,
        traceback=trace,
    )
    try:
        write_record(path, status, content)
        job.checkpoints.drop(cell)
        return read_record(path)
    except (OSError, RecordError) as error:
        before = f"{reason}; then " if reason is not None else ""
        why = f"{before}its record could not be written ({named(error, 300)}); what was there before is kept"
        return Record(path, replace(status, state="failed", reason=why), {}, written=False)


def failed(job: Job, cell: Cell, start: str, error: Exception, progress: Progress) -> Record:
    """Write and say that the cell failed, with the traceback."""
    record = write(job, cell, "failed", named(error, 300), start, trace="".join(traceback.format_exception(error)))
    show(progress, cell, record)
    return record


def unleased(job: Job, cell: Cell, error: OSError, progress: Progress) -> Record:
    """Say that nothing may be written for the cell, as its lease could not be taken."""
    reason = f"its lease could not be taken ({named(error, 300)})"
    status = Status(state="failed", reason=reason, fingerprint=cell.fingerprint, axes=cell.axes)
    record = Record(job.output_dir / cell.path, status, {}, written=False)
    show(progress, cell, record)
    return record


def show(progress: Progress, cell: Cell, record: Record, how: str = "") -> None:
    """Say what became of the cell."""
    what = f"{how}AUROC {record.metrics['auroc']:.4f}" if record.state == "done" else record.status.reason
    progress.cell_done(cell.name, record.state, what)
