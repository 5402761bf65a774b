"""Scores as levels: what of a cell's scores can be told from its labels' order, and nothing else.

Images are put in the order of their score. The level of an image is how often the kind of image changes, from normal to
anomalous or back, on the way up to it; images of one score have one level, and where they are of both kinds the level
is theirs alone. So of a normal and an anomalous image the one with the larger score has the larger level, and equal
scores have equal levels.

Kept to the last digit: everything that follows from that order. AUROC, its standard error and DeLong's test between
detectors of the same images, the ROC curve and its partial areas, AUROC against one kind of anomaly, a bootstrap over
images. Lost: the order among normal and among anomalous images that are next to one another, sizes, and what needs
either: sums of rules, average precision (which is slightly larger of levels), the hash of the scores.
"""

from __future__ import annotations

import numpy as np


def levels(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of labels (N,), 1 = anomalous, and scores (N,): int64 (N,), from 0.

    >>> levels(np.array([0, 0, 1, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.4, 0.5])).tolist()
    [0, 0, 1, 2, 2, 3]
    """
    values, place = np.unique(scores, return_inverse=True)
    kinds = np.zeros(len(values), np.int64)
    for bit, kind in ((1, 0), (2, 1)):
        kinds[place[labels == kind]] |= bit
    changes = (kinds[1:] != kinds[:-1]) | (kinds[1:] == 3)
    return np.concatenate([[0], np.cumsum(changes)])[place]
