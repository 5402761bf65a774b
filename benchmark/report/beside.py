"""Columns of a published experiment beside one's own, without training them again: ``beside=paper``.

Only what was measured in the same way is set side by side. Another version of data, split or numerics, another number
of evaluated images, rules of other code, and classes or seeds that are not published are refused by name. Of the
published cells those of one's own classes and seeds are taken; each is marked with the folder and its revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.config import UsageError
from benchmark.report.alike import (
    KEY,
    Asker,
    keys,
    own_rules,
    refuse_images,
    refuse_protocol,
    refuse_rules,
    rows_of,
    rule_columns,
)
from benchmark.report.committed import MARK, Committed
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    import pandas as pd


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
    parts = [part for key, part in frame.groupby(list(KEY), sort=False) if len(rows_of(theirs, key))]
    if not parts:
        raise UsageError(
            f"{_where(committed)}: no cell of it is of {keys(frame)}. It has: {keys(theirs)}. "
            "Leave beside= out, or name another experiment"
        )
    chosen = [_alike(part, rows_of(theirs, tuple(part.iloc[0][list(KEY)])), committed) for part in parts]
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
    return Others(taken, [said, *committed.renamed, *notes, *more], source)


def _alike(own: pd.DataFrame, theirs: pd.DataFrame, committed: Committed) -> pd.DataFrame:
    """The published rows of one table that are of one's own classes and seeds, judged on as many images."""
    for column, what, setting in (
        ("normal_class", "class", "split.normal_class"),
        ("seed", "seed", "seed"),
    ):
        wanted, there = (sorted({int(value) for value in rows[column]}) for rows in (own, theirs))
        if lacking := [value for value in wanted if value not in there]:
            raise UsageError(
                f"{_where(committed)}: it has no {what} {_listed(lacking)} of {keys(own)}, but {_listed(there)}: "
                f"means over others are no comparison. Run: {setting}=[{','.join(map(str, there))}] under another "
                "experiment_name"
            )
    pairs = set(zip(own["normal_class"], own["seed"], strict=True))
    kept = [pair in pairs for pair in zip(theirs["normal_class"], theirs["seed"], strict=True)]
    theirs = theirs[kept]
    if not len(theirs):
        raise UsageError(f"{_where(committed)}: of {keys(own)} it has no cell with class and seed of one of yours")
    refuse_images(own, theirs, _asker(committed))
    return theirs


def _refuse_protocol(cells: Sequence[PlannedCell], chosen: Sequence[pd.DataFrame], committed: Committed) -> list[str]:
    """Raise ``UsageError`` for another version of data, split or numerics; says what could not be compared."""
    if not refuse_protocol(cells, chosen, committed, _asker(committed)):
        return []
    return [
        f"results/{committed.folder.name} was published before versions of data, split and numerics were noted: "
        "that they are the same here was not compared, but for the number of images"
    ]


def _under_same_rules(
    cells: Sequence[PlannedCell], theirs: pd.DataFrame, committed: Committed
) -> tuple[pd.DataFrame, list[str]]:
    """The rows, without rules of which nothing is known. Raises ``UsageError`` for a rule of another version."""
    columns, own = rule_columns(theirs), own_rules(cells)
    if not columns or not own:
        return theirs, []
    if committed.rules is None:
        why = "are left out: it was published before their code was noted"
        rest = theirs.drop(columns=columns).assign(chosen_rule="")
        return rest, [f"the rules of results/{committed.folder.name} {why}"]
    refuse_rules(columns, own, committed, _asker(committed))
    return theirs, []


def _where(committed: Committed) -> str:
    return f"beside={committed.folder.name} cannot stand beside these"


def _asker(committed: Committed) -> Asker:
    return Asker(_where(committed), "leave beside= out")


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))
