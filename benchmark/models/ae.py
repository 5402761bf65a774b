"""Autoencoder: an anomaly is an image that a network trained on normal images reconstructs badly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import vjp
from torch.nn import functional as F

from benchmark.models.base import (
    RECONSTRUCTION_SCORES,
    Model,
    Noise,
    Phase,
    bernoulli_divergence,
    reconstruction_scores,
)
from benchmark.models.keywords import (
    Activation,
    Count,
    Network,
    NotNegative,
    OpenShare,
    PixelLoss,
    Positive,
    Schedule,
    ShareBelow1,
    Widths,
)
from benchmark.models.parts.networks import Decoder, Encoder, ImageShape


class AE(Model):
    """Autoencoder x' = g(f(x)), trained to reconstruct normal images.

    Objective: min_{f,g} E[L(x, x')], L summed over pixels: ||x - x'||^2 (``l2``), |x - x'| (``l1``) or the
    cross-entropy of Bernoulli pixels (``bernoulli``). With ``noise_std`` > 0 or ``masking`` > 0 the input is corrupted
    and the clean image is the target (denoising). Two penalties may be added: ``contraction`` times ||df/dx||_F^2, the
    squared Frobenius norm of the encoder's Jacobian, mean over images (contractive); and ``sparsity`` times the L1 norm
    of the code, mean over images, where the code is linear, or times sum_j KL(Bernoulli(``sparsity_target``) ||
    Bernoulli(mean of z_j over the batch)) where the code is a ``sigmoid`` (sparse). An overcomplete code needs one of
    these, or the network learns the identity.

    ||J||_F^2 = E_v ||J^T v||^2 for v ~ N(0, I): with ``contraction_probes`` k > 0 it is the mean over k draws of v for
    each image (Hutchinson 1990), without bias; with 0 it is exact, at the cost of a gradient a code dimension.

    Scores: four distances between image and reconstruction, see ``benchmark.models.base.reconstruction_scores``.

    References
    ----------
    Hinton & Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, Science 313.
    Vincent et al. 2008, Extracting and Composing Robust Features with Denoising Autoencoders, ICML.
    Rifai et al. 2011, Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, ICML (equation 3).
    Ng 2011, Sparse Autoencoder, CS294A lecture notes, Stanford (section 3).

    Differences from the papers
    ---------------------------
    1. No layer-wise pre-training; Adam on all layers from random weights.
    2. Rifai's and Ng's encoders have one sigmoid layer and Rifai's weights are tied; here the penalties are those of
       the whole encoder, and ``code`` sigmoid with ``hidden`` [] gives their encoder.
    3. Ng's mean activation is over the training set, here over the batch.
    4. With a corrupted input the contraction is that at the corrupted image; Rifai et al. take it at the clean one.
    """

    score_names = RECONSTRUCTION_SCORES

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "reconstruction",
        network: Network = "dense",
        hidden: Widths = (256,),
        channels: Widths = (32, 64),
        latent: Count = 16,
        code: Literal["linear", "sigmoid"] = "linear",
        activation: Activation = "relu",
        loss: PixelLoss = "l2",
        noise_std: NotNegative = 0.0,
        masking: ShareBelow1 = 0.0,
        contraction: NotNegative = 0.0,
        contraction_probes: Count = 1,
        sparsity: NotNegative = 0.0,
        sparsity_target: OpenShare = 0.05,
        epochs: Count = 20,
        batch_size: Count = 128,
        learning_rate: Positive = 2e-3,
        weight_decay: NotNegative = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.loss_name, self.noise_std, self.masking = loss, noise_std, masking
        self.contraction, self.latent, self.code = contraction, latent, code
        self.sparsity, self.sparsity_target = sparsity, sparsity_target
        self.encoder = Encoder(image_shape, latent, network, hidden, channels, activation)
        self.decoder = Decoder(image_shape, latent, network, hidden, channels, activation)
        noise = {}
        if noise_std > 0:
            noise["corruption"] = Noise(image_shape)
        if masking > 0:
            noise["mask"] = Noise(image_shape, "uniform")
        if contraction > 0 and contraction_probes > 0:
            noise["probes"] = Noise((contraction_probes, latent))
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
        code = self.encode(corrupted)  # (B, D)
        reconstruction = pixel_loss(self.loss_name, self.decoder(code), images).mean()
        value, logged = reconstruction, {}
        if self.contraction > 0:
            probes = noise["probes"] if "probes" in noise else self.all_directions(code)
            logged["contraction"] = squared_jacobian(self.encode, corrupted, probes).mean()
            value = value + self.contraction * logged["contraction"]
        if self.sparsity > 0:
            logged["sparsity"] = self.sparsity_penalty(code)
            value = value + self.sparsity * logged["sparsity"]
        return value, {"loss": value, **({"reconstruction": reconstruction} if logged else {}), **logged}

    def encode(self, images: Tensor) -> Tensor:
        """The code of images: (B, C, H, W) -> (B, D)."""
        code = self.encoder(images)
        return torch.sigmoid(code) if self.code == "sigmoid" else code

    def all_directions(self, code: Tensor) -> Tensor:
        """Probes that give the squared Jacobian exactly: (B, D, D) for codes (B, D)."""
        unit = torch.eye(self.latent, dtype=code.dtype, device=code.device)
        return (self.latent**0.5 * unit).expand(len(code), -1, -1)

    def sparsity_penalty(self, code: Tensor) -> Tensor:
        """How far codes (B, D) are from sparse: a scalar, see the class's text."""
        if self.code == "linear":
            return code.float().abs().sum(1).mean()
        target = torch.full_like(code[0], self.sparsity_target, dtype=torch.float32)
        return bernoulli_divergence(target, code.float().mean(0)).sum()

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        code = self.encode(images)  # (B, D)
        reconstruction = self.decode(code)
        return {
            "scores": reconstruction_scores(images, reconstruction),
            "reconstruction": reconstruction,
            "code": code,
        }

    def decode(self, codes: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(codes))


def squared_jacobian(encode: Callable[[Tensor], Tensor], images: Tensor, probes: Tensor) -> Tensor:
    """Mean over K probes of ||J^T v||^2, J the Jacobian of the code: images (B, C, H, W), probes (B, K, D) -> (B,).

    For probes ~ N(0, I) its expectation is ||J||_F^2; for the D unit vectors times sqrt(D) it is ||J||_F^2 itself.
    """
    _, pull_back = vjp(encode, images)  # an image's code depends on that image alone
    sums = torch.stack([pull_back(v)[0].flatten(1).square().sum(1) for v in probes.unbind(1)])  # (K, B)
    return sums.mean(0)


def pixel_loss(name: str, logits: Tensor, images: Tensor) -> Tensor:
    """Loss of pixel logits against images in [0, 1], summed over pixels: (B, C, H, W) twice -> (B,)."""
    logits, images = logits.flatten(1).float(), images.flatten(1)
    if name == "bernoulli":
        return F.binary_cross_entropy_with_logits(logits, images, reduction="none").sum(1)
    error = torch.sigmoid(logits) - images
    return (error.square() if name == "l2" else error.abs()).sum(1)
