"""Distance of an image's code to the nearest codes of normal images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from benchmark.rules.base import Rule, Seen, State, evenly
from benchmark.rules.parts.neighbours import nearest, refuse_too_few


class CodeNeighbours(Rule):
    """Mean Euclidean distance of the code to the ``neighbours`` nearest codes of the images trained on.

    Of these, ``most`` evenly spaced ones are kept where there are more.

    References
    ----------
    Bergman, Cohen & Hoshen 2020, Deep Nearest Neighbor Anomaly Detection, arXiv:2002.10445 (section 3). Angiulli &
    Pizzuti 2002, Fast Outlier Detection in High Dimensional Spaces, PKDD (the mean of the distances).

    Differences from the paper
    --------------------------
    1. The code of the model itself instead of features of a network trained on ImageNet.
    2. Distances are not squared before the mean is taken.
    """

    needs = ("code",)
    referred = True

    def __init__(self, neighbours: int = 5, most: int = 10000) -> None:
        if neighbours < 1 or most <= neighbours:
            raise ValueError(f"neighbours must be at least 1 and most larger, got {neighbours} and {most}")
        self.neighbours, self.most = neighbours, most

    def fit(self, reference: Seen, calibration: Seen) -> State:
        rows = evenly(reference, self.most)
        refuse_too_few(len(rows), self.neighbours)
        return {"codes": reference.said["code"][rows].float().flatten(1)}

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        return nearest(said["code"].float().flatten(1), state["codes"], self.neighbours)[0].mean(1)
