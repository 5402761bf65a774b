"""Distances after a Gaussian filter: errors that lie together count for more than scattered ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from benchmark.rules.base import Rule, State, pixels
from benchmark.rules.parts.distances import distance
from benchmark.rules.parts.filters import smooth


class Smoothed(Rule):
    """With G a Gaussian filter of standard deviation ``sigma`` (pixels), x the image and x' its reconstruction:

    ``squared``: ||G * (x - x')||^2, summed over pixels. ``cosine``: 1 - cosine similarity of G * x and G * x'.

    Errors of one sign that lie together add up, errors that alternate along an edge cancel: a stroke that is missing
    counts, one that is drawn a fraction of a pixel beside its place does so less. The filter keeps the mean of an image
    and continues it by its mirror image at the border (``scipy.ndimage.gaussian_filter`` with its defaults).

    References
    ----------
    Gudi, Büttner & van Gemert 2022, Proximally Sensitive Error for Anomaly Detection and Feature Learning,
    arXiv:2206.00506.

    Differences from the paper
    --------------------------
    1. Only its abstract was at hand ("a regional emphasis in the error measure"); the formula is the one that
       it is known for, a squared error after a Gaussian filter of the difference image.
    2. The difference keeps its sign. One public implementation filters |x - x'| instead, by which errors of both signs
       add up.
    3. Mirrored border, filter cut at 4 ``sigma``; that implementation fills up with zeros.
    4. ``cosine`` is not in the paper.
    """

    needs = ("reconstruction",)

    def __init__(self, distance: str = "squared", sigma: float = 1.0) -> None:
        if distance not in ("squared", "cosine"):
            raise ValueError(f"distance must be one of squared, cosine, got {distance}")
        if not 0 < sigma <= 100:
            raise ValueError(f"sigma must be a number of pixels above 0 and at most 100, got {sigma}")
        self.distance, self.sigma = distance, sigma

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        x, y = images.float(), said["reconstruction"].float()  # (B, C, H, W)
        if self.distance == "squared":
            return pixels(smooth(x - y, self.sigma)).square().sum(1)
        return distance("cosine", smooth(x, self.sigma), smooth(y, self.sigma))
