"""Metrics of anomaly scores: pure functions.

Labels are 1 for anomalous and 0 for normal images; a larger score is more anomalous.
"""

from __future__ import annotations

import math

import numpy as np


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve, the anomaly being the positive class; ties count one half.

    Raises ``ValueError`` if one of the two classes is missing or a score is not finite.

    >>> auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    from sklearn.metrics import roc_auc_score

    _check(labels, scores)
    return float(roc_auc_score(labels, scores))


def delong_se(labels: np.ndarray, scores: np.ndarray) -> float:
    """Standard error of ``auroc`` over images: sqrt(var(V1) / m + var(V0) / n) of m anomalous and n normal images.

    V1 of an anomalous image is the share of normal images that score below it, ties counting one half, V0 of a normal
    image the share of anomalous images above it; variances with ddof = 1 (DeLong, DeLong & Clarke-Pearson 1988,
    Biometrics 44(3); by ranks as Sun & Xu 2014, IEEE Signal Processing Letters 21(11)). NaN with fewer than two of
    either.
    """
    from scipy.stats import rankdata

    _check(labels, scores)
    positive, negative = scores[labels == 1].astype(np.float64), scores[labels == 0].astype(np.float64)
    m, n = len(positive), len(negative)
    if min(m, n) < 2:
        return math.nan
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:m] - rankdata(positive)) / n  # V1
    below = 1 - (ranks[m:] - rankdata(negative)) / m  # V0
    return float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n))


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Average precision, the anomaly being the positive class."""
    from sklearn.metrics import average_precision_score

    _check(labels, scores)
    return float(average_precision_score(labels, scores))


def fpr_at_tpr(labels: np.ndarray, scores: np.ndarray, tpr: float = 0.95) -> float:
    """Share of normal images flagged at the highest threshold that flags at least ``tpr`` of the anomalies.

    >>> fpr_at_tpr(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.5
    """
    _check(labels, scores)
    anomalous = np.sort(scores[labels == 1])[::-1]
    threshold = anomalous[int(np.ceil(tpr * len(anomalous))) - 1]
    return float(np.mean(scores[labels == 0] >= threshold))


def conformal_threshold(scores: np.ndarray, alpha: float = 0.05) -> float | None:
    """The threshold above which a new normal image scores with probability at most ``alpha``.

    ``scores`` (n,) are those of calibration images, kept from training: the ceil((n + 1)(1 - alpha))-th smallest of
    them, whatever the model (split conformal prediction; Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a
    Random World, section 4.2). None where there are too few: fewer than 1 / alpha - 1.

    >>> conformal_threshold(np.arange(1.0, 20.0)), conformal_threshold(np.arange(1.0, 19.0))
    (19.0, None)
    """
    rank = math.ceil(round((len(scores) + 1) * (1 - alpha), 9))
    if rank < 1:  # every p-value is at most alpha
        return -math.inf
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else None


def at_threshold(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """What becomes of the images when every score above ``threshold`` is called anomalous; 0 where undefined.

    Precision, recall, F1, and the false-alarm rate: the share of normal images that are flagged.
    """
    flagged = scores > threshold
    hits = float(np.sum(flagged & (labels == 1)))
    precision = hits / max(float(np.sum(flagged)), 1.0)
    recall = hits / max(float(np.sum(labels == 1)), 1.0)
    f1 = 2 * precision * recall / (precision + recall) if hits > 0 else 0.0
    false_alarms = float(np.sum(flagged & (labels == 0))) / max(float(np.sum(labels == 0)), 1.0)
    return {"precision": precision, "recall": recall, "f1": f1, "false_alarm_rate": false_alarms}


def _check(labels: np.ndarray, scores: np.ndarray) -> None:
    if labels.shape != scores.shape:
        raise ValueError(f"labels and scores must be of one shape, got {labels.shape} and {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int(np.sum(~np.isfinite(scores)))} of {scores.size} scores are not finite")
    if set(np.unique(labels)) != {0, 1}:
        raise ValueError(
            f"both normal (0) and anomalous (1) images are needed, got labels {sorted(set(labels.tolist()))}"
        )
