"""What a killed process leaves behind in an output directory: put right at the next start.

A record is written under a temporary name (``.NAME.*.tmp``) and takes the place of an older one in two renames, the
older one being ``.NAME.*.old`` in between. Whoever writes a cell holds its lease, so what lies beside a cell whose
lease no live process holds was left by a dead one. The same holds for half a checkpoint, which names its cell.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.writing import remove
from benchmark.say import warn
from benchmark.store.checkpoints import FOLDER
from benchmark.store.leases import lease_path, lock, read_lease

PATTERN = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{32}\.(?P<kind>tmp|old)|\.(?P<leased>.+)\.lease")


@dataclass
class Recovery:
    """What was put right."""

    restored: int = 0  # records that were moved aside when their writer was killed
    removed: int = 0  # temporary files and folders, and leases, of dead writers

    def __str__(self) -> str:
        return f"{self.removed} leftovers removed, {self.restored} records restored"


def recover(output_dir: str | Path) -> Recovery:
    """Remove or restore what dead processes left in ``output_dir``; what a live one writes is left alone."""
    output_dir, recovery = Path(output_dir), Recovery()
    if not any((output_dir / name).is_dir() for name in ("cells", "experiments", FOLDER)):
        return recovery
    with lock(output_dir):
        for path in list(_files(output_dir / "experiments")):  # a job's file is written under this very lock
            if PATTERN.fullmatch(path.name):
                _remove(path, recovery)
        beside: dict[Path, list[Path]] = {}
        for path in list(_files(output_dir / "cells")):
            if found := PATTERN.fullmatch(path.name):
                name = (found["name"] or found["leased"]).removesuffix(".lease")
                beside.setdefault(path.with_name(name), []).append(path)
        at_work = {cell.name for cell in beside if (lease := read_lease(cell)) is not None and lease.is_alive}
        for path in list(_files(output_dir / FOLDER)):
            found = PATTERN.fullmatch(path.name)
            if found and found["kind"] and found["name"].removesuffix(".pt") not in at_work:
                _remove(path, recovery)
        for cell, leftovers in beside.items():
            _recover_cell(cell, leftovers, recovery)
    return recovery


def _recover_cell(cell: Path, leftovers: list[Path], recovery: Recovery) -> None:
    lease = read_lease(cell)
    if lease is not None and lease.is_alive:
        return
    old = sorted((path for path in leftovers if path.suffix == ".old"), key=lambda path: path.lstat().st_mtime)
    if old and not os.path.lexists(cell):
        os.rename(old[-1], cell)
        leftovers = [path for path in leftovers if path != old[-1]]
        recovery.restored += 1
    for path in leftovers:
        if path != lease_path(cell):
            _remove(path, recovery)
    if lease is not None:  # last: until then it says that something was interrupted here
        _remove(lease_path(cell), recovery)


def _remove(path: Path, recovery: Recovery) -> None:
    """Remove a leftover; one that cannot be is said, and holds up nothing else."""
    try:
        remove(path)
        recovery.removed += 1
    except OSError as error:
        warn(f"{path} is left over and cannot be removed ({error}); delete it")


def _files(folder: Path) -> Iterator[Path]:
    """Files and folders below ``folder`` whose names begin with a dot, without looking into those."""
    for path, folders, files in os.walk(folder):
        hidden = [name for name in folders if name.startswith(".")]
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(path, name) for name in [*hidden, *files] if name.startswith("."))
