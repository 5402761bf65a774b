"""Ctrl-C, SIGTERM and output that nobody takes: how every command ends in order.

After Ctrl-C or SIGTERM it ends within two seconds, after the write in progress, and says how to go on.

The first signal raises ``KeyboardInterrupt`` in the main thread, which gives up what runs and puts things in order. A
thread of its own watches that this takes no longer than ``GRACE`` seconds, whatever any thread hangs in (a long
product, a server that does not answer, a locked database): it then ends the process. Everything is written under
another name and renamed, so that nothing is lost by that. A second signal ends the process at once.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import wraps
from types import FrameType
from typing import Any

from benchmark.data.writing import WRITES
from benchmark.store.processes import end_children

GRACE = 1.2  # seconds from the signal to the end of the process
PATIENCE = 0.5  # seconds of these for threads that may be about to look at their stop flag
EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}  # as a shell has it: 128 and the signal's number
UNTAKEN = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT)  # of writing: the reader is gone, the device or the quota is full
SHOW_CURSOR = "\x1b[?25h"


class Terminated(KeyboardInterrupt):
    """SIGTERM, as schedulers send it."""


_told = threading.Event()  # a signal has come
_come: list[type[KeyboardInterrupt]] = []  # as what it was raised
_leaving = threading.Lock()
_abandoned = threading.Event()  # threads of this process go on that nobody waits for


def wait_for_threads(futures: Iterable[Future[Any]]) -> None:
    """Wait for the threads behind ``futures``, after a signal not long: those still at work end with the process."""
    _, late = wait(futures, timeout=PATIENCE if _told.is_set() else None)
    if late:
        _abandoned.set()


@contextlib.contextmanager
def ended_by_signals(last_words: Callable[[], str]) -> Iterator[None]:
    """Within it Ctrl-C raises ``KeyboardInterrupt`` and SIGTERM ``Terminated``; ``last_words`` say how to go on.

    A signal that is ignored (a job in the background, ``nohup``) stays so. Does nothing outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watched = [number for number in EXIT_CODES if signal.getsignal(number) != signal.SIG_IGN]
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    threading.Thread(target=_watch, args=(reader, watched, last_words), name="signals", daemon=True).start()
    before = {number: signal.signal(number, _raise) for number in watched}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)  # the system's handler writes to it at once
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)  # ends the watching thread


def run_until_told(name: str, main: Callable[[], int], last_words: Callable[[], str], owns_process: bool) -> int:
    """What ``main`` returns, or after a signal its exit code (130 or 143), with the last words on stderr.

    Output that is not taken ends it with exit code 1: in silence if its reader is gone (``| head``), else in one line.

    Where ``main`` is all that this process is for (``owns_process``), the process ends there: to take down an
    interpreter with torch in it takes seconds on a busy machine.
    """
    try:
        with ended_by_signals(last_words):
            try:
                return _printed(name, main, owns_process)
            except KeyboardInterrupt as interrupt:
                code = EXIT_CODES[signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT]
                if owns_process or _abandoned.is_set():
                    try:
                        leave(code, last_words())  # still watched: it waits for writes, and a second signal for nothing
                    except KeyboardInterrupt:  # which the watching thread may not have seen yet
                        os._exit(code)
                _say(last_words())
                return code
    finally:
        _told.clear()
        _come.clear()


def _printed(name: str, main: Callable[[], int], owns_process: bool) -> int:
    """What ``main`` returns, once all that it printed is out."""
    try:
        code = main()
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except Exception as error:
        refuse_to_explain()
        if not isinstance(error, OSError):
            raise
        if error.errno not in UNTAKEN:
            raise
        if owns_process and sys.stdout is not None:  # else the interpreter tries once more at its end, and complains
            with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if error.errno != errno.EPIPE:
            with contextlib.suppress(OSError, ValueError):
                print(f"{name}: not all could be written ({error.strerror}). Make room", file=sys.stderr, flush=True)
        return 1


def ends_in_order(name: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Decorator of the ``main`` of a small command, which is simply to be typed again."""
    words = f"{name}: stopped. To go on, type the same again."

    def decorate(main: Callable[..., int]) -> Callable[..., int]:
        @wraps(main)
        def wrapped(arguments: list[str] | None = None) -> int:
            return run_until_told(name, lambda: main(arguments), lambda: words, arguments is None)

        return wrapped

    return decorate


def leave(code: int, words: str) -> None:
    """End the process after the writes in progress, and its workers, whatever its threads do."""
    with _leaving:  # the main thread and the watching one may both come here: the second waits for the end
        WRITES.close()
        end_children()
        _say(words)
        os._exit(code)


def _say(words: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"{SHOW_CURSOR if sys.stderr.isatty() else ''}\n{words}", file=sys.stderr, flush=True)
        sys.stdout.flush()


def _raise(number: int, frame: FrameType | None) -> None:
    _told.set()
    _come.append(Terminated if number == signal.SIGTERM else KeyboardInterrupt)
    raise _come[-1]


def refuse_to_explain() -> None:
    """Raise the interrupt once more if a signal has come: an error after it is what some library made of it."""
    if _come:
        raise _come[0] from None


def _watch(reader: int, watched: Sequence[int], last_words: Callable[[], str]) -> None:
    """Wait for a signal, then for the main thread to be done with it, which closes the pipe.

    | state    | a signal comes                | time is up            | the pipe is closed      |
    | -------- | ----------------------------- | --------------------- | ----------------------- |
    | waiting  | ending, ``GRACE`` s from now  | never                 | this thread ends        |
    | ending   | the process ends, whatever is | leaving, as a thread  | this thread ends: main  |
    |          | being written                 | calls ``leave``       | was done in time        |
    | leaving  | the process ends, whatever is | never                 | this thread ends        |
    |          | being written                 |                       |                         |

    Waiting: no exit code. Ending: an exit code and a time. Leaving: an exit code and no time.
    """
    code: int | None = None
    deadline = math.inf
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while True:
            left = deadline - time.monotonic()
            if not select.select([pipe], [], [], None if left == math.inf else max(left, 0))[0]:
                threading.Thread(target=leave, args=(code or 0, last_words()), daemon=True).start()
                deadline = math.inf
                continue
            content = pipe.read(1)
            if not content:
                return
            if content[0] not in watched:
                continue
            if code is not None:  # a second signal: no more patience, not even for a write, as none can do harm
                os._exit(EXIT_CODES[signal.Signals(content[0])])
            code, deadline = EXIT_CODES[signal.Signals(content[0])], time.monotonic() + GRACE
