"""Gaussian filters of images as sums of shifted images: no convolution, whose order of sums depends on the batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

import torch
from torch import Tensor

TRUNCATE = 4.0  # standard deviations at which ``smooth`` cuts the filter, as scipy.ndimage does


def gaussian(sigma: float, radius: int) -> list[float]:
    """Weights exp(-j^2 / (2 sigma^2)) for j = -radius ... radius, divided by their sum.

    >>> [round(weight, 4) for weight in gaussian(1.0, 1)]
    [0.2741, 0.4519, 0.2741]
    """
    weights = [exp(-0.5 * (j / sigma) ** 2) for j in range(-radius, radius + 1)]
    return [weight / sum(weights) for weight in weights]


def filtered(images: Tensor, weights: Sequence[float]) -> Tensor:
    """Symmetric ``weights`` along rows and columns, where they fit: (*, H, W) -> (*, H - 2r, W - 2r)."""
    radius = len(weights) // 2
    for axis in (-2, -1):
        size = images.shape[axis] - 2 * radius
        total = images.narrow(axis, radius, size) * weights[radius]
        for j in range(1, radius + 1):
            pair = images.narrow(axis, radius - j, size) + images.narrow(axis, radius + j, size)
            total = total + pair * weights[radius + j]  # two operations: one with both rounds otherwise at some places
        images = total
    return images


def mirrored(images: Tensor, radius: int) -> Tensor:
    """Images continued by their mirror image on every side, ``d c b a | a b c d | d c b a``, as often as it takes.

    (*, H, W) -> (*, H + 2r, W + 2r): the border rule ``reflect`` of scipy.ndimage.
    """
    for axis in (-2, -1):
        size = images.shape[axis]
        index = torch.arange(-radius, size + radius, device=images.device) % (2 * size)
        images = images.index_select(axis, torch.where(index < size, index, 2 * size - 1 - index))
    return images


def smooth(images: Tensor, sigma: float) -> Tensor:
    """Images (*, H, W) after a Gaussian filter of ``sigma`` pixels, as scipy.ndimage's; 0: as they are."""
    if sigma == 0:
        return images
    radius = int(TRUNCATE * sigma + 0.5)
    return filtered(mirrored(images, radius), gaussian(sigma, radius))
