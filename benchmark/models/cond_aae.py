"""Conditional adversarial autoencoder: what an image shows (its class) and how it shows it (its style), apart."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, pi
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.models.ae import pixel_loss
from benchmark.models.base import RECONSTRUCTION_SCORES, Model, Noise, Phase, reconstruction_scores
from benchmark.models.keywords import (
    Activation,
    Betas,
    Count,
    Network,
    NotNegative,
    PixelLoss,
    Positive,
    Schedule,
    Share,
    Widths,
)
from benchmark.models.parts.adversarial import one_hot, round_robin
from benchmark.models.parts.networks import Decoder, Encoder, ImageShape, dense


class CondAAE(Model):
    """Semi-supervised adversarial autoencoder: a class code y (categorical) and a style code z ~ N(0, I).

    The encoder gives z and the class probabilities y of an image. Five phases: ``reconstruction``, min_{f,g}
    E[L(x, g(z, y))], y the one-hot class of the ``label_share`` of images whose class is told, else the encoder's;
    ``discriminator`` of styles, shown (z, y), so that z is N(0, I) within every class and tells nothing of it;
    ``class_discriminator`` of y against one-hot draws of the classes seen; ``encoder``, which fools both; ``classes``,
    min_f cross-entropy of y where the class is told.

    Scores: the four distances of ``reconstruction_scores`` with x' = g(z, y'), y' the encoder's likeliest class among
    those seen; ``prior_energy``, -log N(z; 0, I) in nats; ``combined``, the reconstruction's squared error plus
    ``energy_weight`` times the prior energy.

    References
    ----------
    Makhzani et al. 2015, Adversarial Autoencoders, arXiv:1511.05644 (section 2.3: labels shown to the discriminator;
    4: labels given to the decoder; 5: categorical and style codes, semi-supervised).

    Differences from the paper
    --------------------------
    1. Adam in all phases instead of SGD with momentum; the non-saturating loss for the encoder.
    2. The style discriminator sees the label as in section 2.3, but the prior of z is N(0, I) for every class.
    3. The categorical prior is uniform over the classes told in training (nine in leave_one_out, one in one_vs_rest);
       where none is told, over all ``classes``.
    4. An image's class at test time is the likeliest one, as a one-hot code: an anomaly has to pass for a normal class.
    """

    score_names = (*RECONSTRUCTION_SCORES, "prior_energy", "combined")

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "reconstruction",
        network: Network = "dense",
        hidden: Widths = (256,),
        channels: Widths = (32, 64),
        discriminator_hidden: Widths = (128, 128),
        latent: Count = 12,
        classes: Count = 10,
        label_share: Share = 1.0,
        activation: Activation = "relu",
        loss: PixelLoss = "l2",
        energy_weight: NotNegative = 1.0,
        epochs: Count = 20,
        batch_size: Count = 128,
        learning_rate: Positive = 2e-3,
        adversarial_learning_rate: Positive = 1e-3,
        adversarial_betas: Betas = (0.5, 0.999),
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.latent, self.classes, self.label_share = latent, classes, label_share
        self.loss_name, self.energy_weight = loss, energy_weight
        self.encoder = Encoder(image_shape, latent + classes, network, hidden, channels, activation)
        self.decoder = Decoder(image_shape, latent + classes, network, hidden, channels, activation)
        self.discriminator = dense([latent + classes, *discriminator_hidden, 1], "leaky_relu")
        self.class_discriminator = dense([classes, *discriminator_hidden, 1], "leaky_relu")
        self.register_buffer("seen", torch.zeros(classes))  # 1 for the classes that training told
        style, category = {"prior": Noise((latent,))}, {"category": Noise((), "uniform")}
        rate, betas = adversarial_learning_rate, (adversarial_betas[0], adversarial_betas[1])
        self.phases = (
            Phase("reconstruction", ("encoder", "decoder"), learning_rate),
            Phase("discriminator", ("discriminator",), rate, betas, noise=style),
            Phase("class_discriminator", ("class_discriminator",), rate, betas, noise=category),
            Phase("encoder", ("encoder",), rate, betas),
            Phase("classes", ("encoder",), rate, betas),
        )
        self.sample_shape = (latent,)

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        told = noise["label"] if "label" in noise else torch.full((len(images),), -1, device=images.device)
        label = one_hot(told, self.classes)  # (B, K), zero where the class is not told
        style, logit = self.encode(images)
        known = label.sum(1, keepdim=True)  # (B, 1)
        category = known * label + (1 - known) * logit.softmax(1)  # (B, K)
        if phase == "reconstruction":
            self.seen.copy_(torch.maximum(self.seen, label.amax(0)))
            value = pixel_loss(self.loss_name, self.decoder(torch.cat([style, category], 1)), images).mean()
            return value, {"reconstruction": value}
        if phase == "classes":
            value = -(label * logit.log_softmax(1)).sum() / known.sum().clamp(min=1)
            right = (label * one_hot(logit.argmax(1), self.classes)).sum() / known.sum().clamp(min=1)
            return value, {"class_loss": value, "class_accuracy": right}
        if phase == "class_discriminator":
            real, fake = self.class_discriminator(self.prior_category(noise["category"])), logit.softmax(1)
            value = F.softplus(-real).mean() + F.softplus(self.class_discriminator(fake)).mean()
            return value, {"class_discriminator_loss": value}
        fake_logit = self.discriminator(torch.cat([style, category], 1))
        if phase == "encoder":
            value = F.softplus(-fake_logit).mean() + F.softplus(-self.class_discriminator(logit.softmax(1))).mean()
            return value, {"encoder_loss": value}
        real_logit = self.discriminator(torch.cat([noise["prior"], category], 1))  # a prior style under the same class
        value = F.softplus(-real_logit).mean() + F.softplus(fake_logit).mean()
        return value, {
            "discriminator_loss": value,
            "d_real": real_logit.sigmoid().mean(),
            "d_fake": fake_logit.sigmoid().mean(),
        }

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Style (B, D) and logits of the classes (B, K)."""
        code = self.encoder(images).float()
        return code[:, : self.latent], code[:, self.latent :]

    def usable(self) -> Tensor:
        """1 for the classes an image may have (K,): those seen, or all where none was told."""
        return torch.where(self.seen.amax() > 0, self.seen, torch.ones_like(self.seen))

    def prior_category(self, uniform: Tensor) -> Tensor:
        """One-hot draws (B, K), equally likely among the usable classes, from uniform noise (B,)."""
        usable = self.usable()
        order = usable.argsort(descending=True, stable=True)
        turn = (uniform * usable.sum()).long().clamp(max=self.classes - 1)
        return one_hot(order.gather(0, turn), self.classes)

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        style, logit = self.encode(images)
        likeliest = torch.where(self.usable() > 0, logit, -torch.inf).argmax(1)
        code = torch.cat([style, one_hot(likeliest, self.classes)], 1)  # (B, D + K)
        reconstruction = self.decode(code)
        scores = reconstruction_scores(images, reconstruction)
        scores["prior_energy"] = 0.5 * (style.square().sum(1) + self.latent * log(2 * pi))
        scores["combined"] = scores["reconstruction"] + self.energy_weight * scores["prior_energy"]
        return {"scores": scores, "reconstruction": reconstruction, "code": code}

    def decode(self, codes: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(codes).float())

    def sample(self, noise: Tensor) -> Tensor:
        return self.decode(torch.cat([noise, round_robin(self.usable(), len(noise))], 1))

    def styles(self, noise: Tensor) -> Tensor:
        every = torch.eye(self.classes, device=noise.device)
        codes = torch.cat([noise.repeat_interleave(self.classes, 0), every.repeat(len(noise), 1)], 1)
        return self.decode(codes).unflatten(0, (len(noise), self.classes))
