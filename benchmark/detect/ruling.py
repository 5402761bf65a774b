"""A trained model under a rule: what the rule has to know of normal images, and how they score under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.config import UsageError
from benchmark.detect.scorer import Scorer, as_the_engine
from benchmark.engine.evaluate import CALIBRATION
from benchmark.engine.rules import REFERENCE, SEEN, Sight
from benchmark.models.parts.rows import evenly_spaced
from benchmark.rules import build_rule
from benchmark.rules.base import Rule, Seen, missing


def under_rule(scorer: Scorer, config: Mapping[str, Any], reference: Tensor, calibration: Tensor) -> Scorer:
    """The scorer under the rule of a configuration, fitted as the engine fits it.

    ``reference`` are images that the model was trained on, ``calibration`` those kept from it, uint8 (N, C, H, W) in
    the order of their data set; either may hold none where the rule asks for none. Raises ``UsageError`` where the rule
    does not apply to the model, and where these images are too few or too small for it.
    """
    rule, name = build_rule(config), config["name"]
    own = replace(scorer, rule=None, state={})
    calibrated = _seen(own, evenly_spaced(calibration, CALIBRATION))
    if lacking := missing(rule, calibrated.said):
        raise UsageError(
            f"rule={name} does not apply: the model says no {' and no '.join(lacking)}. Leave rule= out: the model's "
            "own score stands"
        )
    known = _seen(own, evenly_spaced(reference, REFERENCE) if rule.referred else reference[:0])
    try:
        with as_the_engine(scorer.fleet.device, scorer.precision):
            state = rule.fit(known, calibrated)
    except ValueError as error:
        raise UsageError(f"rule={name} cannot be fitted: {error}") from error
    return replace(scorer, rule=rule, state=state)


def needs_images(rule: Rule) -> bool:
    """Whether a rule has to be shown normal images, those trained on or those kept from training."""
    return rule.referred or rule.calibrated


def _seen(scorer: Scorer, images: Tensor) -> Seen:
    """Images and what the model says of them; of none, what it says of one black image, cut to none."""
    said = scorer.said(images if len(images) else images.new_zeros(1, *images.shape[1:]), SEEN).first(len(images))
    sight = Sight(images, torch.arange(len(images)), said)
    return sight.seen(scorer.fleet.model.headline, scorer.fleet.device)


def calibration_scores(scorer: Scorer, images: Tensor) -> np.ndarray:
    """How the calibration images among ``images`` score, at most ``CALIBRATION`` of them, evenly spaced: float64."""
    return scorer.scores(evenly_spaced(images, CALIBRATION)).astype(np.float64)
