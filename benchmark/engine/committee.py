"""A committee across models: the mean of the z-scores of its members, from their recorded scores alone.

Letters: M members, N evaluated images, C calibration images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NAME = "committee"  # of its column, and of its score
TARGET = "benchmark.engine.committee.combine"  # whose code a record names
FORMULA = 1  # raise it when the same scores give others than before
LEAST = 2  # calibration images, without which there is no deviation


@dataclass(frozen=True)
class Combined:
    """What a committee says."""

    scores: np.ndarray  # float32 (N,)
    calibration: np.ndarray  # float32 (C,)
    mean: np.ndarray  # float64 (M,), of each member's calibration scores
    sd: np.ndarray  # float64 (M,), what its scores are divided by


def combine(scores: Sequence[np.ndarray], calibration: Sequence[np.ndarray]) -> Combined:
    """mean over members m of (s_m - mean_m) / sd_m, in float64, for the evaluated and for the calibration images.

    ``scores`` are those of each member, (N,), and ``calibration`` those that it gives the calibration images, (C,):
    normal images that no member has trained on. mean_m and sd_m (N - 1 in its denominator) are of the latter.
    Raises ``ValueError`` for fewer than two calibration images.

    References
    ----------
    Aggarwal & Sathe 2017, Outlier Ensembles: An Introduction, Springer (sections on normalising scores and on averaging
    them).

    Differences from the source
    ---------------------------
    1. Mean and deviation come from calibration images and not from the images that are judged: a score does not depend
       on the others beside it.
    2. A member that gives all calibration images the same score is divided by 1.
    3. The calibration images' own scores are made with the mean and deviation that come from them, so that a threshold
       set by them is not quite the conformal one: by how much a member counts depends on the calibration images, and
       not on the new one. With hundreds of calibration images that is little; with a dozen it may not be.

    >>> combine([np.array([3.0]), np.array([1.0])], [np.array([0.0, 2.0]), np.array([1.0, 1.0])]).scores.round(4)
    array([0.7071], dtype=float32)
    """
    found = np.array(calibration, dtype=np.float64)  # (M, C)
    if found.shape[1] < LEAST:
        raise ValueError(f"a committee needs {LEAST} calibration images or more, got {found.shape[1]}")
    mean, sd = found.mean(axis=1), found.std(axis=1, ddof=1)
    sd = np.where(sd > 0, sd, 1.0)

    def standing(of_members: np.ndarray) -> np.ndarray:
        return ((of_members - mean[:, None]) / sd[:, None]).mean(axis=0).astype(np.float32)

    return Combined(standing(np.array(scores, dtype=np.float64)), standing(found), mean, sd)
