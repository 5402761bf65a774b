"""Search with Optuna: ranges as they are typed, what is refused, and a study that goes on where it was left."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from statistics import fmean

import pytest

from benchmark.config import UsageError
from benchmark.store.experiments import collect
from benchmark.tune import Range, read_words, words_of
from tests.faults.helpers import run_here

needs_optuna = pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="Optuna is an extra: tune")
FIXED = [
    "model=pca", "dataset=digits", "split.normal_class=[0,1]", "split.evaluate_on=synthetic", "chosen=none",
    "tracking=off", "experiment_name=t",
]  # fmt: skip
SEARCHED = "model.components=int(2,30)"


def tune(folder: Path, *words: str):
    return run_here(folder, *words, module="benchmark.tune")


def test_ranges_are_read_and_the_rest_is_left_as_it_is():
    fixed, space = read_words(
        ["model=vae", "model.latent=int(4,64)", "model.a=log(1e-4, 1e-2)", "model.b=float(-1,2)", "--config-dir=x",
         "model.hidden=choice([256],[400,200])", "seed=[0,1]"]
    )  # fmt: skip
    assert fixed == ["model=vae", "--config-dir=x", "seed=[0,1]"]
    assert space == {
        "model.latent": Range("int", (4, 64)),
        "model.a": Range("log", (1e-4, 1e-2)),
        "model.b": Range("float", (-1.0, 2.0)),
        "model.hidden": Range("choice", ("[256]", "[400,200]")),
    }
    assert words_of({"a": 3, "b": 0.00012345, "c": "[400,200]"}) == ["a=3", "b=0.000123", "c=[400,200]"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("model.latent=int(4)", "a range is two numbers, lowest and highest. Type for example: int(4,64)"),
        ("model.latent=int(4,8,16)", "a range is two numbers"),
        ("model.latent=int(4,8.5)", "a range is two numbers"),
        ("model.latent=int(64,4)", "the first must be the smaller number. Type"),
        ("model.x=float(1,nan)", "the first must be the smaller number"),
        ("model.x=log(0,1)", "the smaller number of at least something above 0. Type for example: log(1e-4,1e-2)"),
        ("model.x=choice(a)", "at least two different choices are needed"),
        ("model.x=choice(a,a)", "at least two different choices are needed"),
        ("model.x=3", "no range is given to search in. Type for example: python -m benchmark.tune model=vae"),
        ("-m", "a trial is one job. Leave it out"),
    ],
)
def test_a_range_that_is_none_is_one_line(word, said):
    with pytest.raises(UsageError) as caught:
        read_words([word])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["split.evaluate_on=test"], "split.evaluate_on=test: settings that are searched by test images are fitted to"),
        (["trials=0"], "trials=0 is not allowed: it must be a whole number of at least 1"),
        (["sampler_seed=-1"], "sampler_seed=-1 is not allowed"),
        (["model.component=int(2,9)"], "model.component"),
        (["model.components=int(0,9)"], "model.components=0 is not allowed"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_written(tmp_path, words, said):
    done = tune(tmp_path, *FIXED, SEARCHED, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_optuna_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = tune(tmp_path, *FIXED, SEARCHED)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Optuna, which proposes the settings, is not installed" in done.stderr
    assert "pip install 'optuna>=5,<6'" in done.stderr


def study_in(folder: Path):
    import optuna

    return optuna.load_study(study_name="t", storage=f"sqlite:///{folder / 'outputs' / 'optuna.db'}")


@needs_optuna
def test_a_study_goes_on_as_if_it_had_not_been_interrupted(tmp_path):
    from optuna.trial import TrialState

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    done = tune(whole, *FIXED, SEARCHED, "trials=4")
    assert done.returncode == 0, done.stderr
    assert tune(parts, *FIXED, SEARCHED, "trials=2").returncode == 0
    expected = study_in(whole).trials
    study = study_in(parts)
    import optuna

    study.sampler = optuna.samplers.RandomSampler(seed=0)
    study.enqueue_trial(expected[2].params)  # as a process that was killed in its third trial leaves it
    study.ask({"model.components": optuna.distributions.IntDistribution(2, 30)})
    assert study.trials[-1].state == TrialState.RUNNING
    assert tune(parts, *FIXED, SEARCHED, "trials=4").returncode == 0
    found = study_in(parts).trials
    assert [(one.params, one.value, one.state) for one in found] == [
        (one.params, one.value, TrialState.COMPLETE) for one in expected
    ]
    assert len({one.params["model.components"] for one in expected}) > 1
    again = tune(parts, *FIXED, SEARCHED, "trials=4")
    assert "Trial" not in again.stdout, "nothing is left to do"


@needs_optuna
def test_a_trial_is_an_ordinary_job_and_its_value_the_mean_of_its_cells(tmp_path):
    words = ["rule=cosine", "metric=auroc/rule_cosine"]
    done = tune(tmp_path, *FIXED, SEARCHED, "trials=2", *words)
    assert done.returncode == 0, done.stderr
    cells = collect(tmp_path / "outputs", "t").cells
    trials = study_in(tmp_path).trials
    by_variant: dict[str, list[float]] = {}
    for cell in cells:
        by_variant.setdefault(cell.record.status.variant, []).append(cell.record.metrics["auroc/rule_cosine"])
    assert len(by_variant) == 2
    for trial in trials:
        assert trial.value == pytest.approx(fmean(by_variant[f"components={trial.params['model.components']}"]))
    best = max(trials, key=lambda one: one.value)
    assert f"The best is trial {best.number + 1}: auroc/rule_cosine {best.value:.4f}." in done.stdout
    assert f"tracking=off model.components={best.params['model.components']}" in done.stdout
    assert "evaluate_on" not in done.stdout.splitlines()[-1]


@needs_optuna
def test_a_study_of_something_else_is_refused(tmp_path):
    assert tune(tmp_path, *FIXED, SEARCHED, "trials=1").returncode == 0
    for words in (["model.components=int(2,31)"], [SEARCHED, "seed=1"], [SEARCHED, "sampler_seed=1"]):
        done = tune(tmp_path, *FIXED, *words, "trials=1")
        assert done.returncode == 2
        assert "experiment_name=t has a study of other words, ranges, metric or seed in" in done.stderr


@needs_optuna
def test_a_metric_that_no_cell_has_ends_it_and_says_which_there_are(tmp_path):
    done = tune(tmp_path, *FIXED, SEARCHED, "trials=2", "metric=auroc/rule_ssim")
    assert done.returncode == 2
    assert "metric=auroc/rule_ssim: no cell has it. There is: auroc, auroc/reconstruction" in done.stderr


@needs_optuna
def test_a_trial_that_cannot_be_run_has_failed_and_the_others_go_on(tmp_path):
    """More components than pixels is what a constructor refuses, for images of this size alone."""
    done = tune(tmp_path, *FIXED, "model.components=int(2,150)", "trials=6")
    values = [one.value for one in study_in(tmp_path).trials]
    assert done.returncode == 0, done.stderr
    assert len(values) == 6
    assert any(value is None for value in values)
    assert any(value is not None and not math.isnan(value) for value in values)
    assert "cannot be run" in done.stderr or "has failed, and says nothing" in done.stderr
