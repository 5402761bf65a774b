"""Average ranks of several models, whether they differ at all (Friedman), and by how much two must (Nemenyi)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.report.committed import is_published
from benchmark.report.statistics import Group, by_class_and_seed
from benchmark.report.tables.paired import MINIMUM_PAIRS, is_trivial, scopes

LEVEL = 0.05  # of both tests
LEAST_COLUMNS = 3  # with two there is nothing beside the paired test


@dataclass(frozen=True)
class Ranking:
    """Columns by their average rank over classes, those of one data set or of several; the best one first."""

    split: str
    evaluate_on: str
    dataset: str  # or POOLED
    labels: tuple[str, ...]
    ranks: tuple[float, ...]  # 1: the largest AUROC of every class
    n: int  # classes, over data sets where they are pooled
    left_out: tuple[str, ...]  # columns that lack a class
    chi2: float  # Friedman's statistic
    p: float  # of it, by the chi-squared distribution of k - 1 degrees of freedom
    f: float  # that of Iman and Davenport; infinite where all classes have the same order
    p_f: float
    difference: float  # of average ranks from which on two columns are apart (Nemenyi)

    def alike(self, place: int) -> list[str]:
        """The columns from which the one at ``place`` is not separated."""
        return [
            label
            for i, (label, rank) in enumerate(zip(self.labels, self.ranks, strict=True))
            if i != place and abs(rank - self.ranks[place]) < self.difference
        ]

    @property
    def bars(self) -> list[tuple[int, int]]:
        """First and last place of each longest run of columns that are not separated from each other."""
        found: list[tuple[int, int]] = []
        for first in range(len(self.ranks)):
            last = max(i for i, rank in enumerate(self.ranks) if rank - self.ranks[first] < self.difference)
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return found


def rankings(all_groups: Sequence[Group], metric: str = "auroc") -> list[Ranking]:
    """For each split and data set, and pooled over data sets: the columns that have all of its classes.

    None with fewer than LEAST_COLUMNS of them or MINIMUM_PAIRS classes. A class counts with its mean over the seeds
    that all of these columns have. The trivial floors and published columns are left out, as of the paired tests.
    """
    found = []
    for split, evaluate_on, dataset, alike in scopes(all_groups):
        labels = list(dict.fromkeys(label for group in alike for label in group.labels))
        labels = [label for label in labels if not is_trivial(label) and not is_published(label)]
        columns = {label: [by_class_and_seed(group, metric, label) for group in alike] for label in labels}
        whole = [
            label
            for label in labels
            if all(group.classes.keys() == own.keys() for group, own in zip(alike, columns[label], strict=True))
        ]
        rows = []
        for place, group in enumerate(alike):
            for number in group.classes if len(whole) >= LEAST_COLUMNS else ():
                seeds = set.intersection(*(set(columns[label][place][number]) for label in whole))
                if seeds:
                    rows.append([np.mean([columns[label][place][number][s] for s in sorted(seeds)]) for label in whole])
        if len(rows) >= MINIMUM_PAIRS:
            left_out = tuple(label for label in labels if label not in whole)
            found.append(ranking((split, evaluate_on, dataset), whole, np.array(rows), left_out))
    return found


def ranking(
    scope: tuple[str, str, str], labels: Sequence[str], values: np.ndarray, left_out: Sequence[str] = ()
) -> Ranking:
    """Ranks and tests of ``values`` (N, k): a row a class, a column a model, larger is better.

    Friedman's statistic with its correction for ties (Friedman 1937, Journal of the American Statistical Association
    32); Iman and Davenport's F = (N - 1) chi2 / (N (k - 1) - chi2) with k - 1 and (k - 1)(N - 1) degrees of freedom
    (1980, Communications in Statistics A9), less cautious; Nemenyi's critical difference (Nemenyi 1963; Demsar 2006,
    Journal of Machine Learning Research 7).
    """
    from scipy.stats import chi2, f, rankdata

    n, k = values.shape
    ranks = rankdata(-values, axis=1)
    means = ranks.mean(axis=0)
    squares = (
        float(np.square(ranks).sum()) - n * k * (k + 1) ** 2 / 4
    )  # of ranks around their mean, less where they tie
    between = float(np.square(n * (means - (k + 1) / 2)).sum())  # of the columns' sums of ranks
    statistic = (k - 1) * between / squares if squares > 0 else 0.0
    rest = n * (k - 1) - statistic
    ratio = (n - 1) * statistic / rest if rest > 1e-9 else math.inf
    order = np.argsort(means, kind="stable")
    return Ranking(
        *scope,
        labels=tuple(labels[i] for i in order),
        ranks=tuple(means[order].tolist()),
        n=n,
        left_out=tuple(left_out),
        chi2=float(statistic),
        p=float(chi2.sf(statistic, k - 1)),
        f=float(ratio),
        p_f=float(f.sf(ratio, k - 1, (k - 1) * (n - 1))) if math.isfinite(ratio) else 0.0,
        difference=critical_difference(k, n),
    )


def critical_difference(k: int, n: int, level: float = LEVEL) -> float:
    """q sqrt(k (k + 1) / (6 n)), q the quantile of the studentised range over sqrt(2) (Demsar 2006, equation 6).

    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - level, k, np.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * n))
