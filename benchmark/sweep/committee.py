"""A committee of recorded cells: laid out and written down as a sweep's cells are, judged as they are, never trained.

Its cells stand in a column of their own, ``committee (members=[...])``, one for every data set, split, class and seed
of which each member has a cell. One whose members are not all done is planned and missing, and made by the same
command later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from benchmark.cells import NUMERICS_VERSION, Axes, cell_path
from benchmark.code_hash import cell_code, code_now
from benchmark.config import UsageError
from benchmark.data.synthetic import kinds_of
from benchmark.engine.committee import FORMULA, NAME, TARGET, combine
from benchmark.engine.verdict import Images, score_arrays
from benchmark.say import named
from benchmark.store.environment import environment, git_revision
from benchmark.store.experiments import PlannedCell, column_label, write_job
from benchmark.store.finished import finished_in
from benchmark.store.format import Entry, Member, PlannedJob, Status
from benchmark.store.leases import Leases, lock
from benchmark.store.records import Content, auroc_text, write_record
from benchmark.sweep.job import now
from benchmark.sweep.members import Column, committee_variant
from benchmark.sweep.votes import Seat, Vote, refuse_others, refuse_unknown_rules, unfit, vote_of

COSTS = ("train_seconds", "score_seconds", "parameters")  # a committee costs what its members do


@dataclass(frozen=True)
class Committee:
    """A cell of a committee."""

    axes: Axes
    seats: tuple[Seat, ...]
    fingerprint: str
    members: tuple[Member, ...] = ()  # what its record says of them; nothing while it waits
    waits: str = ""  # why it cannot be made yet

    @property
    def variant(self) -> str:
        return committee_variant([seat.column for seat in self.seats])

    @property
    def path(self) -> Path:
        return cell_path(self.axes, self.fingerprint)

    @property
    def name(self) -> str:
        axes, label = self.axes, column_label(NAME, self.variant)
        return f"{label} {axes.dataset} {axes.split} {axes.normal_class} seed {axes.seed}"


@dataclass(frozen=True)
class Ended:
    """What became of a cell."""

    cell: Committee
    state: str  # done | waiting | busy | failed
    what: str
    before: bool = False  # it was done before


def lay_out(columns: Sequence[Column], cells: Sequence[PlannedCell], experiment: str) -> list[Committee]:
    """The cells of a committee of these columns of an experiment. All scores are read and checked; nothing is written.

    Raises ``UsageError`` if members did not judge the same images, were not judged under their rules, or have no data
    set, split, class and seed in common.
    """
    of_columns = [_by_axes(column, cells) for column in columns]
    shared = [axes for axes in of_columns[0] if all(axes in found for found in of_columns)]
    if not shared:
        names = ", ".join(column.name for column in columns)
        raise UsageError(
            f"models: {names} have no data set, split, class and seed in common. Run them on the same ones"
        )
    refuse_unknown_rules([found[axes] for axes in shared for found in of_columns], experiment)
    return [_committee(axes, tuple(found[axes] for found in of_columns)) for axes in shared]


def left_out(columns: Sequence[Column], cells: Sequence[PlannedCell]) -> int:
    """How many cells of these columns have no part in it, as another member has none of their axes."""
    of_columns = [_by_axes(column, cells) for column in columns]
    return sum(any(axes not in other for other in of_columns) for found in of_columns for axes in found)


def _by_axes(column: Column, cells: Sequence[PlannedCell]) -> dict[Axes, Seat]:
    chosen = (cell for cell in cells if (cell.axes.model, cell.variant) == (column.model, column.variant))
    return {replace(cell.axes, model=NAME): Seat(column, cell) for cell in chosen}


def _committee(axes: Axes, seats: tuple[Seat, ...]) -> Committee:
    waits = next(filter(None, map(unfit, seats)), "")
    if waits:  # it is planned as what it will be, as far as that is known
        expected = [(seat.cell.fingerprint, _code(seat.cell), seat.column.rule, "") for seat in seats]
        return Committee(axes, seats, _fingerprint(expected), waits=waits)
    votes = [vote_of(seat) for seat in seats]
    refuse_others(votes)
    notes = tuple(vote.note for vote in votes)
    of = [(note.fingerprint, note.code, note.rule, note.rule_code) for note in notes]
    return Committee(axes, seats, _fingerprint(of), notes)


def _code(cell: PlannedCell) -> str:
    """The code by which a cell that is to be run will be made."""
    return code_now(cell.axes.model, cell.record.status.code if cell.record is not None else None)


def _fingerprint(members: Sequence[tuple[str, str, str, str]]) -> str:
    """SHA-256 of what decides a committee's numbers: each member's fingerprint, code, rule and code of the rule."""
    content = {"numerics": NUMERICS_VERSION, "committee": FORMULA, "members": members}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_plan(cells: Sequence[Committee], output_dir: Path, experiment: str, command: str, source: str) -> None:
    """Write which cells belong to the command, as a job of ``experiment``; ``source`` is that of the members."""
    columns = [seat.column for seat in cells[0].seats]
    digest = hashlib.sha256(json.dumps([NAME, source, [asdict(column) for column in columns]]).encode()).hexdigest()
    job = PlannedJob(
        job=digest[:16],
        started=now(),
        command=command,
        overrides=(f"experiment={source}", f"models=[{','.join(column.name for column in columns)}]"),
        git_revision=git_revision(),
        config_hash=digest,
        cells=tuple(map(_entry, cells)),
    )
    with lock(output_dir):
        write_job(output_dir, experiment, job)


def _entry(cell: Committee) -> Entry:
    return Entry(axes=cell.axes, variant=cell.variant, fingerprint=cell.fingerprint, path=cell.path.as_posix())


def make(cells: Sequence[Committee], output_dir: Path, experiment: str) -> Iterator[Ended]:
    """Judge every cell that is not done yet, and write its record; yields what became of each.

    One is done if its members say what they said when its record was written. One that another process makes at this
    moment is left to it.
    """
    with Leases(output_dir) as leases:
        for cell in cells:
            if cell.waits:
                yield Ended(cell, "waiting", cell.waits)
                continue
            folder = output_dir / cell.path
            try:
                busy = leases.take([folder])
                ended = Ended(cell, "busy", busy[folder].holder) if busy else _made(cell, folder, experiment)
            except OSError as error:
                what = f"its record could not be written ({named(error)}); what was there before is kept"
                ended = Ended(cell, "failed", what)
            leases.give_back([folder])
            yield ended


def _made(cell: Committee, folder: Path, experiment: str) -> Ended:
    there = finished_in(folder, cell.fingerprint)
    if there is not None and there.status.members == cell.members:
        return Ended(cell, "done", auroc_text(there.metrics), before=True)
    started = now()
    votes = [vote_of(seat) for seat in cell.seats]
    of_member, first = votes[0].seat.record.config(), votes[0].seat.record.status
    kinds = kinds_of(cell.axes.evaluate_on, of_member["dataset"].get("other_kinds") or ())
    metrics, arrays = judge(votes, len(of_member["dataset"]["classes"]), kinds)
    status = Status(
        state="done",
        fingerprint=cell.fingerprint,
        code=cell_code(NAME, TARGET),
        numerics=NUMERICS_VERSION,
        experiment_name=experiment,
        axes=cell.axes,
        variant=cell.variant,
        headline=NAME,
        split=first.split,
        data_version=first.data_version,
        started=started,
        finished=now(),
        members=cell.members,
    )
    config = OmegaConf.to_yaml(OmegaConf.create(_config(cell, of_member, experiment)))
    write_record(folder, status, Content(config, environment("cpu", "fp32"), metrics, arrays))
    return Ended(cell, "done", auroc_text(metrics))


def judge(
    votes: Sequence[Vote], classes: int, kinds: Sequence[str]
) -> tuple[dict[str, float], dict[str, dict[str, np.ndarray]]]:
    """Metrics and arrays of a committee, as a record has them; of so many ``classes`` and ``kinds`` of anomalies.

    ``calibration.npz`` has besides what each member's scores were brought to one scale by: ``mean`` and ``sd`` (M,).
    """
    found = combine([vote.scores for vote in votes], [vote.calibration for vote in votes])
    images, scores = Images(**votes[0].images), {NAME: found.scores}
    cells = {
        vote.note.fingerprint: vote.seat.record.metrics for vote in votes
    }.values()  # one under two rules costs once
    metrics = {
        **images.quality(scores, NAME),
        **{key: sum(cell[key] for cell in cells) for key in COSTS if all(key in cell for cell in cells)},
        **images.counts(int(votes[0].seat.record.metrics["n_train"])),
        **images.at_threshold(found.scores, found.calibration),
        **images.against_kinds(found.scores, classes, kinds),
    }
    calibration = {"index": votes[0].calibrated, **score_arrays({NAME: found.calibration})}
    return metrics, {
        "scores": images.arrays(scores),
        "calibration": {**calibration, "mean": found.mean, "sd": found.sd},
    }


def _config(cell: Committee, of_member: dict[str, Any], experiment: str) -> dict[str, Any]:
    """What ``config.yaml`` says: the members, and what the configurations of all have in common."""
    members = [
        {
            **asdict(note),
            "variant": seat.column.variant,
            "path": cell_path(seat.cell.axes, note.fingerprint).as_posix(),
        }
        for note, seat in zip(cell.members, cell.seats, strict=True)
    ]
    return {
        "model": {"name": NAME, "headline": NAME, "formula": FORMULA, "members": members},
        "dataset": of_member["dataset"],
        "split": of_member["split"],
        "seed": cell.axes.seed,
        "experiment_name": experiment,
    }
