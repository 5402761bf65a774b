"""Paired tests between models: each data set on its own, and pooled over data sets where there are several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmark.report.committed import is_published
from benchmark.report.statistics import FLOORS, Group, by_class_and_seed, t_interval

MINIMUM_PAIRS = 6  # without ties; below that, a two-sided signed-rank test cannot reach p < 0.05
TRIVIAL = FLOORS[:2]  # mean_image and histogram; PCA is compared
POOLED = "pooled"  # in place of a data set's name
SEPARATED = 0.05  # p after Holm's correction below which two columns are called separated


@dataclass(frozen=True)
class Comparison:
    """Paired Wilcoxon signed-rank test of two columns over classes, those of one data set or of several."""

    split: str
    evaluate_on: str
    dataset: str  # or POOLED
    first: str
    second: str
    n: int  # pairs, ties among them
    ties: int  # pairs without a difference, which the test leaves out
    seeds: int  # that each pair is a mean over; 0: as many as each class has in both columns
    restricted: bool  # whether the columns have other seeds too, which do not count
    difference: float  # mean of first minus second
    low: float  # 95% interval of that mean over the pairs (Student's t)
    high: float
    wins: int  # pairs in which first is larger
    effect: float  # matched-pairs rank-biserial correlation, -1 to 1
    dz: float  # mean difference by the sd (ddof = 1) of the differences; infinite where all are equal
    p: float
    p_holm: float

    @property
    def verdict(self) -> str:
        """Which column is larger, or that they are not separated (which is no proof that they are equal)."""
        if self.p_holm >= SEPARATED:
            return "not separated"
        return f"{self.first if self.effect > 0 else self.second} larger"


@dataclass(frozen=True)
class _Pairs:
    """Mean values of two columns, a row a class."""

    values: np.ndarray  # (n, 2)
    seeds: frozenset[int]
    restricted: bool


def comparisons(all_groups: Sequence[Group], metric: str = "auroc") -> list[Comparison]:
    """Every pair of columns with at least MINIMUM_PAIRS classes in which they differ, without the trivial floors.

    Pairs with those (TRIVIAL) would only widen the correction: what is below a floor is marked. Only seeds that both
    columns have for a class count. Holm's correction is over the pairs of one split and data set, or of one split
    pooled. Nor are two columns compared that were both published elsewhere.
    """
    results: list[Comparison] = []
    for split, evaluate_on, dataset, alike in scopes(all_groups):
        labels = list(dict.fromkeys(label for g in alike for label in g.labels if not is_trivial(label)))
        found = []
        for first, second in combinations(labels, 2):
            if is_published(first) and is_published(second):
                continue
            pairs = _pairs(alike, metric, first, second)
            gap = pairs.values[:, 0] - pairs.values[:, 1]
            if np.count_nonzero(gap) >= MINIMUM_PAIRS:
                found.append((first, second, pairs, gap, signed_rank(gap)))
        corrected = holm([p for *_, (p, _) in found])
        for (first, second, pairs, gap, (p, effect)), p_holm in zip(found, corrected, strict=True):
            results.append(
                Comparison(
                    *(split, evaluate_on, dataset, first, second),
                    n=len(gap),
                    ties=int((gap == 0).sum()),
                    seeds=len(pairs.seeds),
                    restricted=pairs.restricted,
                    difference=float(gap.mean()),
                    low=t_interval(gap)[0],
                    high=t_interval(gap)[1],
                    wins=int((gap > 0).sum()),
                    effect=effect,
                    dz=standardised(gap),
                    p=p,
                    p_holm=p_holm,
                )
            )
    return results


def is_trivial(label: str) -> bool:
    """Whether a column is one of the trivial floors (TRIVIAL), one's own or published."""
    return label in TRIVIAL or (is_published(label) and label.partition(" ")[0] in TRIVIAL)


def least_p(found: Sequence[Comparison]) -> float:
    """The least p that Holm's correction can leave of one family: with few classes and many pairs it is above 0.05."""
    return min(1.0, len(found) * 2.0 ** (1 - max(c.n - c.ties for c in found)))


def without_shared_seeds(all_groups: Sequence[Group], metric: str = "auroc") -> list[tuple[str, str]]:
    """Pairs of columns that share classes but no seed, and are therefore not compared."""
    apart = []
    for group in all_groups:
        values = {label: by_class_and_seed(group, metric, label) for label in group.labels}
        for first, second in combinations(group.labels, 2):
            both = values[first].keys() & values[second].keys()
            if both and not any(values[first][k].keys() & values[second][k].keys() for k in both):
                apart.append((first, second))
    return list(dict.fromkeys(apart))


def signed_rank(gap: np.ndarray) -> tuple[float, float]:
    """Two-sided p of Wilcoxon's signed-rank test of differences (n,), and its rank-biserial correlation.

    Differences of 0 are left out (Wilcoxon 1945). The correlation is the sum of the ranks of positive differences less
    that of negative ones, over both (Kerby 2014, Comprehensive Psychology 3).
    """
    from scipy.stats import rankdata, wilcoxon

    gap = gap[gap != 0]
    ranks = rankdata(np.abs(gap))
    effect = float((np.sign(gap) * ranks).sum() / ranks.sum())
    return float(wilcoxon(gap).pvalue), effect


def standardised(gap: np.ndarray) -> float:
    """Cohen's dz of differences (n,): their mean by their standard deviation (ddof = 1), ties among them.

    Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, section 2.3.5; Lakens 2013, Frontiers in
    Psychology 4. As large as the spread over classes lets it be: two columns that differ by little everywhere have a
    large one.

    >>> round(standardised(np.array([0.01, 0.02, 0.03])), 2)
    2.0
    """
    mean, spread = float(np.mean(gap)), float(np.std(gap, ddof=1))
    return mean / spread if spread > 0 else math.copysign(math.inf, mean)


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


def scopes(all_groups: Sequence[Group]) -> Iterator[tuple[str, str, str, list[Group]]]:
    """Split, evaluated images and data set of what is tested together, with its groups; POOLED for several of them."""
    for split, evaluate_on in dict.fromkeys((g.split, g.evaluate_on) for g in all_groups):
        alike = [g for g in all_groups if (g.split, g.evaluate_on) == (split, evaluate_on)]
        yield from ((split, evaluate_on, group.dataset, [group]) for group in alike)
        if len(alike) > 1:
            yield split, evaluate_on, POOLED, alike


def _pairs(groups: Sequence[Group], metric: str, first: str, second: str) -> _Pairs:
    rows, seeds, restricted = [], set(), False
    for group in groups:
        a, b = by_class_and_seed(group, metric, first), by_class_and_seed(group, metric, second)
        for k in (k for k in group.classes if k in a and k in b):
            shared = a[k].keys() & b[k].keys()
            restricted |= a[k].keys() != b[k].keys()
            if shared:
                rows.append([np.mean([column[k][seed] for seed in sorted(shared)]) for column in (a, b)])
                seeds |= shared
    return _Pairs(np.array(rows, dtype=float).reshape(-1, 2), frozenset(seeds), restricted)
