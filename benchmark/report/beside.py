"""Columns of a published experiment beside one's own, without training them again: ``beside=paper``.

Only what was measured in the same way is set side by side. Another version of data, split or numerics, another number
of evaluated images, rules of other code, and classes or seeds that are not published are refused by name. Of the
published cells those of one's own classes and seeds are taken; each is marked with the folder and its revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.config import UsageError
from benchmark.report.committed import MARK, Committed
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    import pandas as pd

KEY = ("dataset", "split", "evaluate_on")  # what the cells of one table share
PROTOCOL = {
    "numerics": "version of the numerics",
    "split_version": "version of the split",
    "data_version": "version of the data",
}  # entry of a cell's origin -> what it is
RULE = "auroc_rule_"  # column of a rule's AUROC


@dataclass(frozen=True)
class Others:
    """Published cells that may stand beside one's own."""

    frame: pd.DataFrame  # as cells.csv has them, but for the mark in their variant
    notes: list[str]
    source: dict[str, Any]  # what the manifest says of them

    def after(self, frame: pd.DataFrame) -> pd.DataFrame:
        """One's own rows, then these."""
        import pandas as pd

        return pd.concat([frame, self.frame], ignore_index=True)


def set_beside(
    cells: Sequence[PlannedCell], frame: pd.DataFrame, committed: Committed, models: str | None = None
) -> Others:
    """The published cells of the classes and seeds of ``frame``, whose planned cells are ``cells``.

    ``models`` are the only ones to take, ``ae,vae``: the fewer columns, the fewer tests to correct for.

    Raises ``UsageError`` for the first thing that makes a comparison of two that are not alike.
    """
    theirs = committed.frame[committed.frame["state"] == "done"]
    if models is not None:
        known, wanted = list(dict.fromkeys(theirs["model"])), models.split(",")
        if unknown := [name for name in wanted if name not in known]:
            raise UsageError(f"beside_model={unknown[0]}: {_where(committed)}, as it has: {', '.join(known)}")
        theirs = theirs[theirs["model"].isin(wanted)]
    parts = [part for key, part in frame.groupby(list(KEY), sort=False) if len(_of(theirs, key))]
    if not parts:
        raise UsageError(
            f"{_where(committed)}: no cell of it is of {_keys(frame)}. It has: {_keys(theirs)}. "
            "Leave beside= out, or name another experiment"
        )
    chosen = [_alike(part, _of(theirs, tuple(part.iloc[0][list(KEY)])), committed) for part in parts]
    notes = _refuse_protocol(cells, chosen, committed)
    names = [index for part in chosen for index in part.index]
    taken, more = _under_same_rules(cells, theirs.loc[names], committed)
    mark = f"{MARK}{committed.folder.name}@{committed.revision[:7]}"
    taken = taken.assign(variant=[f"{variant} {mark}".strip() for variant in taken["variant"]])
    said = (
        f"{len(taken)} cells marked {mark} stand here as results/{committed.folder.name} has them (revision "
        f"{committed.revision}); they were not run for this report, and no two of them are tested against each other"
    )
    source = {"experiment": committed.folder.name, "git_revision": committed.revision, "cells": len(taken)}
    return Others(taken, [said, *notes, *more], source)


def _alike(own: pd.DataFrame, theirs: pd.DataFrame, committed: Committed) -> pd.DataFrame:
    """The published rows of one table that are of one's own classes and seeds, judged on as many images."""
    for column, what, setting in (
        ("normal_class", "class", "split.normal_class"),
        ("seed", "seed", "seed"),
    ):
        wanted, there = (sorted({int(value) for value in rows[column]}) for rows in (own, theirs))
        if lacking := [value for value in wanted if value not in there]:
            raise UsageError(
                f"{_where(committed)}: it has no {what} {_listed(lacking)} of {_keys(own)}, but {_listed(there)}: "
                f"means over others are no comparison. Run: {setting}=[{','.join(map(str, there))}] under another "
                "experiment_name"
            )
    pairs = set(zip(own["normal_class"], own["seed"], strict=True))
    kept = [pair in pairs for pair in zip(theirs["normal_class"], theirs["seed"], strict=True)]
    theirs = theirs[kept]
    if not len(theirs):
        raise UsageError(f"{_where(committed)}: of {_keys(own)} it has no cell with class and seed of one of yours")
    for column, what in (("n_test", "images"), ("n_test_anomalous", "anomalous images")):
        counts, others = (_counts(rows, column) for rows in (own, theirs))
        for label, count in counts.items():
            if others.get(label, count) != count:
                raise UsageError(
                    f"{_where(committed)}: {_keys(own)}, class {label} was judged there on {_some(others[label])} "
                    f"{what}, here on {_some(count)} (split.test_limit). Run yours on the same images"
                )
    return theirs


