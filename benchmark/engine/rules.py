"""Trained cells under further rules than their models' own scores: what each rule says of the images.

A rule is shown what it has to know of normal images (those trained on, and those kept from training), then scores the
evaluated and the calibration images, cell by cell and outside of autocast. Nothing here depends on the other cells of
a fleet, or on whether the weights have just been trained or come from a record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from benchmark.cells import Cell
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.score import QUANTITIES, Scored, Scoring, View, score_unequal
from benchmark.engine.state import Interrupted
from benchmark.models.parts.rows import evenly_spaced
from benchmark.rules.base import Rule, Seen, as_seen, missing
from benchmark.rules.committee import Committee

REFERENCE = 10000  # training images that rules are shown at most
SEEN = ("scores", *QUANTITIES, "code", "reconstruction")  # of what a model says, that rules may read


@dataclass(frozen=True)
class Ruled:
    """What rules say of a cell's images, by the rule's name; one that does not apply has a reason instead."""

    scores: Mapping[str, np.ndarray] = field(default_factory=dict)  # (N,) float32, of the evaluated images
    calibration: Mapping[str, np.ndarray] = field(default_factory=dict)  # (M,) float32, of the calibration images
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sight:
    """Images of one cell and what its model says of them."""

    images: Tensor  # uint8, a whole split (N, C, H, W)
    index: Tensor  # (B,): those that are meant
    scored: Scored

    def seen(self, headline: str, device: torch.device) -> Seen:
        """As rules take them."""
        scored = self.scored
        said = {"scores": scored.scores, **scored.quantities, "code": scored.code}
        said |= {"reconstruction": scored.reconstruction}
        there = {name: value for name, value in said.items() if value is not None}
        pixels = to_pixels(self.images[self.index.to(self.images.device)])
        return as_seen(pixels.to(device), tree_map(lambda t: t.to(device), there), headline)


def apply_rules(
    fleet: Fleet, cells: Sequence[Cell], training_images: Tensor, sights: Sequence[tuple[Sight, Sight]], how: Scoring
) -> list[Ruled]:
    """What each of ``how.rules`` says of every cell.

    ``training_images`` is the official training split, uint8 (N, C, H, W) on the fleet's device; ``sights`` are of each
    cell the evaluated images and the calibration images, with all of ``SEEN`` that its model says.
    """
    if not how.rules:
        return [Ruled() for _ in cells]
    references = _references(fleet, cells, training_images, sights, how)
    return [_apply(fleet, reference, *both, how) for reference, both in zip(references, sights, strict=True)]


def _references(
    fleet: Fleet, cells: Sequence[Cell], images: Tensor, sights: Sequence[tuple[Sight, Sight]], how: Scoring
) -> list[Sight]:
    """Images trained on and what the models say of them; without any where no rule asks for them."""
    said = sights[0][0].seen(fleet.model.headline, torch.device("cpu")).said
    asked = any(rule.referred and not missing(rule, said) for rule in how.rules.values())
    indices = [evenly_spaced(cell.split.train_index, REFERENCE) for cell in cells]
    if not asked:
        return [Sight(images, index[:0], both[0].scored.first(0)) for index, both in zip(indices, sights, strict=True)]
    views = [View(index, cell.stream("score")) for cell, index in zip(cells, indices, strict=True)]
    found = score_unequal(fleet, images, views, how, SEEN)
    return [Sight(images, index, scored) for index, scored in zip(indices, found, strict=True)]


def _apply(fleet: Fleet, reference: Sight, evaluated: Sight, calibration: Sight, how: Scoring) -> Ruled:
    device, headline = fleet.device, fleet.model.headline
    known, kept, asked = (sight.seen(headline, device) for sight in (reference, calibration, evaluated))
    bench = Bench(known, kept, asked, how.batch_size)
    scores, calibrated, reasons = {}, {}, {}
    for name, rule in how.rules.items():
        if how.stop is not None and how.stop.is_set():
            raise Interrupted("stopped while judging by rules")
        if lacking := missing(rule, asked.said):
            reasons[name] = f"the model says no {' and no '.join(lacking)}"
            continue
        try:
            found = bench.judged(name, rule)
        except ValueError as error:
            reasons[name] = str(error)
            continue
        if all(bool(torch.isfinite(values).all()) for values in found):
            scores[name], calibrated[name] = (values.cpu().numpy() for values in found)
        else:
            reasons[name] = "its scores are not finite"
    return Ruled(scores, calibrated, reasons)


class Bench:
    """One cell's images before several rules; a rule that sits in several committees is asked once."""

    def __init__(self, reference: Seen, calibration: Seen, asked: Seen, batch_size: int) -> None:
        self.reference, self.calibration, self.asked, self.batch_size = reference, calibration, asked, batch_size
        self.found: dict[str, tuple[Tensor, Tensor]] = {}

    def judged(self, name: str, rule: Rule) -> tuple[Tensor, Tensor]:
        """The scores of the images that are asked about (N,), and of the calibration images (M,).

        A name stands for one rule: members of committees are rules as shipped, and so are those of their names. Raises
        ``ValueError`` where a rule cannot be fitted.
        """
        if name not in self.found:
            self.found[name] = self._judged(rule)
        return self.found[name]

    def _judged(self, rule: Rule) -> tuple[Tensor, Tensor]:
        if isinstance(rule, Committee):
            asked, kept = zip(*(self.judged(*member) for member in rule.members.items()), strict=True)
            scale = rule.scale(kept)
            return rule.combine(asked, scale), rule.combine(kept, scale)
        state = rule.fit(self.reference, self.calibration)
        asked, kept = (in_batches(rule, seen, state, self.batch_size) for seen in (self.asked, self.calibration))
        return asked, kept


def in_batches(rule: Rule, seen: Seen, state: Mapping[str, Tensor], size: int) -> Tensor:
    """The scores of images (N, C, H, W), ``size`` at once: (N,)."""
    parts = [seen.images.new_zeros(0)]
    for first in range(0, len(seen.images), size):
        part = tree_map(lambda t, at=first: t[at : at + size], tuple(seen))
        parts.append(rule.score(*part, dict(state)))
    return torch.cat(parts)
