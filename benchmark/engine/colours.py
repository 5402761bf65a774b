"""Recorded pictures in colour; without torch, so that what only shows them starts at once."""

from __future__ import annotations

import numpy as np


def in_colour(images: np.ndarray) -> np.ndarray:
    """Square images of three channels, recorded beside one another, as red, green, blue: (B, H, 3 H) -> (B, H, H, 3).

    Other images stay as they are. Three frames of a sequence are recorded alike, and come out in colours too.
    """
    height, width = images.shape[1:3]
    if images.ndim != 3 or width != 3 * height:
        return images
    return images.reshape(len(images), height, 3, height).transpose(0, 1, 3, 2)
