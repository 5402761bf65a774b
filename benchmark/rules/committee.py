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
        self.members = [load_rule(name) for name in members]
        self.referred = any(member.referred for member in self.members)
        self.needs = tuple(dict.fromkeys(name for member in self.members for name in member.needs))

    def fit(self, reference: Seen, calibration: Seen) -> State:
        if len(calibration.images) < 2:
            raise ValueError(
                f"a committee needs calibration images, got {len(calibration.images)}; type split.calibration_share=0.1"
            )
        state: State = {}
        means, deviations = [], []
        for i, member in enumerate(self.members):
            own = member.fit(reference, calibration)
            scores = exact(member.score(calibration.images, calibration.said, own))  # (N,)
            state |= {f"{i}/{name}": value for name, value in own.items()}
            means.append(scores.mean())
            deviations.append(scores.std())
        sd = torch.stack(deviations)
        return {
            **state,
            "mean": torch.stack(means).float(),
            "sd": torch.where(sd > 0, sd, torch.ones_like(sd)).float(),
        }

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        total = images.new_zeros(len(images), dtype=torch.float32)
        for i, member in enumerate(self.members):
            own = {name.removeprefix(f"{i}/"): value for name, value in state.items() if name.startswith(f"{i}/")}
            total = total + (member.score(images, said, own) - state["mean"][i]) / state["sd"][i]
        return total / len(self.members)
