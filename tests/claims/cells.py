"""Numbers of the committed cells, results/*/cells.csv."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd

from benchmark.report.frame import read_frame
from benchmark.report.measures.trust import Trust, trust
from benchmark.report.statistics import Group, groups
from benchmark.report.tables.paired import POOLED, SEPARATED, Comparison, comparisons, holm
from benchmark.report.tables.published import read_published
from tests.claims.claim import Absent

ROOT = Path(__file__).parents[2]
WORDS = {6: "six", 10: "ten", 20: "twenty", 26: "26"}
CHOSEN = "paper_chosen"  # the experiment of the chosen settings and rules that pages speak of
PLANNED = (
    "pca",
    "ae",
    "vae",
    "aae",
    "anogan",
)  # of results/paper all pairs of these are tested, other models beside PCA


@cache
def frame(experiment: str) -> pd.DataFrame:
    """The cells of results/EXPERIMENT, all of them done."""
    path = ROOT / "results" / experiment / "cells.csv"
    if not path.exists():
        raise Absent(f"results/{experiment}/cells.csv is not there")
    found = read_frame(path)
    if set(found["state"]) != {"done"}:
        raise ValueError(f"results/{experiment} has cells that are not done")
    return found


def compared() -> pd.DataFrame:
    """The validation cells that settings and rules were chosen from: those of slow models are of fewer classes."""
    return pd.concat([frame(name) for name in ("selection", "selection_slow")], ignore_index=True)


def cells(experiment: str, model: str, dataset: str, variant: str = "") -> pd.DataFrame:
    """The rows of one model and setting on one data set."""
    found = frame(experiment)
    found = found[(found["model"] == model) & (found["dataset"] == dataset) & (found["variant"] == variant)]
    if not len(found):
        raise Absent(f"results/{experiment} has no {model} ({variant or 'as shipped'}) on {dataset}")
    return found


def per_class(
    experiment: str, model: str, dataset: str, metric: str = "auroc", variant: str = ""
) -> pd.Series:  # index: normal class
    """Mean over seeds of every class."""
    values = cells(experiment, model, dataset, variant).groupby("normal_class")[metric].mean()
    if values.isna().any():
        raise Absent(f"results/{experiment} has no {metric} of {model} on {dataset}")
    return values


@cache
def trusts() -> list[Trust]:
    """What choices on synthetic anomalies (results/synthetic) are worth on real ones (results/selection)."""
    found, lines = trust(frame("synthetic"), frame("selection"))
    assert lines == [], lines
    return found


def mean(experiment: str, model: str, dataset: str, metric: str = "auroc", variant: str = "") -> float:
    """Mean over classes (each the mean over its seeds)."""
    return float(per_class(experiment, model, dataset, metric, variant).mean())


def auroc(experiment: str, model: str, dataset: str, cls: int, metric: str = "auroc", variant: str = "") -> float:
    """One class, the mean over its seeds; any other metric likewise."""
    values = per_class(experiment, model, dataset, metric, variant)
    if cls not in values.index:
        raise Absent(f"results/{experiment} has no class {cls} of {model} on {dataset}")
    return float(values[cls])


def group(experiment: str, dataset: str) -> Group:
    """The cells of one data set that share a table."""
    (found,) = (g for g in groups(frame(experiment)) if g.dataset == dataset)
    return found


def floors_below(experiment: str, dataset: str) -> dict[str, list[str]]:
    """Columns that are below a floor on a data set -> the floors."""
    return group(experiment, dataset).below


@cache
def all_paired(experiment: str, dataset: str = POOLED) -> list[Comparison]:
    """All paired tests of one data set, or of all of them together; of results/paper those that were planned.

    Its report tests all pairs of its many columns, after whose correction ten classes can separate nothing.
    """
    cells = frame(experiment)
    if experiment != "paper":
        return [c for c in comparisons(groups(cells)) if c.dataset == dataset]
    core, others = cells["model"].isin(PLANNED), ~cells["model"].isin(PLANNED[1:])
    beside_pca = [
        c for c in comparisons(groups(cells[others])) if c.dataset == dataset and "pca" in (c.first, c.second)
    ]
    corrected = holm([c.p for c in beside_pca])
    return [
        *(c for c in comparisons(groups(cells[core])) if c.dataset == dataset),
        *(replace(c, p_holm=float(p)) for c, p in zip(beside_pca, corrected, strict=True)),
    ]


def paired(experiment: str, first: str, second: str, dataset: str = POOLED) -> Comparison:
    """The paired test of two columns (p, p_holm, wins, difference, verdict), as first against second."""
    for c in all_paired(experiment, dataset):
        if (c.first, c.second) == (first, second):
            return c
        if (c.first, c.second) == (second, first):
            c = replace(c, first=first, second=second, low=-c.high, high=-c.low, effect=-c.effect, dz=-c.dz)
            return replace(c, difference=-c.difference, wins=c.n - c.ties - c.wins)
    raise Absent(f"results/{experiment} has no paired test of {first} and {second} on {dataset} (six pairs are needed)")


def verdict(experiment: str, first: str, second: str, dataset: str = POOLED) -> str:
    """What the paired test says, with its name; the only way in which a page says that one model is ahead."""
    c = paired(experiment, first, second, dataset)
    p = "p < 0.001" if c.p_holm < 0.001 else f"p = {c.p_holm:.2g}"
    told = f"separated, `{c.first if c.effect > 0 else c.second}` ahead" if c.p_holm < SEPARATED else "not separated"
    over = f"{WORDS.get(c.n, c.n)} classes" + (" of both data sets" if dataset == POOLED else "")
    return f"{told} (Wilcoxon signed-rank over the {over}, {p} after Holm's correction)"


def published(method: str, dataset: str) -> float:
    """The mean AUROC of a method in benchmark/report/tables/published_auroc.csv, one_vs_rest."""
    wanted = (method, dataset, "one_vs_rest", "mean")
    (value,) = {
        f.auroc for f in read_published() if (f.method, f.dataset, f.protocol, f.normal_class) == wanted
    }  # fmt: skip
    return value
