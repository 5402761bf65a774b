"""Analysis of variance of a balanced design: what each factor explains, by sums of squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESIDUAL = "residual"
TIMES = " x "  # between the factors of an interaction


@dataclass(frozen=True)
class Source:
    """One row of an analysis of variance."""

    name: str  # a factor, two of them with TIMES between, or RESIDUAL
    freedom: int  # degrees of freedom
    squares: float  # sum of squares
    share: float  # eta squared: of the total sum of squares; NaN where all values are equal


def analyse(values: np.ndarray, factors: Sequence[str], interactions: Sequence[tuple[str, str]]) -> list[Source]:
    """Fixed effects of a balanced design with one value in each place; the residual comes last.

    ``values`` has an axis for each of ``factors``; a factor of one level explains nothing and has no row. A main effect
    has n / L sum_l (m_l - m)^2, with m_l the mean of level l of L, m that of all n values; an interaction
    n / (L L') sum (m_ll' - m_l - m_l' + m)^2. In a balanced design these do not depend on their order, and with the
    residual they add up to the total sum of squares (Fisher 1925, Statistical Methods for Research Workers; eta
    squared: Cohen 1973, Educational and Psychological Measurement 33).

    >>> [(s.name, s.freedom, round(s.share, 3)) for s in analyse(np.array([[1.0, 2.0], [5.0, 6.0]]), "ab", [])]
    [('a', 1, 0.941), ('b', 1, 0.059), ('residual', 1, 0.0)]
    """
    values = np.asarray(values, dtype=np.float64)
    levels = dict(zip(factors, values.shape, strict=True))
    centred = values - values.mean()
    effects: dict[tuple[str, ...], np.ndarray] = {}
    for names in [*((name,) for name in factors), *interactions]:
        if any(levels[name] < 2 for name in names):
            continue
        effect = centred.mean(axis=tuple(i for i, name in enumerate(factors) if name not in names), keepdims=True)
        for name in names if len(names) > 1 else ():
            effect = effect - effects[(name,)]
        effects[names] = effect
    total = float(np.square(centred).sum()) if np.ptp(values) > 0 else 0.0  # the mean of equal values is rounded
    left = centred - sum(effects.values(), np.zeros(1))
    freedom = {names: int(np.prod([levels[name] - 1 for name in names])) for names in effects}
    rows = [(TIMES.join(names), freedom[names], _squares(effect, values)) for names, effect in effects.items()]
    rows.append((RESIDUAL, values.size - 1 - sum(freedom.values()), float(np.square(left).sum())))
    return [Source(name, free, squares, squares / total if total > 0 else np.nan) for name, free, squares in rows]


def _squares(effect: np.ndarray, values: np.ndarray) -> float:
    return float(np.square(effect).sum()) * (values.size / effect.size)
