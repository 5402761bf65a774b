"""The two axes of a report, model and rule: which rules its cells were judged under, and what all of them share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.report.frame import rank_of
from benchmark.report.statistics import FLOORS, Group
from benchmark.rules import is_floor, rule_names

PREFIX = "auroc_rule_"  # of the columns that hold AUROC under a rule
OWN = "own"  # the rule that is each model's own headline score, column auroc
RULES = (  # the order of rows: by pixel, smoothed, of structure, of the code, of neighbours, of several; others follow
    "squared", "absolute", "bernoulli", "cosine", "standardised", "smoothed", "smoothed_cosine", "ssim",
    "gradient_similarity", "complexity_adjusted", "mahalanobis", "code_neighbours", "relative_error",
    "reconstruction_neighbours", "gradient_neighbours", "image_neighbours", "mahalanobis_added", "committee",
    "committee_errors", "committee_edges", "committee_neighbours", "committee_wide",
)  # fmt: skip
LEAST = (2, 2, 2, 1)  # models, rules, classes and seeds of a block from which on there is something to say
MOST = 256  # sets that the search for the largest block looks at, of each axis

Set = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """Cells that are all there: every model under every rule, of every class, by every seed."""

    labels: tuple[str, ...]  # columns of the group
    rules: tuple[str, ...]
    classes: tuple[int, ...]
    seeds: tuple[int, ...]
    values: np.ndarray  # (M, R, K, S) float64, AUROC

    @property
    def by_model_and_rule(self) -> np.ndarray:
        """Means over classes and seeds, (M, R)."""
        return self.values.mean(axis=(2, 3))

    @property
    def over_rules(self) -> dict[str, float]:
        """How far the mean of each model moves between its worst and its best rule."""
        return dict(zip(self.labels, np.ptp(self.by_model_and_rule, axis=1).tolist(), strict=True))

    @property
    def over_models(self) -> dict[str, float]:
        """How far the models' means are apart under each rule."""
        return dict(zip(self.rules, np.ptp(self.by_model_and_rule, axis=0).tolist(), strict=True))


def metric_of(rule: str) -> str:
    """The column of the frame that holds AUROC under a rule."""
    return "auroc" if rule == OWN else PREFIX + rule


def in_order(rules: Iterable[str]) -> list[str]:
    """In the order of RULES, each followed by those of other settings (``smoothed_sigma_2.0``); others by name."""
    return sorted(rules, key=lambda name: (*rank_of(_as_shipped(name), RULES), name))


def _as_shipped(name: str) -> str:
    known = [rule for rule in RULES if name == rule or name.startswith(f"{rule}_")]
    return max(known, key=len, default=name)


def rules_of(group: Group) -> list[str]:
    """The rules that a done cell of the group was judged under, in order, without the models' own."""
    frame = group.frame
    judged = (name for name in frame.columns if name.startswith(PREFIX) and frame[name].notna().any())
    names = [name.removeprefix(PREFIX) for name in judged]
    return in_order(name for name in names if name != OWN)


def chosen_rule(group: Group, label: str) -> str | None:
    """The rule that was chosen for a column; None without one, and where its cells do not agree on one."""
    found = chosen_rules(group, label)
    return found[0] if len(found) == 1 else None


def chosen_rules(group: Group, label: str) -> list[str]:
    """The rules that the done cells of a column note as chosen, "" of those that note none."""
    if "chosen_rule" not in group.frame:
        return []
    done = (group.frame["label"] == label) & (group.frame["state"] == "done")
    found = sorted(set(group.frame["chosen_rule"][done]))
    return [] if found == [""] else found


