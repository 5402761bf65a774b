"""Numbers of the tables, from the frame alone: means over seeds and classes, intervals, ranks, floors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.store.naming import names_of

if TYPE_CHECKING:
    import pandas as pd

FLOORS = ("mean_image", "histogram", "pca")  # what a model has to beat before a sentence is built on it
MARK = "▽"  # behind the name of a column that is below one of them


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
    def role(self) -> str:
        """What the classes are to the models: the one that is trained on, or the one that is left out."""
        return "normal class" if self.split != "leave_one_out" else "anomalous class"

    def class_title(self, number: int) -> str:
        """``3``, or ``3 Dress`` where the class has a name."""
        name = self.classes[number]
        return str(number) if name == str(number) else f"{number} {name}"

    @cached_property
    def below(self) -> dict[str, list[str]]:
        """Columns that are below a floor -> the floors."""
        return below_floors(self)

    def shown(self, label: str) -> str:
        """How a column is named in tables and figures: with MARK where it is below a floor."""
        return f"{label} {MARK}" if label in self.below else label

    @cached_property
    def without_anomalies(self) -> set[tuple[str, int]]:
        """Column and class of the done cells that have no AUROC, as there were no anomalous images to evaluate."""
        rows = self.frame[(self.frame["state"] == "done") & (self.frame["n_test_anomalous"] == 0)]
        return set(zip(rows["label"], map(int, rows["normal_class"]), strict=True))

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
    class_sd: float  # sd (ddof = 1) of the class values; NaN for fewer than two
    seed_low: float  # 95% interval over the seeds' means
    seed_high: float

    @property
    def complete(self) -> bool:
        return self.present == self.expected


def groups(frame: pd.DataFrame) -> list[Group]:
    """The frame's cells sorted into those that may share a table, in the frame's order."""
    names, shared = names_of(frame)
    columns = zip(frame["dataset"], frame["model"], frame["variant"], strict=True)
    frame = frame.assign(label=[names[column] for column in columns])
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
    class_sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Mean(value, len(values), group.n_classes, len(by_seed), seed_sd, class_sd, *t_interval(by_seed))


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


def below_floors(group: Group) -> dict[str, list[str]]:
    """Columns whose mean AUROC is below that of a floor, over the classes that both have -> those floors.

    The floors are trivial detectors as shipped (FLOORS). The first two are never below anything; PCA may be below them.
    """
    return _beaten_by(group, "auroc", FLOORS, larger_is_better=True)


def above_histogram(group: Group) -> dict[str, list[str]]:
    """Densities that need more bits per dimension of normal images than a histogram of each pixel on its own."""
    return _beaten_by(group, "test_bits_per_dim_normal", ("histogram",), larger_is_better=False)


def _beaten_by(group: Group, metric: str, floors: Sequence[str], larger_is_better: bool) -> dict[str, list[str]]:
    values = {label: per_class(group, metric, label) for label in group.labels}
    found: dict[str, list[str]] = {}
    for label in (label for label in group.labels if label not in FLOORS[:2]):
        for floor in (floor for floor in floors if floor in values and floor != label):
            both = values[label].keys() & values[floor].keys()
            gap = sum(float(np.mean(values[label][k]) - np.mean(values[floor][k])) for k in sorted(both))
            if gap != 0 and (gap < 0) == larger_is_better:
                found.setdefault(label, []).append(floor)
    return found


def by_class_and_seed(group: Group, metric: str, label: str) -> dict[int, dict[int, float]]:
    """Normal class -> seed -> the finite value of ``metric`` in one column."""
    if metric not in group.frame:
        return {}
    rows = group.frame[(group.frame["label"] == label) & group.frame[metric].notna()]
    values: dict[int, dict[int, float]] = {}
    for number, seed, value in zip(rows["normal_class"], rows["seed"], rows[metric], strict=True):
        values.setdefault(int(number), {})[int(seed)] = float(value)
    return values


def column_mean(group: Group, metric: str, label: str) -> tuple[float, int]:
    """Mean of ``metric`` over the done cells of a column, and their number; (NaN, 0) if it has none."""
    if metric not in group.frame:
        return math.nan, 0
    values: Any = group.frame.loc[group.frame["label"] == label, metric].dropna()
    return (float(values.mean()), len(values)) if len(values) else (math.nan, 0)
