"""Squared error in units of each pixel's own spread over normal images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from benchmark.models.parts.fitted import exact
from benchmark.rules.base import Rule, Seen, State, pixels


class Standardised(Rule):
    """sum_p ((x_p - x'_p) / s_p)^2, with s_p the standard deviation of pixel p over normal images.

    s_p = max(sd_p, ``floor``), sd_p with N in the denominator over the images trained on, all pixels in [0, 1]. Without
    the floor a pixel at the border that a single normal image touches would outweigh all others, and one that is
    always black would divide by zero.

    References
    ----------
    PyOD 3.6's AutoEncoder with ``preprocessing=True`` (its default) standardises pixels before it trains
    (scikit-learn's StandardScaler), so that its squared error is in these units.

    Differences from the source
    ---------------------------
    1. Only the score is in these units; the model was trained on pixels in [0, 1].
    2. StandardScaler divides by 1 where a pixel never varies and has no floor elsewhere.
    """

    needs = ("reconstruction",)
    referred = True

    def __init__(self, floor: float = 0.2) -> None:
        if not 0 < floor <= 1:
            raise ValueError(f"floor must be a number above 0 and at most 1, got {floor}")
        self.floor = floor

    def fit(self, reference: Seen, calibration: Seen) -> State:
        sd = exact(reference.images.flatten(1)).std(0, correction=0)  # (C*H*W,)
        return {"sd": sd.clamp(min=self.floor).float()}

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        return ((pixels(images) - pixels(said["reconstruction"])) / state["sd"]).square().sum(1)
