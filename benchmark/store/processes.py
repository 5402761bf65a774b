"""Which process does a piece of work, and whether it still lives.

A process is named by its host, its number and the time it started: numbers are used again. Where it cannot be looked
up (another host, another container), it counts as alive as long as it has given a sign of life of late.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import Event, Thread
from typing import Any

BEAT = 30.0  # seconds between two signs of life
SILENCE = 600.0  # seconds without one after which a process that cannot be looked up counts as dead


@dataclass(frozen=True)
class Process:
    """One process of one machine."""

    host: str
    scope: str  # within which process numbers are comparable: the machine since it was started, and the container
    pid: int
    started: str  # start time as the system tells it, "" where it tells none

    @classmethod
    def here(cls) -> Process:
        """The process that asks."""
        pid = os.getpid()
        return cls(socket.gethostname(), _scope(), pid, _start_time(pid) or "")

    @classmethod
    def from_json(cls, content: Any) -> Process | None:
        """The process that ``to_json`` described, or None if ``content`` is something else."""
        if not isinstance(content, Mapping):
            return None
        try:
            return cls(
                str(content["host"]), str(content["scope"]), int(content["pid"]), str(content.get("started", ""))
            )
        except (KeyError, TypeError, ValueError):
            return None

    def to_json(self) -> dict[str, Any]:
        """The process as it stands in leases and tags."""
        return asdict(self)

    @property
    def is_near(self) -> bool:
        """Whether it can be looked up from here."""
        return bool(self.started) and self.host == socket.gethostname() and self.scope == _scope()

    def is_alive(self, heartbeat: float) -> bool:
        """Whether it runs; ``heartbeat`` is the time (seconds since 1970) of its last sign of life."""
        if self.is_near:
            return _start_time(self.pid) == self.started
        return is_recent(heartbeat)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def is_recent(heartbeat: float) -> bool:
    """Whether a sign of life is recent enough to count as one: clocks may differ, but a time far ahead is none."""
    return abs(time.time() - heartbeat) < SILENCE


class Pulse:
    """Calls a function every ``BEAT`` seconds from a thread of its own; what it raises is passed over."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function, self.ended = function, Event()
        self.thread = Thread(target=self._beat, name="pulse", daemon=True)
        self.thread.start()

    def _beat(self) -> None:
        while not self.ended.wait(BEAT):
            with contextlib.suppress(Exception):  # the next one may arrive; without any the work goes on
                self.function()

    def stop(self) -> None:
        """No further call is started."""
        self.ended.set()


@cache
def _scope() -> str:
    parts = []
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _start_time(pid: int) -> str | None:
    """When the process started, in the system's own words; None if there is no such process."""
    if sys.platform == "linux":
        try:
            words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # the name may hold anything
        except OSError:
            return None
        return None if words[0] in (b"Z", b"X") else words[19].decode()  # a zombie does nothing any more
    try:
        done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
