"""Adversarial autoencoder: an autoencoder whose codes a discriminator cannot tell from a prior."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, pi
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.models.ae import pixel_loss
from benchmark.models.base import (
    RECONSTRUCTION_SCORES,
    Model,
    Noise,
    Phase,
    gan_diagnostics,
    reconstruction_scores,
)
from benchmark.models.keywords import (
    Activation,
    Betas,
    Count,
    Network,
    NotNegative,
    PixelLoss,
    Positive,
    Schedule,
    Widths,
)
from benchmark.models.parts.latent import active_units, mmd_to_gaussians, moment_matched_kl
from benchmark.models.parts.networks import Decoder, Encoder, ImageShape, dense


class AAE(Model):
    """Adversarial autoencoder with a deterministic encoder and the prior N(0, I) or a mixture of Gaussians.

    Three phases: ``reconstruction``, min_{f,g} E[L(x, g(f(x)))]; ``discriminator``, min_D -E[log D(z)] -
    E[log(1 - D(f(x)))] with z from the prior; ``encoder``, min_f -E[log D(f(x))]. There is no KL term.

    Scores: the four distances of ``reconstruction_scores``; ``prior_energy``, -log p(f(x)) under the prior, in nats;
    ``discriminator``, -log D(f(x)), large where the code does not look like the prior's; ``combined``, the
    reconstruction's squared error plus ``energy_weight`` times the prior energy.

    References
    ----------
    Makhzani et al. 2015, Adversarial Autoencoders, arXiv:1511.05644 (sections 2, 2.1).
    Pidhorskyi et al. 2018, Generative Probabilistic Novelty Detection, arXiv:1807.02588 (an AAE with a 16-d prior).

    Differences from the papers
    ---------------------------
    1. Adam in all three phases instead of SGD with momentum.
    2. The mixture's means are fixed random directions of length ``mixture_radius``, its standard deviation is 1; labels
       are not used.
    3. The non-saturating loss for the encoder.
    """

    score_names = (*RECONSTRUCTION_SCORES, "prior_energy", "discriminator", "combined")

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "reconstruction",
        network: Network = "dense",
        hidden: Widths = (256,),
        channels: Widths = (32, 64),
        discriminator_hidden: Widths = (128, 128),
        latent: Count = 16,
        activation: Activation = "relu",
        loss: PixelLoss = "l2",
        prior: Literal["gaussian", "mixture"] = "gaussian",
        mixture_components: Count = 10,
        mixture_radius: NotNegative = 4.0,
        energy_weight: NotNegative = 1.0,
        epochs: Count = 20,
        batch_size: Count = 128,
        learning_rate: Positive = 2e-3,
        adversarial_learning_rate: Positive = 1e-3,
        adversarial_betas: Betas = (0.5, 0.999),
        weight_decay: NotNegative = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.loss_name, self.energy_weight = loss, energy_weight
        self.encoder = Encoder(image_shape, latent, network, hidden, channels, activation)
        self.decoder = Decoder(image_shape, latent, network, hidden, channels, activation)
        self.discriminator = dense([latent, *discriminator_hidden, 1], "leaky_relu")
        means = torch.zeros(1, latent)
        if prior == "mixture":
            directions = torch.randn(mixture_components, latent, generator=torch.Generator().manual_seed(0))
            means = mixture_radius * F.normalize(directions, dim=1)
        self.register_buffer("prior_means", means)  # (number of components, D)
        self.diagnostic_noise = {"prior": Noise((latent,)), "component": Noise((), "uniform")}
        betas = (adversarial_betas[0], adversarial_betas[1])
        self.phases = (
            Phase("reconstruction", ("encoder", "decoder"), learning_rate, weight_decay=weight_decay),
            Phase("discriminator", ("discriminator",), adversarial_learning_rate, betas, noise=self.diagnostic_noise),
            Phase("encoder", ("encoder",), adversarial_learning_rate, betas),
        )

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        code = self.encoder(images).float()  # (B, D)
        if phase == "reconstruction":
            value = pixel_loss(self.loss_name, self.decoder(code), images).mean()
            return value, {"reconstruction": value}
        logit = self.discriminator(code).float()  # (B, 1)
        if phase == "encoder":
            value = F.softplus(-logit).mean()
            return value, {"encoder_loss": value}
        prior_logit = self.discriminator(self.prior_codes(noise)).float()
        value = F.softplus(-prior_logit).mean() + F.softplus(logit).mean()
        return value, {
            "discriminator_loss": value,
            "d_real": prior_logit.sigmoid().mean(),
            "d_fake": logit.sigmoid().mean(),
        }

    def prior_codes(self, noise: Mapping[str, Tensor]) -> Tensor:
        """Draws from the prior, (B, D), from standard normal and uniform noise."""
        count = len(self.prior_means)
        component = (noise["component"] * count).long().clamp(max=count - 1)  # (B,)
        chosen = component.unsqueeze(1) == torch.arange(count, device=component.device)  # (B, number of components)
        return noise["prior"] + chosen.to(noise["prior"].dtype) @ self.prior_means

    def prior_energy(self, code: Tensor) -> Tensor:
        """-log p(z) in nats: (B, D) -> (B,)."""
        squared = (code.unsqueeze(1) - self.prior_means).square().sum(-1)  # (B, number of components)
        log_density = torch.logsumexp(-0.5 * squared, dim=1) - log(len(self.prior_means))
        return 0.5 * code.shape[1] * log(2 * pi) - log_density

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        code = self.encoder(images).float()  # (B, D)
        reconstruction = self.decode(code)
        scores = reconstruction_scores(images, reconstruction)
        scores["prior_energy"] = self.prior_energy(code)
        scores["discriminator"] = F.softplus(-self.discriminator(code).float()).squeeze(1)
        scores["combined"] = scores["reconstruction"] + self.energy_weight * scores["prior_energy"]
        return {"scores": scores, "reconstruction": reconstruction, "code": code}

    def diagnostics(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        code = self.encoder(images).float()  # (B, D): draws of the aggregated posterior
        real = self.discriminator(self.prior_codes(noise)).float()  # "real" codes are the prior's
        found = gan_diagnostics(real, self.discriminator(code).float())
        found["latent/prior_mmd2"] = mmd_to_gaussians(code, self.prior_means)
        if len(self.prior_means) == 1:  # a mixture's moments say little about it
            found["latent/prior_kl"] = moment_matched_kl(code, torch.zeros_like(code))
        found["latent/active_units"] = active_units(code)
        return found

    def decode(self, codes: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(codes))

    def sample(self, noise: Tensor) -> Tensor:
        component = torch.arange(len(noise), device=noise.device) % len(self.prior_means)
        return self.decode(noise + self.prior_means[component])
