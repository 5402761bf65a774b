"""Stored files: JSON in and out, and what is wrong with a file that is not the one that was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.store.format import Written

SMALL = (".json", ".yaml", ".csv", ".txt")  # compared when a record is opened; others when they are read
DIGEST = "digest"  # entry of status.json: SHA-256 of all its others
DAMAGED = "damaged.txt"  # beside the files of a record in which `benchmark.status verify=true` found another content


class RecordError(Exception):
    """A stored record cannot be read; the message names the file and what to do."""


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=False, allow_nan=True) + "\n", encoding="utf-8")


def read_json(path: Path, what_to_do: str) -> Any:
    """The content of a JSON file. Raises ``RecordError`` if there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing; {what_to_do}") from error
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror}); {what_to_do}") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is not valid JSON ({error}); {what_to_do}") from error


def digest_of(status: Mapping[str, Any]) -> str:
    """SHA-256 of the entries of a status besides its own digest."""
    rest = {name: value for name, value in status.items() if name != DIGEST}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def fault_of(path: Path, written: Written) -> str | None:
    """What is wrong with a file of a record, None if nothing is; of arrays and weights the size alone is looked at."""
    try:
        content = path.read_bytes() if path.suffix in SMALL else None  # whole: several times as fast as in blocks
        found = path.stat().st_size if content is None else len(content)
        if found != written.bytes:
            return f"has {found:,} bytes, written were {written.bytes:,}"
        digest = written.sha256 if content is None else hashlib.sha256(content).hexdigest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if digest == written.sha256 else f"cannot be read ({other(digest, written)})"


def other(found: str, written: Written) -> ValueError:
    """What to say of a file that is not the one that was written."""
    return ValueError(f"its SHA-256 is {found[:16]}..., written was {written.sha256[:16]}...")
