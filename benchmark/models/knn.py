"""Nearest neighbours: an anomalous image is far from every normal one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.models.base import Model
from benchmark.models.keywords import Count, Features
from benchmark.models.parts.fitted import Fitted, squared_distances, without_itself
from benchmark.models.parts.networks import ImageShape


class KNN(Fitted, Model):
    """Euclidean distance to the nearest training images, all of them kept.

    A training image that is equal to x is no neighbour, so that the scores of training images are those of
    images left out.

    Scores: ``kth_distance``, the distance to the ``neighbours``-th nearest (Ramaswamy et al.), and ``mean_distance``,
    the mean of the distances to the ``neighbours`` nearest (Angiulli & Pizzuti), both in the unit of the features.

    References
    ----------
    Ramaswamy, Rastogi & Shim 2000, Efficient Algorithms for Mining Outliers from Large Data Sets, SIGMOD.
    Angiulli & Pizzuti 2002, Fast Outlier Detection in High Dimensional Spaces, PKDD.

    Differences from the papers
    ---------------------------
    1. All distances are computed: with 6,000 images of 784 pixels that is one product of matrices, no index is needed.
    2. ``most`` evenly spaced training images where there are more.
    """

    score_names = ("kth_distance", "mean_distance")
    learnt = "mean_distance"

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "mean_distance",
        features: Features = "pixels",
        components: Count = 32,
        whiten: bool = False,
        neighbours: Count = 5,
        most: Count = 10000,
    ) -> None:
        super().__init__()
        self.headline, self.neighbours, self.most = headline, neighbours, most
        self._prepare(image_shape, features, components, whiten)
        self.register_buffer("points", torch.zeros(0, 0))  # (N, d)

    def fit(self, images: Tensor, seed: int) -> None:
        if len(images) <= self.neighbours:
            raise ValueError(
                f"{self.neighbours} neighbours need more training images than that, got {len(images)}; "
                f"type model.neighbours={len(images) - 1} or fewer"
            )
        self.keep(points=self.fit_features(images, self.most))

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        distances = without_itself(squared_distances(self.as_features(images), self.points))  # (B, N)
        nearest = distances.topk(self.neighbours, dim=1, largest=False).values.sqrt()  # (B, K), ascending
        return {"scores": {"kth_distance": nearest[:, -1], "mean_distance": nearest.mean(1)}}
