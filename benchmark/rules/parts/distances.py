"""The distances of ``benchmark.models.base.reconstruction_scores``, each on its own.

Bit by bit the same (``tests/rules/test_formulas.py``), but one at a time: all four take five times as long as the
squared error.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import cosine_similarity

from benchmark.models.base import bernoulli_divergence
from benchmark.rules.base import pixels


def squared(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).square().sum(1)


def absolute(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).abs().sum(1)


def bernoulli(x: Tensor, y: Tensor) -> Tensor:
    return bernoulli_divergence(x, y).sum(1)


def cosine(x: Tensor, y: Tensor) -> Tensor:
    return 1 - cosine_similarity(x, y, dim=1, eps=1e-6)


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": squared,
    "absolute": absolute,
    "bernoulli": bernoulli,
    "cosine": cosine,
}  # of (B, P) twice -> (B,)


def distance(name: str, images: Tensor, reconstruction: Tensor) -> Tensor:
    """The distance of that name, (B, C, H, W) twice -> (B,)."""
    return DISTANCES[name](pixels(images), pixels(reconstruction))
