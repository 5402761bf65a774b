"""Reconstruction error relative to that of the normal images with the nearest codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.models.parts.fitted import exact
from benchmark.rules.base import Rule, Seen, State, evenly, pixels
from benchmark.rules.parts.neighbours import nearest, nearest_others, refuse_too_few


class RelativeError(Rule):
    """e(x) - median of e over the ``neighbours`` normal images with the nearest codes + ``density_weight`` * LOF(z).

    e is the mean over pixels of (x - x')^2, in units of the variance of all pixels of all normal images; LOF the local
    outlier factor of the code z among the codes of normal images, about 1 in their midst, larger outside. Normal images
    are those trained on, of which ``most`` evenly spaced ones are kept where there are more.

    References
    ----------
    Goodge, Hooi, Ng & Ng 2022, ARES: Locally Adaptive Reconstruction-based Anomaly Scoring, arXiv:2206.07604 (local
    reconstruction score, local density score), with the defaults of the authors' program: 10 neighbours, weight 0.5.
    Breunig et al. 2000, LOF: Identifying Density-based Local Outliers, SIGMOD (definitions 3 to 7).

    Differences from the paper
    --------------------------
    1. Read second-hand: the authors' program and a summary of the paper.
    2. There the model is trained on pixels standardised by the mean and deviation of all of them; here on pixels in
       [0, 1], and the error is divided by that variance afterwards, so that the weight means the same.
    3. There the density is LOF among others (Gaussian, a flow, mean distance); here LOF.
    """

    needs = ("reconstruction", "code")
    referred = True

    def __init__(self, neighbours: int = 10, density_weight: float = 0.5, most: int = 10000) -> None:
        if neighbours < 1 or most <= neighbours:
            raise ValueError(f"neighbours must be at least 1 and most larger, got {neighbours} and {most}")
        if not 0 <= density_weight < float("inf"):
            raise ValueError(f"density_weight must be a number of at least 0, got {density_weight}")
        self.neighbours, self.density_weight, self.most = neighbours, density_weight, most

    def fit(self, reference: Seen, calibration: Seen) -> State:
        rows = evenly(reference, self.most)
        refuse_too_few(len(rows), self.neighbours)
        images, codes = reference.images[rows], reference.said["code"][rows].float().flatten(1)
        variance = exact(images).var(correction=0).clamp(min=1e-12).float()
        distance, index = nearest_others(codes, self.neighbours)  # (N, K) twice
        reach = distance[:, -1]  # (N,)
        return {
            "codes": codes,
            "errors": error(images, reference.said["reconstruction"][rows], variance),
            "reach": reach,
            "density": density(distance, reach[index]),
            "variance": variance,
        }

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        distance, index = nearest(said["code"].float().flatten(1), state["codes"], self.neighbours)  # (B, K) twice
        relative = error(images, said["reconstruction"], state["variance"]) - median(state["errors"][index])
        around, own = state["density"][index].mean(1), density(distance, state["reach"][index])
        return relative + self.density_weight * around / own


def error(images: Tensor, reconstruction: Tensor, variance: Tensor) -> Tensor:
    """Mean over pixels of the squared error in units of ``variance``, (B, C, H, W) twice -> (B,)."""
    return (pixels(images) - pixels(reconstruction)).square().mean(1) / variance


def median(values: Tensor) -> Tensor:
    """The median of each row, between the two in the middle of an even number: (B, K) -> (B,)."""
    ordered, count = values.sort(dim=1).values, values.shape[1]
    return (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2


def density(distance: Tensor, reach: Tensor) -> Tensor:
    """Local reachability density: distances to neighbours, and how far those reach, (B, K) twice -> (B,)."""
    return 1 / (torch.maximum(distance, reach).mean(1) + 1e-10)
