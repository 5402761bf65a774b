"""Normalizing flow: an exact density of images, and images of low density are the anomalies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, prod
from typing import Any, Literal

import torch
import zuko
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.models.base import Model, Noise, Phase
from benchmark.models.choices import Schedule
from benchmark.models.networks import ImageShape


class Flow(Model):
    """Masked autoregressive flow on dequantised pixels, built from zuko's transformations.

    Grey levels k = 255 x in 0..255 become s = (k + u) / 256 with u ~ U(0, 1), and y = logit(alpha + (1 - 2 alpha) s).
    z = f(y) is to be N(0, I), so log p(s) = log N(z; 0, I) + log |det df/dy| + sum_i log dy_i/ds_i, over D pixels.
    Objective: min E[-log p(s) + D log 256], an upper bound of -log P(k) in nats (Theis et al.); divided by D log 2 it
    is bits per dimension. f is a chain of affine maps (y_i - m_i) exp(-a_i), with m_i and a_i a masked network of the
    pixels before i (``autoregressive``; the order turns round from map to map) or, for a random half of the pixels, of
    the other half (``coupling``). Samples are f's inverse: one pass a pixel and map, or two a map.

    Scores: ``negative_log_likelihood``, -log p(s) + D log 256 in nats, its mean over ``score_samples`` draws of u;
    ``typicality``, its distance from the mean over training images: images may be too likely as well.

    References
    ----------
    Papamakarios, Pavlakou & Murray 2017, Masked Autoregressive Flow for Density Estimation, arXiv:1705.07057.
    Dinh, Sohl-Dickstein & Bengio 2017, Density Estimation Using Real NVP, arXiv:1605.08803 (section 4.1: logit).
    Theis, van den Oord & Bethge 2016, A Note on the Evaluation of Generative Models, arXiv:1511.01844 (section 3.1).
    Nalisnick et al. 2019, Detecting Out-of-Distribution Inputs to Deep Generative Models Using Typicality,
    arXiv:1906.02994.

    Differences from the papers
    ---------------------------
    1. No batch normalisation between the maps; Adam for a fixed number of epochs instead of early stopping.
    2. Typicality of one image (the paper's batches of size 1), with the training mean as a running mean over the last
       updates (weight ``MOMENTUM`` each), not a pass over the training images after the last one.
    """

    score_names = ("negative_log_likelihood", "typicality")
    learnt = "negative_log_likelihood"
    MOMENTUM = 0.02

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "negative_log_likelihood",
        transform: Literal["autoregressive", "coupling"] = "autoregressive",
        transforms: int = 4,
        hidden: Sequence[int] = (256,),
        alpha: float = 0.05,
        score_samples: int = 2,
        epochs: int = 15,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        if not 0 < alpha < 0.5 or transforms < 1:
            raise ValueError(
                f"alpha must be above 0 and below 0.5 and transforms at least 1, got {alpha} and {transforms}"
            )
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.image_shape, self.alpha, self.dimensions = image_shape, alpha, prod(image_shape)
        coupling = transform == "coupling"
        self.samples_slowly = not coupling
        self.flow = zuko.flows.MAF(
            self.dimensions,
            transforms=transforms,
            randperm=coupling,
            passes=2 if coupling else None,
            hidden_features=tuple(hidden),
        )
        self.typical = nn.BatchNorm1d(1, affine=False, momentum=self.MOMENTUM)  # its running mean, nothing else
        self.phases = (
            Phase(
                "likelihood",
                ("flow",),
                learning_rate,
                weight_decay=weight_decay,
                noise={"dequantisation": Noise(image_shape, "uniform")},
            ),
        )
        self.score_noise = {"dequantisation": Noise((score_samples, *image_shape), "uniform")}
        self.sample_shape = (self.dimensions,)

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        nll = self.negative_log_likelihood(images, noise["dequantisation"])  # (B,)
        self.typical(nll.detach().unsqueeze(1))
        value = nll.mean()
        return value, {"loss": value, "bits_per_dim": self.bits_per_dim(value)}

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        draws = noise["dequantisation"]  # (K, C, H, W), the same for every image
        nll = torch.stack([self.negative_log_likelihood(images, u) for u in draws]).mean(0)  # (B,)
        scores = {"negative_log_likelihood": nll, "typicality": (nll - self.mean_training_nll()).abs()}
        return {"scores": scores, "bits_per_dim": self.bits_per_dim(nll)}

    def negative_log_likelihood(self, images: Tensor, u: Tensor) -> Tensor:
        """-log p(s) + D log 256 in nats, of images (B, C, H, W) dequantised by u (of that shape, or of one): (B,)."""
        return self.dimensions * log(256) - self.log_density((255 * images + u) / 256)

    def bits_per_dim(self, nll: Tensor) -> Tensor:
        """Nats of an image as bits of one of its pixels."""
        return nll / (self.dimensions * log(2))

    def log_density(self, s: Tensor) -> Tensor:
        """log p(s), a density on the unit cube: (B, C, H, W) -> (B,)."""
        v = self.alpha + (1 - 2 * self.alpha) * s.flatten(1)  # (B, D)
        y = torch.logit(v)
        log_slope = log(1 - 2 * self.alpha) - F.logsigmoid(y) - F.logsigmoid(-y)  # log dy/ds
        return self.flow().log_prob(y) + log_slope.sum(1)

    def mean_training_nll(self) -> Tensor:
        """The running mean of the training images' negative log-likelihood, as Adam corrects its means: a scalar."""
        seen = 1 - (1 - self.MOMENTUM) ** self.typical.num_batches_tracked
        return self.typical.running_mean[0] / seen.clamp(min=self.MOMENTUM)

    def latent(self, images: Tensor, u: Tensor) -> Tensor:
        """z = f(y) of images (B, C, H, W) dequantised by u: (B, D)."""
        v = self.alpha + (1 - 2 * self.alpha) * (255 * images + u).flatten(1) / 256
        return self.flow().transform(torch.logit(v))

    def dequantised(self, z: Tensor) -> Tensor:
        """s of latent vectors (B, D), the inverse of ``latent``: (B, C, H, W), in the unit cube or just outside."""
        s = (torch.sigmoid(self.flow().transform.inv(z)) - self.alpha) / (1 - 2 * self.alpha)
        return s.unflatten(1, self.image_shape)

    def sample(self, noise: Tensor) -> Tensor:
        return (256 * self.dequantised(noise)).floor().clamp(0, 255) / 255
