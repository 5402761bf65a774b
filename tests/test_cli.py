"""The command line's refusals: one line, exit code 2, before any work, and nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


REFUSED = [
    (["model=vea"], "model=vea: there is no such model; did you mean model=vae? There is: aae, ae, anogan,"),
    (["dataset=mnits"], "dataset=mnits: there is no such dataset; did you mean dataset=mnist?"),
    (["trainer.epochz=3"], "trainer.epochz: there is no such key; did you mean trainer.epochs?"),
    (["model=vae", "model.latnet=3"], "model.latnet: there is no such key; did you mean model.latent?"),
    (["trainer.epochs=abc"], "trainer.epochs=abc is not allowed: it must be a whole number"),
    (["trainer.epochs=0"], "trainer.epochs=0 is not allowed: it must be a whole number of at least 1"),
    (["model.latent=x"], "model.latent=x is not allowed: it must be a whole number. Type for example: model.latent=16"),
    (["model.loss=l3"], "model.loss=l3 is not allowed: it must be one of l2, l1, bernoulli"),
    (["model.hidden=400"], "model.hidden=400 is not allowed: it must be a list of whole numbers such as [400,200]"),
    (["split.normal_class=12"], "split.normal_class=12 is not a class of this data set; allowed: all, or an index"),
    (["dataset=fashion_mnist", "split.normal_class=Sneeker"], "5 (Sandal), 6 (Shirt), 7 (Sneaker)"),
    (["split.contamination=0.9"], "split.contamination=0.9 is not allowed: it must be a number from 0 to 0.5"),
    (["seed=-1"], "seed=-1 is not allowed: it must be a whole number of at least 0"),
    (["device=tpu"], "device=tpu is not allowed: it must be auto, cpu, cuda, cuda:N or mps"),
    (["device=cuda:7"], "device=cuda:7 is not on this machine; there is:"),
    (["precision=fp16"], "precision=fp16 is not allowed: it must be one of auto, fp32, tf32, bf16"),
    (["model=ae,vae"], "model=ae,vae names several values: to sweep over them add -m"),
    (["vae"], "vae: this is not key=value"),
    (["-m", "model=ae,vea"], "model=vea: there is no such model"),
    (["output_dir=/proc/nowhere"], "output_dir=/proc/nowhere cannot be written"),
    (["tracking.uri=ftp://host"], "tracking.uri=ftp://host is of scheme 'ftp'"),
    (["tracking.uri=mlruns"], "tracking.uri=mlruns is a file store, which MLflow no longer supports"),
    (["model.headline=auroc"], "model.headline=auroc is not a score of model ae; it has: reconstruction,"),
    (
        ["model=cond_aae", "model.label_share=1.5"],
        "model.label_share=1.5 is not allowed: it must be a number from 0 to 1",
    ),
    (["model=cond_aae", "model.classes=7"], "has 10 classes. Type: model.classes=10"),
    (["model=fanogan", "model.gan_share=1.0"], "model.gan_share=1.0 is not allowed"),
    (["model=gan", "model.closeness=3", "model.objective=wasserstein_penalty"], "Type: model.closeness=0"),
]


@pytest.mark.parametrize(("arguments", "expected"), REFUSED, ids=[" ".join(a) for a, _ in REFUSED])
def test_bad_input_is_refused_in_one_line(tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = run(tmp_path, "dataset=digits", *arguments) if "dataset" not in arguments[0] else run(tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert expected in done.stderr
    assert not list(tmp_path.rglob("*.json")), "something was written"


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
