"""Gaussian mixture: a density of a few ellipsoids around the normal images."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, pi
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from benchmark.models.base import Model
from benchmark.models.keywords import Count, Features, Positive
from benchmark.models.parts.fitted import Fitted, exact, principal_axes
from benchmark.models.parts.networks import ImageShape

LARGE = 2000  # pixels from which on the eigenvectors of their covariance cost more than an SVD of the images


class GMM(Fitted, Model):
    """Mixture of Gaussians on the features of normal images, fitted by expectation maximisation in scikit-learn.

    Objective: max sum_i log p(x_i), p(x) = sum_k w_k N(x; m_k, S_k), with S_k a ``full`` or ``diag`` matrix to whose
    diagonal ``floor`` is added. The means start at those of k-means, drawn from the cell's seed.

    Scores: ``negative_log_likelihood`` = -log p(x) in nats, of the features (not of the pixels they leave out).

    References
    ----------
    Dempster, Laird & Rubin 1977, Journal of the Royal Statistical Society B 39(1). Bishop 2006, PRML, section 9.2.

    Differences from the papers
    ---------------------------
    1. The covariances have a floor; at most 300 iterations from one start.
    """

    score_names = ("negative_log_likelihood",)
    learnt = "negative_log_likelihood"
    random = True

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "negative_log_likelihood",
        features: Features = "pca",
        components: Count = 64,
        whiten: bool = False,
        mixture_components: Count = 10,
        covariance: Literal["full", "diag"] = "full",
        floor: Positive = 1e-3,
    ) -> None:
        super().__init__()
        self.headline, self.mixture_components = headline, mixture_components
        self.covariance, self.floor = covariance, floor
        self._prepare(image_shape, features, components, whiten)
        self.register_buffer("log_weights", torch.zeros(0))  # (K,)
        self.register_buffer("means", torch.zeros(0, 0))  # (K, d)
        self.register_buffer("scales", torch.zeros(0, 0))  # S_k^-1 = A_k A_k^T: (K, d, d); diag: its root, (K, d)

    def fit(self, images: Tensor, seed: int) -> None:
        from sklearn.mixture import GaussianMixture

        mixture = GaussianMixture(
            self.mixture_components,
            covariance_type=self.covariance,
            reg_covar=self.floor,
            max_iter=300,
            random_state=seed % 2**32,
        ).fit(self.fit_features(images))
        self.keep(log_weights=np.log(mixture.weights_), means=mixture.means_, scales=mixture.precisions_cholesky_)

    def _fit_axes(self, flat: np.ndarray) -> None:
        """As ``Fitted``, but of large images by an SVD: the covariance of 3 x 64 x 64 pixels takes minutes and 4 GB."""
        if flat.shape[1] <= LARGE or len(flat) < self.components:
            super()._fit_axes(flat)
            return
        pca = principal_axes(flat, self.components, "full")
        scale = np.sqrt(pca.explained_variance_) if self.whiten else np.ones(self.components)
        self.keep(pixel_mean=pca.mean_, axes=pca.components_ / scale[:, None])

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        shift = self.as_features(images).unsqueeze(1) - exact(self.means)  # (B, K, d)
        scales = exact(self.scales)
        if self.covariance == "full":
            standard = torch.einsum("bkd,kde->bke", shift, scales)
            log_determinant = scales.diagonal(dim1=1, dim2=2).log().sum(1)  # of S_k^-1/2, (K,)
        else:
            standard, log_determinant = shift * scales, scales.log().sum(1)
        log_density = log_determinant - 0.5 * standard.square().sum(2) - 0.5 * shift.shape[2] * log(2 * pi)  # (B, K)
        return {"scores": {"negative_log_likelihood": -torch.logsumexp(exact(self.log_weights) + log_density, dim=1)}}
