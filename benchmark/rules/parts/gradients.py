"""Gradients of images by Prewitt's filter, and means of 2 x 2 pixels, as sums of shifted images."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad


def gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Differences along columns and along rows, (B, C, H, W) -> the same shape twice, per two pixels.

    The filter is [1, 0, -1] along one axis and [1, 1, 1] / 3 along the other; images go on as their border pixels do.
    """
    x = pad(images, (1, 1, 1, 1), mode="replicate")
    height, width = images.shape[-2:]
    left_right = x.narrow(-1, 0, width) - x.narrow(-1, 2, width)  # (B, C, H + 2, W)
    up_down = x.narrow(-2, 0, height) - x.narrow(-2, 2, height)  # (B, C, H, W + 2)
    return _mean_of_three(left_right, -2, height), _mean_of_three(up_down, -1, width)


def _mean_of_three(images: Tensor, axis: int, size: int) -> Tensor:
    return (images.narrow(axis, 0, size) + images.narrow(axis, 1, size) + images.narrow(axis, 2, size)) / 3


def magnitude(images: Tensor) -> Tensor:
    """Length of the gradient at every pixel, (B, C, H, W) -> the same shape."""
    along, across = gradients(images)
    return (along.square() + across.square()).sqrt()


def halved(images: Tensor) -> Tensor:
    """Means of 2 x 2 pixels, (B, C, H, W) -> (B, C, H // 2, W // 2): an odd last row or column is left out."""
    height, width = images.shape[-2] // 2 * 2, images.shape[-1] // 2 * 2
    upper, lower = images[..., 0:height:2, :width], images[..., 1:height:2, :width]
    rows = upper + lower  # (B, C, H // 2, W)
    return (rows[..., 0::2] + rows[..., 1::2]) / 4
