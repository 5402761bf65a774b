"""How far a choice on synthetic anomalies can be trusted: what the same cells say of real ones.

Cells of the same models, settings and rules are compared twice: on synthetic anomalies, by which is chosen, and on real
ones of the training split (``split.evaluate_on=validation``), which say what that choice is worth. The *regret* of a
choice is the largest real AUROC of all that were compared, less that of what was chosen.

Ma, Zhao, Zhang & Akoglu 2021 (arXiv:2104.01422) compared seven ways to choose a detector without labels on 39 tasks
and found none of practical use. Theirs look at models and scores alone, here anomalies are made; but that a way works
on two data sets says little of a third.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from benchmark.chosen import CHOSEN_ON
from benchmark.config import UsageError
from benchmark.report.compared import Compared, compared_of, refuse_mixed
from benchmark.report.crossing import OWN

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, str, str]  # model, setting, rule


@dataclass(frozen=True)
class Trust:
    """What a choice on synthetic anomalies was worth on one data set, of one model or of all."""

    dataset: str
    model: str  # "" for all of them: the model is chosen too
    chosen: Key
    compared: int  # settings under rules
    classes: tuple[int, ...]
    rank_correlation: float  # Spearman's, of synthetic and real AUROC over all that were compared
    over_rules: float  # the same over the rules of one setting: mean over models and settings
    over_settings: float  # the same over the settings under one rule: mean over models and rules
    best: float  # the largest real AUROC
    real: float  # of what was chosen
    other: float  # of what real anomalies of the other data set choose; NaN where there is none
    shipped: float  # of the model as in its YAML with its own score; of several models their mean
    random: float  # the mean over all: what a draw among them gets
    beaten: float  # share of all that were compared whose real AUROC is below that of what was chosen

    @property
    def regrets(self) -> dict[str, float]:
        """By what was chosen how: synthetic, other, shipped, random."""
        return {name: self.best - getattr(self, name) for name in ("real", "other", "shipped", "random")}


def trust(synthetic: pd.DataFrame, real: pd.DataFrame) -> tuple[list[Trust], list[str]]:
    """For each data set that both have: all models together first, then each; and what to know of it, a line each.

    Compared is what both have done, over the classes and seeds that all models and settings have in both. Raises
    ``UsageError`` for real cells on test images, or if there is nothing to compare.
    """
    if refuse_mixed(real):
        raise UsageError("against= must be cells on real anomalies (split.evaluate_on=validation), not synthetic ones")
    found, lines = [], []
    datasets = [name for name in dict.fromkeys(map(str, synthetic["dataset"])) if name in set(real["dataset"])]
    for dataset in datasets:
        made, true, classes = _means(dataset, synthetic, real, lines)
        if not made:
            lines.append(f"{dataset}: no class and seed that all settings have in both; nothing is compared")
            continue
        models = list(dict.fromkeys(model for model, _, _ in made))
        other = _real_means(CHOSEN_ON.get(dataset, ""), real, made)
        for model in ["", *models] if len(models) > 1 else models:
            part = {key: value for key, value in made.items() if model in ("", key[0])}
            found.append(_trust(dataset, model, part, true, other, classes))
    if not found:
        raise UsageError(
            "against= has no cells of the same models, settings and classes: compare the same presets, for example "
            "python -m benchmark -m +experiment=selection/pca split.evaluate_on=synthetic experiment_name=synthetic "
            "rule=all"
        )
    return found, lines


def _means(
    dataset: str, synthetic: pd.DataFrame, real: pd.DataFrame, lines: list[str]
) -> tuple[dict[Key, float], dict[Key, float], tuple[int, ...]]:
    """Synthetic and real AUROC of all that both have, and the classes that they are means over; ``lines`` are added."""
    pairs: dict[str, tuple[Compared, Compared, list[str]]] = {}
    for model in dict.fromkeys(map(str, synthetic["model"])):
        made, true = (
            compared_of(model, dataset, frame[(frame["dataset"] == dataset) & (frame["model"] == model)])
            for frame in (synthetic, real)
        )
        both = [setting for setting in made.choosable if setting in true.choosable]
        if both and made.conditions != true.conditions:
            lines.append(
                f"{model} on {dataset} is left out: its cells on real anomalies were compared under other conditions"
            )
        elif both:
            pairs[model] = made, true, both
    if not pairs:
        return {}, {}, ()
    shared = set.intersection(*(one.shared(both) for made, true, both in pairs.values() for one in (made, true)))
    found: tuple[dict[Key, float], dict[Key, float]] = ({}, {})
    for model, (made, true, both) in pairs.items():
        for setting in both:
            for rule in sorted(made.values[setting]):
                values = [one.mean(setting, rule, shared) for one in (made, true)]
                if not any(map(math.isnan, values)):
                    for where, value in zip(found, values, strict=True):
                        where[model, setting, rule] = value
    return *found, tuple(sorted({number for number, _ in shared}))


def _real_means(dataset: str, real: pd.DataFrame, keys: Iterable[Key]) -> dict[Key, float]:
    """Real AUROC on another data set, of those of ``keys`` that have cells there: over all classes that they have."""
    settings: dict[str, list[str]] = {}
    for model, setting, _ in keys:
        settings.setdefault(model, []).append(setting)
    there: dict[str, tuple[Compared, set[tuple[int, int]]]] = {}
    for model, names in settings.items():
        one = compared_of(model, dataset, real[(real["dataset"] == dataset) & (real["model"] == model)])
        if both := [setting for setting in one.choosable if setting in names]:
            there[model] = one, one.shared(both)
    if not there:
        return {}
    shared = set.intersection(*(own for _, own in there.values()))
    found = {key: there[key[0]][0].mean(key[1], key[2], shared) for key in keys if key[0] in there}
    return {key: value for key, value in found.items() if not math.isnan(value)}


def _trust(
    dataset: str,
    model: str,
    made: Mapping[Key, float],
    true: Mapping[Key, float],
    other: Mapping[Key, float],
    classes: tuple[int, ...],
) -> Trust:
    values = [true[key] for key in made]
    chosen = _largest(made)
    elsewhere = {key: other[key] for key in made if key in other}
    shipped = [true[key] for key in made if key[1:] == ("", OWN)]
    return Trust(
        dataset=dataset,
        model=model,
        chosen=chosen,
        compared=len(made),
        classes=classes,
        rank_correlation=rank_correlation(list(made.values()), values),
        over_rules=_within(made, true, 2),
        over_settings=_within(made, true, 1),
        best=max(values),
        real=true[chosen],
        other=true[_largest(elsewhere)] if elsewhere else math.nan,
        shipped=fmean(shipped) if shipped else math.nan,
        random=fmean(values),
        beaten=sum(value < true[chosen] for value in values) / len(values),
    )


def _largest(values: Mapping[Key, float]) -> Key:
    """The one of the largest value, of equal ones the first by name."""
    return min(values, key=lambda key: (-values[key], key))


def _within(made: Mapping[Key, float], true: Mapping[Key, float], axis: int) -> float:
    """The mean rank correlation along one place of the keys, the others held; NaN where nothing varies."""
    groups: dict[tuple[str, ...], list[Key]] = {}
    for key in made:
        groups.setdefault(key[:axis] + key[axis + 1 :], []).append(key)
    found = [rank_correlation([made[key] for key in keys], [true[key] for key in keys]) for keys in groups.values()]
    there = [value for value in found if not math.isnan(value)]
    return fmean(there) if there else math.nan


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's: the correlation of ranks, equal values sharing theirs. NaN for fewer than three, or all equal.

    >>> rank_correlation([0.1, 0.2, 0.3], [7, 9, 8])
    0.5
    """
    from scipy.stats import rankdata

    if len(first) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return math.nan
    return float(round(np.corrcoef(rankdata(first), rankdata(second))[0, 1], 12))
