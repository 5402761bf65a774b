"""How the work on a cell ended: written to its folder, and said."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from benchmark.cells import NUMERICS_VERSION, Cell
from benchmark.data import synthetic
from benchmark.say import named, shown
from benchmark.store.environment import environment
from benchmark.store.files import RecordError
from benchmark.store.format import Status
from benchmark.store.records import Content, Record, auroc_text, read_record, write_record
from benchmark.sweep.job import Job, now

if TYPE_CHECKING:
    import torch

    from benchmark.engine.evaluate import Outcome
    from benchmark.engine.state import Training
    from benchmark.sweep.progress import Progress


@dataclass(frozen=True)
class End:
    """How the work on a cell ended."""

    cell: Cell
    started: str
    state: str  # done | failed | diverged
    reason: str | None = None
    trace: str | None = None
    outcome: Outcome | None = None
    training: Training | None = None
    weights: Mapping[str, torch.Tensor] | None = None

    @classmethod
    def failed(cls, cell: Cell, started: str, error: Exception) -> End:
        """By an error, with its traceback."""
        return cls(cell, started, "failed", named(error, 300), "".join(traceback.format_exception(error)))


def write(job: Job, end: End) -> Record:
    """Write the cell's folder; a record that cannot be written is a failed one, and what was there before stays."""
    cell, path, outcome = end.cell, job.output_dir / end.cell.path, end.outcome
    status = Status(
        state=end.state,
        reason=end.reason,
        fingerprint=cell.fingerprint,
        code=cell.code,
        numerics=NUMERICS_VERSION,
        experiment_name=job.config.experiment_name,
        axes=cell.axes,
        variant=cell.variant,
        headline=cell.config["model"]["headline"],
        chosen_rule=job.config.chosen_rule,
        split=_split(cell),
        data_version=job.data.version,
        started=end.started,
        finished=now(),
    )
    content = Content(
        config=OmegaConf.to_yaml(OmegaConf.create(dict(cell.config))),
        environment=environment(job.device, job.precision),
        metrics=outcome.metrics if outcome is not None else {},
        arrays=outcome.arrays if outcome is not None else {},
        history=end.training.history if end.training is not None else (),
        weights=end.weights,
        traceback=end.trace,
        rules=told(job.rules, outcome.reasons) if outcome is not None else {},
    )
    try:
        write_record(path, status, content)
        job.checkpoints.drop(cell)
        return read_record(path)
    except (OSError, RecordError) as error:
        before = f"{end.reason}; then " if end.reason is not None else ""
        why = f"{before}its record could not be written ({named(error, 300)}); what was there before is kept"
        return Record(path, replace(status, state="failed", reason=why), {}, written=False)


def _split(cell: Cell) -> dict[str, Any]:
    """What the status says of the split: its version, that of made anomalies, and the classes that can be normal.

    The number of classes is there where not every one can be.
    """
    split = cell.split
    made = {"synthetic": synthetic.VERSION} if cell.axes.evaluate_on == synthetic.NAME else {}
    classes = {} if split.classes is None else {"classes": split.classes}
    return {"version": split.version, "hash": split.hash, **made, **classes}


def told(rules: Mapping[str, Mapping[str, Any]], reasons: Mapping[str, str]) -> dict[str, Any]:
    """How rules stand in a record: configuration, code, and why one does not apply to the model, if it does not."""
    return {name: {**rule, **({"reason": reasons[name]} if name in reasons else {})} for name, rule in rules.items()}


def show(progress: Progress, cell: Cell, record: Record, how: str = "") -> None:
    """Say what became of the cell."""
    what = f"{how}{auroc_text(record.metrics)}" if record.state == "done" else shown(record.status.reason or "")
    progress.cell_done(cell.name, record.state, what)
