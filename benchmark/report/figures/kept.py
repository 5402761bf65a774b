"""Figures of a published report that a new one keeps, as the scores and images that they show are not here."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.report.carry import Carried
from benchmark.report.page import Plate
from benchmark.report.statistics import Group
from benchmark.report.tables.table import group_key, group_title

FROM_ROWS = ("heatmap_", "pareto_")  # begin the names of figures of a table's rows, which show all cells


def keep_figures(carried: Carried, groups: Sequence[Group], folder: Path, plates: Sequence[Plate]) -> list[Plate]:
    """``plates``, and those of the former report that were not drawn again, copied into ``folder``.

    Of a data set and split with cells that are kept: the figures of columns that have no record here. One that was
    drawn again without those cells says how many it lacks.
    """
    drawn, kept = {plate.key for plate in plates}, []
    former = sorted(name for name in carried.committed.manifest.get("files", []) if name.startswith("figures/"))
    for group in groups:
        if not carried.of(group.dataset, group.split, group.evaluate_on):
            continue
        end = f"_{group_key(group)}.png"
        for path in (carried.committed.folder / name for name in former if name.endswith(end)):
            if path.stem not in drawn and path.is_file():
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / path.name)
                kept.append(_plate(path.stem, path.name.removesuffix(end), group, carried))
    return [*(_noted(plate, groups, carried) for plate in plates), *kept]


def _plate(key: str, name: str, group: Group, carried: Carried) -> Plate:
    words = " ".join(name.replace("_", " ").split("-")).strip()
    title = f"{words[0].upper()}{words[1:]}, {group_title(group)}"
    return Plate(key, group_title(group), title, f"Kept from the report of revision {carried.committed.revision}.")


def _noted(plate: Plate, groups: Sequence[Group], carried: Carried) -> Plate:
    """With what a figure of single images lacks: the cells whose records are not here."""
    own = next((group for group in groups if plate.key.endswith(f"_{group_key(group)}")), None)
    if own is None or plate.section != group_title(own) or plate.key.startswith(FROM_ROWS):
        return plate
    lacking = carried.of(own.dataset, own.split, own.evaluate_on)
    said = f"{plate.caption} Without {lacking} cells that are kept from a former report: their records are not here."
    return replace(plate, caption=said) if lacking else plate
