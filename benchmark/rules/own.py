"""A model's own score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from benchmark.rules.base import SCORES, Rule, State


class Own(Rule):
    """The model's own score of the name ``score``; ``headline`` is the one that the model's configuration names.

    So the rule of the model's paper stands beside the others: a VAE's ``negative_elbo`` or ``kl``, AnoGAN's A(x)
    (``total``), a discriminator's verdict, a likelihood.

    References
    ----------
    Those of the model: ``Scores:`` in its docstring says what its scores are.
    """

    def __init__(self, score: str = "headline") -> None:
        self.name = score
        self.needs = (SCORES + score,)

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        return said["scores"][self.name].float()
