"""Stored files: written so that they stay, read so that damage is named, removed whatever they are."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def fault_of(path: Path, written: Mapping[str, Any]) -> str | None:
    """What is wrong with a file of a record, None if nothing is; of arrays and weights the size alone is looked at."""
    try:
        content = path.read_bytes() if path.suffix in SMALL else None  # whole: several times as fast as in blocks
        found = path.stat().st_size if content is None else len(content)
        if found != written["bytes"]:
            return f"has {found:,} bytes, written were {written['bytes']:,}"
        digest = written["sha256"] if content is None else hashlib.sha256(content).hexdigest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if digest == written["sha256"] else f"cannot be read ({other(digest, written)})"


def other(found: str, written: Mapping[str, Any]) -> ValueError:
    """What to say of a file that is not the one that was written."""
    return ValueError(f"its SHA-256 is {found[:16]}..., written was {written['sha256'][:16]}...")


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def swap(temporary: Path, path: Path) -> None:
    """Rename ``temporary`` to ``path``. What was there goes; where it cannot, that is said and the next start tries."""
    if not os.path.lexists(path):
        os.rename(temporary, path)
        return
    old = path.parent / f".{path.name}.{uuid.uuid4().hex}.old"
    os.rename(path, old)
    try:
        os.rename(temporary, path)
    except OSError:
        os.rename(old, path)
        raise
    try:
        remove(old)
    except OSError as error:
        print(
            f"warning: {path} is written; what was there before could not be removed ({error}) and lies in {old.name}",
            file=sys.stderr,
            flush=True,
        )


def remove(path: Path) -> None:
    """Remove a file, a link (not what it leads to) or a folder, though its own permissions be against it."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        path.chmod(0o700)
        for folder, folders, _ in os.walk(path):
            for inner in (Path(folder, name) for name in folders):
                if not inner.is_symlink():
                    inner.chmod(0o700)
        shutil.rmtree(path)
