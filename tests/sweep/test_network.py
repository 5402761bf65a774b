"""Dense or convolutional: what ``network: auto`` stands for on which images, and what is typed stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmark.config import CONF_DIR
from benchmark.models import constructor, model_names
from benchmark.models.keywords import AUTO
from benchmark.store.records import read_record
from benchmark.sweep.compose import compose_jobs
from benchmark.sweep.job import Job, lay_out_job
from tests.faults.helpers import run_here

DATA = """
import numpy as np


def load(size, colours):
    draw = np.random.default_rng(0)
    parts = []
    for count in (40, 20):
        labels = np.arange(count) % 2
        pixels = draw.integers(0, 100, (count, colours, size, size), dtype=np.uint8)
        parts += [pixels + (100 * labels[:, None, None, None]).astype(np.uint8), labels]
    return parts
"""
YAML = "name: {0}\n_target_: some_shapes.load\noptions: {{size: {1}, colours: {2}}}\nclasses: [a, b]\nimage_size: {1}\n"
SHAPES = {"grey": (16, 1), "wide": (48, 1), "frames": (16, 8), "colour": (16, 3)}
EXPECTED = {"grey": "dense", "wide": "conv", "frames": "dense", "colour": "conv"}
BOTH = [name for name in model_names() if "network" in constructor(name)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with data sets of four shapes, and in it."""
    folder, before = tmp_path_factory.mktemp("shapes"), Path.cwd()
    for name in ("dataset", "experiment"):
        (folder / "conf" / name).mkdir(parents=True)
    (folder / "some_shapes.py").write_text(DATA)
    for name, (size, colours) in SHAPES.items():
        (folder / "conf" / "dataset" / f"{name}.yaml").write_text(YAML.format(name, size, colours))
    preset = "# @package _global_\nmodel: {network: dense}\nhydra: {sweeper: {params: {seed: '0,1'}}}\n"
    (folder / "conf" / "experiment" / "by_hand.yaml").write_text(preset)
    os.chdir(folder)
    yield folder
    os.chdir(before)


def laid_out(*words: str) -> list[Job]:
    jobs = compose_jobs(["--config-dir", "conf", "chosen=none", *words])
    return [lay_out_job(job.config, device=("cpu", "fp32")) for job in jobs]


@pytest.mark.parametrize("model", BOTH)
def test_a_sweep_over_data_sets_gives_each_its_own(place: Path, model: str) -> None:
    jobs = laid_out("-m", f"model={model}", f"dataset={','.join(SHAPES)}", *["model.classes=2"] * (model == "cond_aae"))
    written = yaml.safe_load((CONF_DIR / "model" / f"{model}.yaml").read_text())["network"]
    for name, job in zip(SHAPES, jobs, strict=True):
        wanted = EXPECTED[name] if written == AUTO else written
        assert {cell.config["model"]["network"] for cell in job.cells} == {wanted}
        assert {"network" in cell.variant for cell in job.cells} == {False}


def test_what_is_typed_or_written_in_a_preset_stays(place: Path) -> None:
    for words in (["model.network=dense"], ["-m", "model.network=dense,dense"], ["-m", "+experiment=by_hand"]):
        for job in laid_out("model=vae", "dataset=colour", *words):
            assert (job.cells[0].config["model"]["network"], job.cells[0].variant) == ("dense", "network=dense")
    (typed,), (found,) = (laid_out("model=vae", "dataset=colour", *more) for more in (["model.network=conv"], []))
    assert typed.cells[0].fingerprint == found.cells[0].fingerprint
    assert typed.cells[0].variant == found.cells[0].variant == ""
    assert typed.describe("").job == found.describe("").job


@pytest.mark.parametrize("model", ["ae", "anogan"])
def test_mnist_is_dense_as_ever(model: str, data_dir: Path) -> None:
    words = [f"model={model}", "dataset=mnist", "split.normal_class=3", "chosen=none"]
    (typed,), (found,) = (laid_out(*words, *more) for more in (["model.network=dense"], []))
    assert found.cells[0].config == typed.cells[0].config
    assert (found.cells[0].fingerprint, found.cells[0].variant) == (typed.cells[0].fingerprint, "")
    assert found.describe("").job == typed.describe("").job


def test_the_record_holds_what_was_used_and_rescoring_keeps_it(place: Path) -> None:
    small = ["--config-dir", "conf", "model=ae", "dataset=colour", "split.normal_class=a", "trainer.epochs=1"]
    small += ["tracking=off", "experiment_name=e", "model.latent=2", "model.channels=[4]"]
    for more in ([], ["model.network=dense"]):
        done = run_here(place, *small, *more)
        assert done.returncode == 0, done.stderr
    done = run_here(place, "experiment=e", "rule=squared", module="benchmark.rescore")
    assert done.returncode == 0, done.stderr
    records = [read_record(path.parent) for path in (place / "outputs" / "cells").rglob("status.json")]
    convolutional = {r.config()["model"]["network"]: any(w.ndim == 4 for w in r.weights().values()) for r in records}
    assert convolutional == {"conv": True, "dense": False}
    assert all("auroc/rule_squared" in record.metrics for record in records)


def test_a_wrong_network_is_refused_as_ever(place: Path) -> None:
    done = run_here(place, "--config-dir", "conf", "model=ae", "dataset=colour", "model.network=deep")
    assert (done.returncode, done.stderr) == (
        2,
        "benchmark: model.network=deep is not allowed: it must be one of dense, conv, auto. Type for example: "
        "model.network=dense\n",
    )
