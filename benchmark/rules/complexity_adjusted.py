"""Error of the reconstruction, less what is to be expected of an image with so many edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.models.parts.fitted import exact
from benchmark.rules.base import Rule, Seen, State, pixels
from benchmark.rules.parts.filters import smooth
from benchmark.rules.parts.gradients import gradients

LEAST = 1 / 255**2  # the square of one grey level: less than that is taken for that


class ComplexityAdjusted(Rule):
    """log E(x) - (a + b log D(x)), with E(x) = ||G * (x - x')||^2 and D(x) = ||grad x||^2.

    x is the image, x' its reconstruction, G a Gaussian filter of ``sigma`` pixels, grad x the differences along columns
    and along rows; a and b are those of the least squares line of log E on log D over the images trained on. A normal
    image with many edges is reconstructed worse than a plain one: what is left counts.

    References
    ----------
    Serrà et al. 2020, Input Complexity and Out-of-distribution Detection with Likelihood-based Generative Models,
    arXiv:1909.11480 (negative log-likelihood less complexity). Gudi, Büttner & van Gemert 2022,
    arXiv:2206.00506, for the smoothed error.

    Differences from the papers
    ---------------------------
    1. The logarithm of an error stands for the negative log-likelihood.
    2. Complexity is the energy of the gradient, not the length of the image compressed as PNG or JPEG2000.
    3. Its weight b is that of normal images; in the paper it is 1.
    """

    needs = ("reconstruction",)
    referred = True

    def __init__(self, sigma: float = 1.0) -> None:
        if not 0 <= sigma <= 100:
            raise ValueError(f"sigma must be a number of pixels of at least 0 and at most 100, got {sigma}")
        self.sigma = sigma

    def fit(self, reference: Seen, calibration: Seen) -> State:
        if len(reference.images) < 2:
            raise ValueError(f"a line needs at least 2 images trained on, got {len(reference.images)}")
        error, complexity = map(exact, self.logarithms(*reference))  # (N,) twice
        away = complexity - complexity.mean()
        spread = away.square().sum()
        slope = (away * error).sum() / torch.where(spread > 0, spread, torch.ones_like(spread))
        return {"slope": slope.float(), "intercept": (error.mean() - slope * complexity.mean()).float()}

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        error, complexity = self.logarithms(images, said)
        return error - (state["intercept"] + state["slope"] * complexity)

    def logarithms(self, images: Tensor, said: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """log E and log D, (B,) twice."""
        x, y = images.float(), said["reconstruction"].float()  # (B, C, H, W)
        error = pixels(smooth(x - y, self.sigma)).square().sum(1)
        along, across = (pixels(part).square().sum(1) for part in gradients(x))
        return error.clamp(min=LEAST).log(), (along + across).clamp(min=LEAST).log()
