"""A histogram of every pixel on its own: the floor under every density."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, prod
from typing import Any

import torch
from torch import Tensor

from benchmark.models.base import Model
from benchmark.models.keywords import Positive
from benchmark.models.parts.networks import ImageShape

LEVELS = 256  # grey levels k = 255 x of a pixel


class Histogram(Model):
    """Independent pixels, each with a histogram of its grey levels over the training images, fitted in one call.

    P(x) = prod_i p_i(k_i) over the D pixels, p_i(k) = (n_ik + a) / (N + 256 a): n_ik of the N training images have grey
    level k at pixel i, and a is the ``smoothing``, so that no level is impossible. It knows nothing of two pixels
    together: a density with more bits per dimension than this one has not learned what an image is. A sample draws
    each pixel from its histogram.

    Scores: ``negative_log_likelihood``, -log P(x) in nats; divided by D log 2 it is bits per dimension.

    References
    ----------
    Goldstein & Dengel 2012, Histogram-Based Outlier Score (HBOS), KI-2012 poster track.
    Lidstone 1920, Transactions of the Faculty of Actuaries 8 (additive smoothing).

    Differences from the papers
    ---------------------------
    1. One bin a grey level instead of sqrt(N) bins, each histogram normalised to a sum of 1, not to a maximum of 1.
    """

    score_names = ("negative_log_likelihood",)
    learnt = "negative_log_likelihood"
    random = False
    pixelwise = "a floor: the pixels are independent by definition"

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "negative_log_likelihood",
        smoothing: Positive = 0.02,
    ) -> None:
        super().__init__()
        self.headline, self.smoothing, self.image_shape = headline, smoothing, image_shape
        self.sample_shape = (prod(image_shape),)
        self.register_buffer("log_probability", torch.full((LEVELS, prod(image_shape)), -log(LEVELS)))  # (256, D)

    def fit(self, images: Tensor, seed: int) -> None:
        levels = grey_levels(images).cpu()  # (N, D); a GPU has no deterministic sum of this kind
        counts = torch.zeros(LEVELS, levels.shape[1])
        counts.scatter_add_(0, levels, torch.ones_like(levels, dtype=counts.dtype))  # whole numbers: exact in float32
        self.log_probability.copy_(((counts + self.smoothing) / (len(images) + LEVELS * self.smoothing)).log())

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        nll = -self.log_probability.gather(0, grey_levels(images)).sum(1)  # (B,)
        bits_per_dim = nll / (self.log_probability.shape[1] * log(2))
        return {"scores": {"negative_log_likelihood": nll}, "bits_per_dim": bits_per_dim}

    def sample(self, noise: Tensor) -> Tensor:
        shares = torch.special.ndtr(noise.cpu().double()).T.contiguous()  # (D, B), uniform on [0, 1]
        up_to = self.log_probability.cpu().double().exp().cumsum(0).T.contiguous()  # (D, 256), P(level <= k)
        levels = torch.searchsorted(up_to, shares).clamp(max=LEVELS - 1)
        return (levels.T.unflatten(1, self.image_shape).float() / (LEVELS - 1)).to(noise.device)


def grey_levels(images: Tensor) -> Tensor:
    """Pixels in [0, 1] as whole grey levels: (B, C, H, W) -> int64 (B, D)."""
    return (images.flatten(1).float() * (LEVELS - 1)).round().long().clamp(0, LEVELS - 1)
