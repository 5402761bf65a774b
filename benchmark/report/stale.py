"""Cells whose numbers are those of another code or version of the numerics than these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.cells import NUMERICS_VERSION
from benchmark.config import UsageError
from benchmark.store.experiments import Collection, PlannedCell
from benchmark.store.finished import code_fault

if TYPE_CHECKING:
    from benchmark.store.records import Record


def refuse_stale(cells: Sequence[PlannedCell], how: str) -> None:
    """Raise ``UsageError`` if cells that ``benchmark.status`` calls stale would be published unasked.

    What is published is said to be what this code gives; that the numbers are another code's must be somebody's word.
    ``how`` says what finishes the experiment.
    """
    done = [cell.record for cell in cells if cell.state == "done" and cell.record is not None]
    found = Counter(fault for record in done if (fault := _old_numerics(record) or code_fault(record)) is not None)
    if found:
        why = ", ".join(f"{count}: {fault}" for fault, count in found.items())
        raise UsageError(
            f"{found.total()} of the {len(done)} done cells are stale ({why}) and not published unasked. "
            f"{how}. Or type stale=true: the page and the manifest then say so"
        )


def with_numerics(collection: Collection) -> Collection:
    """The collection, with a warning of cells whose numerics are of another version than here."""
    records = (cell.record for cell in collection.cells if cell.state == "done" and cell.record is not None)
    found = Counter(fault for record in records if (fault := _old_numerics(record)) is not None)
    warnings = [f"{count} cells are stale: {fault}" for fault, count in found.items()]
    return replace(collection, warnings=[*collection.warnings, *warnings])


def _old_numerics(record: Record) -> str | None:
    version = record.status.numerics
    return None if version == NUMERICS_VERSION else f"numerics of version {version}, here {NUMERICS_VERSION}"
