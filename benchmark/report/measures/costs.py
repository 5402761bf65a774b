"""What a column costs beside what it reaches: seconds and memory; which columns no other beats in seconds and AUROC."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmark.report.statistics import Group, class_mean, column_mean

MEASURED = ("train_seconds", "score_seconds", "parameters", "peak_memory_mib", "peak_memory_cells")


@dataclass(frozen=True)
class Cost:
    """A column's means over its done cells."""

    label: str
    auroc: float  # mean over all planned classes
    train: float  # seconds
    score: float  # seconds, of all evaluated images
    parameters: float  # NaN where it has none
    memory: float = math.nan  # MiB at most, of training and scoring as many cells as were at work at once
    at_work: float = math.nan  # so many cells
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
        train, score, *sizes = (column_mean(group, name, label)[0] for name in MEASURED)
        if mean.present == len(group.classes) and not math.isnan(train + score):
            found.append(Cost(label, mean.value, train, score, *sizes))
    found.sort(key=lambda cost: (cost.seconds, -cost.auroc))
    best, frontier = -math.inf, []
    for cost in found:
        frontier.append(Cost(**{**vars(cost), "best": cost.auroc > best}))
        best = max(best, cost.auroc)
    return frontier
