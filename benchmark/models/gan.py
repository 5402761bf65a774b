"""GAN: the discriminator's own judgement of an image, the baseline that AnoGAN's search has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.models.base import Model, Noise
from benchmark.models.keywords import (
    Betas,
    Count,
    CountOrNone,
    GanObjective,
    Network,
    NotNegative,
    Positive,
    Schedule,
    Widths,
)
from benchmark.models.parts.adversarial import RUNNING, Game, evaluating, generate, round_robin
from benchmark.models.parts.discriminator import best_logit
from benchmark.models.parts.networks import ImageShape


class GAN(Model):
    """Generative adversarial network whose discriminator D is asked whether an image is a normal one.

    Training: min_G max_D V = E[log D(x)] + E[log(1 - D(G(z)))], z ~ N(0, I), or another ``objective`` of
    ``parts.adversarial``; options as for AnoGAN. The mean m of the features f(x) of training images is a
    running mean, taken along with every update of D.

    Scores: ``discriminator``, -log D(x), which orders images as 1 - D(x) does but is not rounded to 1 for sure
    anomalies (Wasserstein: less the critic's value); ``feature_distance``, ||f(x) - m||, f the features of layer
    ``feature_layer`` of D (counted from its end). A score is a function of one image alone, so its D lacks what the
    trained D had beside it: the term of minibatch discrimination is left out, a conditional D is asked under every
    class seen in training and its largest answer counts, and batch normalisation (``network=conv``) uses running
    statistics. The diagnostics (V, D of real and generated images) are those of the trained D.

    References
    ----------
    Goodfellow et al. 2014, Generative Adversarial Nets, arXiv:1406.2661 (sections 3, 4).
    Schlegl et al. 2017, AnoGAN, arXiv:1703.05921 (section 2.2: the discriminator's output as a score of its own).
    Salimans et al. 2016, Improved Techniques for Training GANs, arXiv:1606.03498 (section 3.1: the mean feature).

    Differences from the papers
    ---------------------------
    1. The papers train D to help G; that D judges images no generator made (Schlegl's P_D) is this baseline's premise.
    2. The feature distance is Euclidean, to a running mean over training images (weight 0.01 for a new batch).
    3. Networks and training are those of AnoGAN here, so that the two differ in the score alone: dense layers of 256
       units, Adam; further differences are listed there and in ``parts.adversarial``.
    """

    score_names = ("discriminator", "feature_distance")
    learnt: ClassVar[str | None] = None  # D(x) of normal images goes to 1/2

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "feature_distance",
        network: Network = "dense",
        hidden: Widths = (256,),
        discriminator_hidden: Widths = (256,),
        channels: Widths = (32, 64),
        latent: Count = 16,
        objective: GanObjective = "non_saturating",
        clip: Positive = 0.01,
        penalty_weight: NotNegative = 10.0,
        closeness: CountOrNone = 0,
        unrolled_steps: CountOrNone = 0,
        unrolled_learning_rate: Positive = 0.1,
        conditional: bool = False,
        classes: Count = 10,
        log_gradients: bool = False,
        discriminator_steps: Count = 1,
        batch_norm: bool = True,
        epochs: Count = 20,
        batch_size: Count = 64,
        learning_rate: Positive = 2e-4,
        discriminator_learning_rate: Positive = 2e-4,
        betas: Betas = (0.5, 0.999),
        schedule: Schedule = "constant",
        feature_layer: Count = 1,
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.label_share = 1.0 if conditional else 0.0
        told = classes if conditional else 0
        self.game = Game(
            objective=objective,
            latent=latent,
            clip=clip,
            penalty_weight=penalty_weight,
            unrolled_steps=unrolled_steps,
            unrolled_learning_rate=unrolled_learning_rate,
            classes=told,
            gradients=log_gradients,
        )
        self.generator = self.game.generator(image_shape, network, hidden, channels, batch_norm)
        self.discriminator = self.game.discriminator(
            image_shape, network, discriminator_hidden, channels, batch_norm, closeness
        )
        self.feature_end = self.discriminator.feature_end(feature_layer)
        with torch.no_grad(), evaluating(self.discriminator):
            size = self.discriminator.features(torch.zeros(1, *image_shape), self.feature_end).shape[1]
        self.register_buffer("feature_mean", torch.zeros(size))
        self.register_buffer("batches", torch.zeros(()))  # that the running mean has seen
        self.phases = self.game.phases((discriminator_learning_rate, learning_rate), betas, discriminator_steps)
        self.diagnostic_noise = {"z": Noise((latent,))}
        self.sample_shape = (latent,)

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        if phase == "discriminator":
            self.batches += 1
            with evaluating(self.discriminator):
                mean = self.features(images).mean(0).detach()
            rate = (1 / self.batches).clamp(min=RUNNING)  # a plain mean at first
            self.feature_mean += rate * (mean - self.feature_mean)
        return self.game.loss(phase, images, noise, self.generator, self.discriminator)

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        logit = best_logit(self.discriminator, images).squeeze(1)  # (B,)
        distance = (self.features(images) - self.feature_mean).square().sum(1).sqrt()
        judged = -logit if self.game.wasserstein else F.softplus(-logit)
        return {"scores": {"discriminator": judged, "feature_distance": distance}}

    def diagnostics(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.game.diagnostics(images, noise, self.generator, self.discriminator, self.batch_size)

    def features(self, images: Tensor) -> Tensor:
        """Features f(x) of the discriminator: (B, C, H, W) -> (B, F)."""
        return self.discriminator.features(images, self.feature_end)

    def sample(self, noise: Tensor) -> Tensor:
        label = round_robin(self.discriminator.seen, len(noise)) if self.game.classes > 0 else None
        return generate(self.generator, noise, label)
