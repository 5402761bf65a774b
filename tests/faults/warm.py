"""Commands as processes of their own, without the seconds in which a Python loads torch and MLflow.

One process has loaded what every command needs, has an empty store to copy, and does nothing else: for each command of
any worker it forks. What it forks is a process as any other: it has a number, can be killed, holds locks, gets signals,
and ends with its exit code. Only how a command starts is not seen by it: ``tests.test_cli.run`` starts one from
nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

LOADED = (
    *(
        "benchmark.__main__",
        "benchmark.sync",
        "benchmark.status",
        "benchmark.report.__main__",
        "benchmark.report.build",
    ),
    *("benchmark.sweep.compose", "benchmark.sweep.sweep", "benchmark.sweep.run", "benchmark.tracking.tracker"),
    *("benchmark.tracking.figure", "benchmark.models.ae", "benchmark.models.pca", "benchmark.models.anogan"),
    *("torch", "torchvision", "hydra._internal.hydra", "sklearn.decomposition", "sklearn.datasets", "sklearn.metrics"),
    *("scipy.stats", "pandas", "matplotlib.figure", "alembic.command"),
    *("mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.db.utils", "mlflow.pyfunc"),
)


class Forked:
    """A Python in a process of its own: ``subprocess.Popen``, as far as tests use it."""

    def __init__(self, folder: Path, *words: str, out: Path, err: Path, limit: int = 0, **changes: str) -> None:
        """``python WORDS`` in ``folder``, where the words begin with -m or -c, and write to files that are there.

        ``changes`` are of its environment; ``limit`` is the largest file, in bytes, that it can write.
        """
        from tests.test_cli import user_environment

        environment, files = {**user_environment(), **changes}, [str(out.absolute()), str(err.absolute())]
        asked = {"words": words, "folder": str(folder), "environment": environment, "files": files, "limit": limit}
        self.pid: int = _ask(asked)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code (minus the number of the signal that ended it), None while it runs."""
        if self.returncode is None:
            self.returncode = _ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float = 300) -> int:
        """The exit code, once there is one. Raises ``subprocess.TimeoutExpired`` after so many seconds."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked command", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    folder: Path, *arguments: str, module: str = "benchmark", limit: int = 0, **changes: str
) -> subprocess.CompletedProcess[str]:
    """As ``tests.test_cli.run``."""
    return python(folder, "-m", module, *arguments, limit=limit, **changes)


def python(folder: Path, *words: str, limit: int = 0, **changes: str) -> subprocess.CompletedProcess[str]:
    """What became of ``python WORDS`` in ``folder``; see ``Forked``."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        out.touch()
        err.touch()
        process = Forked(folder, *words, out=out, err=err, limit=limit, **changes)
        try:
            code = process.wait()
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, code, out.read_text("utf-8"), err.read_text("utf-8"))


@cache
def _stable() -> TextIO:
    """The connection of this process to the one that forks: all of a test run, in however many workers, share it."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    place = Path(tempfile.gettempdir(), f"warm-{session[:12]}")  # an address of a socket is short
    connection = socket.socket(socket.AF_UNIX)
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            connection.connect(f"{place}.sock")
        except OSError:  # nobody has begun one, or its last user is gone
            _begin(Path(f"{place}.sock"))
            connection.connect(f"{place}.sock")
    return connection.makefile("rw")


def _begin(address: Path) -> None:
    """Start the process that forks; it listens from here on, and answers once it has loaded everything."""
    address.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    with listening:
        listening.bind(str(address))
        listening.listen()
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.warm", str(listening.fileno()), str(address)],
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=sys.__stderr__,  # what libraries print
            cwd=Path(__file__).parents[2],
            start_new_session=True,  # a Ctrl-C at the terminal is for pytest
        )


def _ask(request: dict[str, Any]) -> Any:
    stable = _stable()
    stable.write(json.dumps(request) + "\n")
    stable.flush()
    return json.loads(stable.readline())


def serve(number: int, address: Path) -> None:
    """Fork for every line that asks for a command, answer each line with one; end when the last user is gone."""
    for name in LOADED:
        import_module(name)
    _prepare()
    listening = socket.socket(fileno=number)
    ready = selectors.DefaultSelector()
    ready.register(listening, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select(60):
            if key.data is None:
                user = listening.accept()[0]
                ready.register(user, selectors.EVENT_READ, user.makefile("rw"))
            elif line := key.data.readline():
                _answer(json.loads(line), key.data, ready)
            else:
                ready.unregister(key.fileobj)
                key.fileobj.close()
        if len(ready.get_map()) == 1:
            for kind in ("sock", "lock"):
                address.with_suffix(f".{kind}").unlink(missing_ok=True)
            return


def _answer(request: dict[str, Any], user: TextIO, ready: selectors.BaseSelector) -> None:
    if "poll" in request:
        found, status = os.waitpid(request["poll"], os.WNOHANG)
        answer = os.waitstatus_to_exitcode(status) if found else None
    elif (answer := os.fork()) == 0:
        for number in [key.fd for key in ready.get_map().values()]:
            os.close(number)
        _become(**request)
    user.write(json.dumps(answer) + "\n")
    user.flush()


def _prepare() -> None:
    """Have made what every command that is forked would make for itself, a second each: a store, MLflow's packages."""
    from mlflow.utils.requirements_utils import _init_modules_to_packages_map

    from tests.stores import copy_stores, make_first

    copy_stores()
    make_first()
    _init_modules_to_packages_map()


def _become(words: Sequence[str], folder: str, environment: dict[str, str], files: Sequence[str], limit: int) -> None:
    """Be the command, in the process that was forked; it never returns."""
    code: Any = 0
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in enumerate(files, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
        sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if limit:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        kind, what, *arguments = words
        sys.argv[1:] = arguments
        sys.path[0] = folder
        if kind == "-c":
            sys.argv[0] = "-c"
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.modules.pop(f"{what}.__main__" if f"{what}.__main__" in sys.modules else what, None)  # it is run anew
            runpy.run_module(what, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
