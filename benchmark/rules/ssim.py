"""Structural similarity of an image and its reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from benchmark.rules.base import Rule, Seen, State
from benchmark.rules.parts.filters import filtered, gaussian

C1, C2 = 0.01**2, 0.03**2


class StructuralSimilarity(Rule):
    """1 - mean of SSIM(x, x') over windows and channels, x the image and x' its reconstruction.

    SSIM = (2 m m' + c1) (2 c + c2) / ((m^2 + m'^2 + c1) (v + v' + c2)), with m, v, c the means, variances and
    covariance of a window under Gaussian weights of ``sigma`` pixels, ``window`` pixels wide; c1 = 0.01^2, c2 = 0.03^2
    for pixels in [0, 1]. Windows lie inside the image, (H - window + 1) x (W - window + 1) of them. Scores from 0 to 2.

    References
    ----------
    Wang, Bovik, Sheikh & Simoncelli 2004, Image Quality Assessment: From Error Visibility to Structural Similarity,
    IEEE TIP 13(4), section III. Bergmann et al. 2018, Improving Unsupervised Defect Segmentation by Applying Structural
    Similarity to Autoencoders, arXiv:1807.02011 (as an anomaly score).

    Differences from the papers
    ---------------------------
    1. Bergmann et al. train with it too and score pixels; here it is a score of the whole image, of any model.
    2. Wang et al. let images shrink to 256 pixels first; smaller ones, as ours, stay.
    """

    needs = ("reconstruction",)

    def __init__(self, window: int = 11, sigma: float = 1.5) -> None:
        if window < 3 or window % 2 == 0:
            raise ValueError(f"window must be an odd number of pixels of at least 3, got {window}")
        if not sigma > 0:
            raise ValueError(f"sigma must be a number of pixels above 0, got {sigma}")
        self.window, self.sigma = window, sigma

    def fit(self, reference: Seen, calibration: Seen) -> State:
        height, width = reference.images.shape[-2:]
        if min(height, width) < self.window:
            raise ValueError(
                f"a window of {self.window} pixels does not fit into images of {height} x {width}; "
                "take a smaller window, or another rule"
            )
        return {}

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        weights = gaussian(self.sigma, self.window // 2)
        x, y = images.float(), said["reconstruction"].float()  # (B, C, H, W)
        mean_x, mean_y = filtered(x, weights), filtered(y, weights)
        variances = filtered(x * x + y * y, weights) - mean_x * mean_x - mean_y * mean_y
        covariance = filtered(x * y, weights) - mean_x * mean_y
        means = mean_x * mean_x + mean_y * mean_y
        similarity = (2 * mean_x * mean_y + C1) * (2 * covariance + C2) / ((means + C1) * (variances + C2))
        return 1 - similarity.flatten(1).mean(1)
