"""What a report would replace, and the move of a finished one into its folder, file by file.

An interrupted one changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from benchmark.report.frame import read_frame
from benchmark.report.manifest import MANIFEST

if TYPE_CHECKING:
    import pandas as pd

AXES = ("model", "variant", "dataset", "split", "evaluate_on", "normal_class", "seed")


@dataclass(frozen=True)
class Difference:
    """What a new report has and lacks beside the one that it replaces; "" where there is nothing to say."""

    lost: str
    new: str

    @property
    def notes(self) -> list[str]:
        return [note for note in (self.lost, self.new) if note]


def compare(frame: pd.DataFrame, results_dir: Path) -> Difference:
    """The done cells of ``frame`` beside those of the report in ``results_dir``; nothing if there is none."""
    try:
        former = _done(read_frame(results_dir / "cells.csv"))
    except (OSError, ValueError, KeyError):  # none there, or not one of ours
        return Difference("", "")
    now, where = _done(frame), results_dir.as_posix()
    lost, new = ([name for name in one if name not in other] for one, other in ((former, now), (now, former)))
    return Difference(
        f"{len(lost)} of the {len(former)} done cells in {where} are not done here: {_some(lost)}" if lost else "",
        f"{len(new)} of the {len(now)} done cells are new in {where}: {_some(new)}" if new else "",
    )


def _done(frame: pd.DataFrame) -> list[str]:
    rows = frame[frame["state"] == "done"][list(AXES)].astype(str).itertuples(index=False)
    return [" ".join(part for part in row if part) for row in rows]


def _some(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def move(made: Path, results_dir: Path) -> list[str]:
    """Replace the report in ``results_dir`` by the files under ``made`` and return their names, sorted.

    ``made`` must be on the same file system; its manifest comes last. Files that the former report wrote and this
    one does not are removed; files that no report wrote stay.
    """
    former = _listed(results_dir / MANIFEST)
    names = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    for name in sorted(names, key=lambda name: name == MANIFEST):
        target = results_dir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(made / name, target)
    for name in former - set(names):
        (results_dir / name).unlink(missing_ok=True)
    return names


def _listed(manifest: Path) -> set[str]:
    """The files that the manifest at ``manifest`` says a report wrote."""
    try:
        files: Iterable[str] = json.loads(manifest.read_text(encoding="utf-8")).get("files", [])
    except (OSError, json.JSONDecodeError):
        return set()  # no report there yet, or one that cannot say what it wrote: leave everything
    return {name for name in files if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts}
