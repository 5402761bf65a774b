"""A published report as others read it: its cells, where they are from, and what they are to be compared by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.config import UsageError
from benchmark.report.frame import read_frame
from benchmark.report.manifest import MANIFEST, vendor_of
from benchmark.say import one_line
from benchmark.store.files import RecordError

if TYPE_CHECKING:
    import pandas as pd

MARK = "published="  # begins the setting that tells a published column from one's own
PLACE = Path("results")  # where reports are published, below the current folder


@dataclass(frozen=True)
class Committed:
    """A published report: ``frame`` has the rows of its cells.csv."""

    folder: Path
    manifest: Mapping[str, Any]
    frame: pd.DataFrame

    @property
    def experiment(self) -> str:
        return str(self.manifest.get("experiment", self.folder.name))

    @property
    def revision(self) -> str:
        """The revision of the code that made the report, shortened."""
        return str(self.manifest.get("report_git_revision", "unknown"))[:12]

    @cached_property
    def cells(self) -> dict[str, Mapping[str, Any]]:
        """The manifest's cells by their fingerprints."""
        return {cell["fingerprint"]: cell for cell in self.manifest["cells"]}

    @property
    def rules(self) -> dict[str, list[Mapping[str, Any]]] | None:
        """Configuration and code of the rules that judged, by name; None: published before these were noted."""
        if "rules" not in self.manifest:
            return None
        found: dict[str, list[Mapping[str, Any]]] = {}
        for rule in self.manifest["rules"]:
            found.setdefault(rule["name"], []).append({key: rule[key] for key in ("config", "code")})
        return found

    def origin(self, fingerprint: str) -> Mapping[str, Any]:
        """numerics, code, data_version and split_version of a cell; empty: published before these were noted."""
        place = self.cells[fingerprint].get("origin")
        return {} if place is None else self.manifest["origins"][place]

    def hashes(self, fingerprint: str) -> Mapping[str, str]:
        """Those of a cell's scores, by the name of the score; empty: published before these were noted."""
        return self.cells[fingerprint].get("scores_sha256", {})

    def environments(self, fingerprint: str) -> list[Mapping[str, Any]]:
        """What a cell ran on; several where only those of all cells are known."""
        known = [{**one, "vendor": one.get("vendor", vendor_of(one))} for one in self.manifest["environments"]]
        origin = self.origin(fingerprint)
        return [known[origin["environment"]]] if origin else known


def read_committed(folder: Path) -> Committed:
    """The report in ``folder``.

    Raises ``UsageError`` if there is none, ``RecordError`` if its cells.csv and its manifest do not say the same.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        frame = read_frame(folder / "cells.csv")
        rows = frame[["fingerprint", "state", "auroc"]].to_dict("records")
        cells = {cell["fingerprint"]: cell for cell in manifest["cells"]}
        environments = manifest["environments"]
        there = isinstance(environments, list) and isinstance(manifest["jobs"], list)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder.as_posix()} is no published report: its {MANIFEST} or cells.csv cannot be read "
            f"({one_line(error)}). {_there_is(folder.parent)}"
        ) from error
    wrong = [row for row in rows if not _says_the_same(row, cells.get(row["fingerprint"]))]
    if wrong or not there or len(rows) != len(manifest["cells"]):
        raise RecordError(
            f"{folder.as_posix()}: cells.csv and {MANIFEST} do not name the same cells with the same AUROC "
            f"({len(wrong)} of {len(rows)} rows differ): one of them was changed. Make the report again"
        )
    return Committed(folder, manifest, frame)


def published(name: str, key: str) -> Committed:
    """The report in ``results/NAME``, that ``key=NAME`` asks for. Raises ``UsageError`` if there is none."""
    if not name or Path(name).name != name or name.startswith("."):
        raise UsageError(f"{key}={name} is no name: it must be that of a folder of results. {_there_is(PLACE)}")
    if not (PLACE / name).is_dir():
        raise UsageError(f"{key}={name}: there is no folder {(PLACE / name).as_posix()}. {_there_is(PLACE)}")
    return read_committed(PLACE / name)


def is_published(label: str) -> bool:
    """Whether a column's label, or its variant, is that of a published one.

    >>> is_published("ae (latent=2 published=paper@1b00144)"), is_published("ae (latent=2)")
    (True, False)
    """
    return any(part.lstrip("(").startswith(MARK) for part in label.split())


def _says_the_same(row: Mapping[str, Any], cell: Mapping[str, Any] | None) -> bool:
    if cell is None or row["state"] != cell.get("state"):
        return False
    return row["state"] != "done" or row["auroc"] == cell.get("auroc")


def _there_is(place: Path) -> str:
    try:
        names = sorted(path.parent.name for path in place.glob(f"*/{MANIFEST}"))
    except OSError:
        names = []
    return f"There is: {', '.join(names)}" if names else f"There is none in {place.as_posix()}"
