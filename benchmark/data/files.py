"""Raw files of data sets: where they lie, which must be there, and whether what is there is right."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import zlib
from pathlib import Path
from typing import Any

from benchmark.config import UsageError
from benchmark.data import dataset_names
from benchmark.data.writing import replacing
from benchmark.say import one_line

CHUNK = 1 << 20
VARIABLE = "BENCHMARK_DATA"


class SourceError(Exception):
    """A source did not give a file; the message says why."""


def data_dir(setting: str | None = None) -> Path:
    """The setting ``data_dir`` if given, else the variable BENCHMARK_DATA, else a folder in the user's cache."""
    if setting is not None:
        return typed_path(setting, "data_dir").absolute()
    if os.environ.get(VARIABLE, "") != "":
        return typed_path(os.environ[VARIABLE], VARIABLE).absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache != "" else Path.home() / ".cache") / "generative-anomaly-benchmark"


def typed_path(setting: str, key: str) -> Path:
    """The path that is typed as ``key``, with ~ as a home. Raises ``UsageError`` for one that no file can have."""
    try:
        path = Path(setting).expanduser()
        os.stat(path)
    except FileNotFoundError:
        return path
    except (RuntimeError, ValueError) as error:  # ~ of a user that there is not; a zero byte
        raise UsageError(f"{key}={setting!r} cannot be a path: {one_line(error)}. Type {key}=<another>") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UsageError(f"{key}={setting[:40]}... is too long for a path. Type {key}=<a shorter one>") from error
    return path


def expanded(path: Path) -> Path:
    """``path`` with ~ as a home; as it is where there is no such user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def stamp_of(path: Path) -> tuple[int, int, int]:
    """Size and times of change, of the content and of anything else; of a file that is not there, what no file has.

    The latter changes with permissions too, and nobody can set it back.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return -1, 0, 0
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def raw_folder(dataset: Any, data_dir: Path) -> Path:
    """The folder of a data set's raw files, laid out as torchvision does."""
    return data_dir if dataset.raw_dir is None else data_dir / dataset.raw_dir


def prepare_command(dataset: Any) -> str:
    """What to type to fetch a data set."""
    own = "" if dataset.name in dataset_names() else " --config-dir <the folder of its YAML>"
    return f"python -m benchmark.prepare dataset={dataset.name}{own}"


def refuse_faults(dataset: Any, data_dir: Path) -> None:
    """Raise ``UsageError`` if a listed raw file is missing or corrupt, naming it and the command that fetches it."""
    for name, sha256 in dataset.sha256.items():
        problem = fault(raw_folder(dataset, data_dir) / name, sha256)
        if problem is not None:
            raise UsageError(f"data set {dataset.name} is not ready: {problem}. Type: {prepare_command(dataset)}")


def fault(path: Path, sha256: str) -> str | None:
    """What is wrong with a raw file, in one line, or None if it is as expected."""
    if not path.is_file():
        return f"{path} is missing"
    found = sha256_of(path)
    if found == sha256:
        return None
    return f"{path} is corrupt: {path.stat().st_size:,} bytes with SHA-256 {found[:16]}..., expected {sha256[:16]}..."


def place(source: Path, target: Path, sha256: str) -> None:
    """Put a fetched file (plain or .gz) at ``target``, unpacked, checked and in one step.

    Raises ``SourceError`` if it is not the expected file; ``target`` is then as it was.
    """
    with replacing(target) as temporary:
        try:
            with _open(source) as reader, temporary.open("wb") as writer:
                while block := reader.read(CHUNK):
                    writer.write(block)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{source.name} cannot be unpacked ({error})") from error
        found = sha256_of(temporary)
        if found != sha256:
            size = temporary.stat().st_size
            raise SourceError(
                f"{target.name} arrived with SHA-256 {found[:16]}... ({size:,} bytes), expected {sha256[:16]}..."
            )


def _open(path: Path) -> Any:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")
