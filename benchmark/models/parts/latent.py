"""Distances of latent codes from a prior: KL divergences, maximum mean discrepancy, units in use."""

from __future__ import annotations

import torch
from torch import Tensor


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
