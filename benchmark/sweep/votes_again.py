"""Published committees made once more, of members that were run again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.config import UsageError
from benchmark.report.agreement import RULE
from benchmark.report.committed import Committed
from benchmark.store.experiments import collect
from benchmark.store.files import RecordError
from benchmark.store.finished import finished_in
from benchmark.store.records import Record
from benchmark.sweep.committee import lay_out, make
from benchmark.sweep.members import CHOSEN, OWN, SHIPPED, Wanted, find_members, read_members

AXES = ("dataset", "split", "evaluate_on", "normal_class", "seed")  # that a committee and its members share
VARIANT = re.compile(r"(?P<shared>.*?) ?members=\[(?P<members>.*)\]")
Row = Mapping[str, Any]  # of cells.csv


@dataclass(frozen=True)
class Members:
    """Of whom a published committee was made."""

    wanted: Sequence[Wanted]
    rows: Sequence[Row]  # theirs; none if one is missing
    why: str = ""  # what is missing


def members_of(committed: Committed, row: Row) -> Members:
    """The rows of a committee's members in the same report, found by its variant, which names them."""
    found = VARIANT.fullmatch(row["variant"])
    if found is None:
        return Members((), (), f"its variant names no members: {row['variant']}")
    frame = committed.frame[committed.frame["state"] == "done"]
    for name in AXES:
        frame = frame[frame[name] == row[name]]
    alike = frame.to_dict("records")
    wanted = read_members(found["members"])
    rows = []
    for one in wanted:
        settings = {*found["shared"].split(), *(part for part in one.settings or () if part != SHIPPED)}
        of = [r for r in alike if r["model"] == one.model and set(r["variant"].split()) == settings and _under(one, r)]
        if len(of) != 1:
            return Members((), (), f"its member {one.typed} is no cell of the report")
        rows += of
    return Members(wanted, rows)


def _under(one: Wanted, row: Row) -> bool:
    """Whether a cell was judged by the rule of a member."""
    rule = row["chosen_rule"] if one.rule == CHOSEN else one.rule or OWN
    value = row.get(f"{RULE}{rule}")
    return rule == OWN or (value is not None and value == value)


def vote_again(row: Row, members: Members, output_dir: Path, experiment: str) -> Record | str:
    """The record of a committee, made of the cells of ``experiment`` that its members' rows are of; else why not."""
    names = {member["fingerprint"] for member in members.rows}
    cells = [cell for cell in collect(output_dir, experiment).cells if cell.fingerprint in names]
    if len(cells) < len(names):
        return "not all of its members were run again"
    try:
        (committee,) = lay_out(find_members(members.wanted, cells, experiment), cells, experiment)
    except (UsageError, RecordError) as error:
        return str(error)
    if committee.waits:
        return committee.waits
    if committee.fingerprint != row["fingerprint"]:
        return f"its members give another fingerprint here ({committee.fingerprint[:12]}): their code or rules changed"
    (ended,) = make([committee], output_dir, experiment)
    return finished_in(output_dir / committee.path, committee.fingerprint) or ended.what
