"""Variational autoencoder: reconstruction and the KL of the code, scored by parts or by a bound on the likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, pi
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.models.base import (
    RECONSTRUCTION_SCORES,
    Model,
    Noise,
    Phase,
    reconstruction_scores,
)
from benchmark.models.keywords import Activation, Count, Network, NotNegative, Positive, Schedule, Widths
from benchmark.models.parts.latent import active_units, kl_to_standard_normal, mmd_to_gaussians, moment_matched_kl
from benchmark.models.parts.networks import Decoder, Encoder, ImageShape


class VAE(Model):
    """Variational autoencoder with q(z|x) = N(mu(x), diag sigma(x)^2) and prior N(0, I).

    Objective: min E_q[-log p(x|z)] + beta KL(q(z|x) || N(0, I)), z = mu + sigma * eps, and in closed form
    KL = 1/2 sum(mu^2 + sigma^2 - log sigma^2 - 1), in nats. The likelihood p(x|z), with mean x' = g(z), is
    ``bernoulli``, ``gaussian`` (standard deviation ``scale``) or ``l1`` (Laplace, |x - x'| / ``scale``).

    Scores: the four distances of ``reconstruction_scores`` with z = mu; ``kl``; ``negative_elbo``, the mean over
    ``score_samples`` samples of -log p(x|z), plus the KL (beta does not enter); ``elbo_excess``, the negative ELBO less
    the least value that -log p(x|z) can have for that image, so that an image's own entropy does not count (it ranks
    like ``negative_elbo`` where the likelihood is not Bernoulli); ``importance_weighted_bound``, the negative of
    log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x). The eps of scoring are fixed: a score depends on image and weights alone.

    References
    ----------
    Kingma & Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114 (sections 2.3, 2.4, appendices B, C).
    Higgins et al. 2017, beta-VAE, ICLR. Burda et al. 2016, Importance Weighted Autoencoders, arXiv:1509.00519.
    An & Cho 2015, Variational Autoencoder based Anomaly Detection using Reconstruction Probability, SNU technical
    report.

    Differences from the papers
    ---------------------------
    1. Adam instead of Adagrad; ReLU layers instead of one tanh layer; log variance kept in [-10, 10].
    2. ``gaussian`` and ``l1`` have one fixed scale for all pixels and keep the decoder's mean in [0, 1] by a sigmoid.
    3. The pixels given to ``bernoulli`` are grey values, not binary.
    4. An & Cho's reconstruction probability is the first term of ``negative_elbo``.
    """

    score_names = (
        *RECONSTRUCTION_SCORES,
        "kl",
        "negative_elbo",
        "elbo_excess",
        "importance_weighted_bound",
    )

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "elbo_excess",
        network: Network = "dense",
        hidden: Widths = (256,),
        channels: Widths = (32, 64),
        latent: Count = 16,
        activation: Activation = "relu",
        likelihood: Literal["bernoulli", "gaussian", "l1"] = "gaussian",
        scale: Positive = 0.2,
        beta: NotNegative = 1.0,
        score_samples: Count = 4,
        epochs: Count = 20,
        batch_size: Count = 128,
        learning_rate: Positive = 2e-3,
        weight_decay: NotNegative = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.likelihood, self.scale, self.beta = likelihood, scale, beta
        self.encoder = Encoder(image_shape, 2 * latent, network, hidden, channels, activation)
        self.decoder = Decoder(image_shape, latent, network, hidden, channels, activation)
        self.phases = (
            Phase(
                "elbo",
                ("encoder", "decoder"),
                learning_rate,
                weight_decay=weight_decay,
                noise={"eps": Noise((latent,))},
            ),
        )
        self.score_noise = {"eps": Noise((score_samples, latent))}
        self.diagnostic_noise = {"eps": Noise((latent,))}

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        mean, log_variance = self.encode(images)  # (B, D) twice
        code = mean + (0.5 * log_variance).exp() * noise["eps"]
        reconstruction = self.negative_log_likelihood(self.decoder(code), images).mean()
        kl = kl_to_standard_normal(mean, log_variance).mean()
        value = reconstruction + self.beta * kl
        return value, {"loss": value, "reconstruction": reconstruction, "kl": kl}

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        mean, log_variance = self.encode(images)  # (B, D) twice
        kl = kl_to_standard_normal(mean, log_variance)  # (B,)
        std = (0.5 * log_variance).exp()
        eps = noise["eps"]  # (K, D), the same for every image
        codes = mean.unsqueeze(1) + std.unsqueeze(1) * eps  # (B, K, D)
        repeated = images.unsqueeze(1).expand(-1, len(eps), -1, -1, -1).flatten(0, 1)  # (B*K, C, H, W)
        nll = self.negative_log_likelihood(self.decoder(codes.flatten(0, 1)), repeated).view(-1, len(eps))  # (B, K)
        log_prior_to_posterior = 0.5 * (eps.square() - codes.square()).sum(-1) + 0.5 * log_variance.sum(
            -1, keepdim=True
        )
        bound = torch.logsumexp(log_prior_to_posterior - nll, dim=1) - log(len(eps))  # (B,)
        negative_elbo = nll.mean(1) + kl
        reconstruction = self.decode(mean)
        scores = {
            **reconstruction_scores(images, reconstruction),
            "kl": kl,
            "negative_elbo": negative_elbo,
            "elbo_excess": negative_elbo - self.least_negative_log_likelihood(images),
            "importance_weighted_bound": -bound,
        }
        return {"scores": scores, "reconstruction": reconstruction, "kl": kl, "code": mean}

    def diagnostics(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        mean, log_variance = self.encode(images)  # (B, D) twice
        code = mean + (0.5 * log_variance).exp() * noise["eps"]  # a draw of the aggregated posterior for each image
        return {
            "latent/prior_mmd2": mmd_to_gaussians(code, torch.zeros_like(code[:1])),
            "latent/prior_kl": moment_matched_kl(mean, log_variance.exp()),
            "latent/active_units": active_units(mean),
        }

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x): (B, C, H, W) -> (B, D) twice."""
        mean, log_variance = self.encoder(images).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def negative_log_likelihood(self, logits: Tensor, images: Tensor) -> Tensor:
        """-log p(x|z) in nats, summed over pixels: logits and images (B, C, H, W) -> (B,)."""
        logits, images = logits.flatten(1).float(), images.flatten(1)
        if self.likelihood == "bernoulli":
            return F.binary_cross_entropy_with_logits(logits, images, reduction="none").sum(1)
        error = torch.sigmoid(logits) - images
        if self.likelihood == "gaussian":
            per_pixel = 0.5 * (error / self.scale).square() + log(self.scale) + 0.5 * log(2 * pi)
        else:
            per_pixel = error.abs() / self.scale + log(2 * self.scale)
        return per_pixel.sum(1)

    def least_negative_log_likelihood(self, images: Tensor) -> Tensor:
        """-log p(x|z) at x' = x, the least it can be: (B, C, H, W) -> (B,)."""
        x = images.flatten(1)
        if self.likelihood == "bernoulli":
            return F.binary_cross_entropy(x, x, reduction="none").sum(1)  # its entropy
        if self.likelihood == "gaussian":
            return torch.full_like(x, log(self.scale) + 0.5 * log(2 * pi)).sum(1)
        return torch.full_like(x, log(2 * self.scale)).sum(1)

    def decode(self, codes: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(codes))

    def sample(self, noise: Tensor) -> Tensor:
        return self.decode(noise)
