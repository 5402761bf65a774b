"""The command line as a process. What it refuses is in ``tests/faults/bad_input.py``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmark.data.cache import data_dir as cache_dir
from benchmark.models import model_names

Run = subprocess.CompletedProcess[str]


def user_environment() -> dict[str, str]:
    """The environment of a command that finds the prepared data."""
    return {**os.environ, "BENCHMARK_DATA": str(cache_dir())}


def run(folder: Path, *arguments: str, module: str = "benchmark", **environment: str) -> Run:
    """``python -m MODULE ARGUMENTS`` in ``folder``."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**user_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_missing_data_names_the_command(tmp_path: Path) -> None:
    done = run(tmp_path, "dataset=mnist", BENCHMARK_DATA=str(tmp_path / "empty"))
    assert done.returncode == 2
    assert "train-images-idx3-ubyte is missing. Type: python -m benchmark.prepare dataset=mnist" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_lists_the_options(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    for words in (f"model: {', '.join(model_names())}", "split: leave_one_out, one_vs_rest", "+experiment=quick"):
        assert words in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_collector_looks_seldom_until_a_job_trains(tmp_path: Path) -> None:
    """What the program loaded is then left alone, and its usual thresholds are back: training may leave cycles."""
    program = (
        "import gc, sys; from benchmark.__main__ import main; usual = gc.get_threshold(); "
        "code = main(); print(code, gc.get_threshold()[0] > usual[0], gc.get_freeze_count() > 100_000)"
    )
    for arguments, words in (
        (["model=vea"], "2 True False"),
        (["model=pca", "dataset=digits", "split.normal_class=0", "tracking.enabled=false"], "0 False True"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=tmp_path,
            env=user_environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.stdout.splitlines()[-1] == words, done.stderr
        assert "leaked" not in done.stderr  # by what looks at the end for objects that nothing took down
