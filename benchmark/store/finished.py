"""Which cells are finished: those whose record is of this very configuration and of the code as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.code_hash import code_now
from benchmark.store.records import STATUS_FILE, Record, RecordError, read_record

if TYPE_CHECKING:
    from benchmark.cells import Cell


def finished_record(output_dir: Path, cell: Cell) -> Record | None:
    """The cell's record if it is done with this very fingerprint and code, else None.

    An unreadable record is not done.
    """
    return finished_in(output_dir / cell.path, cell.fingerprint)


def finished_in(folder: Path, fingerprint: str) -> Record | None:
    """``finished_record`` of the cell of this fingerprint in this folder."""
    try:
        record = read_record(folder)
    except (RecordError, OSError):
        return None
    good = record.state == "done" and record.fingerprint == fingerprint and code_fault(record) is None
    return record if good else None


def lacking(record: Record, rules: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of those ``rules`` (name -> config and code) that have not judged the cell, or were others then."""
    try:
        known = record.rules() if rules else {}
    except (RecordError, OSError):
        known = {}
    same = {name for name, entry in rules.items() if all(known.get(name, {}).get(key) == entry[key] for key in entry)}
    return [name for name in rules if name not in same]


def why_again(output_dir: Path, cell: Cell) -> str | None:
    """Why a cell that has a record is trained again, in words; None if it has none, or one that is not done."""
    try:
        record = read_record(output_dir / cell.path) if (output_dir / cell.path / STATUS_FILE).exists() else None
    except (RecordError, OSError) as error:
        return f"its record is damaged ({error})"
    return code_fault(record) if record is not None and record.state == "done" else None


def code_fault(record: Record) -> str | None:
    """What is to be said of the code that made a record, if it is not the code as it is now; else None."""
    fault = fault_of(record.axes.model, record.status.code)
    if fault is not None:
        return fault
    found = ((member, fault_of(member.model, member.code)) for member in record.status.members)
    return next((f"of its member {member.name}: {fault}" for member, fault in found if fault is not None), None)


def fault_of(model: str, made_by: str) -> str | None:
    """``code_fault`` of a model by its name and the code that a record, or a published report, notes of it."""
    now = code_now(model, made_by)
    if made_by == now != "":
        return None
    if now == "":
        return f"there is no model {model} any more"
    return "its code changed" if made_by != "" else "its code is not known, as no record named it then"
