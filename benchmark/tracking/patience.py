"""How long a tracking server may be silent: every call to it ends, answered or not.

A timeout of a request is one between two bytes, and is tried again: a server that accepts and never answers, or sends a
byte a second, would hold a command up for minutes or for ever. Here a call gets so many seconds without news.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread, current_thread
from typing import TypeVar

Result = TypeVar("Result")
VARIABLE = "BENCHMARK_PATIENCE"
_news: dict[Thread, float] = {}  # of each call that runs: when the server was last heard


class SilentError(Exception):
    """The server has said nothing for too long."""


def patience() -> float:
    """Seconds without news after which a server counts as silent: 15, or what BENCHMARK_PATIENCE says."""
    try:
        return max(float(os.environ.get(VARIABLE, "")), 0.1)
    except ValueError:
        return 15.0


def heard() -> None:
    """The server has answered one of the requests of this call: it has so many seconds again."""
    if current_thread() in _news:
        _news[current_thread()] = time.monotonic()


def within(seconds: float, function: Callable[[], Result]) -> Result:
    """What ``function`` returns or raises. Raises ``SilentError`` after so many seconds without news from it.

    It runs in a thread of its own, which is then left to itself and ends with the process.
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:
            outcome.set_exception(error)

    thread = Thread(target=run, name="tracking call", daemon=True)
    _news[thread] = time.monotonic()
    thread.start()
    try:
        while True:
            left = _news[thread] + seconds - time.monotonic()
            try:
                return outcome.result(timeout=max(left, 0))
            except TimeoutError:
                if outcome.done():
                    return outcome.result()
                if left <= 0:
                    raise SilentError(f"no answer within {seconds:.3g} s") from None
    finally:
        _news.pop(thread, None)


def bounded(uri: str, seconds: float, call: Callable[[], Result]) -> Result:
    """``call()``, given up after so many seconds without news; SQLite has timeouts of its own."""
    return call() if uri.startswith("sqlite") else within(seconds, call)


def did_not_answer(error: Exception) -> bool:
    """Whether it was the store that failed, not what was sent: no connection, no answer in time, locked."""
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout
    from sqlalchemy.exc import InterfaceError, OperationalError

    current: BaseException | None = error
    while current is not None:
        if isinstance(current, SilentError | NoConnection | Timeout | OperationalError | InterfaceError):
            return True
        current = current.__cause__ or current.__context__
    return False
