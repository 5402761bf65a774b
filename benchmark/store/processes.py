"""Which process does a piece of work, and whether it still lives.

A process is named by its host, its number and the time it started: numbers are used again. Where it cannot be looked
up (another host, another container), it counts as alive as long as it has given a sign of life of late.
"""

from __future__ import annotations

import contextlib
import os
import socket
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
    started: str  # see ``_start_time``; "" where the system tells none

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
        """Whether it can be looked up from here. Earlier versions told a start outside Linux in words."""
        return self.started.isdigit() and self.host == socket.gethostname() and self.scope == _scope()

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
    """When the process started, in whole units; None if there is no such process, or one that does nothing any more.

    Linux counts clock ticks since the machine was started, which no change of the clock moves; elsewhere it is seconds
    since 1970.
    """
    import psutil  # a hundredth of a second, which reading records does not need

    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        started = process.create_time()
    except psutil.Error:
        return None
    return str(round((started - psutil.boot_time()) * os.sysconf("SC_CLK_TCK") if psutil.LINUX else started))


def end_children() -> None:
    """Ask every process that this one has started to end."""
    import psutil

    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                child.terminate()


@cache
def end_with_parent() -> None:
    """End this worker when the process that started it is gone: joblib would leave it waiting for ever."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)  # its cells are trained again, as those of any process that was killed

    Thread(target=watch, name="parent", daemon=True).start()
