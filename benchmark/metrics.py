"""Metrics of anomaly scores and of latent Gaussians: pure functions.

Labels are 1 for anomalous and 0 for normal images; a larger score is more anomalous.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


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


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log_variance)) || N(0, I)) in nats, summed over the last dimension: (*, D) -> (*,).

    1/2 sum(mean^2 + variance - log variance - 1); Kingma & Welling 2014, arXiv:1312.6114, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(-1)


def mmd_to_gaussians(codes: Tensor, means: Tensor) -> Tensor:
    """Unbiased estimate of MMD^2 between codes (N, D) and the equal mixture of N(m, I) over means (M, D): a scalar.

    Kernel k(x, y) = exp(-||x - y||^2 / (2 D)): two draws of N(0, I) lie 2 D apart in squared distance on average.
    MMD^2 = E k(z, z') - 2 E k(z, y) + E k(y, y') (Gretton et al. 2012, JMLR 13, lemma 6), where the two expectations
    over the mixture are taken in closed form: the mean of exp(-||x - y||^2 / (2 h)) over y ~ N(m, v I) is
    (h / (h + v))^(D/2) exp(-||x - m||^2 / (2 (h + v))). 0 on average for codes drawn from the mixture, so an estimate
    may fall below 0.
    """
    count, dimensions = codes.shape
    bandwidth = float(dimensions)  # h

    def smoothed(squared: Tensor, variance: float) -> Tensor:
        wide = bandwidth + variance
        return (bandwidth / wide) ** (dimensions / 2) * (-squared / (2 * wide)).exp()

    among = smoothed(_squared_distances(codes, codes), 0.0)  # (N, N), 1 on its diagonal
    within = (among.sum() - among.diagonal().sum()) / (count * (count - 1))
    between = smoothed(_squared_distances(codes, means), 1.0).mean()
    return within - 2 * between + smoothed(_squared_distances(means, means), 2.0).mean()


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    return (x.unsqueeze(1) - y.unsqueeze(0)).square().sum(-1)


def moment_matched_kl(means: Tensor, variances: Tensor) -> Tensor:
    """KL(N(m, S) || N(0, I)) in nats, m and S the moments of the mixture of N(means_i, diag variances_i): a scalar.

    Both arguments have shape (N, D); S = cov(means), with N - 1 below the line, plus the mean of the variances, and
    1e-6 on the diagonal, so that a code that is the same for every image gives a large number and not infinity. For N
    draws of N(0, I) with variances 0 it is about D (D + 3) / (4 N), not 0.
    """
    import torch

    centre = means.mean(0)
    spread = means - centre
    covariance = spread.T @ spread / (len(means) - 1) + variances.mean(0).diag()
    _, log_det = torch.linalg.slogdet(covariance + 1e-6 * torch.eye(len(centre), device=means.device).to(means.dtype))
    return 0.5 * (centre.square().sum() + covariance.diagonal().sum() - len(centre) - log_det)


def active_units(means: Tensor, threshold: float = 0.01) -> Tensor:
    """Code dimensions whose variance over images exceeds ``threshold``, from codes (N, D): a scalar.

    Burda et al. 2016, arXiv:1509.00519, section 5.2: A_u = Cov_x(E_q(u|x)[u]) > 0.01.
    """
    return (means.var(0) > threshold).sum().to(means.dtype)


def kl_between_normals(mean_p: Tensor, cov_p: Tensor, mean_q: Tensor, cov_q: Tensor) -> Tensor:
    """KL(N(mean_p, cov_p) || N(mean_q, cov_q)) in nats for full covariance matrices: (*, D), (*, D, D) -> (*,).

    1/2 [tr(S_q^-1 S_p) + (m_q - m_p)^T S_q^-1 (m_q - m_p) - D + log det S_q - log det S_p], by Cholesky factors.
    Raises ``torch.linalg.LinAlgError`` if a covariance is not positive definite.
    """
    import torch

    factor_p, factor_q = torch.linalg.cholesky(cov_p), torch.linalg.cholesky(cov_q)
    ratio = torch.linalg.solve_triangular(factor_q, factor_p, upper=False)  # (*, D, D)
    shift = torch.linalg.solve_triangular(factor_q, (mean_q - mean_p).unsqueeze(-1), upper=False)  # (*, D, 1)
    log_det_p = factor_p.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    log_det_q = factor_q.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    quadratic = ratio.square().sum((-2, -1)) + shift.square().sum((-2, -1))
    return 0.5 * (quadratic - mean_p.shape[-1]) + log_det_q - log_det_p


def _check(labels: np.ndarray, scores: np.ndarray) -> None:
    if labels.shape != scores.shape:
        raise ValueError(f"labels and scores must be of one shape, got {labels.shape} and {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int(np.sum(~np.isfinite(scores)))} of {scores.size} scores are not finite")
    if set(np.unique(labels)) != {0, 1}:
        raise ValueError(
            f"both normal (0) and anomalous (1) images are needed, got labels {sorted(set(labels.tolist()))}"
        )
