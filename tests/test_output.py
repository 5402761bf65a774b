"""Output that nobody takes: a command whose reader is gone ends in silence, one on a full device in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.helpers import run_here
from tests.report.conftest import Records
from tests.test_cli import user_environment
from tests.test_status import done

COMMANDS = {
    "benchmark": (["--cfg", "job"], "benchmark"),
    "benchmark.status": (["experiment=small"], "benchmark.status"),
    "benchmark.report": (["experiment=small", "figures=false"], "benchmark.report"),
    "benchmark.sync": (["--help"], "benchmark.sync"),
    "benchmark.prepare": (["--help"], "prepare"),
    "benchmark.forget": (["experiment=small"], "benchmark.forget"),
    "benchmark.committee": (["--help"], "benchmark.committee"),
    "benchmark.verify": (["--help"], "benchmark.verify"),
}


def run_into(output: int, folder: Path, module: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *COMMANDS[module][0]]
    return subprocess.run(
        command, cwd=folder, env=user_environment(), stdout=output, stderr=subprocess.PIPE, text=True, timeout=120
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Records(tmp_path / "outputs").job(done(0), done(1))
    return tmp_path


@pytest.mark.parametrize("module", COMMANDS)
def test_a_reader_that_is_gone_ends_a_command_in_silence(folder: Path, module: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = run_into(writer, folder, module)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("module", COMMANDS)
def test_a_full_device_is_said_in_one_line(folder: Path, module: str) -> None:
    with open("/dev/full", "wb") as full:
        ended = run_into(full.fileno(), folder, module)
    line = f"{COMMANDS[module][1]}: not all could be written (No space left on device). Make room\n"
    assert (ended.returncode, ended.stderr) == (1, line)


@pytest.mark.parametrize("module", [name for name in COMMANDS if name not in ("benchmark", "benchmark.prepare")])
def test_a_name_longer_than_any_is_refused_in_one_line(folder: Path, module: str) -> None:
    ended = run_here(folder, f"experiment={'x' * 300}", module=module)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "is no name of an experiment, which has at most 100 bytes. Type for example: " in ended.stderr
