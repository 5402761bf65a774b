"""Deep SVDD: a network that brings normal images close to one point, and the distance of an image from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from benchmark.models.ae import pixel_loss
from benchmark.models.base import Model, Phase
from benchmark.models.keywords import (
    Activation,
    Count,
    Network,
    NotNegative,
    Positive,
    Schedule,
    ShareAbove0,
    ShareBelow1,
    Widths,
)
from benchmark.models.parts.networks import Decoder, Encoder, ImageShape

BATCH = 1000  # images at once where the centre is found


class DeepSVDD(Model):
    """Codes f(x) of a network without biases, drawn to a fixed centre c; d(x) = ||f(x) - c||^2.

    Objectives: ``one_class``, min_f E[d(x)]; ``soft_boundary``, min_f R^2 + 1/nu E[max(0, d(x) - R^2)], where R^2 is,
    after each update, the (1 - nu) quantile of d over the batch, so that a share nu of the normal images is outside. In
    the first ``warm_up`` of that training R is 0, which is ``one_class`` again. Both with ``weight_decay``.

    c is the mean code of the training images under the initial network, its coordinates at least ``centre_margin`` away
    from 0. With ``pretrain_share`` above 0 that much of the epochs goes before it: f is trained as the encoder of an
    autoencoder (``pretraining``), then c is the mean code over one epoch in which f stands still (``centre``).

    Nothing holds codes apart, so what could bring every image to c is left out (propositions 1 to 3 of the paper): a
    centre at 0, which weights 0 reach; biases, those of batch normalisation too (a network that has one raises
    ``ValueError``); and activations with an upper bound.

    Scores: ``distance``, d(x) - R^2, with R = 0 for ``one_class``; below 0 an image is inside the soft boundary.

    With ``contrast`` an image is first centred, divided by its mean absolute pixel, and brought to [0, 1] by the least
    and largest value that the training images then have.

    References
    ----------
    Ruff et al. 2018, Deep One-Class Classification, ICML, PMLR 80 (equations 3, 4, 7; sections 3.3, 3.4, 4.2).

    Differences from the paper
    --------------------------
    1. Strided convolutions, or dense layers, instead of LeNet's with pooling. Batch normalisation, without scale and
       bias, is not behind the first layer; the paper does not mention it, the authors' code has it.
    2. Adam's rate falls along ``schedule`` over each phase instead of in one step; fewer epochs.
    3. Pixels are as they are: the paper's normalisation of contrast is ``contrast``.
    4. The decoder of the pre-training has biases, and its output passes a sigmoid.
    5. R is the quantile of the last batch, as in the authors' code (the paper: a line search now and then).
    6. The mean after a pre-training is over the batches of one epoch, which see each image about once.
    """

    score_names = ("distance",)
    learnt = "distance"

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "distance",
        objective: Literal["one_class", "soft_boundary"] = "one_class",
        nu: ShareAbove0 = 0.1,
        warm_up: ShareBelow1 = 0.2,
        centre_margin: Positive = 0.1,
        pretrain_share: ShareBelow1 = 0.0,
        contrast: bool = False,
        network: Network = "conv",
        hidden: Widths = (512,),
        channels: Widths = (16, 32),
        latent: Count = 32,
        activation: Activation = "leaky_relu",
        batch_norm: bool = True,
        epochs: Count = 20,
        batch_size: Count = 128,
        learning_rate: Positive = 1e-3,
        pretrain_learning_rate: Positive = 2e-3,
        weight_decay: NotNegative = 1e-6,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.nu, self.centre_margin, self.contrast, self.pretrain_share = nu, centre_margin, contrast, pretrain_share
        self.encoder = without_biases(Encoder(image_shape, latent, network, hidden, channels, activation, batch_norm))
        refuse_biases(self.encoder)
        self.register_buffer("mean_code", torch.zeros(latent))  # (D,)
        self.register_buffer("batches_seen", torch.zeros(()))  # that mean_code is over, after a pre-training
        self.register_buffer("radius_squared", torch.zeros(()))
        if contrast:
            self.register_buffer("limits", torch.tensor([0.0, 1.0]))  # least and largest contrast in training
        if pretrain_share > 0:
            self.decoder = Decoder(image_shape, latent, network, hidden, channels, activation, batch_norm)
        self.phases = self._plan(objective, warm_up, weight_decay, learning_rate, pretrain_learning_rate)

    def _plan(
        self, objective: str, warm_up: float, decay: float, rate: float, pretrain_rate: float
    ) -> tuple[Phase, ...]:
        """The phases, one after the other, each of whole epochs."""
        found, now = [], 0  # epochs behind it

        def add(name: str, modules: tuple[str, ...], speed: float, epochs: int, weight_decay: float) -> None:
            nonlocal now
            begin, now = now, now + epochs
            share = (begin / self.epochs, now / self.epochs)
            found.append(Phase(name, modules, speed, weight_decay=weight_decay, begin=share[0], end=share[1]))

        if self.pretrain_share > 0:
            count = max(1, round(self.pretrain_share * self.epochs))
            add("pretraining", ("encoder", "decoder"), pretrain_rate, count, decay)
            add("centre", ("decoder",), pretrain_rate, 1, 0.0)
        if objective == "soft_boundary" and warm_up > 0:
            add("one_class", ("encoder",), rate, max(1, round(warm_up * (self.epochs - now))), decay)
        add(objective, ("encoder",), rate, max(1, self.epochs - now), decay)
        return tuple(found)

    def initialise(self, images: Tensor, seed: int) -> None:
        """Find the limits of contrast, and the centre where no pre-training gives it; in training mode as ``loss``."""
        training, parts = self.training, images.tensor_split(-(-len(images) // BATCH))
        self.train()
        with torch.no_grad():
            if self.contrast:
                ends = [contrasted(part).aminmax() for part in parts]
                self.limits.copy_(torch.stack([min(low for low, _ in ends), max(high for _, high in ends)]))
            if self.pretrain_share == 0:
                self.mean_code.copy_(torch.cat([self.codes(part) for part in parts]).mean(0))
        self.train(training)

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        code = self.codes(images)  # (B, D)
        if phase in ("pretraining", "centre"):
            if phase == "centre":
                self._see(code.detach())
            value = pixel_loss("l2", self.decoder(code), self.prepared(images)).mean()
            return value, {f"{phase}_loss": value}
        distance = self.distances(code)  # (B,)
        if phase == "one_class":
            value = distance.mean()
            return value, {"loss": value}
        radius_squared = self.radius_squared.clone()
        value = radius_squared + (distance - radius_squared).clamp(min=0).mean() / self.nu
        self.radius_squared.copy_(quantile(distance.detach(), 1 - self.nu))
        return value, {"loss": value, "radius_squared": radius_squared}

    def _see(self, code: Tensor) -> None:
        """Take the codes (B, D) of a batch into their mean over all batches."""
        self.batches_seen.add_(1)
        self.mean_code.add_((code.mean(0) - self.mean_code) / self.batches_seen)

    def prepared(self, images: Tensor) -> Tensor:
        """Images as the network sees them, (B, C, H, W)."""
        if not self.contrast:
            return images
        low, high = self.limits.unbind()
        return (contrasted(images) - low) / (high - low)

    def codes(self, images: Tensor) -> Tensor:
        """f(x) of images: (B, C, H, W) -> (B, D)."""
        return self.encoder(self.prepared(images)).float()

    def centre(self) -> Tensor:
        """c: (D,)."""
        least = torch.full_like(self.mean_code, self.centre_margin)
        pushed = torch.where(self.mean_code < 0, -least, least)
        return torch.where(self.mean_code.abs() < self.centre_margin, pushed, self.mean_code)

    def distances(self, code: Tensor) -> Tensor:
        """d of codes (B, D): (B,)."""
        return (code - self.centre()).square().sum(1)

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        code = self.codes(images)
        return {"scores": {"distance": self.distances(code) - self.radius_squared}, "code": code}

    def diagnostics(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        code = self.codes(images)
        spread = (code - code.mean(0)).square().sum(1).mean()
        return {"svdd/code_spread": spread / self.centre().square().sum()}


def contrasted(images: Tensor) -> Tensor:
    """Images (B, C, H, W) less their own mean, over their own mean absolute deviation; one of a single grey is 0."""
    centred = images - images.mean((1, 2, 3), keepdim=True)
    return centred / centred.abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-6)


def quantile(values: Tensor, share: float) -> Tensor:
    """The least of values (B,) that a ``share`` of them does not exceed."""
    place = min(max(round(share * len(values)), 1), len(values)) - 1
    return values.sort().values[place]


def without_biases(network: nn.Module) -> nn.Module:
    """A network without the biases of its layers; batch normalisation keeps neither bias nor scale of its own."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.bias = None
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            for name in ("weight", "bias"):
                value = getattr(layer, name).detach()
                delattr(layer, name)
                layer.register_buffer(name, value, persistent=False)
    return network


def refuse_biases(network: nn.Module) -> None:
    """Raise ``ValueError`` for a network that could give the same code for every image: one with a bias."""
    for name, parameter in network.named_parameters():
        if parameter.ndim < 2:
            raise ValueError(
                f"{name} could bring every image to the centre whatever it shows: Deep SVDD's networks have weights "
                "alone. Take it out of the network"
            )