def largest_block(group: Group, without: Sequence[str] = FLOORS[:2]) -> Block | None:
    """The largest block of a group, by its number of values; None if there is none of LEAST.

    ``without`` are columns that are left out: mean_image and histogram, which no test of this report compares. The
    models' own scores are no rule of a block, as they are not one rule; nor is a rule that asks no model.
    """
    labels = [label for label in group.labels if label not in without]
    rules = [rule for rule in rules_of(group) if not (rule in rule_names() and is_floor(rule))]
    classes, seeds = list(group.classes), group.seeds
    frame = group.frame[group.frame["label"].isin(labels)]
    m, k, s = (
        [axis.index(value) for value in frame[name]]
        for name, axis in (("label", labels), ("normal_class", classes), ("seed", seeds))
    )
    values = np.full((len(labels), len(rules), len(classes), len(seeds)), np.nan)
    for r, rule in enumerate(rules):
        values[m, r, k, s] = frame[metric_of(rule)].to_numpy(np.float64)
    found = _largest(~np.isnan(values), LEAST)
    if found is None:
        return None
    names = (
        tuple(axis[i] for i in chosen) for axis, chosen in zip((labels, rules, classes, seeds), found, strict=True)
    )
    return Block(*names, values[np.ix_(*found)])  # type: ignore[arg-type]


@dataclass(frozen=True)
class OwnBlock:
    """Cells that are all there under their own scores: every model of every class, by every seed."""

    labels: tuple[str, ...]
    classes: tuple[int, ...]
    seeds: tuple[int, ...]
    values: np.ndarray  # (M, K, S) float64, AUROC


def largest_own_block(group: Group, without: Sequence[str] = FLOORS[:2]) -> OwnBlock | None:
    """The largest block of several models, classes and seeds; None if there is none. ``without`` are left out."""
    labels = [label for label in group.labels if label not in without]
    classes, seeds = list(group.classes), group.seeds
    frame = group.frame[group.frame["label"].isin(labels)]
    places = ((frame["label"], labels), (frame["normal_class"], classes), (frame["seed"], seeds))
    values = np.full((len(labels), len(classes), len(seeds)), np.nan)
    values[tuple([axis.index(value) for value in column] for column, axis in places)] = frame["auroc"].to_numpy(float)
    found = _largest(~np.isnan(values), (2, 2, 2))
    if found is None:
        return None
    names = (tuple(axis[i] for i in chosen) for (_, axis), chosen in zip(places, found, strict=True))
    return OwnBlock(*names, values[np.ix_(*found)])  # type: ignore[arg-type]


def _largest(present: np.ndarray, least: Sequence[int]) -> tuple[Set, ...] | None:
    """Indices on each axis of the largest box of ``present`` (bool, any number of axes) that is all true.

    The indices of the largest box on its last axis are what some of the rows along that axis have in common, so only
    such sets are tried (up to MOST of them, the longest ones), and what each leaves is searched the same way.
    """
    if present.ndim == 1:
        held = tuple(np.flatnonzero(present).tolist())
        return (held,) if len(held) >= least[0] else None
    best: tuple[Set, ...] | None = None
    size = 0
    rows = {tuple(np.flatnonzero(row).tolist()) for row in present.reshape(-1, present.shape[-1])}
    for chosen in _common(rows, least[-1]):
        rest = present[..., list(chosen)].all(axis=-1)
        if int(rest.sum()) * len(chosen) <= size:
            continue
        found = _largest(rest, least[:-1])
        if found is not None and (now := len(chosen) * int(np.prod([len(axis) for axis in found]))) > size:
            best, size = (*found, chosen), now
    return best


def _common(rows: Iterable[Set], least: int) -> list[Set]:
    """What any of the rows have in common, if it is ``least`` entries or more: the longest first, MOST at most."""
    rows = [row for row in rows if len(row) >= least]
    found = set(rows)
    fresh = set(rows)
    while fresh and len(found) < MOST:
        both = {tuple(i for i in one if i in other) for one in fresh for other in map(set, rows)}
        fresh = {one for one in both if len(one) >= least} - found
        found |= fresh
    return sorted(found, key=lambda one: (-len(one), one))[:MOST]
