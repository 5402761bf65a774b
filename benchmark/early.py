"""Ctrl-C while modules load, before any command has begun: one line instead of a traceback.

From its ``main`` on a command ends as ``benchmark/sweep/signals.py`` says. Imported by ``benchmark`` itself, so nothing
slow is imported here.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType

INTERRUPTED = 130  # as a shell has it: 128 and the number of SIGINT


def end_in_one_line() -> None:
    """From now on a ``KeyboardInterrupt`` that nobody takes ends the process in one line."""
    before = sys.excepthook

    def say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            before(kind, error, trace)
            return
        print("\nbenchmark: stopped before it began. To go on, type the same again.", file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)

    sys.excepthook = say
