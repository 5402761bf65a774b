"""Autoencoder: an anomaly is an image that a network trained on normal images reconstructs badly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.models.base import RECONSTRUCTION_SCORES, Model, Noise, Phase, reconstruction_scores
from benchmark.models.choices import Activation, Network, PixelLoss, Schedule
from benchmark.models.networks import Decoder, Encoder, ImageShape


class AE(Model):
    """Autoencoder x' = g(f(x)), trained to reconstruct normal images.

    Objective: min_{f,g} E[L(x, x')], L summed over pixels: ||x - x'||^2 (``l2``), |x - x'| (``l1``) or the
    cross-entropy of Bernoulli pixels (``bernoulli``). With ``noise_std`` > 0 or ``masking`` > 0 the input is corrupted
    and the clean image is the target (denoising): an overcomplete code needs it, or the network learns the identity.

    Scores: four distances between image and reconstruction, see ``benchmark.models.base.reconstruction_scores``.

    References
    ----------
    Hinton & Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, Science 313.
    Vincent et al. 2008, Extracting and Composing Robust Features with Denoising Autoencoders, ICML.

    Differences from the papers
    ---------------------------
    1. No layer-wise pre-training; Adam on all layers from random weights.
    """

    score_names = RECONSTRUCTION_SCORES

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "reconstruction",
        network: Network = "dense",
        hidden: Sequence[int] = (256,),
        channels: Sequence[int] = (32, 64),
        latent: int = 16,
        activation: Activation = "relu",
        loss: PixelLoss = "l2",
        noise_std: float = 0.0,
        masking: float = 0.0,
        epochs: int = 20,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.loss_name, self.noise_std, self.masking = loss, noise_std, masking
        self.encoder = Encoder(image_shape, latent, network, hidden, channels, activation)
        self.decoder = Decoder(image_shape, latent, network, hidden, channels, activation)
        noise = {}
        if noise_std > 0:
            noise["corruption"] = Noise(image_shape)
        if masking > 0:
            noise["mask"] = Noise(image_shape, "uniform")
        self.phases = (
            Phase(
                "reconstruction",
                ("encoder", "decoder"),
                learning_rate,
                weight_decay=weight_decay,
                noise=noise,
            ),
        )

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        corrupted = images  # (B, C, H, W)
        if "corruption" in noise:
            corrupted = corrupted + self.noise_std * noise["corruption"]
        if "mask" in noise:
            corrupted = corrupted * (noise["mask"] >= self.masking)
        logits = self.decoder(self.encoder(corrupted))
        value = pixel_loss(self.loss_name, logits, images).mean()
        return value, {"loss": value}

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        code = self.encoder(images)  # (B, D)
        reconstruction = self.decode(code)
        return {
            "scores": reconstruction_scores(images, reconstruction),
            "reconstruction": reconstruction,
            "code": code,
        }

    def decode(self, codes: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(codes))


def pixel_loss(name: str, logits: Tensor, images: Tensor) -> Tensor:
    """Loss of pixel logits against images in [0, 1], summed over pixels: (B, C, H, W) twice -> (B,)."""
    logits, images = logits.flatten(1).float(), images.flatten(1)
    if name == "bernoulli":
        return F.binary_cross_entropy_with_logits(logits, images, reduction="none").sum(1)
    error = torch.sigmoid(logits) - images
    return (error.square() if name == "l2" else error.abs()).sum(1)
