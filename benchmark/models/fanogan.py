"""f-AnoGAN: a Wasserstein GAN and an encoder that learns what AnoGAN searches for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmark.models.base import RECONSTRUCTION_SCORES, Model, Noise, Phase, reconstruction_scores
from benchmark.models.keywords import (
    Betas,
    Count,
    CountOrNone,
    Network,
    NotNegative,
    OpenShare,
    Positive,
    Schedule,
    SearchLoss,
    SearchStart,
    Share,
    Widths,
)
from benchmark.models.parts.adversarial import Game, evaluating, generate
from benchmark.models.parts.networks import Encoder, ImageShape
from benchmark.models.parts.search import descend, nearest


class FAnoGAN(Model):
    """Wasserstein GAN with gradient penalty, then an encoder E trained so that G(E(x)) is x (izi_f).

    Training: the first ``gan_share`` of the epochs train G and the critic D (``wasserstein_penalty`` of
    ``parts.adversarial``, ``discriminator_steps`` updates of D for each of G). The rest train E with G and D
    fixed: min_E E[1/n ||x - G(E(x))||^2 + kappa/m ||f(x) - f(G(E(x)))||^2], n pixels, f the m features of D's last
    hidden layer.

    Scores: ``residual`` 1/n ||x - G(z)||^2; ``discrimination`` 1/m ||f(x) - f(G(z))||^2; ``total`` residual + kappa
    discrimination, the paper's A(x); ``total_absolute`` (1 - lambda) sum|x - G(z)| + lambda sum|f(x) - f(G(z))|,
    AnoGAN's A(x), lambda = ``search_lambda``; and the distances of ``reconstruction_scores`` with x' = G(z).

    z starts from E(x), or with ``start=candidates`` from the nearest to the image of as many fixed draws, as AnoGAN's
    search does. ``search_steps`` > 0 steps of Adam follow, one search an image, on A(x) (``search_loss=squared``) or on
    AnoGAN's (``absolute``). The training is the same whatever they are, so that equal seeds give equal generators:
    ``start=candidates search_steps=40 search_learning_rate=0.05 search_loss=absolute`` is AnoGAN's search on this
    model's generator.

    References
    ----------
    Schlegl et al. 2019, f-AnoGAN: Fast unsupervised anomaly detection with generative adversarial networks, Medical
    Image Analysis 54 (sections 2.1, 2.2.3: izi_f, 2.3). Gulrajani et al. 2017, Improved Training of Wasserstein GANs,
    arXiv:1704.00028.

    Differences from the paper
    --------------------------
    1. Dense networks of 256 units, or DCGAN's (with its initialisation in G and D), instead of residual blocks.
    2. Two updates of the critic for each of G (WGAN-GP: 5); Adam with betas 0.5, 0.9 at 5e-4 (WGAN-GP: 0, 0.9 at 1e-4),
       and for E 0.9, 0.999 at 1e-3 (the paper: RMSProp).
    3. E's output is linear and not bounded; z ~ N(0, I).
    4. In the encoder's phase G's batch normalisation uses its running statistics, as it does when images are scored.
    5. The searches are additions; ``start=candidates`` with ``search_steps=0`` is a lookup in a table of draws.
    """

    score_names = ("residual", "discrimination", "total", "total_absolute", *RECONSTRUCTION_SCORES)
    frozen: ClassVar[Mapping[str, str]] = {"discriminator.head.bias": "a constant cancels in the critic's loss"}

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "total",
        network: Network = "dense",
        hidden: Widths = (256,),
        discriminator_hidden: Widths = (256,),
        channels: Widths = (32, 64),
        latent: Count = 16,
        penalty_weight: NotNegative = 10.0,
        discriminator_steps: Count = 2,
        batch_norm: bool = True,
        gan_share: OpenShare = 0.6,
        kappa: NotNegative = 1.0,
        start: SearchStart = "encoder",
        candidates: Count = 512,
        search_steps: CountOrNone = 0,
        search_learning_rate: Positive = 0.02,
        search_loss: SearchLoss = "squared",
        search_lambda: Share = 0.1,
        epochs: Count = 33,
        batch_size: Count = 64,
        learning_rate: Positive = 5e-4,
        discriminator_learning_rate: Positive = 5e-4,
        encoder_learning_rate: Positive = 1e-3,
        betas: Betas = (0.5, 0.9),
        schedule: Schedule = "constant",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.kappa, self.search_steps, self.search_learning_rate = kappa, search_steps, search_learning_rate
        self.start, self.search_loss, self.search_lambda = start, search_loss, search_lambda
        self.game = Game("wasserstein_penalty", latent, penalty_weight=penalty_weight)
        self.generator = self.game.generator(image_shape, network, hidden, channels, batch_norm)
        self.discriminator = self.game.discriminator(image_shape, network, discriminator_hidden, channels, False)
        self.encoder = Encoder(image_shape, latent, network, hidden, channels, "leaky_relu")
        self.feature_end = self.discriminator.feature_end(1)
        self.phases = (
            *self.game.phases((discriminator_learning_rate, learning_rate), betas, discriminator_steps, end=gan_share),
            Phase("encoder", ("encoder",), encoder_learning_rate, begin=gan_share),
        )
        self.diagnostic_noise = {"z": Noise((latent,))}
        self.score_noise = {"candidates": Noise((candidates, latent))} if start == "candidates" else {}

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        if phase != "encoder":
            return self.game.loss(phase, images, noise, self.generator, self.discriminator)
        with evaluating(self.generator, self.discriminator):
            residual, discrimination = self.distances(self.encoder(images).float(), images)
        value = (residual + self.kappa * discrimination).mean()
        return value, {"encoder_loss": value, "encoder_residual": residual.mean()}

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        if self.start == "encoder":
            code = self.encoder(images).float()  # (B, D)
        else:
            code = noise["candidates"][nearest(images, self.decode(noise["candidates"]), 1)]
        if self.search_steps > 0:
            code = self.search(code, images)
        residual, discrimination = self.distances(code, images)
        reconstruction = self.decode(code)
        scores = {
            "residual": residual,
            "discrimination": discrimination,
            "total": residual + self.kappa * discrimination,
            "total_absolute": self.absolute(code, images),
            **reconstruction_scores(images, reconstruction),
        }
        return {"scores": scores, "reconstruction": reconstruction, "code": code}

    def search(self, codes: Tensor, images: Tensor) -> Tensor:
        """Move each code (B, D) to a lower A(x) of its image, in the distance that ``search_loss`` names."""
        pixels = images[0].numel()

        def losses(z: Tensor, rows: Tensor | None) -> Tensor:
            if self.search_loss == "absolute":
                return self.absolute(z, images)
            residual, discrimination = self.distances(z, images)
            return pixels * (residual + self.kappa * discrimination)

        return descend(losses, codes, self.search_steps, self.search_learning_rate)

    def distances(self, codes: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """1/n ||x - G(z)||^2 and 1/m ||f(x) - f(G(z))||^2: (B,) twice."""
        generated = self.decode(codes)
        residual = (generated - images).square().flatten(1).mean(1)
        return residual, (self.features(generated) - self.features(images)).square().mean(1)

    def absolute(self, codes: Tensor, images: Tensor) -> Tensor:
        """AnoGAN's A(x) of each code and its image: (B,)."""
        generated = self.decode(codes)
        residual = (generated - images).abs().flatten(1).sum(1)
        discrimination = (self.features(generated) - self.features(images)).abs().flatten(1).sum(1)
        return torch.lerp(residual, discrimination, self.search_lambda)

    def diagnostics(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.game.diagnostics(images, noise, self.generator, self.discriminator, self.batch_size)

    def features(self, images: Tensor) -> Tensor:
        """Features f(x) of the critic: (B, C, H, W) -> (B, m)."""
        return self.discriminator.features(images, self.feature_end)

    def decode(self, codes: Tensor) -> Tensor:
        return generate(self.generator, codes)

    def sample(self, noise: Tensor) -> Tensor:
        return self.decode(noise)
