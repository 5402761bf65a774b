"""Which numbers a model's keywords may be: a word means the same in every model, so it has one range.

What depends on several keywords or on the images is left to the constructors, whose ``ValueError`` is shown before any
work; so is the range of a new model's keyword, unless it is added here. A constructor that is called without a
configuration checks what it needs by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, with or without the ends; never nan or infinite."""

    low: float
    high: float = math.inf
    with_low: bool = True
    with_high: bool = True
    length: int | None = None  # of a list, where it is fixed

    def holds(self, value: float) -> bool:
        above = self.low <= value if self.with_low else self.low < value
        below = value <= self.high if self.with_high else value < self.high
        return math.isfinite(value) and above and below

    def accepts(self, value: Any) -> bool:
        """Whether a number, or every number of a list, is in the range."""
        if not isinstance(value, Sequence):
            return self.holds(value)
        return all(self.holds(part) for part in value) and self.length in (None, len(value))

    def describe(self, whole: bool, several: bool) -> str:
        """The range in words.

        >>> COUNT.describe(whole=True, several=False), OPEN_SHARE.describe(whole=False, several=False)
        ('a whole number of at least 1', 'a number above 0 and below 1')
        """
        low = f"of at least {self.low:g}" if self.with_low else f"above {self.low:g}"
        high = f"at most {self.high:g}" if self.with_high else f"below {self.high:g}"
        if math.isfinite(self.high):
            low = f"from {self.low:g} to {self.high:g}" if self.with_low and self.with_high else f"{low} and {high}"
        kind = "whole number" if whole else "number"
        if not several:
            return f"a {kind} {low}"
        count = "" if self.length is None else f"{self.length} "
        return f"a list of {count}{kind}s, each {low.removeprefix('of ')}"


COUNT, COUNT_OR_NONE, PAIR_OR_MORE = Range(1), Range(0), Range(2)
POSITIVE, NOT_NEGATIVE = Range(0, with_low=False), Range(0)
SHARE, OPEN_SHARE = Range(0, 1), Range(0, 1, with_low=False, with_high=False)
SHARE_BELOW_1, SHARE_ABOVE_0 = Range(0, 1, with_high=False), Range(0, 1, with_low=False)
BETAS = Range(0, 1, with_high=False, length=2)

RANGES = {
    **dict.fromkeys(("epochs", "batch_size", "latent", "hidden", "channels", "discriminator_hidden", "units"), COUNT),
    **dict.fromkeys(("components", "mixture_components", "neighbours", "trees", "most", "classes"), COUNT),
    **dict.fromkeys(("candidates", "restarts", "score_samples", "contraction_probes", "discriminator_steps"), COUNT),
    **dict.fromkeys(("feature_layer", "blocks", "fold", "kernel", "patch"), COUNT),
    **dict.fromkeys(("bound_steps", "denoise_steps", "sample_steps"), COUNT),
    **dict.fromkeys(("search_steps", "search_patience", "unrolled_steps", "closeness", "noise_draws"), COUNT_OR_NONE),
    **dict.fromkeys(("timesteps", "subsample"), PAIR_OR_MORE),
    **dict.fromkeys(("learning_rate", "adversarial_learning_rate", "discriminator_learning_rate"), POSITIVE),
    **dict.fromkeys(("encoder_learning_rate", "search_learning_rate", "unrolled_learning_rate"), POSITIVE),
    **dict.fromkeys(("scale", "bandwidth", "gamma", "clip", "floor", "smoothing"), POSITIVE),
    **dict.fromkeys(("beta", "weight_decay", "noise_std", "contraction", "sparsity", "energy_weight"), NOT_NEGATIVE),
    **dict.fromkeys(("kappa", "penalty_weight", "mixture_radius"), NOT_NEGATIVE),
    **dict.fromkeys(("search_lambda", "label_share"), SHARE),
    **dict.fromkeys(("sparsity_target", "gan_share"), OPEN_SHARE),
    **dict.fromkeys(("noise_level", "nu"), SHARE_ABOVE_0),
    **dict.fromkeys(("masking", "brightness"), SHARE_BELOW_1),
    "bins": Range(3, 32),  # the table of neighbours has their fourth power of numbers
    **dict.fromkeys(("betas", "adversarial_betas"), BETAS),
}  # keyword -> what it, or each of its numbers, may be
