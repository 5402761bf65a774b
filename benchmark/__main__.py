"""The command line: ``python -m benchmark [-m] [key=value ...]``.

Everything that a command would run is composed and checked before any of it starts; what is refused is said in one
line and ends with exit code 2. A sweep in which a cell is not done ends with exit code 1.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from typing import Any

from benchmark.config import CONF_DIR, UsageError, register_schemas
from benchmark.say import named, warn
from benchmark.sweep.arguments import resuming
from benchmark.sweep.collector import collect_seldom
from benchmark.sweep.flags import CommandLine, read_flags, version
from benchmark.sweep.signals import UNTAKEN, run_until_told
from benchmark.sweep.sweep import Session


class Unwritable(Exception):
    """The output directory takes no more files; shown in one line, exit code 1."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    is_program = arguments is None
    if is_program:
        collect_seldom()  # until the first job trains
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic products on CUDA
    session = Session(_command(arguments), debug="debug=true" in arguments)
    how = f"Finished cells are kept; the same command goes on from there:\n  {resuming(session.command)}"
    words = f"benchmark: stopped. {how}"
    return run_until_told("benchmark", lambda: _main(arguments, session), lambda: words, is_program)


def _main(arguments: list[str], session: Session) -> int:
    try:
        line = read_flags(arguments)
        if line.flags["version"]:
            print(version())
            return 0
        if line.shows:
            return _show(line, session)
        command = _check(arguments)
        _recover({job.config.output_dir for job in command.jobs})
        session.launcher = command.launcher
        _plan(session, command.jobs)
        return _launch(line.words(), session)
    except (UsageError, Unwritable) as error:
        if session.debug:
            raise
        print(f"benchmark: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def _show(line: CommandLine, session: Session) -> int:
    """Let Hydra print its help, the configuration or a shell's completion; nothing is left behind."""
    from benchmark.sweep.compose import check_composition
    from benchmark.sweep.help import annotate

    choices = check_composition(line) if line.shows not in ("hydra_help", "shell_completion") else {}
    if line.shows != "help":
        return 2 if _launch(line.words(), session) else 0
    with contextlib.redirect_stdout(io.StringIO()) as text:
        code = _launch(line.words(), session)
    print(annotate(text.getvalue().rstrip(), choices))
    return 2 if code else 0


def _check(arguments: list[str]) -> Any:
    """Refuse what cannot run: configuration first, then classes and data, devices last (they need torch).

    Returns the composed command.
    """
    from benchmark.data.classes import resolve_classes
    from benchmark.sweep.compose import compose_command
    from benchmark.tracking.client import refuse, tracking_uri

    command = compose_command(arguments)
    configs = [job.config for job in command.jobs]
    for config in configs:
        resolve_classes(config.split.normal_class, config.dataset.classes)
    for config in {(c.dataset.name, c.data_dir): c for c in configs}.values():
        _check_data(config)
    for device, precision in {(config.device, config.precision) for config in configs}:
        if device not in ("auto", "cpu") or precision == "tf32" or not command.launcher.is_basic:
            command.launcher.resolve(device, precision)
    for config in configs:
        _check_headline(config.model)
        command.launcher.check_folder(config.output_dir)
        _check_folder(config.output_dir)
    uris = {tracking_uri(c.tracking.uri, c.output_dir) for c in configs if c.tracking.enabled}
    for uri in uris:
        refuse(uri)
    return command


def _recover(output_dirs: set[str]) -> None:
    """Put right what a killed process left behind."""
    from benchmark.store.recovery import recover

    for output_dir in output_dirs:
        try:
            recovery = recover(output_dir)
        except OSError as error:
            warn(f"leftovers in {output_dir} cannot be put right ({error})")
            continue
        if recovery.restored or recovery.removed:
            print(f"An earlier run was killed: {recovery} in {output_dir}.", file=sys.stderr)


def _plan(session: Session, jobs: list[Any]) -> None:
    """Write down every cell, and make the stores of the workers: both before any of them starts.

    A report on half a sweep then shows what is missing. Nothing is written if a job of it cannot be run.
    """
    for job in [session.plan(job.config, job.overrides) for job in jobs]:
        try:
            job.write_plan()
        except OSError as error:
            where = f"output_dir={job.config.output_dir}"
            raise Unwritable(
                f"{where} cannot be written ({error}). Make room there, or type output_dir=<a folder>"
            ) from error
    if not session.launcher.is_basic:
        session.prepare_workers([job.config for job in jobs])


def _command(arguments: list[str]) -> str:
    return "python -m benchmark " + shlex.join(arguments)


def _check_data(config: Any) -> None:
    from benchmark.data.files import data_dir, refuse_faults

    folder = data_dir(config.data_dir)
    if config.dataset.sha256:
        refuse_faults(config.dataset, folder)
    elif config.dataset.torchvision_class is not None:
        from benchmark.data.images import load_images

        load_images(config.dataset, folder)


def _check_headline(model: Any) -> None:
    from benchmark.models import constructor, model_class

    if model.headline != constructor(model.name)["headline"].default:  # what is shipped needs no look at the class
        scores = model_class(model.name).score_names
        if model.headline not in scores:
            raise UsageError(
                f"model.headline={model.headline} is not a score of model {model.name}; it has: {', '.join(scores)}"
            )


def _check_folder(output_dir: str) -> None:
    try:
        os.makedirs(output_dir, exist_ok=True)
        if not os.access(output_dir, os.W_OK):
            raise PermissionError(13, "no permission to write")
    except OSError as error:
        raise UsageError(
            f"output_dir={output_dir} cannot be written ({error.strerror}). Type output_dir=<a folder>"
        ) from error


def _launch(words: list[str], session: Session) -> int:
    import hydra

    register_schemas()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # what a job or a launcher raises is said here
    task = session.run_or_note if session.launcher.is_basic else session.run
    app = hydra.main(version_base="1.3", config_path=str(CONF_DIR.resolve()), config_name="config")(task)
    before, sys.argv = sys.argv, ["benchmark", *words]
    try:
        code = _run(app, session)
    except BaseException:
        session.close(interrupted=True)
        raise
    finally:
        sys.argv = before
    session.close()
    return session.summarise() or code


def _run(app: Callable[[], None], session: Session) -> int:
    """Run Hydra's application; returns 1 if a job or a worker broke down, which is said in one line.

    joblib gives up all jobs when a worker is killed: what is left is started again as long as that gets on.
    """
    while True:
        done = session.count_done()
        try:
            app()
            for error in session.broken:
                _say(error, session.debug)
            return 1 if session.broken else 0
        except SystemExit as error:
            return int(error.code or 0)
        except Exception as error:
            untaken = isinstance(error, OSError) and error.errno in UNTAKEN  # what is shown, by who reads it
            if (isinstance(error, UsageError) or untaken) and not session.planned:
                raise
            _say(error, session.debug)
            killed = type(error).__name__ in ("TerminatedWorkerError", "BrokenProcessPool")
            if killed:
                _recover({str(output_dir) for output_dir, _ in session.planned})
            if not killed or session.count_done() <= done:
                return 1
            print("benchmark: a worker was killed; going on with the cells that are left", file=sys.stderr)


def _say(error: Exception, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    print(f"benchmark: {named(error)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
