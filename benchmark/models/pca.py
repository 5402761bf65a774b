"""Principal components: the reconstruction error that every deep model is held against."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from benchmark.models.base import RECONSTRUCTION_SCORES, Model, reconstruction_scores
from benchmark.models.keywords import Count
from benchmark.models.parts.fitted import principal_axes
from benchmark.models.parts.networks import ImageShape

LARGE = 2000  # pixels from which on the eigenvectors of their covariance cost more than an SVD of the images


class PCA(Model):
    """Principal component analysis of normal images, fitted in one call by scikit-learn.

    Reconstruction x' = m + W^T W (x - m), with m the mean and W the ``components`` leading principal axes of the
    training images: the best linear autoencoder with squared error. Scores: as for the autoencoder.

    Images (N, C, H, W) are flattened to (N, C*H*W). ``components`` must not exceed the number of training images.

    References
    ----------
    Pearson 1901, On Lines and Planes of Closest Fit, Phil. Mag. 2(11). Bishop 2006, PRML, section 12.1.
    """

    score_names = RECONSTRUCTION_SCORES
    random = False

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "reconstruction",
        components: Count = 32,
    ) -> None:
        super().__init__()
        self.headline, self.components, self.image_shape = headline, components, image_shape
        self.register_buffer("mean", torch.zeros(prod(image_shape)))
        self.register_buffer("axes", torch.zeros(components, prod(image_shape)))

    def fit(self, images: Tensor, seed: int) -> None:
        if len(images) < self.components:
            raise ValueError(
                f"PCA with {self.components} components needs as many training images, got {len(images)}; "
                f"type model.components={len(images)} or fewer"
            )
        flat = images.flatten(1).double().cpu().numpy()
        solver = "covariance_eigh" if flat.shape[1] <= LARGE else "full"
        pca = principal_axes(flat, self.components, solver)
        self.mean.copy_(torch.from_numpy(pca.mean_))
        self.axes.copy_(torch.from_numpy(pca.components_))

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        code = (images.flatten(1) - self.mean) @ self.axes.T  # (B, D)
        reconstruction = self.decode(code)
        return {
            "scores": reconstruction_scores(images, reconstruction),
            "reconstruction": reconstruction,
            "code": code,
        }

    def decode(self, codes: Tensor) -> Tensor:
        return (self.mean + codes @ self.axes).unflatten(1, self.image_shape)
