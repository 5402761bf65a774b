"""Cells of the report that is published already, kept in the next one: ``carry=true``.

A large table is made in parts, on machines that are lost afterwards. Of the published report those done cells are kept
that have no record below ``output_dir``: cells of classes, seeds or models that were not planned there, and planned
ones of the very same fingerprint that are missing. Tables, statistics and claims then cover both. A cell of another
protocol, of rules of another version or of other code is refused by name. What needs the scores of each image is kept
as it was published, or says what it leaves out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.config import UsageError
from benchmark.engine.committee import NAME as COMMITTEE
from benchmark.report.alike import (
    KEY,
    Asker,
    in_short,
    keys,
    own_rules,
    refuse_images,
    refuse_protocol,
    refuse_rules,
    rows_of,
    rule_columns,
)
from benchmark.report.committed import Committed
from benchmark.report.frame import joined
from benchmark.report.manifest import AXES
from benchmark.report.packed import HASHES
from benchmark.report.parts import stale, standing
from benchmark.store.experiments import MISSING, Collection, PlannedCell, warnings_of_code

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Carried:
    """Published cells that are kept."""

    frame: pd.DataFrame  # their rows, as cells.csv has them
    committed: Committed
    notes: list[str]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def fingerprints(self) -> list[str]:
        return list(self.frame["fingerprint"])

    def beside(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One's own rows and these; a cell that is kept is not missing any more."""
        kept = set(_names(self.frame))
        return joined(frame[[name not in kept for name in _names(frame)]], self.frame)

    def of(self, dataset: str, split: str, evaluate_on: str) -> int:
        """How many of them belong to one table."""
        return len(rows_of(self.frame, (dataset, split, evaluate_on)))

    def left_out(self, files: Sequence[str]) -> list[str]:
        """What is said of figures of the former report that are not among ``files``, those of the new one."""
        former = [name for name in self.committed.manifest.get("files", []) if name.startswith("figures/")]
        count = len(set(former) - set(files))
        return [f"{count} figures that were published are left out; figures=true keeps those"] if count else []


def let_stand(collection: Collection, folder: Path, experiment: str) -> Collection:
    """The cells of an experiment, of which those that it leaves to the report in ``folder`` are missing here.

    Whatever became of them: a warning says it (``standing`` in ``report/parts.py``).
    """
    left = standing(collection.cells, collection.jobs, folder, experiment)
    fingerprints = {cell.fingerprint for cell in left}
    cells = [
        replace(cell, state=MISSING, record=None, reason=f"left to {folder.as_posix()}")
        if cell.fingerprint in fingerprints
        else cell
        for cell in collection.cells
    ]
    of_code = warnings_of_code(collection.cells)
    said = [text for text in collection.warnings if text not in of_code] + warnings_of_code(cells)
    tried = [cell for cell in left if cell.state != MISSING]
    if tried:
        states = Counter("stale" if cell.state == "done" else cell.state for cell in tried)
        said.append(
            f"{len(tried)} of the cells that are kept have a record here that is not finished "
            f"({', '.join(f'{count} {state}' for state, count in states.items())}); published=skip lets the published "
            f"ones stand: {_some([cell.name for cell in tried])}"
        )
    return replace(collection, cells=cells, warnings=said)


