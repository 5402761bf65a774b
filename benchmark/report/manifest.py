"""What made a report and which files are its own; how a new one takes the place of the last.

The manifest names commands, revision, configurations, versions, hardware, every cell's fingerprint and every file. For
whoever compares (``report/committed.py`` reads it): which environment, code, data and split each cell is of, the rules
that judged with their code, and of a folder that is kept the hashes of each cell's scores.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from benchmark.config import UsageError
from benchmark.report.frame import read_frame
from benchmark.report.packed import manifest_text, read_manifest
from benchmark.store.environment import git_revision
from benchmark.store.experiments import Collection, hide_paths

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.store.records import Record

MANIFEST = "manifest.json"
MAIN = ("report.html", "tables.md", "tables.tex", "cells.csv", MANIFEST)  # files that every report has
BRIEF = ("tables.md", "cells.csv", MANIFEST)  # and that a brief one has
AXES = ("model", "variant", "dataset", "split", "evaluate_on", "normal_class", "seed")  # what names a cell


@dataclass(frozen=True)
class Place:
    """Where a report goes, and what it may not do there."""

    folder: Path
    keeps: bool  # done cells of the report that is there, and files that are no report's
    current: bool  # in results/, no cells of other code or numerics
    hashed: bool  # it is to be compared with: the manifest has hashes of scores

    @property
    def is_published(self) -> bool:
        return Path("results").resolve() in self.folder.resolve().parents


def place_of(
    experiment: str, output_dir: Path, results_dir: str | Path | None, publish: bool, replace: bool, stale: bool
) -> Place:
    """The place that was asked for. Raises ``UsageError`` if two were."""
    if publish and results_dir is not None:
        raise UsageError(f"publish=true writes to results/{experiment}: leave out results_dir={results_dir}")
    kept = publish or results_dir is not None
    default = Path("results", experiment) if publish else output_dir / "reports" / experiment
    folder = Path(results_dir) if results_dir is not None else default
    folder = folder if folder.name not in ("", "..") else folder.resolve()  # it is made beside, under another name
    return Place(folder, kept and not replace, not stale, kept)


def build_manifest(
    experiment: str,
    collection: Collection,
    frame: pd.DataFrame,
    command: str,
    hashes: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """The manifest without its list of files, ready for JSON. It names no folder of the machine that made it.

    ``hashes`` are those of each cell's scores, by its fingerprint.
    """
    done = [cell.record for cell in collection.cells if cell.state == "done" and cell.record is not None]
    made_in = [json.dumps(record.environment(), sort_keys=True) for record in done]
    environments = Counter(made_in)
    numbers = {text: number for number, text in enumerate(environments)}
    commands = list(dict.fromkeys(hide_paths(job.command) for job in collection.jobs))
    made = {
        record.fingerprint: json.dumps(_origin(record, numbers[text]))
        for record, text in zip(done, made_in, strict=True)
    }
    origins = list(dict.fromkeys(made.values()))
    places = {text: place for place, text in enumerate(origins)}
    return {
        "experiment": experiment,
        "made_by": hide_paths(command),
        "report_git_revision": git_revision(),
        "last_cell_finished": max((record.status.finished for record in done), default=""),
        "commands": commands,
        "jobs": [
            {
                "overrides": [hide_paths(override) for override in job.overrides],
                "git_revision": job.git_revision,
                "config_hash": job.config_hash,
                "started": job.started,
                "cells": len(job.cells),
                "command": commands.index(hide_paths(job.command)),
            }
            for job in collection.jobs
        ],
        "environments": [_environment(json.loads(text), count) for text, count in environments.items()],
        "origins": [json.loads(text) for text in origins],
        "rules": _rules(done),
        "warnings": collection.warnings,
        "cells": [
            _cell(row) | _traces(places.get(made.get(row["fingerprint"], "")), (hashes or {}).get(row["fingerprint"]))
            for row in frame.to_dict("records")
        ],
    }


def _cell(row: dict[str, Any]) -> dict[str, Any]:
    names = ("dataset", "split", "evaluate_on", "normal_class", "model", "variant", "seed", "state", "fingerprint")
    auroc = row["auroc"]
    return {name: row[name] for name in names} | {"auroc": None if auroc != auroc else auroc}


def _traces(origin: int | None, hashes: Mapping[str, str] | None) -> dict[str, Any]:
    """Where a cell is from (its place in ``origins``), and the hashes of its scores; nothing of what is not known."""
    known = {} if origin is None else {"origin": origin}
    return known | ({"scores_sha256": dict(hashes)} if hashes else {})


def _environment(environment: dict[str, Any], cells: int) -> dict[str, Any]:
    return environment | {"vendor": vendor_of(environment), "cells": cells}


def vendor_of(environment: Mapping[str, Any]) -> str:
    """Who made the processor that a cell ran on, by its name: Intel, AMD or "unknown".

    Last digits depend on it (``benchmark/instructions.py``), and records name the processor alone.

    >>> vendor_of({"cpu": "AMD EPYC 7763 64-Core Processor"}), vendor_of({"cpu": "Intel(R) Xeon(R) Processor"})
    ('AMD', 'Intel')
    """
    name = str(environment.get("cpu", ""))
    return next((vendor for vendor in ("Intel", "AMD") if vendor in name), "unknown")


def _origin(record: Record, environment: int) -> dict[str, Any]:
    """What decides a cell's numbers and does not stand in its row, but for its configuration."""
    status = record.status
    return {
        "environment": environment,
        "numerics": status.numerics,
        "code": status.code,
        "data_version": status.data_version,
        "split_version": status.split.get("version"),
        **({"synthetic_version": status.split["synthetic"]} if "synthetic" in status.split else {}),
    }


