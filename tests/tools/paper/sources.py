"""Which committed experiment each part of the paper is made from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pandas as pd

from benchmark.report.crossing import Block, largest_block, rules_of
from benchmark.report.statistics import FLOORS, Group
from benchmark.report.tables.variance import analysis, within_classes
from tests.claims.cells import ROOT, frame, group
from tests.claims.claim import Absent

DATASETS = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
NAMES = {  # of models in tables and sentences
    "histogram": "histogram", "mean_image": "mean image", "pca": "PCA", "ae": "AE", "vae": "VAE", "aae": "AAE",
    "anogan": "AnoGAN", "knn": "k-NN", "kde": "KDE", "gmm": "GMM", "iforest": "isolation forest", "ocsvm": "OC-SVM",
    "deep_svdd": "Deep SVDD", "geom": "GEOM", "flow": "flow", "diffusion": "diffusion", "fanogan": "f-AnoGAN",
    "gan": "GAN", "lstm_ae": "LSTM AE", "conv_lstm_ae": "ConvLSTM AE", "cond_aae": "conditional AAE",
    "committee": "committee",
}  # fmt: skip
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def core() -> str:
    """The experiment of the main table: ``paper`` with its five seeds once it is there, until then ``quick``."""
    return "paper" if (ROOT / "results" / "paper" / "cells.csv").exists() else "quick"


@cache
def crossing() -> str:
    """The experiment of models and rules: the main one if its cells were judged under all rules, else ``rules``."""
    every = rules_of(group("rules", "mnist"))
    return core() if set(every) <= set(rules_of(group(core(), "mnist"))) else "rules"


@cache
def block(dataset: str, without: Sequence[str] = ()) -> Block:
    """Models x rules x classes x seeds that all are there, the trivial floors left out."""
    found = largest_block(group(crossing(), dataset), (*FLOORS[:2], *without))
    if found is None:
        raise Absent(f"results/{crossing()} has no block of models and rules on {dataset}")
    return found


def shares(dataset: str, without: Sequence[str] = ()) -> list[float]:
    """Of what the classes leave of the variance: the shares of rule, model and their interaction."""
    found = {source.name: source for source in analysis(block(dataset, without))}
    return [within_classes(name, found) for name in ("rule", "model", "model x rule")]


def seeds(experiment: str) -> int:
    return int(frame(experiment)["seed"].nunique())


def count(number: int) -> str:
    """A small number as a word: 2 is "two", 13 is "13"."""
    return COUNTS[number] if 0 <= number < len(COUNTS) else f"{number:,}"


def counted(number: int, noun: str) -> str:
    """
    >>> counted(1, "seed"), counted(5, "class")
    ('one seed', 'five classes')
    """
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count(number)} {noun if number == 1 else plural}"


def name_of(model: str) -> str:
    """How a model is called in the paper; one without a name there by its own."""
    return NAMES.get(model, model)


def groups_of(experiment: str) -> list[Group]:
    """The cells of both data sets, MNIST first."""
    return [group(experiment, dataset) for dataset in DATASETS]


def models_of(experiment: str) -> list[str]:
    """Names of models; a committee of them is none."""
    found: pd.DataFrame = frame(experiment)
    return [model for model in dict.fromkeys(found["model"]) if model != "committee"]
