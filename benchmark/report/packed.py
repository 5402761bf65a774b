"""The cells of a manifest as they stand in its file: a line each, with what many of them share said once.

In the file ``cells`` has the names of the columns, under ``shared`` the values of those whose entries are places among
them, under ``scores`` the names of what has a hash, and a row for each cell; null: the cell has no such entry. Reading
gives a list with a dictionary a cell, which is also what files of before hold. Hashes of scores have 32 hexadecimal
digits there, 128 of the 256 bits of SHA-256: other scores of the same hash are beyond what anybody can search for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HASHES = "scores_sha256"
DIGITS = 32  # of a hash
SHARED = ("dataset", "split", "evaluate_on", "model", "variant", "state", "carried")


def read_manifest(path: Path) -> Any:
    """The manifest in a file, its cells as a list.

    Raises ``OSError`` if it cannot be read, ``ValueError`` if it is none.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict) and isinstance(content.get("cells"), dict):
        content["cells"] = unpack(content["cells"])
    return content


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """What stands in the file: a line for each entry of a list."""
    parts = []
    for key, value in manifest.items():
        if key == "cells" and isinstance(value, list):
            packed = pack(value)
            inner = [f"  {_json(name)}: {_json(one)}" for name, one in packed.items() if name != "rows"]
            text = "{\n" + ",\n".join([*inner, f'  "rows": {_lines(packed["rows"], 3)}']) + "\n }"
        else:
            text = _lines(value, 2) if isinstance(value, list) else _json(value)
        parts.append(f" {_json(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def pack(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Cells as they stand in a file."""
    columns = list(dict.fromkeys(name for cell in cells for name in cell))
    scores = list(dict.fromkeys(name for cell in cells for name in cell.get(HASHES, ())))
    shared = {name: list(dict.fromkeys(c[name] for c in cells if name in c)) for name in SHARED if name in columns}
    places = {name: {value: place for place, value in enumerate(values)} for name, values in shared.items()}

    def entry(cell: Mapping[str, Any], name: str) -> Any:
        if name not in cell:
            return None
        if name == HASHES:
            return [cell[name][score][:DIGITS] if score in cell[name] else None for score in scores]
        return places[name][cell[name]] if name in places else cell[name]

    rows = [[entry(cell, name) for name in columns] for cell in cells]
    return {"columns": columns, "shared": shared, "scores": scores, "rows": rows}


def unpack(packed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cells as they were packed. Raises ``ValueError`` for what is not laid out as such."""
    columns, shared, scores, rows = (packed.get(name) for name in ("columns", "shared", "scores", "rows"))
    if not isinstance(shared, dict) or not all(isinstance(one, list) for one in (columns, scores, rows)):
        raise ValueError("its cells are no table")
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise ValueError("a row of its cells has not as many entries as there are columns")
    return [
        {
            name: _value(name, entry, shared, scores)
            for name, entry in zip(columns, row, strict=True)
            if entry is not None or name == "auroc"  # null of a cell without anomalies
        }
        for row in rows
    ]


def _value(name: str, entry: Any, shared: Mapping[str, Any], scores: Sequence[str]) -> Any:
    if name == HASHES:
        if not isinstance(entry, list) or len(entry) != len(scores):
            raise ValueError("the hashes of a cell are none")
        return {score: one for score, one in zip(scores, entry, strict=True) if one is not None}
    if name not in shared:
        return entry
    if type(entry) is not int or not 0 <= entry < len(shared[name]):
        raise ValueError(f"{name} {entry!r} is none of its {len(shared[name])}")
    return shared[name][entry]


def _lines(entries: Sequence[Any], depth: int) -> str:
    """A list with a line for each entry."""
    if not entries:
        return "[]"
    indent = " " * depth
    return "[\n" + ",\n".join(indent + _json(one) for one in entries) + "\n" + " " * (depth - 1) + "]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
