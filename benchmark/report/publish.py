"""Moves a finished report into its folder, file by file, so that an interrupted one changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from benchmark.report.manifest import MANIFEST


def publish(made: Path, results_dir: Path) -> list[str]:
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