def carry_over(cells: Sequence[PlannedCell], frame: pd.DataFrame, committed: Committed, strict: bool = True) -> Carried:
    """The published cells that are kept beside ``frame``, whose planned cells are ``cells``.

    Raises ``UsageError`` for the first thing in which the two are not alike, and with ``strict`` for cells of other
    code or numerics than these; without, a note says how many there are.
    """
    theirs = committed.frame[committed.frame["state"] == "done"]
    own = dict(zip(_names(frame), frame.to_dict("records"), strict=True))
    names = _names(theirs)
    wanted = [_is_wanted(own.get(name), row) for name, row in zip(names, theirs.to_dict("records"), strict=True)]
    kept, notes = theirs[wanted], []
    replaced = [name for name, keep in zip(names, wanted, strict=True) if not keep and own[name]["state"] == MISSING]
    if replaced:
        notes.append(
            f"{len(replaced)} published cells are of another configuration than the one planned here, and not kept: "
            f"{_some(replaced)}"
        )
    if not len(kept):
        return Carried(kept, committed, notes)
    notes += _refuse_stale(kept, committed, strict)
    parts = [part for _, part in kept.groupby(list(KEY), sort=False)]
    asker = _asker(committed)
    refuse_protocol(cells, parts, committed, asker)
    for part in parts:
        _refuse_images(rows_of(frame, part.iloc[0][list(KEY)]), part, asker)
    columns, rules = rule_columns(kept), own_rules(cells)
    if committed.rules is None and columns and rules:
        why = "its rules were published before their code was noted"
        if strict:
            raise UsageError(
                f"{asker.where}: {why}. Judge those cells again, type stale=true (page and manifest then say so), or "
                f"{asker.instead}"
            )
        notes.append(f"{why}: those of the cells that are kept may be of other code")
    else:
        refuse_rules(columns, rules, committed, asker)
    said = (
        f"{len(kept)} of the cells are kept from the report of revision {committed.revision}, as they were published: "
        "their records are not here. Figures of single images, files of scores and the page of images are of the "
        "other cells, or kept as they were"
    )
    return Carried(kept, committed, [said, *notes])


def _is_wanted(own: Mapping[str, Any] | None, row: Mapping[str, Any]) -> bool:
    """Whether a published cell has no record here: it was not planned, or as this very cell, and is missing.

    A committee that waits for members has no fingerprint that counts: it is that of what they will say.
    """
    if own is None or own["state"] != MISSING:
        return own is None
    return own["fingerprint"] == row["fingerprint"] or row["model"] == COMMITTEE


def _refuse_stale(kept: pd.DataFrame, committed: Committed, strict: bool) -> list[str]:
    """Raise ``UsageError`` if cells of other code or numerics would be published unasked; else a note of each kind."""
    faults = [stale(committed, row) for row in kept.to_dict("records")]
    names = [name for name, fault in zip(_names(kept), faults, strict=True) if fault is not None]
    found = Counter(fault for fault in faults if fault is not None)
    why = ", ".join(f"{count}: {fault}" for fault, count in found.items())
    if found and strict:
        raise UsageError(
            f"carry=true: {found.total()} of the {len(kept)} published cells without a record here are stale ({why}) "
            f"and not kept unasked: {_some(names)}. Run them again, or type stale=true: page and manifest then say so"
        )
    return [f"{count} cells that are kept are stale: {fault}" for fault, count in found.items()]


def _refuse_images(own: pd.DataFrame, theirs: pd.DataFrame, asker: Asker) -> None:
    """Raise ``UsageError`` if the cells of one table were judged on other numbers of images there than here.

    Class by class; and of other classes too, where all cells here have one number and all there another.
    """
    refuse_images(own, theirs, asker)
    done = own[own["state"] == "done"]
    here, there = ({int(n) for n in rows["n_test"].dropna()} for rows in (done, theirs))
    if len(here) == len(there) == 1 and here != there:
        raise UsageError(
            f"{asker.where}: {keys(theirs)} was judged there on {in_short(there)} images, here on {in_short(here)} "
            f"(split.test_limit). Run yours on the same images, or {asker.instead}"
        )


def refuse_hashed(carried: Carried) -> None:
    """Raise ``UsageError`` if a brief report would drop published hashes of scores that no record here gives again."""
    count = sum(bool(carried.committed.hashes(fingerprint)) for fingerprint in carried.fingerprints)
    if count:
        raise UsageError(
            f"brief=true leaves out the hashes of scores, which {count} of the cells that are kept have in "
            f"{carried.committed.folder.as_posix()}, and no record here gives them again. "
            "Leave brief=true out, or type replace=true"
        )


