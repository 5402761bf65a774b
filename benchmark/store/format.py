"""What stored files must hold: checked when they are read, so that a damaged one is named instead of half used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

STATES = ("done", "failed", "diverged")
OLD_STATES = {"skipped": "failed"}  # of older records -> what it is read as
ARRAYS = {  # in each file, besides the optional ones
    "scores": ("index", "label", "target"),
    "calibration": ("index",),
    "images": ("label", "group", "input", "score"),
    "latent": (
        *("codes", "label", "target", "grid", "grid_x", "grid_y"),
        *("interpolation", "interpolation_codes", "interpolation_ends"),
    ),
}
AXES = {"model": str, "dataset": str, "split": str, "normal_class": int, "seed": int}  # of every cell

OF_STATUS = {  # what else a status may have
    **dict.fromkeys(("variant", "code", "digest", "experiment_name", "data_version", "started", "finished"), str),
    **dict.fromkeys(("reason", "headline"), (str, type(None))),
    "numerics": int,
    "split": Mapping,
}


def check_status(status: Any) -> str | None:
    """What is wrong with the content of ``status.json``, or None."""
    kinds = {"state": str, "axes": Mapping, "fingerprint": str}
    if problem := _lacks(status, kinds) or _lacks(status["axes"], AXES, "axes."):
        return problem
    if problem := _wrong(status, OF_STATUS):
        return problem
    if status["state"] not in (*STATES, *OLD_STATES):
        return f"state is {status['state']!r}, allowed: {', '.join(STATES)}"
    files = status.get("files", {})
    if not isinstance(files, Mapping):
        return "files is no mapping of names"
    for name, written in files.items():
        if problem := _lacks(written, {"bytes": int, "sha256": str}, f"files.{name}."):
            return problem
        if not _is_inside(name):
            return f"files names {name!r}, which is outside the cell's folder"
    return None


def check_metrics(metrics: Any, state: str) -> str | None:
    """What is wrong with the content of ``metrics.json``, or None."""
    if not isinstance(metrics, Mapping):
        return f"it holds {_kind(metrics)}, not metrics by name"
    wrong = [name for name, value in metrics.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    if wrong:
        return f"{wrong[0]} is no number"
    return "auroc is missing" if state == "done" and "auroc" not in metrics else None


def check_arrays(stem: str, names: Iterable[str], headline: str | None) -> str | None:
    """What is wrong with the names of the arrays in ``scores.npz``, ``images.npz`` or ``latent.npz``, or None."""
    needed = [*ARRAYS[stem], *([f"score/{headline}"] if stem == "scores" and headline is not None else [])]
    missing = [name for name in needed if name not in names]
    return f"it lacks {', '.join(missing)}" if missing else None


def check_job(job: Any) -> str | None:
    """What is wrong with a job's file in ``experiments/``, or None."""
    if problem := _lacks(job, {"job": str, "cells": list}) or _wrong(job, {"number": int, "started": str}):
        return problem
    for i, cell in enumerate(job["cells"]):
        where = f"cells[{i}]."
        if problem := _lacks(cell, {"axes": Mapping, "fingerprint": str, "path": str}, where):
            return problem
        if problem := _lacks(cell["axes"], AXES, f"{where}axes."):
            return problem
        if not _is_inside(cell["path"]):
            return f"{where}path is {cell['path']!r}, outside the output directory"
    return None


def _lacks(content: Any, kinds: Mapping[str, type], prefix: str = "") -> str | None:
    if not isinstance(content, Mapping):
        return f"{prefix.rstrip('.') or 'it'} holds {_kind(content)}, not entries by name"
    missing = [prefix + name for name in kinds if name not in content]
    if missing:
        return f"lacks {', '.join(sorted(missing))}"
    for name, kind in kinds.items():
        if isinstance(content[name], bool) or not isinstance(content[name], kind):
            return f"{prefix}{name} holds {_kind(content[name])}"
    return None


def _wrong(content: Mapping[str, Any], kinds: Mapping[str, type | tuple[type, ...]]) -> str | None:
    """The first of the entries that may be there and holds something else."""
    for name, kind in kinds.items():
        if name in content and (isinstance(content[name], bool) or not isinstance(content[name], kind)):
            return f"{name} holds {_kind(content[name])}"
    return None


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and "\\" not in path


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")
