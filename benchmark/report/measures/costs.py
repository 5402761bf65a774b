"""What a column costs beside what it reaches: seconds of a cell, and which columns no other beats in both."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmark.report.statistics import Group, class_mean, column_mean


@dataclass(frozen=True)
class Cost:
    """A column's means over its done cells."""

    label: str
    auroc: float  # mean over all planned classes
    train: float  # seconds
    score: float  # seconds, of all evaluated images
    parameters: float  # NaN where it has none
    best: bool = False  # no other column is at least as good for at most as many seconds, and better in one

    @property
    def seconds(self) -> float:
        return self.train + self.score


def costs(group: Group) -> list[Cost]:
    """The columns with a mean AUROC over all planned classes and with seconds, the cheapest first.

    A column without seconds is left out, such as a committee.
    """
    found = []
    for label in group.labels:
        mean = class_mean(group, "auroc", label)
        train, score, parameters = (
            column_mean(group, name, label)[0] for name in ("train_seconds", "score_seconds", "parameters")
        )
        if mean.present == len(group.classes) and not math.isnan(train + score):
            found.append(Cost(label, mean.value, train, score, parameters))
    found.sort(key=lambda cost: (cost.seconds, -cost.auroc))
    best, frontier = -math.inf, []
    for cost in found:
        frontier.append(Cost(**{**vars(cost), "best": cost.auroc > best}))
        best = max(best, cost.auroc)
    return frontier
