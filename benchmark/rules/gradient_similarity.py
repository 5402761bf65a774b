"""Similarity of the edges of an image and of its reconstruction, at several scales."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from benchmark.rules.base import Rule, Seen, State, pixels
from benchmark.rules.parts.filters import smooth
from benchmark.rules.parts.gradients import halved, magnitude

C = 170 / 255**2  # keeps the quotient from noise where neither has an edge; Xue et al.'s 170, for pixels in [0, 1]


class GradientSimilarity(Rule):
    """1 - mean over scales and pixels of (2 m m' + c) / (m^2 + m'^2 + c).

    m and m' are the lengths of the gradients of image and reconstruction, by Prewitt's filter, c = 170 / 255^2. The
    first of ``scales`` is the image after a Gaussian filter of ``sigma`` pixels (0: as it is), every other one has half
    the height and width of the one before it, by means of 2 x 2 pixels. Scores from 0 to 1.

    References
    ----------
    Xue, Zhang, Mou & Bovik 2014, Gradient Magnitude Similarity Deviation, IEEE TIP 23(2), arXiv:1308.3052 (equations 1
    to 3, and c). Zavrtanik, Kristan & Skočaj 2021, Reconstruction by Inpainting for Visual Anomaly Detection, Pattern
    Recognition 112 (the mean over scales, as an anomaly score).

    Differences from the papers
    ---------------------------
    1. The mean over pixels, as Xue et al.'s GMSM; not the deviation, nor Zavrtanik et al.'s largest pixel of a map.
    2. Xue et al. let images shrink by 2 first; Zavrtanik et al. take four scales, here three: 28, 14 and 7 pixels.
    3. Zavrtanik et al. train with it too; here it is a score of any model.
    4. The filter before it: a stroke that is reconstructed half a pixel beside its place has edges of the other sign.
    """

    needs = ("reconstruction",)

    def __init__(self, scales: int = 3, sigma: float = 1.0) -> None:
        if scales < 1:
            raise ValueError(f"scales must be at least 1, got {scales}")
        if not 0 <= sigma <= 100:
            raise ValueError(f"sigma must be a number of pixels of at least 0 and at most 100, got {sigma}")
        self.scales, self.sigma = scales, sigma

    def fit(self, reference: Seen, calibration: Seen) -> State:
        height, width = reference.images.shape[-2:]
        if min(height, width) < 2 ** (self.scales - 1):
            raise ValueError(
                f"{self.scales} scales need images of {2 ** (self.scales - 1)} pixels, got {height} x {width}; "
                "take fewer scales, or another rule"
            )
        return {}

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        x, y = (smooth(t.float(), self.sigma) for t in (images, said["reconstruction"]))  # (B, C, H, W)
        total = images.new_zeros(len(images), dtype=x.dtype)
        for scale in range(self.scales):
            if scale > 0:
                x, y = halved(x), halved(y)
            edges_x, edges_y = magnitude(x), magnitude(y)
            similarity = (2 * edges_x * edges_y + C) / (edges_x.square() + edges_y.square() + C)
            total = total + 1 - pixels(similarity).mean(1)
        return total / self.scales
