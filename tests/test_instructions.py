"""Instruction sets: what is pinned, the switch, and what is recorded of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import instructions
from benchmark.engine.device import available_cores
from benchmark.store.environment import environment
from tests.test_cli import run

on_pinned = pytest.mark.skipif(instructions.in_force() != "pinned", reason="nothing is pinned on this processor")


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python with an environment without pins."""
    own = {name: value for name, value in os.environ.items() if name not in instructions.pins()}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env={**own, **variables}, capture_output=True, text=True, check=True)


@on_pinned
def test_they_are_pinned_before_the_libraries_load_and_recorded() -> None:
    """In this very process too: pytest has loaded neither numpy nor torch before ``tests``."""
    found = environment("cpu", "fp32")
    assert (found["cpu_capability"], found["instructions"], found["pinned_too_late"]) == ("AVX2", "pinned", False)
    assert found["pinned"] == {name: os.environ[name] for name in found["pinned"]}
    assert found["pinned"].keys() >= {"ATEN_CPU_CAPABILITY", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE"}


@on_pinned
def test_what_was_pinned_too_late_says_so() -> None:
    done = python("import numpy, benchmark.instructions as i; print(i.state()['pinned_too_late'])")
    assert done.stdout.strip() == "True"
    assert done.stderr.count("benchmark was imported after numpy or torch") == 1
    done = python("import benchmark.instructions as i, numpy; print(i.state()['pinned_too_late'])")
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_the_switch_leaves_the_environment_alone() -> None:
    code = "import os, benchmark; print(os.environ.get('MKL_CBWR'), os.environ.get('ATEN_CPU_CAPABILITY'))"
    done = python(code, BENCHMARK_INSTRUCTIONS="machine", ATEN_CPU_CAPABILITY="default")
    assert done.stdout.split() == ["None", "default"]


@on_pinned
def test_cells_of_the_fastest_instructions_have_fingerprints_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.sweep.compose import compose_command
    from benchmark.sweep.job import prepare_job

    (config,) = (job.config for job in compose_command(["dataset=digits", "split.normal_class=3", "device=cpu"]).jobs)
    prints = {}
    for chosen in ("pinned", "machine"):
        monkeypatch.setenv("BENCHMARK_INSTRUCTIONS", chosen)
        for device in ("cpu", "cuda"):
            prints[chosen, device] = prepare_job(config, device=(device, "fp32")).cells[0].fingerprint
    assert prints["pinned", "cpu"] != prints["machine", "cpu"]
    assert prints["pinned", "cuda"] == prints["machine", "cuda"]


def test_another_value_is_refused_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "model=ae", "dataset=digits", BENCHMARK_INSTRUCTIONS="fast")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "BENCHMARK_INSTRUCTIONS=fast is not allowed" in done.stderr
    assert not list(tmp_path.iterdir())


def test_cores_are_those_that_a_quota_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """joblib reads a container's quota from the system; its own variable, read in the same place, is set here."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert available_cores() == 1
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT")
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))
