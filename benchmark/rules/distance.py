"""Distance of an image and its reconstruction, pixel by pixel: squared, absolute, Bernoulli and cosine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from benchmark.rules.base import Rule, State
from benchmark.rules.parts.distances import DISTANCES, distance


class Distance(Rule):
    """A distance of the image x and its reconstruction x', see ``benchmark.models.base.reconstruction_scores``.

    ``squared``: ||x - x'||^2. ``absolute``: sum of |x - x'|. ``bernoulli``: KL(Bernoulli(x) || Bernoulli(x')) in nats,
    summed. ``cosine``: 1 - x.x' / (|x| |x'|). All of them are sums over pixels, but the last.

    References
    ----------
    Bishop 2006, PRML, sections 12.1.2 (squared) and 1.6.1 (the divergence). The same four are named scores of every
    model with a reconstruction.

    Differences from the sources
    ----------------------------
    None in the formulas; ``bernoulli`` takes grey values for probabilities.
    """

    needs = ("reconstruction",)

    def __init__(self, distance: str = "squared") -> None:
        if distance not in DISTANCES:
            raise ValueError(f"distance must be one of {', '.join(DISTANCES)}, got {distance}")
        self.distance = distance

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        return distance(self.distance, images, said["reconstruction"])
