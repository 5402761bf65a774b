"""Floor of the rules: distance of an image to the nearest normal images, whatever the model says."""

from __future__ import annotations

from typing import ClassVar

from benchmark.rules.base import Seen, State
from benchmark.rules.reconstruction_neighbours import ReconstructionNeighbours


class ImageNeighbours(ReconstructionNeighbours):
    """As ``ReconstructionNeighbours``, with the images trained on themselves in place of their reconstructions.

    It asks the model nothing, so all models have the same scores: what ``gradient_neighbours`` does not do better than
    this is not the model's doing.

    References
    ----------
    Those of ``ReconstructionNeighbours``.

    Differences from the papers
    ---------------------------
    Those of ``ReconstructionNeighbours``, but for the second.
    """

    needs = ()
    floor: ClassVar[bool] = True  # it is chosen for no model

    def fit(self, reference: Seen, calibration: Seen) -> State:
        return super().fit(Seen(reference.images, {**reference.said, "reconstruction": reference.images}), calibration)
