"""The nearest codes of normal images, by sums of squared differences."""

from __future__ import annotations

import torch
from torch import Tensor

GRAIN = 2.0**-11  # of what ``whole`` keeps
ROWS = 1000  # normal images whose neighbours are looked up at once


def nearest(codes: Tensor, points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances to the ``count`` nearest points, ascending, and their rows: (B, D), (N, D) -> (B, count) twice."""
    found = distances(codes, points).topk(count, dim=1, largest=False)
    return found.values, found.indices


def whole(vectors: Tensor) -> Tensor:
    """Vectors (N, D) of length 1, or 0, rounded to multiples of ``GRAIN``: their products are exact in float32.

    Products of two are multiples of GRAIN^2 = 2^-22, and no part of a sum of them is above 1 but for rounding: 24 bits
    hold every step, so that a product of matrices has the same bits in whatever order it is summed.
    """
    return (vectors / GRAIN).round() * GRAIN


def nearest_whole(vectors: Tensor, points: Tensor, count: int) -> Tensor:
    """Squared distances to the ``count`` nearest points, ascending: (B, D), (N, D) of ``whole`` -> (B, count).

    By way of a product of matrices, which for some hundred dimensions is ten times as fast as differences.
    """
    products = vectors @ points.T  # (B, N)
    squared = vectors.square().sum(1, keepdim=True) + points.square().sum(1) - 2 * products
    return squared.topk(count, dim=1, largest=False).values


def nearest_others(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The same for the points themselves, no point being its own neighbour: (N, D) -> (N, count) twice."""
    parts = []
    for first in range(0, len(points), ROWS):
        rows = torch.arange(first, min(first + ROWS, len(points)), device=points.device)
        apart = distances(points[rows], points)
        apart[torch.arange(len(rows), device=points.device), rows] = torch.inf
        parts.append(apart.topk(count, dim=1, largest=False))
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def distances(codes: Tensor, points: Tensor) -> Tensor:
    """Euclidean distances of all pairs, (B, D), (N, D) -> (B, N), not by way of a product of matrices."""
    return torch.cdist(codes, points, compute_mode="donot_use_mm_for_euclid_dist")


def refuse_too_few(available: int, count: int) -> None:
    """Raises ``ValueError`` if an image cannot have so many neighbours other than itself."""
    if available <= count:
        raise ValueError(
            f"{count} neighbours need more training images than that, got {available}; "
            f"type neighbours={available - 1} or fewer"
        )
