"""Ctrl-C and SIGTERM to real processes: they end soon, after the write in progress, and say how to go on.

The times allowed are those of a busy machine; without the code tested here each would take minutes.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.config import UsageError
from benchmark.store.records import read_record
from benchmark.store.recovery import recover
from benchmark.sweep.arguments import small_command
from tests.faults.warm import Forked
from tests.test_cli import user_environment

SOON = 15.0  # seconds; on a quiet machine two
ENDLESS = ["-m", "dataset=digits", "split.normal_class=0,1", "split.test_limit=100", "resume=false"]
GO_ON = "the same command goes on from there:\n  python -m benchmark -m dataset=digits split.normal_class=0,1 split."


class Command:
    """A Python program in the foreground: one that Ctrl-C reaches."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder, self.log = folder, folder / "log"
        self.log.write_text("")
        self.process = Forked(folder, *words, out=self.log, err=self.log)

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 180
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def end(self, *signals: signal.Signals, pause: float = 0.5) -> tuple[int, float, str]:
        """Send the signals, ``pause`` seconds between two; returns exit code, seconds and what was said."""
        start = time.monotonic()
        for i, number in enumerate(signals):
            time.sleep(pause if i > 0 else 0)
            self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        return code, time.monotonic() - start, self.log.read_text()


@pytest.fixture
def started() -> Iterator[Callable[..., Command]]:
    commands = []

    def start(folder: Path, *words: str) -> Command:
        commands.append(Command(folder, *words))
        return commands[-1]

    yield start
    for command in commands:
        command.process.kill()
        command.process.wait()


def test_a_scheduler_ends_a_search_that_looks_at_nothing(tmp_path: Path, started) -> None:
    """SIGTERM while a convolution scores, in a search of a hundred thousand steps for one batch of images."""
    search = ["model=anogan", "model.network=conv", "model.search_steps=100000", "tracking=off", "trainer.epochs=1"]
    command = started(tmp_path, "-m", "benchmark", *ENDLESS, *search, "trainer.checkpoint_seconds=0.001")
    outputs = tmp_path / "outputs"
    command.wait_for(lambda: list((outputs / "checkpoints").glob("*.pt")))  # its one epoch is over
    time.sleep(1)
    code, seconds, said = command.end(signal.SIGTERM)
    assert code == 143, said
    assert seconds < SOON
    assert f"benchmark: stopped. Finished cells are kept; {GO_ON}" in said
    assert "resume=false" not in said, "that would train finished cells again"
    assert "Traceback" not in said
    assert {path.name for path in outputs.rglob(".*")} == {".locks"}, "a lease was left"


def test_a_server_that_never_answers_keeps_nobody(tmp_path: Path, started) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"tracking.uri=http://127.0.0.1:{silent.getsockname()[1]}"
        command = started(tmp_path, "-m", "benchmark", *ENDLESS, "model=ae", "trainer.epochs=100000", uri)
        silent.settimeout(120)
        connection, _ = silent.accept()  # MLflow asks, and waits
        time.sleep(1)
        code, seconds, said = command.end(signal.SIGINT)
        connection.close()
    assert code == 130, said
    assert seconds < SOON
    assert GO_ON in said
    assert "Traceback" not in said


SLOW_WRITER = textwrap.dedent("""
    import sys, time
    from benchmark.data import writing
    from benchmark.__main__ import main

    original, seconds = writing.sync, float(sys.argv.pop(1))

    def slow(path):
        if path.name == "status.json":
            print("writing", flush=True)
            time.sleep(seconds)
        original(path)

    writing.sync = slow
    sys.exit(main())
""")
PCA = ["model=pca", "dataset=digits", "split.normal_class=0", "split.test_limit=100", "tracking=off"]


def test_a_write_in_progress_is_finished(tmp_path: Path, started) -> None:
    command = started(tmp_path, "-c", SLOW_WRITER, "5", *PCA)
    command.wait_for(lambda: "writing" in command.log.read_text())
    code, seconds, said = command.end(signal.SIGINT)
    assert code == 130, said
    assert 2 < seconds < 5 + SOON
    assert said.count("benchmark: stopped.") == 1
    (status,) = (tmp_path / "outputs" / "cells").rglob("status.json")
    record = read_record(status.parent)
    assert record.state == "done"
    assert record.weights()
    assert {path.name for path in (tmp_path / "outputs").rglob(".*")} == {".locks"}


@pytest.mark.parametrize("pause", [0.2, 0.8, 3.0], ids=["gives up", "leaves", "waits for the write"])
def test_a_second_signal_waits_for_nothing_and_does_no_harm(tmp_path: Path, started, pause: float) -> None:
    command = started(tmp_path, "-c", SLOW_WRITER, "600", *PCA)
    command.wait_for(lambda: "writing" in command.log.read_text())
    code, seconds, said = command.end(signal.SIGINT, signal.SIGINT, pause=pause)
    assert code == 130, said
    assert seconds < SOON
    assert not list((tmp_path / "outputs" / "cells").rglob("class*/status.json"))
    assert recover(tmp_path / "outputs").removed >= 1
    assert {path.name for path in (tmp_path / "outputs").rglob(".*")} == {".locks"}


SMALL_COMMAND = textwrap.dedent("""
    import sys, time
    from benchmark.sweep.signals import ends_in_order

    @ends_in_order("benchmark.small")
    def main(arguments=None):
        print("ready", flush=True)
        time.sleep(600)

    sys.exit(main())
""")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_small_commands_end_with_one_line(tmp_path: Path, started, number: signal.Signals, expected: int) -> None:
    command = started(tmp_path, "-c", SMALL_COMMAND)
    command.wait_for(lambda: "ready" in command.log.read_text())
    code, seconds, said = command.end(number)
    assert code == expected, said
    assert seconds < SOON
    assert said == "ready\n\nbenchmark.small: stopped. To go on, type the same again.\n"


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """As in ``nohup`` and in jobs in the background."""
    process = subprocess.Popen(
        [sys.executable, "-c", SMALL_COMMAND],
        env=user_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2)
    process.terminate()
    process.communicate()
    assert process.returncode == 143


@pytest.mark.parametrize("module", ["benchmark", "benchmark.status"])
def test_ctrl_c_while_modules_load_is_one_line(tmp_path: Path, module: str) -> None:
    """The signal comes in the import of a library that every command needs."""
    (tmp_path / "omegaconf.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-m", module, "experiment=x"],
        cwd=tmp_path,
        env={**user_environment(), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    said = "\nbenchmark: stopped before it began. To go on, type the same again.\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)


@pytest.mark.parametrize("error", [UsageError("sources: what a library made of it"), TypeError("sources: the same")])
def test_an_error_that_a_library_makes_of_a_signal_is_not_explained(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    @small_command("benchmark.tried", lambda: "")
    def tried(arguments: list[str]) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        except KeyboardInterrupt:
            raise error from None
        return 0

    assert tried([]) == 143
    assert capsys.readouterr().err.strip() == "benchmark.tried: stopped. To go on, type the same again."
