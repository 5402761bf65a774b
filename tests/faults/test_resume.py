"""The real command, killed with ``kill -9`` in mid training: the same command ends as if it had never been killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.engine.state import Snapshot
from benchmark.store.checkpoints import Checkpoints, epochs_kept
from benchmark.store.records import Record, read_record
from tests.faults.helpers import run_here
from tests.faults.warm import Forked

COMMON = ["dataset=digits", "split.normal_class=[0,1]", "split.test_limit=40", "trainer.workers=1", "tracking=off"]
DENSE = ["-m", "model=ae,anogan", *COMMON, "trainer.epochs=60"]  # two fleets of two; AnoGAN has two phases
CONV = ["model=ae", "model.network=conv", "model.noise_std=0.1", *COMMON, "trainer.epochs=8"]  # cell by cell
UNLIKE = {
    *("train_seconds", "score_seconds", "evaluate_seconds", "train_images_per_second", "score_images_per_second"),
    *("peak_memory_mib", "peak_memory_cells"),
}


def records(folder: Path) -> dict[str, Record]:
    found = [read_record(path.parent) for path in sorted((folder / "outputs" / "cells").rglob("status.json"))]
    return {record.fingerprint: record for record in found}


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "outputs" / "checkpoints").glob("*.pt"))


def kill_at_a_checkpoint(folder: Path, arguments: list[str], title: str) -> int:
    """Kill the command once its job ``title`` has a checkpoint; returns the epochs that are kept."""
    log = folder / "log"
    log.write_text("")
    words = ["-m", "benchmark", *arguments, "trainer.checkpoint_seconds=0.01"]
    process = Forked(folder, *words, out=log, err=log)
    try:
        deadline = time.monotonic() + 120
        while f"\n{title} on digits" not in "\n" + log.read_text() or not checkpoints(folder):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = [epochs_kept(folder / "outputs", path.with_suffix("")) for path in checkpoints(folder)]
    assert kept, "it was killed too late"
    return min(kept)


def assert_same(folder: Path, plain: Path) -> None:
    """The same weights, scores, history and metrics, but for what it cost."""
    ours, theirs = records(folder), records(plain)
    assert ours.keys() == theirs.keys()
    for fingerprint, record in ours.items():
        expected = theirs[fingerprint]
        assert (record.state, expected.state) == ("done", "done")
        for name, value in expected.weights().items():
            assert torch.equal(record.weights()[name], value), name
        for name, values in expected.scores().items():
            assert np.array_equal(record.scores()[name], values), name
        assert (record.path / "history.csv").read_bytes() == (expected.path / "history.csv").read_bytes()
        assert {k: v for k, v in record.metrics.items() if k not in UNLIKE} == {
            k: v for k, v in expected.metrics.items() if k not in UNLIKE
        }


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("plain", "killed"):
        (tmp_path / name).mkdir()
    return tmp_path / "plain", tmp_path / "killed"


def test_a_fleet_killed_in_mid_training_goes_on_as_if_it_never_was(folders: tuple[Path, Path]) -> None:
    """Killed in its AE, with one of both checkpoints cut off before it goes on, and again in its AnoGAN."""
    plain, killed = folders
    undisturbed = run_here(plain, *DENSE)
    assert undisturbed.returncode == 0, undisturbed.stderr
    kill_at_a_checkpoint(killed, DENSE, "ae")
    status = run_here(killed, "experiment=default", module="benchmark.status")
    assert re.search(r"missing: .*: interrupted: process \d+ on .* is gone; it goes on after epoch \d+", status.stdout)
    bad = checkpoints(killed)[0]
    os.truncate(bad, bad.stat().st_size - 100)
    kill_at_a_checkpoint(killed, DENSE, "anogan")
    label = re.search(r"class(\d)", bad.name)[1]
    warned = re.findall(r"^warning: .*", (killed / "log").read_text(), re.MULTILINE)
    assert len(warned) == 1
    assert f"the checkpoint of ae digits {label} seed 0 epochs=60 is dropped (its content is not what was" in warned[0]
    last = run_here(killed, *DENSE)
    assert_goes_on(last)
    assert_same(killed, plain)
    assert checkpoints(killed) == []
    assert {path.name for path in (killed / "outputs").rglob(".*")} == {".locks"}


def test_a_convolution_killed_in_mid_training_goes_on_as_if_it_never_was(folders: tuple[Path, Path]) -> None:
    plain, killed = folders
    assert run_here(plain, *CONV).returncode == 0
    kill_at_a_checkpoint(killed, CONV, "ae")
    assert_goes_on(run_here(killed, *CONV))
    assert_same(killed, plain)
    assert checkpoints(killed) == []


def test_resume_false_looks_at_no_checkpoint(tmp_path: Path) -> None:
    command = ["model=ae", *COMMON, "split.normal_class=0", "trainer.epochs=2"]
    assert run_here(tmp_path, *command).returncode == 0
    (record,) = records(tmp_path).values()
    left = tmp_path / "outputs" / "checkpoints" / f"{record.path.name}.pt"
    left.parent.mkdir()
    left.write_bytes(b"of an earlier attempt")
    done = run_here(tmp_path, *command, "resume=false")
    assert (done.returncode, "warning" in done.stderr) == (0, False), done.stderr
    assert not left.exists()
    left.write_bytes(b"left by a kill between the record and its removal")
    done = run_here(tmp_path, *command)
    assert (done.returncode, "warning" in done.stderr) == (0, False), done.stderr
    assert "1 of them finished before" in done.stdout
    assert not left.exists()


def test_a_checkpoint_of_another_shape_is_dropped_and_the_cell_trained(tmp_path: Path) -> None:
    command = ["model=ae", *COMMON, "split.normal_class=0", "trainer.epochs=2"]
    assert run_here(tmp_path, *command).returncode == 0
    (record,) = records(tmp_path).values()
    weights = record.weights()
    for bad in ("shape", "missing"):
        tensors = {f"model/{name}": tensor[:1] for name, tensor in weights.items()} if bad == "shape" else {}
        cell = SimpleNamespace(path=record.path, fingerprint=record.fingerprint, name="a cell", code=record.status.code)
        Checkpoints(tmp_path / "outputs", 1).save(cell, Snapshot(1, tensors, [{"epoch": 1}], 1, 1))
        shutil.rmtree(record.path)
        done = run_here(tmp_path, *command)
        assert done.returncode == 0, done.stderr
        said = "is \\(1, .*the model's" if bad == "shape" else "it lacks model/"
        assert re.search(rf"warning: the checkpoint of ae digits 0 seed 0 .*is dropped \(.*{said}", done.stderr)
        again = read_record(record.path)
        assert again.state == "done"
        assert all(torch.equal(again.weights()[name], tensor) for name, tensor in weights.items())
    assert checkpoints(tmp_path) == []


def assert_goes_on(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    epochs = [int(epoch) for epoch in re.findall(r"goes on after epoch (\d+) of \d+", done.stderr)]
    assert epochs, done.stderr
    assert min(epochs) >= 1
