"""The cells of a manifest in its file: what is read is what was written, and anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.report.hashes import is_hash_of
from benchmark.report.packed import DIGITS, manifest_text, pack, read_manifest, unpack

MANIFESTS = sorted((Path(__file__).parents[2] / "results").glob("*/manifest.json"))
CELLS = [
    {"dataset": "mnist", "model": "ae", "seed": 0, "auroc": 0.1 + 0.2, "origin": 0, "scores_sha256": {"own": "a" * 64}},
    {"dataset": "mnist", "model": "pca", "seed": 1, "auroc": None, "carried": "é", "scores_sha256": {"ssim": "b" * 64}},
    {"dataset": "mnist", "model": "pca", "seed": 2, "auroc": None},
]  # fmt: skip


def short(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With hashes of 32 digits."""
    found = [dict(cell) for cell in cells]
    for cell in (cell for cell in found if "scores_sha256" in cell):
        cell["scores_sha256"] = {name: one[:DIGITS] for name, one in cell["scores_sha256"].items()}
    return found


def test_what_was_written_is_read(tmp_path: Path) -> None:
    manifest = {"experiment": "x", "jobs": [], "warnings": ["one", "two"], "cells": CELLS}
    (tmp_path / "manifest.json").write_text(manifest_text(manifest), encoding="utf-8")
    assert read_manifest(tmp_path / "manifest.json") == manifest | {"cells": short(CELLS)}
    again = manifest_text(read_manifest(tmp_path / "manifest.json"))
    assert again == (tmp_path / "manifest.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_published_manifests_are_read_old_or_new_and_are_smaller_new(path: Path, tmp_path: Path) -> None:
    manifest = read_manifest(path)
    assert manifest["cells"], "an old one has a list"
    (tmp_path / "new.json").write_text(manifest_text(manifest), encoding="utf-8")
    found = read_manifest(tmp_path / "new.json")
    assert found == manifest | {"cells": short(manifest["cells"])}
    old = len(json.dumps(manifest, indent=1, ensure_ascii=False).encode())
    assert (tmp_path / "new.json").stat().st_size < 0.9 * old


def change(packed: dict[str, Any], place: tuple[Any, ...], value: Any) -> None:
    for step in place[:-1]:
        packed = packed[step]
    packed[place[-1]] = value


ODD: dict[str, Callable[[dict[str, Any]], object]] = {
    "a place that is none": lambda p: change(p, ("rows", 0, p["columns"].index("model")), 2),
    "a negative place": lambda p: change(p, ("rows", 0, p["columns"].index("model")), -1),
    "a place that is true": lambda p: change(p, ("rows", 1, p["columns"].index("model")), True),
    "a row that is short": lambda p: p["rows"][1].pop(),
    "a row that is none": lambda p: change(p, ("rows", 1), "pca"),
    "hashes of others": lambda p: p["scores"].pop(),
    "hashes that are none": lambda p: change(p, ("rows", 0, p["columns"].index("scores_sha256")), "a" * 32),
    "no columns": lambda p: p.pop("columns"),
    "shared values that are none": lambda p: p.update(shared=[]),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_table_is_refused(odd: str) -> None:
    packed = json.loads(json.dumps(pack(CELLS)))
    assert unpack(packed) == short(CELLS)
    ODD[odd](packed)
    with pytest.raises(ValueError, match=r"its|cell"):
        unpack(packed)


def test_a_hash_is_compared_whole_or_by_half_and_not_by_less() -> None:
    whole = "0123456789abcdef" * 4
    assert is_hash_of(whole, whole)
    assert is_hash_of(whole[:DIGITS], whole)
    for wrong in ("", whole[:31], whole[:33], "f" + whole[1:], "f" + whole[1:DIGITS], whole[4:36][::-1], None, 5):
        assert not is_hash_of(wrong, whole)
    assert not is_hash_of(whole, None)
