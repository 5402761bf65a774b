"""The nearest codes of normal images, by sums of squared differences."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 1000  # normal images whose neighbours are looked up at once


def nearest(codes: Tensor, points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances to the ``count`` nearest points, ascending, and their rows: (B, D), (N, D) -> (B, count) twice."""
    found = distances(codes, points).topk(count, dim=1, largest=False)
    return found.values, found.indices


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
