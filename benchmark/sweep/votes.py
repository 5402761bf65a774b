"""What a recorded cell says as the member of a committee; cells that did not judge the same images are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.cells import NUMERICS_VERSION
from benchmark.config import UsageError
from benchmark.engine.committee import LEAST
from benchmark.rules import rule_code
from benchmark.store.experiments import PlannedCell
from benchmark.store.files import RecordError
from benchmark.store.finished import code_fault
from benchmark.store.format import Member
from benchmark.store.records import Record
from benchmark.sweep.members import CHOSEN, OWN, Column

IMAGES = ("index", "label", "target")  # arrays of scores.npz that say which images were judged, and what they are


@dataclass(frozen=True)
class Seat:
    """A member and its cell."""

    column: Column
    cell: PlannedCell

    @property
    def record(self) -> Record:
        """Raises ``RecordError`` where there is none."""
        if self.cell.record is None:
            raise RecordError(f"{self.cell.name} has no record; run it again")
        return self.cell.record

    @property
    def rule(self) -> str:
        """The rule that gives its scores; "" where one was to be chosen and none was."""
        if self.column.rule != CHOSEN:
            return self.column.rule
        return self.record.status.chosen_rule or ""


@dataclass(frozen=True)
class Vote:
    """What a member says."""

    seat: Seat
    note: Member  # what the committee's record says of it
    images: Mapping[str, np.ndarray]  # IMAGES -> (N,)
    calibrated: np.ndarray  # int64 (C,): rows of the calibration images
    scores: np.ndarray  # float32 (N,)
    calibration: np.ndarray  # float32 (C,)


def unfit(seat: Seat) -> str:
    """Why a cell cannot vote now, and what it says of that later; "" if it can."""
    cell, record = seat.cell, seat.cell.record
    if cell.state != "done" or record is None:
        return f"{cell.name} is {cell.state}" + (f" ({cell.reason})" if cell.reason else "")
    if record.status.numerics != NUMERICS_VERSION:
        return f"{cell.name} is stale (numerics of version {record.status.numerics}, here {NUMERICS_VERSION})"
    if (fault := code_fault(record)) is not None:
        return f"{cell.name} is stale ({fault})"
    if seat.rule in (OWN, ""):
        return ""
    rule = record.rules().get(seat.rule)
    if rule is None:
        return f"{cell.name} was not judged under rule {seat.rule} yet"
    changed = rule_code(rule["config"]) != rule["code"]
    return f"{cell.name} is stale (the code of rule {seat.rule} changed)" if changed else ""


def vote_of(seat: Seat) -> Vote:
    """What the record of a cell that can vote says.

    Raises ``UsageError`` if its rule does not apply to it, if it has no calibration scores, or scores that are no
    numbers, ``RecordError`` for a record that is damaged.
    """
    column, record, name = seat.column, seat.record, seat.cell.name
    judged, kept = record.scores(), record.calibration() or {"index": np.zeros(0, np.int64)}
    found, code = _scores(seat, record, judged, kept)
    if len(kept["index"]) < LEAST or found["calibration"] is None:
        raise UsageError(
            f"{name} has no scores of calibration images, which a committee needs of each member. Run it again with "
            "split.calibration_share=0.1"
        )
    scores, calibration = found["score"], found["calibration"]
    if (len(scores), len(calibration)) != (len(judged["index"]), len(kept["index"])):
        raise RecordError(f"{record.path} has scores of other images; delete it and run the cell again")
    if not (np.isfinite(scores).all() and np.isfinite(calibration).all()):
        raise UsageError(f"{name} has scores that are not finite as {column.name}. Leave that out")
    note = Member(
        name=column.name,
        model=column.model,
        fingerprint=record.fingerprint,
        code=record.status.code,
        rule=seat.rule,
        rule_code=code,
        scores=hashlib.sha256(scores.tobytes() + calibration.tobytes()).hexdigest(),
    )
    return Vote(seat, note, {key: judged[key] for key in IMAGES}, kept["index"], scores, calibration)


def _scores(
    seat: Seat, record: Record, judged: Mapping[str, Any], kept: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """The member's scores of evaluated and of calibration images, and the code of the rule that made them."""
    rule = seat.rule
    if rule == "":
        raise UsageError(f"models: no rule was chosen for {seat.cell.name}. Name one instead of {CHOSEN}, or {OWN}")
    if rule == OWN:
        name = f"score/{record.status.headline}"
        return {"score": judged[name], "calibration": kept.get(name)}, ""
    entry, under = record.rules()[rule], record.rule_scores()
    if f"score/{rule}" not in under:
        why = f" ({entry['reason']})" if "reason" in entry else ""
        raise UsageError(f"rule {rule} does not apply to {seat.cell.name}{why}. Leave {seat.column.name} out")
    return {key: under.get(f"{key}/{rule}") for key in ("score", "calibration")}, entry["code"]


def refuse_unknown_rules(seats: Sequence[Seat], experiment: str) -> None:
    """Raise ``UsageError`` for a rule under which no cell of a member has been judged."""
    for column in dict.fromkeys(seat.column for seat in seats if seat.column.rule not in (OWN, CHOSEN)):
        records = [seat.cell.record for seat in seats if seat.column == column and seat.cell.record is not None]
        known = list(dict.fromkeys(rule for record in records for rule in record.rules()))
        if records and column.rule not in known:
            raise UsageError(
                f"models: no cell of {column.model} was judged under rule {column.rule}, but under: "
                f"{', '.join(['own', *known])}. Type: python -m benchmark.rescore experiment={experiment} "
                f"rule={column.rule}"
            )


def refuse_others(votes: Sequence[Vote]) -> None:
    """Raise ``UsageError`` unless all judged the same images in the same order, and no two say the very same."""
    first = votes[0]
    for i, one in enumerate(votes):
        if any((one.note.fingerprint, one.note.rule) == (vote.note.fingerprint, vote.note.rule) for vote in votes[:i]):
            raise UsageError(f"{one.note.name} is another member too: rule {one.note.rule}. Leave one of them out")
    for other in votes[1:]:
        if (what := _difference(first, other)) is not None:
            raise UsageError(
                f"{first.seat.cell.name} and {other.seat.cell.name} make no committee: {what}. Run both with the same "
                "settings of dataset and split"
            )


def _difference(one: Vote, other: Vote) -> str | None:
    a, b = one.seat.record.status, other.seat.record.status
    if a.data_version != b.data_version:
        return "their data sets differ"
    if dict(a.split) != dict(b.split):
        return "their splits differ"
    if not all(np.array_equal(one.images[key], other.images[key]) for key in IMAGES):
        return "their evaluated images differ, or the order of these"
    if not np.array_equal(one.calibrated, other.calibrated):
        return "their calibration images differ, or the order of these"
    return None