def into_manifest(manifest: Mapping[str, Any], carried: Carried, hashed: bool = True) -> dict[str, Any]:
    """The manifest of a report, with what the former one says of the cells that are kept.

    Its jobs and commands come first, as they were run first. Each such cell names the revision of the report that had
    its record, and with ``hashed`` has the hashes of its scores.
    """
    former = carried.committed.manifest
    commands = list(dict.fromkeys([*former.get("commands", []), *manifest["commands"]]))
    jobs = [
        {**job, "command": commands.index(source["commands"][job["command"]])} if "command" in job else dict(job)
        for source in (former, manifest)
        for job in source["jobs"]
    ]
    unique = {job["config_hash"] + job.get("started", ""): job for job in jobs}
    environments, origins = list(manifest["environments"]), list(manifest["origins"])
    entries = {cell["fingerprint"]: cell for cell in manifest["cells"]}
    told: Counter[str] = Counter()
    for fingerprint in carried.fingerprints:
        cell = dict(carried.committed.cells[fingerprint])
        cell["carried"] = cell.get("carried", str(former.get("report_git_revision", "unknown")))
        told[cell["carried"]] += 1
        if not hashed:
            cell.pop(HASHES, None)
        if (place := cell.get("origin")) is not None:
            origin = dict(former["origins"][place])
            origin["environment"] = _place(environments, former["environments"][origin["environment"]])
            cell["origin"] = _in(origins, origin)
        entries[fingerprint] = cell
    kept = {"scores": former["scores"]} if "scores" in former and "scores" not in manifest else {}
    return {
        **manifest,
        **kept,
        "commands": commands,
        "jobs": list(unique.values()),
        "environments": environments,
        "origins": origins,
        "rules": _rules(manifest["rules"], carried),
        "cells": [entries[cell["fingerprint"]] for cell in manifest["cells"]],
        "carried": [{"git_revision": revision, "cells": count} for revision, count in told.items()],
        "last_cell_finished": max(manifest["last_cell_finished"], str(former.get("last_cell_finished", ""))),
    }


def _place(environments: list[dict[str, Any]], wanted: Mapping[str, Any]) -> int:
    """Where an environment stands, counted once more; put at the end if it is new."""
    told = {key: value for key, value in wanted.items() if key != "cells"}
    for place, known in enumerate(environments):
        if {key: value for key, value in known.items() if key != "cells"} == told:
            environments[place] = {**known, "cells": known["cells"] + 1}
            return place
    environments.append({**told, "cells": 1})
    return len(environments) - 1


def _in(entries: list[Any], wanted: Any) -> int:
    if wanted not in entries:
        entries.append(wanted)
    return entries.index(wanted)


def _rules(own: Sequence[Mapping[str, Any]], carried: Carried) -> list[dict[str, Any]]:
    """The rules that judged the cells of both, each with the number of its cells."""
    found = [dict(rule) for rule in own]
    for rule in carried.committed.manifest.get("rules", []):
        name = f"auroc_rule_{rule['name']}"
        alone = len((carried.committed.rules or {}).get(rule["name"], [])) == 1
        count = int(carried.frame[name].notna().sum()) if alone and name in carried.frame else rule["cells"]
        same = next((one for one in found if all(one[key] == rule[key] for key in ("name", "code", "config"))), None)
        if same is not None:
            same["cells"] += count
        elif count:
            found.append({**rule, "cells": count})
    return sorted(found, key=lambda rule: (rule["name"], rule["code"]))


def _asker(committed: Committed) -> Asker:
    return Asker(f"carry=true cannot keep what {committed.folder.as_posix()} has", "leave carry= out")


def _names(frame: pd.DataFrame) -> list[str]:
    rows = frame[list(AXES)].astype(str).itertuples(index=False)
    return [" ".join(part for part in row if part) for row in rows]


def _some(names: Sequence[str], shown: int = 3) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
