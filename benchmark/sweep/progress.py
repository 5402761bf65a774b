"""What a run shows while it works: a live display on a terminal, plain lines elsewhere; always to stderr."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

QUIET = 10.0  # seconds between two lines on running cells where there is no terminal
STYLES = {"done": "green", "failed": "bold red", "diverged": "bold red", "busy": "yellow"}


class Progress:
    """Cells done, cells running with epoch and losses, time gone and time left. Called from several threads."""

    def __init__(self, total: int, title: str, console: Console | None = None) -> None:
        from rich.console import Console

        self.total, self.title = total, title
        self.console = console if console is not None else Console(stderr=True)
        self.live: Any = None
        self.running: dict[str, str] = {}
        self.trained: dict[str, float] = {}  # share of its epochs that each cell of this run has behind it
        self.finished = 0  # by this run or before it
        self.start = self.last_line = time.perf_counter()
        self.lock = Lock()  # of the numbers; never held while printing: the live display renders within its own lock
        self.printing = Lock()  # taken before self.lock, so that lines come in the order of their numbers

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            from rich.live import Live

            self.live = Live(get_renderable=self._render, console=self.console, refresh_per_second=4, transient=True)
            self.live.start()
        else:
            self._line(f"{self.title}: {self.total} cells")
        return self

    def __exit__(self, *error: object) -> None:
        if self.live is not None:
            self.live.stop()
            self._line(f"{self.title}: {self.finished} of {self.total} cells in {_clock(self._gone())}")

    def cell_started(self, name: str) -> None:
        with self.lock:
            self.running[name] = "starting"

    def say(self, text: str) -> None:
        """A line of its own."""
        with self.printing:
            self._line(text)

    def skip(self, count: int, why: str) -> None:
        """Cells that are not run here count as finished."""
        with self.printing:
            with self.lock:
                self.finished += count
            self._line(f"  {why}")

    def update(self, name: str, epoch: int, epochs: int, losses: Mapping[str, float]) -> None:
        """A running cell has ended an epoch; after the last one it is being scored."""
        shown = ", ".join(f"{key} {value:.4g}" for key, value in losses.items())
        with self.printing:
            with self.lock:
                self.trained[name] = epoch / epochs
                self.running[name] = f"epoch {epoch}/{epochs}: {shown}" + (", scoring" if epoch == epochs else "")
                line = f"  {name}: {self.running[name]}; {self._summary()}"
            if self.live is None and time.perf_counter() - self.last_line > QUIET:
                self._line(line)

    def cell_done(self, name: str, state: str, summary: str) -> None:
        from rich.text import Text

        with self.printing:
            with self.lock:
                self.finished += 1
                if self.running.pop(name, None) is not None:
                    self.trained[name] = 1.0
                left = self._summary()
            self._line(Text.assemble(f"  {name}: ", (state, STYLES.get(state, "")), f", {summary}; {left}"))

    def _summary(self) -> str:
        text = f"{self.finished}/{self.total}, {_clock(self._gone())}"
        done = sum(self.trained.values())  # cells, those half trained as halves
        before = self.finished - sum(share == 1.0 and name not in self.running for name, share in self.trained.items())
        left = self.total - before - done
        if done == 0 or left <= 0:
            return text
        return f"{text}, {_clock(self._gone() / done * left)} left"

    def _gone(self) -> float:
        return time.perf_counter() - self.start

    def _line(self, text: str | Text) -> None:
        self.last_line = time.perf_counter()
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        with self.lock:
            rows = list(self.running.items())
            head = Table.grid(padding=(0, 1))
            bar = ProgressBar(total=max(self.total, 1), completed=self.finished, width=30)
            head.add_row(Text(self.title, style="bold"), bar, Text(self._summary()))
        return Group(head, *(Text(f"  {name}: {what}", no_wrap=True, overflow="ellipsis") for name, what in rows[:16]))


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def elapsed(start: float) -> str:
    """Seconds since ``start`` (``time.perf_counter``) as ``m:ss``."""
    return _clock(time.perf_counter() - start)
