"""Distance of an image to the nearest of what the model makes of normal images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.rules.base import Rule, Seen, State, evenly, pixels
from benchmark.rules.parts.filters import smooth
from benchmark.rules.parts.gradients import gradients, halved
from benchmark.rules.parts.neighbours import nearest_whole, refuse_too_few, whole

LEAST = 1e-6  # of a norm that features are divided by, so that a black image has a score too


class ReconstructionNeighbours(Rule):
    """Mean over the ``neighbours`` nearest reconstructions x'_i of |f(x) - f(x'_i)|^2, x_i images trained on.

    f(x) = v / |v|, with v the image after a Gaussian filter of ``sigma`` pixels: its ``pixels``, or its ``gradient``,
    the differences along columns and along rows; both as means of 2 x 2 pixels. So a score is twice 1 less the cosine
    of the two, averaged over the neighbours. Of the images trained on, ``most`` evenly spaced ones are kept where there
    are more.

    A model that reconstructs an anomaly too well is not believed here: its reconstruction of the image itself has no
    part in the score, but only what it makes of normal images. With the normal images themselves in place of their
    reconstructions the score would know nothing of the model, and on MNIST and Fashion-MNIST it would be as good: what
    this rule says of a model is mostly what the model does not lose.

    References
    ----------
    Bergman, Cohen & Hoshen 2020, Deep Nearest Neighbor Anomaly Detection, arXiv:2002.10445 (section 3: the mean
    distance to the nearest normal features). Dalal & Triggs 2005, Histograms of Oriented Gradients for Human
    Detection, CVPR (gradients summed over cells and brought to one length: brightness does not count).

    Differences from the papers
    ---------------------------
    1. Features are pixels or gradients, not those of a network trained on ImageNet.
    2. Normal images are seen as the model reconstructs them.
    3. No histogram of directions: signed components of the gradient, one length for the whole image.
    4. f(x) is rounded to multiples of 2^-11, so that products of two have the same bits in every order of sums.
    """

    needs = ("reconstruction",)
    referred = True

    def __init__(self, of: str = "gradient", sigma: float = 1.0, neighbours: int = 5, most: int = 2000) -> None:
        if of not in ("pixels", "gradient"):
            raise ValueError(f"of must be one of pixels, gradient, got {of}")
        if not 0 <= sigma <= 100:
            raise ValueError(f"sigma must be a number of pixels of at least 0 and at most 100, got {sigma}")
        if neighbours < 1 or most <= neighbours:
            raise ValueError(f"neighbours must be at least 1 and most larger, got {neighbours} and {most}")
        self.of, self.sigma, self.neighbours, self.most = of, sigma, neighbours, most

    def fit(self, reference: Seen, calibration: Seen) -> State:
        height, width = reference.images.shape[-2:]
        if min(height, width) < 2:
            raise ValueError(f"means of 2 x 2 pixels need images of that size at least, got {height} x {width}")
        rows = evenly(reference, self.most)
        refuse_too_few(len(rows), self.neighbours)
        return {"features": self.features(reference.said["reconstruction"][rows])}

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        return nearest_whole(self.features(images), state["features"], self.neighbours).mean(1)

    def features(self, images: Tensor) -> Tensor:
        """f of images, (B, C, H, W) -> (B, D), of length 1 but for rounding."""
        seen = smooth(images.float(), self.sigma)
        parts = gradients(seen) if self.of == "gradient" else (seen,)
        values = torch.cat([pixels(halved(part)) for part in parts], 1)
        return whole(values / values.square().sum(1, keepdim=True).sqrt().clamp(min=LEAST))
