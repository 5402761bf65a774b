"""What a rule is: how what a model says of an image becomes one number.

Letters used for shapes in this package: B images, N normal images, C channels, H x W pixels, D dimensions of a code,
K neighbours.

Bits. A rule is asked for the same bits whatever the size and order of the batch, and for a cell of a fleet
(``torch.func.vmap``) as for that cell alone. So an image meets other images of its batch nowhere: filters and changes
of coordinates are sums of shifted or scaled images, distances are sums of squared differences, and no product of
matrices runs over the batch, because BLAS chooses the order of its sums by the shape. What is left are element by
element operations, sums over the last axis and sorts, each for one image. ``tests/rules/test_contract.py`` asks every
rule for equal bits on a CPU, one thread a program as the engine has it. Two things are not promised: bits on another
device or with other instruction sets, and which of two normal images of equal distance counts as the K-th neighbour.
What the model says is another matter: its own products of matrices may round otherwise in batches of another size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

State = dict[str, Tensor]  # what a rule keeps of normal images, under plain names
SCORES = "scores:"  # scores:NAME is a score of the model, scores:headline the one that its configuration names


class Seen(NamedTuple):
    """Images (N, C, H, W), pixels in [0, 1], and what a model says of them: the entries of ``Model.assess``."""

    images: Tensor
    said: Mapping[str, Any]


class Rule:
    """How a score is made of what a model says of an image.

    A subclass stands in ``benchmark/rules/<formula>.py``; its settings under a name are ``conf/rule/<name>.yaml``, with
    ``_target_`` and the constructor's keywords. The constructor stores them, and refuses with a ``ValueError`` what
    cannot be.
    """

    needs: tuple[str, ...] = ()  # quantities of ``Model.assess`` that it reads: reconstruction, code, scores:NAME, ...
    referred: bool = False  # True: ``fit`` reads the images trained on
    calibrated: ClassVar[bool] = False  # True: ``fit`` reads the calibration images, and they must be there

    def fit(self, reference: Seen, calibration: Seen) -> State:
        """What scoring has to know of normal images: of those trained on, and of those kept from training.

        Called once a cell, never for several cells at once. Nothing to know by default. Raises ``ValueError``, before
        any image is scored, where there are too few images or they are too small.
        """
        return {}

    def score(self, images: Tensor, said: Mapping[str, Any], state: State) -> Tensor:
        """One score an image, float32 (B,), larger = more anomalous.

        A function of the image (B, C, H, W), of what the model says of it and of the state alone.
        """
        raise NotImplementedError


def as_seen(images: Tensor, said: Mapping[str, Any], headline: str) -> Seen:
    """Images and the answer of ``Model.assess`` as rules take them: in float32, the headline score under that name too.

    ``images`` are float pixels in [0, 1]; rules are applied outside of autocast.
    """
    scores = {name: values.float() for name, values in said["scores"].items()}
    others = {name: values.float() for name, values in said.items() if name != "scores"}
    return Seen(images.float(), {**others, "scores": {**scores, "headline": scores[headline]}})


def missing(rule: Rule, said: Mapping[str, Any]) -> tuple[str, ...]:
    """Quantities that a rule needs and a model does not say: the rule applies where there are none.

    >>> class OfCode(Rule):
    ...     needs = ("code", "scores:kl")
    >>> missing(OfCode(), {"code": None, "scores": {"total": None}})
    ('scores:kl',)
    """
    return tuple(name for name in rule.needs if not _says(said, name))


def _says(said: Mapping[str, Any], name: str) -> bool:
    if name.startswith(SCORES):
        return name.removeprefix(SCORES) in said.get("scores", {})
    return name in said


def stacked(states: Sequence[State]) -> State:
    """States of several cells as one with a leading axis of cells, for ``torch.func.vmap``.

    Where cells have kept different numbers of normal images, the shorter are filled up with infinities: images that
    are nobody's neighbours.
    """
    return {name: torch.stack(_as_long([state[name] for state in states])) for name in states[0]}


def _as_long(tensors: Sequence[Tensor]) -> list[Tensor]:
    longest = max(tensor.shape[:1].numel() for tensor in tensors)
    return [
        torch.cat([t, t.new_full((longest - len(t), *t.shape[1:]), torch.inf)]) if t.ndim and len(t) < longest else t
        for t in tensors
    ]


def pixels(images: Tensor) -> Tensor:
    """Images (B, C, H, W) as float32 (B, C*H*W)."""
    return images.float().flatten(1)


def evenly(images: Seen, most: int) -> Tensor:
    """Rows of at most ``most`` of the images, evenly spaced."""
    count = len(images.images)
    return torch.linspace(0, count - 1, min(most, count), device=images.images.device).long()
