"""Scores of a cell's images as one number each: what a published cell is compared by, bit for bit.

The hash of a score is SHA-256 over its float32 values, little-endian, in the order of the evaluated images' index. The
file of ``report/scores.py`` has the same values in the same order, so a reader of it computes the same hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.packed import DIGITS

if TYPE_CHECKING:
    from benchmark.store.experiments import PlannedCell
    from benchmark.store.records import Record

HEADLINE = "headline"  # stands for the model's own score among the names of rules


def has_scores(record: Record) -> bool:
    """Whether scores were written with a record; what was brought back from elsewhere may lack them."""
    return "scores.npz" in record.status.files and (record.path / "scores.npz").exists()


@dataclass(frozen=True)
class Judged:
    """The evaluated images of a cell and what they score, by the images' index."""

    index: np.ndarray  # int64 (N,), of the official split
    label: np.ndarray  # uint8 (N,), 1 = anomalous
    scores: Mapping[str, np.ndarray]  # float32 (N,): the headline's, then those of each rule that applies, by name


def judged(record: Record) -> Judged:
    """What a cell's record says of each image. Raises ``RecordError`` if it cannot be read."""
    images, under = record.scores(), record.rule_scores()
    order = np.argsort(images["index"], kind="stable")
    scores = {HEADLINE: images[f"score/{record.status.headline}"]}
    scores |= {name: under[f"score/{name}"] for name in sorted(record.rules()) if f"score/{name}" in under}
    return Judged(images["index"][order], images["label"][order], {name: of[order] for name, of in scores.items()})


def score_hashes(record: Record) -> dict[str, str]:
    """The hash of each score of a cell, 64 hexadecimal digits. Raises ``RecordError`` if they cannot be read."""
    return {name: score_hash(values) for name, values in judged(record).scores.items()}


def hashes_of(cells: Iterable[PlannedCell]) -> dict[str, dict[str, str]]:
    """The hashes of each done cell's scores, by its fingerprint. Raises ``RecordError`` for scores that are damaged.

    A record of before a cell's scores were kept, or one that was brought back without them, has none.
    """
    done = [cell.record for cell in cells if cell.state == "done" and cell.record is not None]
    return {record.fingerprint: score_hashes(record) for record in done if has_scores(record)}


def score_hash(values: np.ndarray) -> str:
    """The hash of scores (N,) in the order of the images' index."""
    return hashlib.sha256(np.ascontiguousarray(values, "<f4").tobytes()).hexdigest()


def is_hash_of(published: object, whole: str | None) -> bool:
    """Whether a published hash, all of it or its first DIGITS, is of the scores that have the hash ``whole``."""
    if whole is None or not isinstance(published, str) or len(published) not in (DIGITS, len(whole)):
        return False
    return whole.startswith(published)
