"""Where what an image shows lies, and how a turned image is moved back there (``synthetic.py``).

An image of an even size turns about no pixel, and whoever centres things puts them beside that point: MNIST a digit's
centre of mass into pixel 14 of 28, Fashion-MNIST the box around a piece of clothing. So a turned image that stays as it
is can be told by its place alone.
"""

from __future__ import annotations

import numpy as np


def in_place(made: np.ndarray, image: np.ndarray) -> np.ndarray:
    """``made`` of an ``image`` (C, H, W), moved by whole pixels: its middle lies in the pixel of the image's middle.

    Only lines of the background are moved over, whose level all four corners have; without one nothing moves.
    """
    level = image[:, :1, :1]
    if (image[:, [0, 0, -1, -1], [0, -1, 0, -1]] != level[:, 0]).any() or (image == level).all():
        return made
    wanted, there = _middles(image, level), _middles(made, level)
    for axis, (to, _, _), (at, first, last) in zip((1, 2), wanted, there, strict=True):
        made = np.roll(made, min(max(to - at, -first), made.shape[axis] - 1 - last), axis)
    return made


def _middles(image: np.ndarray, level: np.ndarray) -> list[tuple[int, int, int]]:
    """Of rows and of columns the pixel of the middle of what is no background, its first and its last pixel.

    The middle is the centre of mass, of differences from the ``level`` (C, 1, 1); of what reaches the border it is the
    middle of the box around it. Both are counted in whole numbers, which no processor rounds.
    """
    mass = np.abs(image - level).sum(0).astype(np.int64)  # (H, W)
    is_free = not (mass[[0, -1]].any() or mass[:, [0, -1]].any())
    found = []
    for weights in (mass.sum(1), mass.sum(0)):
        (places,) = weights.nonzero()
        first, last = int(places[0]), int(places[-1])
        whole, moment = int(weights.sum()), int((weights * np.arange(len(weights))).sum())
        found.append(((2 * moment + whole) // (2 * whole) if is_free else (first + last + 1) // 2, first, last))
    return found
