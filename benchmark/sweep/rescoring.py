"""Finished cells under further rules: judged from their weights, without training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.cells import Cell
from benchmark.engine.evaluate import judge_again, rule_arrays, rule_metrics
from benchmark.engine.fleet import Fleet
from benchmark.engine.rules import Ruled
from benchmark.engine.score import Scoring
from benchmark.engine.state import Interrupted
from benchmark.say import named
from benchmark.store.finished import finished_record, lacking
from benchmark.store.records import Record, add_rules
from benchmark.sweep.ending import show, told
from benchmark.sweep.job import Job

if TYPE_CHECKING:
    from benchmark.sweep.steps import Work


def judged_record(job: Job, cell: Cell) -> Record | None:
    """The cell's record if it is done, and all rules of its job have judged it; else None."""
    record = finished_record(job.output_dir, cell)
    return record if record is not None and not left(job, record) else None


def left(job: Job, record: Record) -> list[str]:
    """What is to be noted in a record of a finished cell: rules that have not judged it, and the chosen one."""
    return lacking(record, job.rules) + (
        ["its chosen rule"] if record.status.chosen_rule != _chosen(job, record) else []
    )


def _chosen(job: Job, record: Record) -> str | None:
    """The rule to be noted as chosen: the job's, or the one that was noted by another job, if this one has none."""
    return job.config.chosen_rule or record.status.chosen_rule


def rescore(work: Work, finished: Mapping[str, Record], cells: Sequence[Cell]) -> Iterator[Record]:
    """Judge those ``cells`` that are ``finished`` (by fingerprint) by the rules of their job that have not judged them.

    Yields the record of each as it is then. One that fails stays as it was, and is said. Ends early once the job is
    given up.
    """
    for cell in cells:
        before = finished[cell.fingerprint]
        work.progress.cell_started(cell.name)
        try:
            record = _rescored(work, cell, before)
        except Interrupted:
            return
        except Exception as error:
            reason = f"it could not be judged from its weights ({named(error, 300)}); its record is what it was"
            record = Record(before.path, replace(before.status, state="failed", reason=reason), {}, written=False)
        show(work.progress, cell, record, "judged from its weights, " if record.written else "")
        yield record


def _rescored(work: Work, cell: Cell, record: Record) -> Record:
    job, names = work.job, lacking(record, work.job.rules)
    ruled = _judged(work, cell, record, names) if names else Ruled()
    entries = told({name: job.rules[name] for name in names}, ruled.reasons)
    noted = replace(record, status=replace(record.status, chosen_rule=_chosen(job, record)))
    return add_rules(noted, entries, rule_metrics(cell, ruled), rule_arrays(ruled).get("rules", {}))


def _judged(work: Work, cell: Cell, record: Record, names: Sequence[str]) -> Ruled:
    from benchmark.sweep.steps import build_model

    job = work.job
    model = build_model(job, cell)
    model.load_state_dict(record.weights())
    how = Scoring(job.config.trainer.score_batch_size, job.precision, work.stop, job.rules_built(names))
    (ruled,) = judge_again(Fleet([model], job.device), [cell], job.data, job.images, how)
    return ruled
