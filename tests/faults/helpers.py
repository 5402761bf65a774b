"""Other processes, real ones, that hold leases or die."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

HOLDER = """
import sys
from pathlib import Path
from benchmark.store.leases import Leases
with Leases(Path(sys.argv[1])) as leases:
    busy = leases.take([Path(path) for path in sys.argv[2:]])
    print("busy" if busy else "mine", flush=True)
    sys.stdin.read()
"""


class Holder:
    """A process that has asked for the leases of some cells."""

    def __init__(self, output_dir: Path, *cells: Path) -> None:
        command = [sys.executable, "-c", HOLDER, str(output_dir), *map(str, cells)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    def answer(self) -> str:
        """ "mine" or "busy", once it has it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        """``kill -9``; what it held is left behind."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def end(self) -> None:
        """It gives its leases back and ends."""
        self.process.communicate(timeout=60)


@contextmanager
def holding(output_dir: Path, *cells: Path) -> Iterator[Holder]:
    """A live process that holds the leases of these cells."""
    holder = Holder(output_dir, *cells)
    try:
        assert holder.answer() == "mine"
        yield holder
    finally:
        holder.kill()


def run_here(folder: Path, *arguments: str, module: str = "benchmark") -> subprocess.CompletedProcess[str]:
    """What ``python -m MODULE ARGUMENTS`` in ``folder`` does, in this process: without the seconds of its imports."""
    import torch

    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    deterministic = torch.are_deterministic_algorithms_enabled()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found = import_module(module)
            program = found if hasattr(found, "main") else import_module(f"{module}.__main__")
            code = program.main(list(arguments))
    finally:
        os.chdir(before)
        torch.use_deterministic_algorithms(deterministic)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def dead_process() -> dict[str, Any]:
    """A process that was and is no more, as it stands in leases and tags."""
    code = "import json; from benchmark.store.processes import Process; print(json.dumps(Process.here().to_json()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