def _rules(records: Iterable[Record]) -> list[dict[str, Any]]:
    """The rules that judged, each as often as its configuration or code differs, with the number of their cells."""
    found: Counter[str] = Counter()
    for record in records:
        for name, entry in record.rules().items():
            if "reason" not in entry:  # it applies to the model
                told = {"name": name, "code": entry.get("code", ""), "config": entry.get("config", {})}
                found[json.dumps(told, sort_keys=True)] += 1
    return [{**json.loads(text), "cells": found[text]} for text in sorted(found)]


def write_manifest(folder: Path, manifest: dict[str, Any], files: Iterable[str]) -> None:
    """Write the manifest with its list of files."""
    text = manifest_text(manifest | {"files": sorted({*files, MANIFEST})})
    (folder / MANIFEST).write_text(text, encoding="utf-8")


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


def refuse_foreign(results_dir: Path, names: Iterable[str]) -> None:
    """Raise ``UsageError`` if one of ``names`` is in ``results_dir`` and no report wrote it."""
    own = listed(results_dir)
    foreign = sorted(name for name in names if name not in own and os.path.lexists(results_dir / name))
    if foreign:
        raise UsageError(
            f"{results_dir.as_posix()} holds files that no report wrote: {_some(foreign)}. "
            "Type results_dir=<another folder>, or replace=true to write over them"
        )


def move(made: Path, results_dir: Path) -> list[str]:
    """Replace the report in ``results_dir`` by the files under ``made`` and return their names, sorted.

    ``made`` must be on the same file system. Files that the former report wrote and this one does not are removed, with
    their folder if it is empty then; files that no report wrote stay. Until all is in place the manifest names the
    files of both, so that after an interruption the next report knows its own.
    """
    former = listed(results_dir)
    names = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    manifest = read_manifest(made / MANIFEST)
    write_manifest(made, manifest, former | set(names))
    for name in sorted(names, key=lambda name: name != MANIFEST):  # the manifest first
        (results_dir / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(made / name, results_dir / name)
    gone = former - set(names)
    for name in gone:
        (results_dir / name).unlink(missing_ok=True)
    for folder in {(results_dir / name).parent for name in gone} - {results_dir}:
        with suppress(OSError):  # it holds something
            folder.rmdir()
    if gone:
        write_manifest(made, manifest, names)
        os.replace(made / MANIFEST, results_dir / MANIFEST)
    return names


def listed(results_dir: Path) -> set[str]:
    """The files of ``results_dir`` that its manifest says a report wrote; none without a manifest that can be read."""
    try:
        content = json.loads((results_dir / MANIFEST).read_text(encoding="utf-8"))
        files = content.get("files") if isinstance(content, dict) else None
    except (OSError, ValueError):
        return set()
    names = {name for name in files if isinstance(name, str)} if isinstance(files, list) else set()
    return {name for name in names if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts}


def _done(frame: pd.DataFrame) -> list[str]:
    rows = frame[frame["state"] == "done"][list(AXES)].astype(str).itertuples(index=False)
    return [" ".join(part for part in row if part) for row in rows]


def _some(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
