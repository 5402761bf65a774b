"""Encoders, decoders and discriminators that the models are put together from.

Two kinds, chosen by ``network``: ``dense`` (fully connected layers of the sizes ``hidden``) and ``conv`` (strided 4 x 4
convolutions of the widths ``channels``, each halving the image; DCGAN, Radford et al. 2016, arXiv:1511.06434). A
convolution before batch normalisation has no bias: it would cancel, and Adam would make a random walk of its rounding.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from benchmark.models.keywords import Activation, Network

ImageShape = tuple[int, int, int]  # C, H, W


class BatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation in its parameters' precision, whatever the product before has: ``vmap`` takes no mix."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.to(self.weight.dtype))


class BatchNorm2d(nn.BatchNorm2d):
    """As ``BatchNorm1d``, for feature maps."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.to(self.weight.dtype))


DCGAN_STD = 0.02
ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": lambda: nn.LeakyReLU(0.2), "silu": nn.SiLU}


def dense(sizes: Sequence[int], activation: Activation = "relu", batch_norm: bool = False) -> nn.Sequential:
    """Linear layers of ``sizes``, an activation between them, none after the last: (B, sizes[0]) -> (B, sizes[-1])."""
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        layers.append(nn.Linear(fan_in, fan_out))
        if i < len(sizes) - 2:
            layers += [BatchNorm1d(fan_out)] if batch_norm else []
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Images (B, C, H, W) -> features (B, out). ``body`` ends in the last hidden features, ``head`` is linear."""

    def __init__(
        self,
        image_shape: ImageShape,
        out: int,
        network: Network,
        hidden: Sequence[int],
        channels: Sequence[int],
        activation: Activation = "relu",
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if network == "dense":
            widths = [prod(image_shape), *hidden]
            layers = [nn.Flatten()]
            for fan_in, fan_out in itertools.pairwise(widths):
                layers.append(nn.Linear(fan_in, fan_out))
                layers += [BatchNorm1d(fan_out)] if batch_norm else []
                layers.append(ACTIVATIONS[activation]())
            features = widths[-1]
        else:
            height, width = _halvings(image_shape, channels)[-1]
            widths = [image_shape[0], *channels]
            for i, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
                normalised = batch_norm and i > 0
                layers.append(nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1, bias=not normalised))
                layers += [BatchNorm2d(fan_out)] if normalised else []
                layers.append(ACTIVATIONS[activation]())
            layers.append(nn.Flatten())
            features = widths[-1] * height * width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(features, out)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


class Decoder(nn.Module):
    """Codes (B, D) -> logits of pixels (B, C, H, W): the encoder's mirror image."""

    def __init__(
        self,
        image_shape: ImageShape,
        latent: int,
        network: Network,
        hidden: Sequence[int],
        channels: Sequence[int],
        activation: Activation = "relu",
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if network == "dense":
            sizes = [latent, *reversed(hidden), prod(image_shape)]
            self.layers = nn.Sequential(dense(sizes, activation, batch_norm), nn.Unflatten(1, image_shape))
            return
        sizes = _halvings(image_shape, channels)
        widths = [*reversed(channels), image_shape[0]]
        height, width = sizes[-1]
        layers: list[nn.Module] = [
            nn.Linear(latent, widths[0] * height * width),
            nn.Unflatten(1, (widths[0], height, width)),
        ]
        for i, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
            below, above = sizes[-1 - i], sizes[-2 - i]
            layers += [BatchNorm2d(fan_in)] if batch_norm else []
            layers.append(ACTIVATIONS[activation]())
            extra = (above[0] - 2 * below[0], above[1] - 2 * below[1])  # 1 where halving rounded down
            bias = not batch_norm or i == len(widths) - 2
            layers.append(nn.ConvTranspose2d(fan_in, fan_out, 4, 2, 1, output_padding=extra, bias=bias))
        self.layers = nn.Sequential(*layers)

    def forward(self, codes: Tensor) -> Tensor:
        return self.layers(codes)


@torch.no_grad()
def initialise_as_dcgan(network: nn.Module) -> None:
    """Draw the weights of a convolutional network as DCGAN's are: N(0, 0.02^2), biases 0.

    That is Radford et al. 2016, arXiv:1511.06434, section 4; the scale of batch normalisation, N(1, 0.02^2), is that of
    the authors' code. The dense layer at an end of the network is one of its layers.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.weight.normal_(0.0, DCGAN_STD)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.weight.normal_(1.0, DCGAN_STD)
        else:
            continue
        if layer.bias is not None:
            layer.bias.zero_()


def _halvings(image_shape: ImageShape, channels: Sequence[int]) -> list[tuple[int, int]]:
    """Height and width before and after each strided convolution."""
    sizes = [(image_shape[1], image_shape[2])]
    for _ in channels:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    if min(sizes[-1]) < 1:
        raise ValueError(f"{len(channels)} channels halve a {image_shape[1]} x {image_shape[2]} image below one pixel")
    return sizes
