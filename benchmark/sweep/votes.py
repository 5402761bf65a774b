"""What a recorded cell says as the member of a committee; cells that did not judge the same images are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.config import UsageError
from benchmark.engine.committee import LEAST
from benchmark.store.experiments import PlannedCell
from benchmark.store.files import RecordError
from benchmark.store.format import Member
from benchmark.store.records import Record
from benchmark.sweep.members import Column

IMAGES = ("index", "label", "target")  # arrays of scores.npz that say which images were judged, and what they are


@dataclass(frozen=True)
class Vote:
    """The scores of one member."""

    cell: PlannedCell
    record: Record
    note: Member  # what the committee's record says of it
    images: dict[str, np.ndarray]  # IMAGES -> (N,)
    calibrated: np.ndarray  # int64 (C,): rows of the calibration images
    scores: np.ndarray  # float32 (N,)
    calibration: np.ndarray  # float32 (C,)


def vote_of(column: Column, cell: PlannedCell, record: Record) -> Vote:
    """What the record of a done cell says under the column's rule.

    Raises ``UsageError`` if it lacks that, or says what is no number, ``RecordError`` for a record that is damaged.
    """
    judged, kept = record.scores(), record.calibration() or {"index": np.zeros(0, np.int64)}
    if len(kept["index"]) < LEAST:
        raise UsageError(
            f"{cell.name} has {len(kept['index'])} calibration images, and a committee needs {LEAST} or more of each "
            "member. Run it again with split.calibration_share=0.1"
        )
    rule_code = ""
    if column.is_own:
        name = f"score/{record.status.headline}"
        found = {"score": judged.get(name), "calibration": kept.get(name)}
    else:
        under = record.rules() or {}
        found = {key: under.get(f"{key}/{column.rule}") for key in ("score", "calibration")}
        rule_code = record.rule_code(column.rule) if f"score/{column.rule}" in under else ""
    scores, calibration = _checked(column, cell, found, record.status.experiment_name)
    if (len(scores), len(calibration)) != (len(judged["index"]), len(kept["index"])):
        raise RecordError(f"{cell.folder} has scores of other images; delete it and run the cell again")
    digest = hashlib.sha256(scores.tobytes() + calibration.tobytes()).hexdigest()
    status = record.status
    note = Member(
        name=column.name,
        model=column.model,
        fingerprint=status.fingerprint,
        code=status.code,
        rule_code=rule_code,
        scores=digest,
    )
    return Vote(cell, record, note, {key: judged[key] for key in IMAGES}, kept["index"], scores, calibration)


def _checked(
    column: Column, cell: PlannedCell, found: dict[str, Any], experiment: str
) -> tuple[np.ndarray, np.ndarray]:
    scores, calibration = found["score"], found["calibration"]
    if scores is None or calibration is None:
        raise UsageError(
            f"{cell.name} has no scores under rule {column.rule}. Type: python -m benchmark.rescore experiment="
            f"{experiment} rule={column.rule}. If the rule does not apply to {column.model}, leave {column.name} out"
        )
    if not (np.isfinite(scores).all() and np.isfinite(calibration).all()):
        raise UsageError(
            f"{cell.name} has scores that are not finite under rule {column.rule}. Leave {column.name} out"
        )
    return scores, calibration


def refuse_others(votes: Sequence[Vote]) -> None:
    """Raise ``UsageError`` unless all judged the same images in the same order, after the same training images."""
    first = votes[0]
    for other in votes[1:]:
        if (what := _difference(first, other)) is not None:
            raise UsageError(
                f"{first.cell.name} and {other.cell.name} make no committee: {what}. Run both with the same settings "
                "of split and dataset"
            )


def _difference(one: Vote, other: Vote) -> str | None:
    a, b = one.record.status, other.record.status
    if a.data_version != b.data_version:
        return "their data sets differ"
    if dict(a.split) != dict(b.split):
        return "their splits differ"
    if not all(np.array_equal(one.images[key], other.images[key]) for key in IMAGES):
        return "their evaluated images differ, or the order of these"
    if not np.array_equal(one.calibrated, other.calibrated):
        return "their calibration images differ, or the order of these"
    return None
