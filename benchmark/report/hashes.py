"""Scores of a cell's images as one number each: what a published cell is compared by, bit for bit.

The hash of a score is SHA-256 over its float32 values, little-endian, in the order of the evaluated images' index. The
file of ``report/scores.py`` has the same values in the same order, so a reader of it computes the same hash.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from benchmark.store.records import Record

HEADLINE = "headline"  # stands for the model's own score among the names of rules


def has_scores(record: Record) -> bool:
    """Whether scores were written with a record; what was brought back from elsewhere may lack them."""
    return "scores.npz" in record.status.files and (record.path / "scores.npz").exists()


def judged_scores(record: Record) -> dict[str, np.ndarray]:
    """Scores float32 (N,) of the evaluated images: the headline's, then those of each rule that applies, by name.

    Raises ``RecordError`` if they cannot be read.
    """
    found = {HEADLINE: record.scores()[f"score/{record.status.headline}"]}
    under = record.rule_scores()
    return found | {name: under[f"score/{name}"] for name in sorted(record.rules()) if f"score/{name}" in under}


def score_hashes(record: Record) -> dict[str, str]:
    """The hash of each of ``judged_scores``, 64 hexadecimal digits. Raises ``RecordError`` if they cannot be read."""
    order = np.argsort(record.scores()["index"], kind="stable")
    return {name: score_hash(values[order]) for name, values in judged_scores(record).items()}


def score_hash(values: np.ndarray) -> str:
    """The hash of scores (N,) in the order of the images' index."""
    return hashlib.sha256(np.ascontiguousarray(values, "<f4").tobytes()).hexdigest()
