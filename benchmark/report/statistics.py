"""Numbers of the tables, from the frame alone: means over seeds and classes, intervals, ranks, paired tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.report.collect import column_label, shared_settings

if TYPE_CHECKING:
    import pandas as pd

MINIMUM_PAIRS = 6  # below that, a two-sided signed-rank test cannot reach p < 0.05


@dataclass(frozen=True)
class Group:
    """The cells that may share a table: one data set, split and evaluated images; ``frame`` holds its rows."""

    dataset: str
    split: str
    evaluate_on: str
    frame: pd.DataFrame
    shared: tuple[str, ...] = ()  # settings that all columns have, and that are not as shipped

    @property
    def labels(self) -> list[str]:
        """Columns in order."""
        return list(dict.fromkeys(self.frame["label"]))

    @property
    def classes(self) -> dict[int, str]:
        """Every planned normal class with its name, in order."""
        pairs = zip(self.frame["normal_class"], self.frame["normal_class_name"], strict=True)
        return dict(sorted((int(number), name) for number, name in pairs))

    @property
    def n_classes(self) -> int:
        return int(self.frame["n_classes"].max())

    @property
    def seeds(self) -> list[int]:
        return sorted({int(seed) for seed in self.frame["seed"]})


@dataclass(frozen=True)
class Mean:
    """A mean over normal classes (each the mean over its seeds)."""

    value: float  # NaN if there is nothing to average
    present: int  # classes with a value
    expected: int  # classes of the data set
    seeds: int  # seeds with every class
    seed_sd: float  # sd (ddof = 1) of those seeds' means; NaN for fewer than two
    low: float  # 95% interval of the mean over the class values (Student's t)
    high: float
    seed_low: float  # 95% interval over the seeds' means
    seed_high: float

    @property
    def complete(self) -> bool:
        return self.present == self.expected


@dataclass(frozen=True)
class Comparison:
    """Paired Wilcoxon signed-rank test of two columns over data set x class cells."""

    split: str
    evaluate_on: str
    first: str
    second: str
    n: int
    difference: float  # mean of first minus second
    wins: int  # cells in which first is larger
    p: float
    p_holm: float


def groups(frame: pd.DataFrame) -> list[Group]:
    """The frame's cells sorted into those that may share a table, in the frame's order."""
    columns = list(zip(frame["model"], frame["variant"], strict=True))
    shared = shared_settings(columns)
    frame = frame.assign(label=[column_label(model, variant, shared) for model, variant in columns])
    keys = ["dataset", "split", "evaluate_on"]
    return [Group(*map(str, key), part, shared) for key, part in frame.groupby(keys, sort=False)]


def per_class(group: Group, metric: str, label: str) -> dict[int, list[float]]:
    """Normal class -> the finite values of ``metric`` over the seeds of one column."""
    return _collected(group, metric, label, "normal_class")


def _collected(group: Group, metric: str, label: str, by: str) -> dict[int, list[float]]:
    """The finite values of ``metric`` in one column, by the whole number in ``by``."""
    frame = group.frame
    values: dict[int, list[float]] = {}
    if metric in frame:
        chosen = ((frame["label"] == label) & frame[metric].notna()).to_numpy()
        for number, value in zip(frame[by].to_numpy()[chosen], frame[metric].to_numpy()[chosen], strict=True):
            values.setdefault(int(number), []).append(float(value))
    return values


def class_mean(group: Group, metric: str, label: str) -> Mean:
    """Mean of a column over the normal classes, with what it is a mean of."""
    values = [float(np.mean(v)) for v in per_class(group, metric, label).values()]
    by_seed = _seed_means(group, metric, label)
    value = float(np.mean(values)) if values else math.nan
    seed_sd = float(np.std(by_seed, ddof=1)) if len(by_seed) > 1 else math.nan
    return Mean(value, len(values), group.n_classes, len(by_seed), seed_sd, *t_interval(values), *t_interval(by_seed))


def _seed_means(group: Group, metric: str, label: str) -> list[float]:
    """Mean over classes of every seed that has all of them."""
    n_classes = group.n_classes
    found = sorted(_collected(group, metric, label, "seed").items())
    return [float(np.mean(values)) for _, values in found if len(values) == n_classes]


def t_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of a mean; (NaN, NaN) for fewer than two values.

    >>> [round(v, 4) for v in t_interval([0.9, 0.95, 1.0])]
    [0.8258, 1.0742]
    """
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return math.nan, math.nan
    half = float(t.ppf((1 + level) / 2, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return float(np.mean(values)) - half, float(np.mean(values)) + half


def average_ranks(group: Group, metric: str = "auroc") -> tuple[dict[str, float], int]:
    """Mean rank of every column (1 = largest, ties share) over the classes that all columns have, and their number."""
    from scipy.stats import rankdata

    labels = [label for label in group.labels if per_class(group, metric, label)]
    columns = [per_class(group, metric, label) for label in labels]
    shared = [number for number in group.classes if columns and all(number in column for column in columns)]
    if not shared or len(labels) < 2:
        return {}, 0
    ranks = [rankdata([-float(np.mean(column[number])) for column in columns]) for number in shared]
    return dict(zip(labels, np.mean(ranks, axis=0).tolist(), strict=True)), len(shared)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Holm 1979).

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for step, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def comparisons(all_groups: Sequence[Group], metric: str = "auroc") -> list[Comparison]:
    """Every pair of columns with at least MINIMUM_PAIRS cells in common, Holm-corrected within split and images."""
    results: list[Comparison] = []
    for kind in dict.fromkeys((g.split, g.evaluate_on) for g in all_groups):
        alike = [g for g in all_groups if (g.split, g.evaluate_on) == kind]
        labels = list(dict.fromkeys(label for g in alike for label in g.labels))
        found = []
        for first, second in combinations(labels, 2):
            pairs = [pair for g in alike for pair in _pairs(g, metric, first, second)]
            if len(pairs) >= MINIMUM_PAIRS:
                found.append((first, second, np.array(pairs), _signed_rank(np.array(pairs))))
        for (first, second, pairs, p), corrected in zip(found, holm([f[3] for f in found]), strict=True):
            gap = pairs[:, 0] - pairs[:, 1]
            results.append(
                Comparison(*kind, first, second, len(gap), float(gap.mean()), int((gap > 0).sum()), p, corrected)
            )
    return results


def _pairs(group: Group, metric: str, first: str, second: str) -> list[tuple[float, float]]:
    a, b = per_class(group, metric, first), per_class(group, metric, second)
    return [(float(np.mean(a[k])), float(np.mean(b[k]))) for k in group.classes if k in a and k in b]


def _signed_rank(pairs: np.ndarray) -> float:
    from scipy.stats import wilcoxon

    if np.all(pairs[:, 0] == pairs[:, 1]):
        return 1.0
    return float(wilcoxon(pairs[:, 0], pairs[:, 1]).pvalue)


def column_mean(group: Group, metric: str, label: str) -> tuple[float, int]:
    """Mean of ``metric`` over the done cells of a column, and their number; (NaN, 0) if it has none."""
    if metric not in group.frame:
        return math.nan, 0
    values: Any = group.frame.loc[group.frame["label"] == label, metric].dropna()
    return (float(values.mean()), len(values)) if len(values) else (math.nan, 0)
