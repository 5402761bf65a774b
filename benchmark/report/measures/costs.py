"""What a column costs beside what it reaches: seconds and memory; which columns no other beats in seconds and AUROC."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmark.engine.committee import NAME as COMMITTEE
from benchmark.report.statistics import Group, class_mean, column_mean
from benchmark.store.naming import members_of

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

    A committee costs what its members do together, as they are in the other columns: they may have been run again since
    they voted. A column without seconds is left out, and a committee of others than these columns.
    """
    measured = {label: _measured(group, label) for label in group.labels}
    found = []
    for label, cost in measured.items():
        members = _members(group, label)
        if members:
            cost = _together(cost, [measured.get(name) for name in members])
        if cost is not None and not math.isnan(cost.seconds):
            found.append(cost)
    found.sort(key=lambda cost: (cost.seconds, -cost.auroc))
    best, frontier = -math.inf, []
    for cost in found:
        frontier.append(Cost(**{**vars(cost), "best": cost.auroc > best}))
        best = max(best, cost.auroc)
    return frontier


def _measured(group: Group, label: str) -> Cost | None:
    """What the cells of a column say, None where not all planned classes have an AUROC."""
    mean = class_mean(group, "auroc", label)
    sizes = (column_mean(group, name, label)[0] for name in MEASURED)
    return Cost(label, mean.value, *sizes) if mean.present == len(group.classes) else None


def _members(group: Group, label: str) -> list[str]:
    """The columns that vote in a committee, each once, whatever the rules; none of another model."""
    row = group.frame[group.frame["label"] == label].iloc[0]
    if row["model"] != COMMITTEE:
        return []
    seats = members_of(str(row["variant"])).split(",")  # settings of a member (ae@latent=8) name no column: no cost
    return list(dict.fromkeys(seat.partition(":")[0] for seat in seats))


def _together(committee: Cost | None, members: list[Cost | None]) -> Cost | None:
    """What a committee costs, None where a member's column is not there."""
    there = [cost for cost in members if cost is not None]
    if committee is None or len(there) < len(members):
        return None
    train, score = sum(cost.train for cost in there), sum(cost.score for cost in there)
    return Cost(committee.label, committee.auroc, train, score, committee.parameters)
