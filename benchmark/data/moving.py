"""Moving MNIST: one digit that moves over a small canvas and bounces at its borders, made from MNIST's own images.

Srivastava, Mansimov & Salakhutdinov 2015, arXiv:1502.04681, section 4.2: a digit starts at a random place and moves
in a random direction, and its velocity is mirrored where it touches the border. Here there is one digit instead of two,
of half its size (mean of 2 x 2 pixels), on 32 x 32 pixels instead of 64 x 64, and its speed is drawn from a range: that
of normal sequences, or one of two outside it (``slow``, ``fast``) that make a sequence an anomaly by its motion alone.
Every sequence has an MNIST image of its own, those of the training split from MNIST's training images, those of the
test split from its test images. Which image, start, direction and speed it has is drawn from seeds of its names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import pi
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.config import UsageError
from benchmark.seeds import derive_seed

KEYS = ("frames", "canvas", "speed", "slow", "fast", "train_per_class", "test_per_class", "other_motion")


def moving_digits(dataset: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Sequences uint8 (N, T, H, W) and labels of both splits, from images (N, 28, 28) and labels of both.

    Labels are those of the digits, and the digit's plus the number of classes where the motion is another one.
    ``dataset.options`` has the ``KEYS``: frames T, canvas H = W, ranges of speeds in pixels a frame, and how many
    sequences a class has: normal ones in each split, and ones of other motion (half slow, half fast) in each.
    """
    options = dict(dataset.options)
    if set(options) != set(KEYS):
        raise UsageError(f"dataset.options of {dataset.name} must be {', '.join(KEYS)}; got {', '.join(options)}")
    made = []
    for split, images, labels in (("train", *arrays[:2]), ("test", *arrays[2:])):
        made += _one_split(dataset, options, split, torch.from_numpy(np.array(images)), np.asarray(labels))
    return made


def _one_split(dataset: Any, options: Mapping[str, Any], split: str, images: Tensor, labels: np.ndarray) -> list[Any]:
    small = _halved(images)
    normal, other = options[f"{split}_per_class"], options["other_motion"]
    sequences, targets = [], []
    for label in range(len(dataset.classes)):
        members = torch.from_numpy(np.flatnonzero(labels == label))
        if len(members) < normal + other:
            raise UsageError(
                f"{dataset.name}: class {label} has {len(members)} {split} images, options ask for {normal + other}. "
                f"Make {split}_per_class or other_motion smaller"
            )
        generator = torch.Generator().manual_seed(derive_seed(dataset.name, split, label))
        chosen = members[torch.randperm(len(members), generator=generator)[: normal + other]]
        speeds = torch.rand(normal + other, generator=generator, dtype=torch.float64)
        ranges = [options["speed"]] * normal + [options["slow"], options["fast"]] * (other // 2 + 1)
        low, high = torch.tensor(ranges[: normal + other], dtype=torch.float64).T
        speeds = low + (high - low) * speeds
        places = paths(speeds, options["frames"], options["canvas"] - small.shape[-1], generator)
        sequences.append(draw(small[chosen], places, options["canvas"]))
        targets.append(torch.tensor([label] * normal + [label + len(dataset.classes)] * other))
    return [torch.cat(sequences).numpy(), torch.cat(targets).numpy()]


def _halved(images: Tensor) -> Tensor:
    """Means of 2 x 2 pixels, rounded: uint8 (N, 28, 28) -> (N, 14, 14)."""
    blocks = images.int().unfold(1, 2, 2).unfold(2, 2, 2).sum((-2, -1))
    return ((blocks + 2) // 4).byte()


def paths(speeds: Tensor, frames: int, room: int, generator: torch.Generator) -> Tensor:
    """Places (N, T, 2) in whole pixels from 0 to ``room``, of digits that move at ``speeds`` (N,) pixels a frame."""
    start = torch.rand(len(speeds), 2, generator=generator, dtype=torch.float64) * room
    angle = torch.rand(len(speeds), generator=generator, dtype=torch.float64) * 2 * pi
    velocity = speeds.unsqueeze(1) * torch.stack([angle.sin(), angle.cos()], dim=1)  # (N, 2)
    free = start.unsqueeze(1) + velocity.unsqueeze(1) * torch.arange(frames).unsqueeze(1)  # (N, T, 2), no borders
    folded = free.remainder(2 * room)  # a path between two mirrors repeats after twice their distance
    return torch.minimum(folded, 2 * room - folded).round().long()


def draw(digits: Tensor, places: Tensor, canvas: int) -> Tensor:
    """Frames uint8 (N, T, canvas, canvas), black but for digits (N, h, w) whose corner is at ``places`` (N, T, 2)."""
    count, frames = places.shape[:2]
    height, width = digits.shape[1:]
    rows = places[..., 0, None, None] + torch.arange(height).unsqueeze(1)  # (N, T, h, 1)
    columns = places[..., 1, None, None] + torch.arange(width)  # (N, T, 1, w)
    sequences = torch.zeros(count, frames, canvas * canvas, dtype=torch.uint8)
    values = digits.unsqueeze(1).expand(-1, frames, -1, -1).flatten(2)
    return sequences.scatter_(2, (rows * canvas + columns).flatten(2), values).unflatten(2, (canvas, canvas))
