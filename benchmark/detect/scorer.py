"""A trained model, by its own headline or under a rule, before images that no split holds.

Bits. The engine scores a cell's images in batches of ``trainer.score_batch_size``, on a CPU with one thread. So does a
``Scorer``: images in the order and number in which a cell scored them have the bits of its ``scores.npz``. In batches
of another size a model's products of matrices may round otherwise, in the last digits of float32.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock

import numpy as np
import torch
from torch import Tensor

from benchmark.engine.device import allow_tf32
from benchmark.engine.fleet import Fleet
from benchmark.engine.rules import SEEN, Sight, in_batches
from benchmark.engine.score import Scored, Scoring, View, score_images
from benchmark.rules.base import Rule, State

_ONE = RLock()
BATCHES = 4  # scored in one call: what a model says of more images at once would fill memory


@dataclass(frozen=True)
class Scorer:
    """What scores new images: a fleet of one cell, and a rule with what it knows of normal images."""

    fleet: Fleet
    seed: int  # of the scoring noise, which is the same for every image
    batch_size: int = 500
    precision: str = "fp32"
    rule: Rule | None = None  # None: the model's own headline
    state: State = field(default_factory=dict)

    @property
    def chunk(self) -> int:
        """How many images are best handed in at once."""
        return BATCHES * self.batch_size

    def scores(self, images: Tensor) -> np.ndarray:
        """Scores of images uint8 (N, C, H, W): float32 (N,), larger = more anomalous."""
        wanted = ("scores",) if self.rule is None else SEEN
        parts = [self._judged(part, self.said(part, wanted)) for part in images.split(self.chunk) if len(part)]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def reconstructions(self, images: Tensor) -> Tensor | None:
        """What the model makes of images uint8 (N, C, H, W): float32 in [0, 1], of that shape; None: nothing."""
        found = [self.said(part, ("reconstruction",)).reconstruction for part in images.split(self.chunk) if len(part)]
        kept = [part for part in found if part is not None]
        return torch.cat(kept) if kept else None

    def said(self, images: Tensor, wanted: Sequence[str]) -> Scored:
        """Entries of ``Model.assess`` for images uint8 (N, C, H, W), on the CPU."""
        view = View(torch.arange(len(images)), self.seed)
        how = Scoring(self.batch_size, self.precision)
        with as_the_engine(self.fleet.device, self.precision):
            (scored,) = score_images(self.fleet, images.to(self.fleet.device), [view], how, wanted)
        return scored

    def _judged(self, images: Tensor, scored: Scored) -> np.ndarray:
        headline = self.fleet.model.headline
        if self.rule is None:
            return scored.scores[headline].numpy()
        with as_the_engine(self.fleet.device, self.precision):
            seen = Sight(images, torch.arange(len(images)), scored).seen(headline, self.fleet.device)
            return in_batches(self.rule, seen, self.state, self.batch_size).cpu().numpy()


@contextmanager
def as_the_engine(device: torch.device, precision: str) -> Iterator[None]:
    """Compute as a command does, whose bits depend on it: one thread on a CPU, deterministic algorithms.

    One at a time in a process: these settings are the process's, and a model is called by putting weights into it.
    """
    with _ONE:
        yield from _computing(device, precision)


def _computing(device: torch.device, precision: str) -> Iterator[None]:
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    if device.type == "cpu":
        torch.set_num_threads(1)
    else:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic products on CUDA
        allow_tf32(precision)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = filled
