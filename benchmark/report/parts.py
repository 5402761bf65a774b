"""Which cells are published already, so that ``published=skip`` leaves them out: sweep, status and report ask here.

A published cell stands for one that is planned if it has the very fingerprint, is of the code as it is now and was
judged by every rule that the plan asks for. What became of the same cell here, if it is not done, then does not count:
``published=retry`` runs it again, and from then on it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmark.cells import NUMERICS_VERSION
from benchmark.config import UsageError
from benchmark.report.alike import RULE
from benchmark.report.committed import Committed, read_committed
from benchmark.report.manifest import MANIFEST
from benchmark.rules import rule_code
from benchmark.say import shown
from benchmark.store.experiments import MISSING, PlannedCell
from benchmark.store.files import RecordError
from benchmark.store.finished import code_fault, fault_of
from benchmark.store.format import PlannedJob

if TYPE_CHECKING:
    from benchmark.store.records import Record

TRAIN, SKIP, RETRY = "train", "skip", "retry"  # of the key ``published``
Rules = Mapping[str, Mapping[str, Any]]  # name -> configuration and code


class Fingerprinted(Protocol):
    """A planned cell, as a sweep or an experiment has it."""

    @property
    def fingerprint(self) -> str: ...


def published_in(
    folder: Path, experiment: str, cells: Iterable[Fingerprinted], rules: Rules, chosen: str | None
) -> frozenset[str]:
    """Fingerprints of those ``cells`` that the report of ``experiment`` in ``folder`` has done.

    They are of the code as it is now, and were judged by all of ``rules``, of which ``chosen`` was noted as the chosen
    one. None where nothing is published yet. Raises ``UsageError`` for a report that cannot be read, or is another's.
    """
    if not (folder / MANIFEST).exists():
        return frozenset()
    try:
        committed = _read(folder.resolve(), (folder / MANIFEST).stat().st_mtime_ns)
    except (RecordError, UsageError) as error:
        raise UsageError(f"published={SKIP}: {error}") from error
    refuse_other(committed, folder, experiment, f"published={SKIP}")
    return frozenset(
        cell.fingerprint
        for cell in cells
        if (row := committed.done.get(cell.fingerprint)) is not None
        and stale(committed, row) is None
        and chosen in (None, row["chosen_rule"])
        and all(_judged(row, name, rule, committed) for name, rule in rules.items())
    )


@cache
def _read(folder: Path, changed: int) -> Committed:
    """The report, read once a process as long as its manifest does not change."""
    return read_committed(folder)


def refuse_other(committed: Committed, folder: Path, experiment: str, asked: str) -> None:
    """Raise ``UsageError`` if what lies in ``folder`` is the report of another experiment, as if it had been renamed.

    ``asked`` is what was typed that needs it, such as ``carry=true``.
    """
    if committed.experiment != experiment:
        raise UsageError(
            f"{asked}: {folder.as_posix()} is the report of experiment {shown(committed.experiment)}, not of "
            f"{experiment}, as its {MANIFEST} says: was the folder renamed? Give it its name back, or leave {asked} out"
        )


def stale(committed: Committed, row: Mapping[str, Any]) -> str | None:
    """Why a published cell is not what this code would give; None if it is, as far as the report noted it."""
    origin = committed.origin(row["fingerprint"])
    if not origin:
        return "their code is not known, as the report did not note it"
    if origin["numerics"] != NUMERICS_VERSION:
        return f"numerics of version {origin['numerics']}, here {NUMERICS_VERSION}"
    return fault_of(row["model"], origin["code"])


def _judged(row: Mapping[str, Any], name: str, rule: Mapping[str, Any], committed: Committed) -> bool:
    """Whether a rule judged a published cell, in the version that it has here.

    One that judged no published cell of the same model is taken for one that does not apply to it.
    """
    if (committed.rules or {}).get(name) != [{key: rule[key] for key in ("config", "code")}]:
        return False
    column = f"{RULE}{name}"
    if row.get(column) == row.get(column):  # not NaN
        return column in row
    return committed.frame.loc[committed.frame["model"] == row["model"], column].isna().all()


def standing(
    cells: Sequence[PlannedCell], jobs: Iterable[PlannedJob], folder: Path, experiment: str
) -> list[PlannedCell]:
    """Those ``cells``, not finished here, that the job which planned them last leaves to the report in ``folder``.

    After ``published=skip`` all that are published, after ``published=retry`` those without any record here.
    """
    leaving = {job.job: job for job in jobs if job.published != TRAIN}
    open_ = [cell for cell in cells if (job := leaving.get(cell.job)) is not None and _is_open(cell, job.published)]
    known = {
        name: published_in(
            folder,
            experiment,
            [cell for cell in open_ if cell.job == name],
            rules_of(job),
            job.chosen_rule,
        )
        for name, job in leaving.items()
        if any(cell.job == name for cell in open_)
    }
    return [cell for cell in open_ if cell.fingerprint in known[cell.job]]


def rules_of(job: PlannedJob) -> Rules:
    """The rules that are to have judged the cells of a job, with their code as it is now."""
    return {label: {"config": config, "code": _code(config)} for label, config in job.rules.items()}


def _code(config: Any) -> str:
    """The code of a rule that a job's file names; "" if it is none."""
    try:
        return rule_code(config)
    except (KeyError, TypeError, AttributeError, UsageError):  # changed by hand, or a member that is gone
        return ""


def _is_open(cell: PlannedCell, published: str) -> bool:
    if published == RETRY:
        return cell.state == MISSING
    return cell.state != "done" or (cell.record is not None and not is_current(cell.record))


def is_current(record: Record) -> bool:
    """Whether a record is of the code and numerics as they are now."""
    return record.status.numerics == NUMERICS_VERSION and code_fault(record) is None
