"""From scores to p-values and verdicts, by calibration images: normal ones that training has not seen.

Split conformal prediction (Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World, section 4.2). A
larger score is more anomalous.
"""

from __future__ import annotations

import math

import numpy as np

from benchmark.engine.metrics import conformal_threshold

MOST = 10**12  # calibration images that anybody is asked for


def p_values(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """(1 + number of calibration scores >= s) / (n + 1) for each score s: (N,), (n,) -> float64 (N,).

    If a new image is normal, drawn as the n calibration images were, its p-value is at most alpha with a probability
    of at most alpha.

    >>> p_values(np.array([0.0, 2.0, 9.0]), np.array([1.0, 2.0, 3.0]))
    array([1.  , 0.75, 0.25])
    """
    ordered = np.sort(calibration)
    below = np.searchsorted(ordered, scores, side="left")  # calibration scores < s
    return (1.0 + (len(ordered) - below)) / (len(ordered) + 1.0)


def flagged(scores: np.ndarray, calibration: np.ndarray, alpha: float) -> np.ndarray:
    """Whether each score's p-value is at most ``alpha``: bool (N,).

    That is a score above ``conformal_threshold``; none is where there are too few calibration images for it.
    """
    threshold = conformal_threshold(calibration, alpha)
    return np.zeros(len(scores), bool) if threshold is None else scores > threshold


def too_few(count: int, alpha: float) -> str | None:
    """In one line that ``count`` calibration images flag nothing at ``alpha``; None where they are enough.

    >>> too_few(18, 0.05)
    '18 calibration images flag nothing at alpha=0.05, which takes 19'
    """
    takes = needed(alpha)
    return None if count >= takes else f"{count} calibration images flag nothing at alpha={alpha}, which takes {takes}"


def needed(alpha: float) -> int:
    """The least number of calibration images with which an image can be flagged at ``alpha``.

    >>> needed(0.05), needed(0.01), needed(1e-300) == MOST
    (19, 99, True)
    """
    return math.ceil(round(1 / alpha, 9)) - 1 if alpha * MOST > 1 else MOST
