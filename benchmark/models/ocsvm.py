"""One-class support vector machine: a smooth boundary around the normal images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.models.base import Model
from benchmark.models.keywords import Count, Features, Positive, ShareAbove0
from benchmark.models.parts.fitted import Fitted, exact, squared_distances
from benchmark.models.parts.networks import ImageShape


class OCSVM(Fitted, Model):
    """One-class SVM with a Gaussian kernel, fitted in one call by scikit-learn.

    Objective: min_{w,xi,rho} 1/2 |w|^2 + 1/(nu N) sum xi_i - rho subject to w.phi(x_i) >= rho - xi_i, xi_i >= 0, where
    phi belongs to k(x, y) = exp(-g |x - y|^2). At most a share ``nu`` of the training images lies outside the
    boundary, at least that share are support vectors. g = ``gamma`` / (d * variance of all features), so that 1.0 is
    scikit-learn's "scale".

    Scores: ``decision`` = rho - sum_i a_i k(x_i, x) with the a_i >= 0 divided by their sum: 0 on the boundary,
    positive outside, at most rho.

    References
    ----------
    Schoelkopf et al. 2001, Estimating the Support of a High-Dimensional Distribution, Neural Computation 13(7).

    Differences from the paper
    --------------------------
    1. The coefficients are divided by their sum (nu N), which changes no order.
    2. ``most`` evenly spaced training images where there are more: the fit takes time that grows with their square.
    """

    score_names = ("decision",)
    learnt = "decision"

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "decision",
        features: Features = "pixels",
        components: Count = 32,
        whiten: bool = False,
        nu: ShareAbove0 = 0.1,
        gamma: Positive = 16.0,
        most: Count = 10000,
    ) -> None:
        super().__init__()
        self.headline, self.nu, self.gamma, self.most = headline, nu, gamma, most
        self._prepare(image_shape, features, components, whiten)
        self.register_buffer("vectors", torch.zeros(0, 0))  # support vectors (S, d)
        self.register_buffer("weights", torch.zeros(0))  # a_i (S,), they sum to 1
        self.register_buffer("offset", torch.zeros(()))  # rho
        self.register_buffer("inverse_width", torch.zeros(()))  # g

    def fit(self, images: Tensor, seed: int) -> None:
        from sklearn.svm import OneClassSVM

        x = self.fit_features(images, self.most)
        g = self.gamma / (x.shape[1] * x.var())
        svm = OneClassSVM(nu=self.nu, gamma=g, cache_size=500).fit(x)
        total = svm.dual_coef_.sum()
        self.keep(vectors=svm.support_vectors_, weights=svm.dual_coef_[0] / total)
        self.keep(offset=-svm.intercept_[0] / total, inverse_width=g)

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        distances = squared_distances(self.as_features(images), self.vectors)  # (B, S)
        kernel = (-exact(self.inverse_width) * distances).exp()
        return {"scores": {"decision": exact(self.offset) - kernel @ exact(self.weights)}}
