"""A published report as others read it: its cells, where they are from, and what they are to be compared by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.config import UsageError
from benchmark.report.frame import read_frame
from benchmark.report.manifest import MANIFEST, vendor_of
from benchmark.report.packed import read_manifest
from benchmark.say import one_line, shown
from benchmark.store.files import RecordError

if TYPE_CHECKING:
    import pandas as pd

MARK = "published="  # begins the setting that tells a published column from one's own
COUNTED = ("n_test", "n_test_anomalous")  # columns that a cell has to have
NAMED = ("dataset", "split", "evaluate_on", "normal_class", "model", "variant", "seed")  # of a row and of its cell
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
    def renamed(self) -> list[str]:
        """A line that says so, if a published folder does not have the name of its experiment."""
        if self.folder.parent.name != PLACE.name or self.folder.name == self.experiment:
            return []
        return [
            f"{self.folder.as_posix()} is the report of experiment {shown(self.experiment)}, as its {MANIFEST} says"
        ]

    @property
    def revision(self) -> str:
        """The revision of the code that made the report, shortened."""
        return shown(str(self.manifest.get("report_git_revision", "unknown"))[:12])

    @cached_property
    def cells(self) -> dict[str, Mapping[str, Any]]:
        """The manifest's cells by their fingerprints."""
        return {cell["fingerprint"]: cell for cell in self.manifest["cells"]}

    @cached_property
    def done(self) -> dict[str, Mapping[str, Any]]:
        """The rows of its done cells by their fingerprints."""
        rows = self.frame[self.frame["state"] == "done"].to_dict("records")
        return {row["fingerprint"]: row for row in rows}

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
        """Those of a cell's scores, by the name of the score; empty: of before these were noted, or a brief report."""
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
        manifest = read_manifest(folder / MANIFEST)
        frame = read_frame(folder / "cells.csv")
        _refuse_odd(manifest)
        _refuse_odd_rows(frame)
        rows = frame[["fingerprint", *NAMED, "state", "auroc"]].to_dict("records")
        cells = {cell["fingerprint"]: cell for cell in manifest["cells"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{folder.as_posix()} is no published report: its {MANIFEST} or cells.csv cannot be read "
            f"({one_line(error)}). {_there_is(folder.parent)}"
        ) from error
    wrong = [row for row in rows if not _says_the_same(row, cells.get(row["fingerprint"]))]
    if wrong or len(rows) != len(manifest["cells"]):
        raise RecordError(
            f"{folder.as_posix()}: cells.csv and {MANIFEST} do not name the same cells with the same AUROC "
            f"({len(wrong)} of {len(rows)} rows differ): one of them was changed, or publishing was killed. Take it "
            f"back (git checkout {folder.as_posix()}), or make the report of all its cells again"
        )
    return Committed(folder, manifest, frame)


def _refuse_odd(manifest: Any) -> None:
    """Raise ``ValueError`` for a manifest that is not laid out as one."""
    cells, jobs, environments = (_listed(manifest, key) for key in ("cells", "jobs", "environments"))
    origins, rules = (_listed(manifest, key, []) for key in ("origins", "rules"))
    commands = manifest.get("commands", [])
    if not isinstance(commands, list) or not all(isinstance(command, str) for command in commands):
        raise ValueError("its commands are no list of texts")
    for job in jobs:
        overrides = job.get("overrides")
        if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
            raise ValueError("the overrides of a job are no list of texts")
        _refuse_place(job.get("command"), commands, "command")
    for origin in origins:
        if not all(isinstance(origin.get(key), str) for key in ("code", "data_version")) or not all(
            isinstance(origin.get(key), int) for key in ("numerics", "environment")
        ):
            raise ValueError("one of its origins is none")
        _refuse_place(origin["environment"], environments, "environment")
    for cell in cells:
        _refuse_place(cell.get("origin"), origins, "origin")
        if not isinstance(cell.get("scores_sha256", {}), dict) or not isinstance(cell["fingerprint"], str):
            raise ValueError("the fingerprint or the hashes of a cell are none")
    if not all(isinstance(rule.get("name"), str) and {"config", "code"} <= set(rule) for rule in rules):
        raise ValueError("one of its rules is none")


def _listed(manifest: Mapping[str, Any], key: str, default: Any = None) -> list[Mapping[str, Any]]:
    found = manifest.get(key, default)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError(f"its {key} are no list of entries by name")
    return found


def _refuse_place(place: Any, among: list[Any], what: str) -> None:
    if place is not None and (type(place) is not int or not 0 <= place < len(among)):
        raise ValueError(f"{what} {place!r} is none of its {len(among)}")


def _refuse_odd_rows(frame: pd.DataFrame) -> None:
    """Raise ``ValueError`` for numbers that cannot be, and for a cell that stands there twice."""
    for name in ("normal_class", "seed"):
        wrong = frame[frame[name].isna() | (frame[name].fillna(0) < 0)]
        if len(wrong):
            raise ValueError(
                f"{name} in line {wrong.index[0] + 2} of cells.csv is {wrong[name].iloc[0]}; it must be a whole number "
                "of at least 0"
            )
    for name in (name for name in frame if name.startswith("auroc")):
        known = frame[name].dropna()
        if not known.between(0, 1).all():
            raise ValueError(f"{name} holds {known[~known.between(0, 1)].iloc[0]}, which is no AUROC")
    if missing := [name for name in COUNTED if name not in frame]:
        raise ValueError(f"cells.csv has no column {missing[0]}")
    if frame["fingerprint"].duplicated().any():
        raise ValueError("cells.csv names a cell twice")


def published(name: str, key: str) -> Committed:
    """The report in ``results/NAME``, that ``key=NAME`` asks for. Raises ``UsageError`` if there is none."""
    if not name or Path(name).name != name or name.startswith("."):
        raise UsageError(f"{key}={name} is no name: it must be that of a folder of results. {_there_is(PLACE)}")
    if not (PLACE / name).is_dir():
        raise UsageError(f"{key}={name}: there is no folder {(PLACE / name).as_posix()}. {_there_is(PLACE)}")
    return read_committed(PLACE / name)


def report_of(experiment: str) -> Path:
    """The folder in which a report of this experiment is published."""
    return PLACE / experiment


def is_published(label: str) -> bool:
    """Whether a column's label, or its variant, is that of a published one.

    >>> is_published("ae (latent=2 published=paper@1b00144)"), is_published("ae (latent=2)")
    (True, False)
    """
    return any(part.lstrip("(").startswith(MARK) for part in label.split())


def _says_the_same(row: Mapping[str, Any], cell: Mapping[str, Any] | None) -> bool:
    if cell is None or row["state"] != cell.get("state") or any(row[name] != cell.get(name) for name in NAMED):
        return False
    return row["state"] != "done" or row["auroc"] == cell.get("auroc")


def _there_is(place: Path) -> str:
    try:
        names = sorted(path.parent.name for path in place.glob(f"*/{MANIFEST}"))
    except OSError:
        names = []
    return f"There is: {', '.join(names)}" if names else f"There is none in {place.as_posix()}"