def _counts(rows: pd.DataFrame, column: str) -> dict[int, frozenset[int]]:
    """Class -> how many images its done cells were judged on."""
    if column not in rows:
        return {}
    known = rows[(rows["state"] == "done") & rows[column].notna()]
    return {int(label): frozenset(map(int, part[column])) for label, part in known.groupby("normal_class")}


def _refuse_protocol(cells: Sequence[PlannedCell], chosen: Sequence[pd.DataFrame], committed: Committed) -> list[str]:
    """Raise ``UsageError`` for another version of data, split or numerics; says what could not be compared."""
    unknown = 0
    for rows in chosen:
        key = tuple(rows.iloc[0][list(KEY)])
        alike = (cell for cell in cells if cell.state == "done" and _key(cell) == key)
        records = [cell.record for cell in alike if cell.record is not None]
        origins = [committed.origin(fingerprint) for fingerprint in rows["fingerprint"]]
        unknown += sum(not origin for origin in origins)
        own = [
            {
                "numerics": record.status.numerics,
                "split_version": record.status.split.get("version"),
                "data_version": record.status.data_version,
            }
            for record in records
        ]
        for name, what in PROTOCOL.items():
            here, there = ({str(origin[name]) for origin in found if origin} for found in (own, origins))
            if here and there and here != there:
                raise UsageError(
                    f"{_where(committed)}: {' '.join(key)} is of another {what} there: {_some(there)}, here "
                    f"{_some(here)}. Type: git checkout {committed.revision[:7]} and run yours there, or leave "
                    "beside= out"
                )
    if not unknown:
        return []
    return [
        f"results/{committed.folder.name} was published before versions of data, split and numerics were noted: "
        "that they are the same here was not compared, but for the number of images"
    ]


def _under_same_rules(
    cells: Sequence[PlannedCell], theirs: pd.DataFrame, committed: Committed
) -> tuple[pd.DataFrame, list[str]]:
    """The rows, without rules of which nothing is known. Raises ``UsageError`` for a rule of another version."""
    columns = [name for name in theirs if name.startswith(RULE) and theirs[name].notna().any()]
    own: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        for name, entry in (cell.record.rules() if cell.record is not None else {}).items():
            if "reason" not in entry:
                own.setdefault(name, []).append({key: entry.get(key) for key in ("config", "code")})
    if not columns or not own:
        return theirs, []
    if committed.rules is None:
        why = "are left out: it was published before their code was noted"
        rest = theirs.drop(columns=columns).assign(chosen_rule="")
        return rest, [f"the rules of results/{committed.folder.name} {why}"]
    for name in (column.removeprefix(RULE) for column in columns):
        if name in own:
            _refuse_rule(name, own[name], committed.rules.get(name, []), committed)
    return theirs, []


def _refuse_rule(
    name: str, own: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], committed: Committed
) -> None:
    """Raise ``UsageError`` unless a rule has one version there, and each of one's own is that one."""
    if len(theirs) > 1:
        raise UsageError(
            f"{_where(committed)}: its cells were judged by {len(theirs)} versions of rule {name}. Leave beside= out"
        )
    codes = {version["code"] for version in theirs}
    if any(version not in theirs for version in own):
        which = "settings" if all(version["code"] in codes for version in own) else "code"
        raise UsageError(
            f"{_where(committed)}: rule {name} has other {which} there than here. "
            f"Type: git checkout {committed.revision[:7]} and judge yours there, or leave beside= out"
        )


def _key(cell: PlannedCell) -> tuple[str, ...]:
    return tuple(getattr(cell.axes, name) for name in KEY)


def _of(frame: pd.DataFrame, key: Iterable[str]) -> pd.DataFrame:
    kept = frame
    for name, value in zip(KEY, key, strict=True):
        kept = kept[kept[name] == value]
    return kept


def _keys(frame: pd.DataFrame) -> str:
    rows = frame[list(KEY)].drop_duplicates().itertuples(index=False)
    return ", ".join(" ".join(map(str, row)) for row in rows)


def _where(committed: Committed) -> str:
    return f"beside={committed.folder.name} cannot stand beside these"


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))


def _some(values: Iterable[Any]) -> str:
    """Values in short: of hashes the first sixteen digits."""
    return " and ".join(sorted(str(value)[:16] for value in values))
