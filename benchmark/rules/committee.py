"""The mean of several rules, each brought to the same scale on calibration images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmark.models.parts.fitted import exact
from benchmark.rules import load_rule
from benchmark.rules.base import Rule, Seen, State


class Committee(Rule):
    """mean over members m of (s_m - mean_m) / sd_m, with s_m the score of rule m.

    mean_m and sd_m are of s_m over the calibration images: normal images that training has not seen, so that a rule
    which knows the training images by heart is not given a larger voice. ``members`` are names of rules, committees
    among them.

    References
    ----------
    Aggarwal & Sathe 2017, Outlier Ensembles: An Introduction, Springer (sections on normalising scores and on averaging
    them). Denouden et al. 2018, arXiv:1812.02765, for ``mahalanobis_added``, the committee of squared error and
    Mahalanobis distance.

    Differences from the sources
    ----------------------------
    1. Mean and deviation (N - 1 in its denominator) come from calibration images and not from the images that are
       judged: a score then does not depend on the others of its batch.
    2. A member that gives all calibration images the same score is divided by 1.
    """

    calibrated = True

    def __init__(self, members: Sequence[str] = ("squared", "mahalanobis")) -> None:
        if len(members) < 2 or len(set(members)) < len(members):
            raise ValueError(f"members must be at least two different rules, got {', '.join(members) or 'none'}")
        self.members = {name: load_rule(name) for name in members}
        self.referred = any(member.referred for member in self.members.values())
        self.needs = tuple(dict.fromkeys(name for member in self.members.values() for name in member.needs))

    def fit(self, reference: Seen, calibration: Seen) -> State:
        _refuse_few(len(calibration.images))
        state: State = {}
        calibrated = []
        for name, member in self.members.items():
            own = member.fit(reference, calibration)
            state |= {f"{name}/{key}": value for key, value in own.items()}
            calibrated.append(member.score(calibration.images, calibration.said, own))
        return {**state, **self.scale(calibrated)}

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        scores = []
        for name, member in self.members.items():
            own = {key.removeprefix(f"{name}/"): value for key, value in state.items() if key.startswith(f"{name}/")}
            scores.append(member.score(images, said, own))
        return self.combine(scores, state)

    def scale(self, calibrated: Sequence[Tensor]) -> State:
        """Mean and deviation of each member's scores (N,) of the calibration images."""
        _refuse_few(len(calibrated[0]))
        scores = exact(torch.stack(list(calibrated)))  # (M, N)
        sd = scores.std(1)
        return {"mean": scores.mean(1).float(), "sd": torch.where(sd > 0, sd, torch.ones_like(sd)).float()}

    def combine(self, scores: Sequence[Tensor], state: State) -> Tensor:
        """The committee's score of images of which each member says ``scores`` (B,)."""
        total = scores[0].new_zeros(len(scores[0]), dtype=torch.float32)
        for i, each in enumerate(scores):
            total = total + (each - state["mean"][i]) / state["sd"][i]
        return total / len(scores)


def _refuse_few(count: int) -> None:
    if count < 2:
        raise ValueError(f"a committee needs calibration images, got {count}; type split.calibration_share=0.1")
