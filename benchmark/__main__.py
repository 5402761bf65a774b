"""The command line: ``python -m benchmark [-m] [key=value ...]``.

Everything that a command would run is composed and checked before any of it starts; what is refused is said in one
line and ends with exit code 2. A sweep in which a cell is not done ends with exit code 1.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import shlex
import sys
import time

from benchmark.config import UsageError
from benchmark.sweep.arguments import resuming
from benchmark.sweep.flags import CommandLine, read_flags, version
from benchmark.sweep.signals import UNTAKEN, refuse_to_explain, run_until_told

SELDOM = 100_000  # new objects between two looks of Python's cyclic garbage collector while the program starts
USUAL = gc.get_threshold()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    start, owns_process = time.perf_counter(), arguments is None
    if owns_process:  # modules and configurations only grow until the first job trains: to look takes an eighth of that
        gc.set_threshold(SELDOM, *USUAL[1:])
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic products on CUDA
    typed = "python -m benchmark " + shlex.join(arguments)
    words = f"benchmark: stopped. Finished cells are kept; the same command goes on from there:\n  {resuming(typed)}"
    return run_until_told("benchmark", lambda: _main(arguments, typed, start), lambda: words, owns_process)


def _main(arguments: list[str], typed: str, start: float) -> int:
    debug = "debug=true" in arguments
    try:
        line = read_flags(arguments)
        if line.flags["version"]:
            print(version())
            return 0
        return _show(line, debug) if line.shows else _run(line, typed, start, debug)
    except UsageError as error:
        refuse_to_explain()
        if debug:
            raise
        print(f"benchmark: {error}", file=sys.stderr)
        return 2


def _show(line: CommandLine, debug: bool) -> int:
    """Let Hydra print its help, the configuration or a shell's completion; nothing is left behind."""
    from benchmark.sweep.arguments import annotate
    from benchmark.sweep.compose import check_composition, through_hydra
    from benchmark.sweep.explain import say

    choices = check_composition(line) if line.shows not in ("hydra_help", "shell_completion") else {}
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text) if line.shows == "help" else contextlib.nullcontext():
            code = through_hydra(line.words(), lambda config: None)
    except Exception as error:
        if isinstance(error, UsageError) or (isinstance(error, OSError) and error.errno in UNTAKEN):
            raise
        say(error, debug)
        return 2
    if line.shows == "help":
        print(annotate(text.getvalue().rstrip(), choices, line.config_dir))
    return 2 if code else 0


def _run(line: CommandLine, typed: str, start: float, debug: bool) -> int:
    """Compose and check the jobs of a command, write down their cells, and run them."""
    from benchmark.sweep.check import check_jobs
    from benchmark.sweep.compose import compose_line

    command = compose_line(line)
    check_jobs([job.config for job in command.jobs], command.launcher)
    from benchmark.sweep.sweep import Sweep, Unwritable  # torch comes with it

    sweep = Sweep(command, typed, start, debug)
    try:
        sweep.plan()
    except Unwritable as error:
        if debug:
            raise
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    _collect_as_usual()
    return sweep.run(line.words())


def _collect_as_usual() -> None:
    """Leave alone what there is by now, modules above all, which stay; training may leave cycles that hold tensors."""
    if gc.get_threshold() != USUAL:
        gc.freeze()
        atexit.register(gc.unfreeze)  # at its end the interpreter takes all down, and libraries warn of what it leaves
        gc.set_threshold(*USUAL)


if __name__ == "__main__":
    sys.exit(main())
