"""Leases: which process trains a cell now, so that no two train the same one or write into one place.

A lease is a small file beside the cell's folder, ``.NAME.lease``. It names its process; the time it was last touched is
the process's last sign of life. Leases are taken and given back under one lock of the output directory, so that two
processes cannot both find the same lease abandoned. A process that is killed leaves its leases behind: they count for
nothing, as the process is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from benchmark.data.writing import replacing
from benchmark.store.processes import Process, Pulse, is_recent

if TYPE_CHECKING:
    from filelock import FileLock

LOCK_TIMEOUT = 120  # seconds; the lock is held for moments


@dataclass(frozen=True)
class Lease:
    """A lease as it was found."""

    process: Process | None  # None: the file cannot be read
    token: str
    heartbeat: float

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive(self.heartbeat) if self.process is not None else is_recent(self.heartbeat)

    @property
    def holder(self) -> str:
        return str(self.process) if self.process is not None else "a process unknown"


def lease_path(cell: Path) -> Path:
    """Where the lease of the cell with the folder ``cell`` lies."""
    return cell.with_name(f".{cell.name}.lease")


def read_lease(cell: Path) -> Lease | None:
    """The lease of the cell with the folder ``cell``, or None if there is none."""
    path = lease_path(cell)
    try:
        heartbeat = path.stat().st_mtime
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    except ValueError:
        content = {}
    token = content.get("token", "") if isinstance(content, dict) else ""
    return Lease(Process.from_json(content), token, heartbeat)


def lock(output_dir: Path, name: str = "leases") -> FileLock:
    """A lock among all processes that work on ``output_dir``; the system frees it when its holder ends."""
    from filelock import FileLock

    path = Path(output_dir) / ".locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, timeout=LOCK_TIMEOUT)


class Leases:
    """The leases of this process on cells of one output directory; used as a context manager."""

    def __init__(self, output_dir: Path) -> None:
        self.output_dir = Path(output_dir)
        self.held: dict[Path, str] = {}  # folder of a cell -> token of its lease
        self.changing = Lock()

    def __enter__(self) -> Leases:
        self.pulse = Pulse(self._touch)
        return self

    def __exit__(self, *error: object) -> None:
        self.pulse.stop()
        self.give_back(list(self.held))

    def take(self, cells: Iterable[Path]) -> dict[Path, Lease]:
        """Take the leases of these cells (their folders); returns those that another live process holds."""
        busy = {}
        with self._locked():
            for cell in cells:
                lease = read_lease(cell)
                if lease is not None and lease.is_alive:
                    busy[cell] = lease
                else:
                    self.held[cell] = _write(cell)
        return busy

    def give_back(self, cells: Iterable[Path]) -> None:
        """Give up the leases of these cells; one that is no longer ours is left alone."""
        with self._locked():
            for cell in cells:
                token, lease = self.held.pop(cell, None), read_lease(cell)
                if lease is not None and lease.token == token:
                    with contextlib.suppress(OSError):  # a lease left behind ends with this process
                        lease_path(cell).unlink()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self.changing, lock(self.output_dir):
            yield

    def _touch(self) -> None:
        for cell, token in list(self.held.items()):
            lease = read_lease(cell)
            if lease is not None and lease.token == token:
                with contextlib.suppress(OSError):
                    os.utime(lease_path(cell), (time.time(), time.time()))


def _write(cell: Path) -> str:
    token = uuid.uuid4().hex
    with replacing(lease_path(cell)) as temporary:
        temporary.write_text(json.dumps({**Process.here().to_json(), "token": token}) + "\n", encoding="utf-8")
    return token
