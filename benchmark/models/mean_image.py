"""The mean normal image: the floor under every model that reconstructs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.models.base import RECONSTRUCTION_SCORES, Model, reconstruction_scores
from benchmark.models.parts.fitted import exact
from benchmark.models.parts.networks import ImageShape


class MeanImage(Model):
    """The distance of an image from the mean of the training images, fitted in one call.

    Reconstruction x' = m, the mean image, whatever x is: principal components with none of them kept. A model whose
    AUROC is below this one's has learned nothing that counts. Scores: as for the autoencoder.

    References
    ----------
    Tax 2001, One-Class Classification, PhD thesis, TU Delft (section 3.3: prototypes, here a single one).
    """

    score_names = RECONSTRUCTION_SCORES
    random = False
    pixelwise = "a floor: the reconstruction is the same for every image"

    def __init__(self, image_shape: ImageShape, headline: str = "reconstruction") -> None:
        super().__init__()
        self.headline = headline
        self.register_buffer("mean", torch.zeros(image_shape))  # (C, H, W)

    def fit(self, images: Tensor, seed: int) -> None:
        self.mean.copy_(exact(images).mean(0))

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        reconstruction = self.mean.expand_as(images)
        return {"scores": reconstruction_scores(images, reconstruction), "reconstruction": reconstruction}
