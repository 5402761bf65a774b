"""Mahalanobis distance of an image's code to the codes of normal images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.models.parts.fitted import exact
from benchmark.rules.base import Rule, Seen, State


class Mahalanobis(Rule):
    """sqrt((z - m)^T S^-1 (z - m)), with z the code, m and S the mean and covariance of the codes of normal images.

    They are those of the images trained on, S with N in the denominator, plus ``ridge`` times its mean variance on the
    diagonal, without which a dimension that is the same for all normal images could not be divided by. Added to a
    reconstruction rule, both brought to one scale, it is ``rule=mahalanobis_added``, a committee of the two.

    References
    ----------
    Denouden et al. 2018, Improving Reconstruction Autoencoder Out-of-distribution Detection with Mahalanobis Distance,
    arXiv:1812.02765.

    Differences from the paper
    --------------------------
    1. The ridge.
    2. The paper adds the two with weights of their own; ``mahalanobis_added`` weighs z-scores on calibration images
       equally, because nothing may be chosen on anomalies.
    """

    needs = ("code",)
    referred = True

    def __init__(self, ridge: float = 1e-6) -> None:
        if not 0 <= ridge < float("inf"):
            raise ValueError(f"ridge must be a number of at least 0, got {ridge}")
        self.ridge = ridge

    def fit(self, reference: Seen, calibration: Seen) -> State:
        codes = exact(reference.said["code"].flatten(1))  # (N, D)
        mean = codes.mean(0)
        covariance = (codes - mean).T @ (codes - mean) / len(codes)  # (D, D)
        identity = torch.eye(len(mean), dtype=codes.dtype, device=codes.device)
        spread = covariance.diagonal().mean().clamp(min=torch.finfo(codes.dtype).tiny)
        root = torch.linalg.cholesky(covariance + self.ridge * spread * identity)  # S = R R^T
        whitening = torch.linalg.solve_triangular(root, identity, upper=False)  # R^-1: |R^-1 (z - m)| is the distance
        return {"mean": mean.float(), "whitening": whitening.float()}

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        centred = said["code"].float().flatten(1) - state["mean"]  # (B, D)
        white = centred[:, :1] * state["whitening"][:, 0]
        for j in range(1, centred.shape[1]):  # a product of matrices, in one order of sums for every batch
            white = white + centred[:, j : j + 1] * state["whitening"][:, j]
        return white.square().sum(1).sqrt()
