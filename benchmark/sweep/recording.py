"""What became of a cell: written to its folder, and said."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from benchmark.cells import NUMERICS_VERSION, Cell
from benchmark.store.environment import environment
from benchmark.store.records import Record, RecordError, read_record, write_record
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
    status = {
        "state": state,
        "reason": reason,
        "fingerprint": cell.fingerprint,
        "code": cell.code,
        "numerics": NUMERICS_VERSION,
        "experiment_name": job.config.experiment_name,
        "axes": dict(cell.axes),
        "variant": cell.variant,
        "headline": cell.config["model"]["headline"],
        "split": {"version": cell.split.version, "hash": cell.split.hash},
        "data_version": job.data.version,
        "started": started,
        "finished": now(),
    }
    try:
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
        job.checkpoints.drop(cell)
        return read_record(path)
    except (OSError, RecordError) as error:
        before = f"{reason}; then " if reason is not None else ""
        why = f"{before}its record could not be written ({line(error)}); what was there before is kept"
        return Record(path, status | {"state": "failed", "reason": why, "unwritten": True}, {})


def failed(job: Job, cell: Cell, start: str, error: Exception, progress: Progress) -> Record:
    """Write and say that the cell failed, with the traceback."""
    record = write(job, cell, "failed", line(error), start, trace="".join(traceback.format_exception(error)))
    show(progress, cell, record)
    return record


def unleased(job: Job, cell: Cell, error: OSError, progress: Progress) -> Record:
    """Say that nothing may be written for the cell, as its lease could not be taken."""
    reason = f"its lease could not be taken ({line(error)})"
    status = {"state": "failed", "reason": reason, "fingerprint": cell.fingerprint, "axes": dict(cell.axes)}
    record = Record(job.output_dir / cell.path, status | {"unwritten": True}, {})
    show(progress, cell, record)
    return record


def show(progress: Progress, cell: Cell, record: Record, how: str = "") -> None:
    """Say what became of the cell."""
    what = f"{how}AUROC {record.metrics['auroc']:.4f}" if record.state == "done" else record.status["reason"]
    progress.cell_done(cell.name, record.state, what)


def line(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]
