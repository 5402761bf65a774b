"""Kernel density estimate: every normal image is the centre of a Gaussian."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, pi
from typing import Any

import torch
from torch import Tensor

from benchmark.models.base import Model
from benchmark.models.keywords import Count, Features, Positive
from benchmark.models.parts.fitted import Fitted, squared_distances, without_itself
from benchmark.models.parts.networks import ImageShape


class KDE(Fitted, Model):
    """Parzen's density with a Gaussian kernel on the features of the training images.

    p(x) = 1/N sum_i N(x; x_i, h^2 I) with h the ``bandwidth`` in the unit of the features. A training image that is
    equal to x counts with density 0, so that the scores of training images are those of images left out.

    Scores: ``negative_log_likelihood`` = -log p(x) in nats, of the features (not of the pixels they leave out).

    References
    ----------
    Rosenblatt 1956, Annals of Mathematical Statistics 27(3). Parzen 1962, Annals of Mathematical Statistics 33(3).

    Differences from the papers
    ---------------------------
    1. One bandwidth for all dimensions, chosen on validation images, not from a rule.
    2. ``most`` evenly spaced training images where there are more.
    3. An image equal to x is left out of its density.
    """

    score_names = ("negative_log_likelihood",)
    learnt = "negative_log_likelihood"

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "negative_log_likelihood",
        features: Features = "pixels",
        components: Count = 32,
        whiten: bool = False,
        bandwidth: Positive = 1.0,
        most: Count = 10000,
    ) -> None:
        super().__init__()
        self.headline, self.bandwidth, self.most = headline, bandwidth, most
        self._prepare(image_shape, features, components, whiten)
        self.register_buffer("centres", torch.zeros(0, 0))  # (N, d)

    def fit(self, images: Tensor, seed: int) -> None:
        self.keep(centres=self.fit_features(images, self.most))

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        count, dimensions = self.centres.shape
        distances = without_itself(squared_distances(self.as_features(images), self.centres))  # (B, N)
        log_kernels = torch.logsumexp(-0.5 * distances / self.bandwidth**2, dim=1)
        log_constant = log(count) + 0.5 * dimensions * log(2 * pi * self.bandwidth**2)
        return {"scores": {"negative_log_likelihood": log_constant - log_kernels}}
