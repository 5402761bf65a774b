"""Cells that a published report has already, which a sweep on another machine need not train: ``published=skip``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.report.carry import stale
from benchmark.report.committed import Committed, read_committed
from benchmark.report.manifest import MANIFEST

if TYPE_CHECKING:
    from benchmark.cells import Cell
    from benchmark.sweep.job import Job

SKIP = "skip"  # of the key ``published``
RULE = "auroc_rule_"  # column of a rule's AUROC

Row = Mapping[str, Any]  # of cells.csv


def published_in(folder: Path, job: Job) -> frozenset[str]:
    """Fingerprints of those cells of ``job`` that the report in ``folder`` has done; none unless the job skips them.

    They are of the very fingerprint and of the code as it is now, and were judged by all rules of the job. None where
    nothing is published yet. Raises ``UsageError`` for a report that cannot be read.
    """
    if job.config.published != SKIP or not (folder / MANIFEST).exists():
        return frozenset()
    committed = _read(folder.resolve(), (folder / MANIFEST).stat().st_mtime_ns)
    rows = committed.done
    return frozenset(
        cell.fingerprint
        for cell in job.cells
        if (row := rows.get(cell.fingerprint)) is not None
        and stale(committed, row) is None
        and _is_judged(cell, row, job, committed)
    )


@cache
def _read(folder: Path, changed: int) -> Committed:
    """The report, read once a process as long as it does not change."""
    return read_committed(folder)


def _is_judged(cell: Cell, row: Row, job: Job, committed: Committed) -> bool:
    """Whether all rules of the job judged the published cell, in the version that they have here.

    A rule that judged no published cell of the same model is taken for one that does not apply to it.
    """
    if job.config.chosen_rule is not None and row["chosen_rule"] != job.config.chosen_rule:
        return False
    for name, rule in job.rules.items():
        if (committed.rules or {}).get(name) != [{"config": rule["config"], "code": rule["code"]}]:
            return False
        if row.get(RULE + name) != row.get(RULE + name):  # it has none
            alike = committed.frame[committed.frame["model"] == cell.axes.model]
            if RULE + name not in alike or alike[RULE + name].notna().any():
                return False
    return True
