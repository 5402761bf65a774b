"""Where raw files come from: torchvision's mirrors, a web folder, an npm package or a Debian package.

Whatever the source, the SHA-256 of the configuration decides whether a file is taken.
"""

from __future__ import annotations

import http.client
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.config import UsageError
from benchmark.data.files import CHUNK, SourceError, fault, place, prepare_command, raw_folder

TIMEOUT = 5.0  # seconds without an answer before a mirror is given up
LOCK_TIMEOUT = 1800.0  # seconds to wait for another process that is fetching

Report = Callable[[str, int, int | None], None]  # file, bytes so far, bytes in all if known


class Unreachable(Exception):
    """No source gave the files; the message lists every source with its reason."""


def fetch(dataset: Any, data_dir: Path, say: Callable[[str], None], report: Report) -> list[str]:
    """Make every raw file of a data set be there and right; return the names of those that were fetched.

    Files already right are left alone; wrong ones are named and fetched again. Two processes that start together
    fetch once. Raises ``Unreachable`` if a file cannot be had.
    """
    folder = raw_folder(dataset, data_dir)
    if all(fault(folder / name, sha256) is None for name, sha256 in dataset.sha256.items()):
        return []  # without a lock, so that a folder one can only read will do
    with locked(folder):
        for leftover in folder.glob(".*.tmp"):  # of a process that was killed
            leftover.unlink()
        wanted = _unpack_hand_placed(dataset, folder, say)
        fetched = list(wanted)
        reasons: list[str] = []
        for source in dataset.sources:
            if not wanted:
                break
            wanted = _from_source(source, dataset, folder, wanted, say, report, reasons)
    if wanted:
        raise Unreachable(_by_hand(dataset, folder, wanted, reasons))
    return fetched


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` (made if need be) against other processes that prepare it.

    Raises ``UsageError`` if it cannot be written to, or if another process holds it too long.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".prepare.lock", timeout=LOCK_TIMEOUT)
        lock.acquire()
    except Timeout as error:
        raise UsageError(f"{folder}: another process has been preparing it for {LOCK_TIMEOUT:.0f} s; end it") from error
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made or written to ({error.strerror}). "
            "Type data_dir=<a folder you can write to> or set BENCHMARK_DATA"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _unpack_hand_placed(dataset: Any, folder: Path, say: Callable[[str], None]) -> dict[str, str]:
    """The files still wanted, after using right ``.gz`` files that lie in the folder."""
    wanted = {}
    for name, sha256 in dataset.sha256.items():
        problem = fault(folder / name, sha256)
        if problem is None:
            continue
        packed = folder / f"{name}.gz"
        if packed.is_file():
            try:
                place(packed, folder / name, sha256)
                continue
            except SourceError as error:
                say(f"{packed}: {error}")
        if (folder / name).exists():
            say(f"{problem}; fetching it again")
        wanted[name] = sha256
    return wanted


def _from_source(
    source: Any,
    dataset: Any,
    folder: Path,
    wanted: dict[str, str],
    say: Callable[[str], None],
    report: Report,
    reasons: list[str],
) -> dict[str, str]:
    """Try one source for all wanted files; returns those still wanted and adds to ``reasons`` why."""
    label = describe_source(source)
    say(f"{dataset.name}: {label}")
    failed: list[str] = []
    left = dict(wanted)
    with tempfile.TemporaryDirectory(prefix="benchmark-data-") as temporary:
        try:
            with _opened(source, dataset, Path(temporary), report) as get:
                for name, sha256 in wanted.items():
                    try:
                        place(get(name), folder / name, sha256)
                        del left[name]
                    except SourceError as error:
                        failed.append(str(error))
                        if isinstance(error, _Gone):
                            break
        except SourceError as error:
            failed.append(str(error))
    if failed:
        reason = "; ".join(dict.fromkeys(failed))
        reasons.append(f"{label}: {reason}")
        say(f"  no: {reason}")
    return left


def describe_source(source: Any) -> str:
    """A source in words."""
    if source.kind == "npm":
        return f"npm package {source.package} {source.version}"
    if source.kind == "debian":
        return f"Debian package {source.package}"
    return f"web folder {source.url}" if source.kind == "url" else "torchvision's mirrors"


class _Gone(SourceError):
    """The source itself does not answer; asking it for another file is no use."""


Getter = Callable[[str], Path]


@contextmanager
def _opened(source: Any, dataset: Any, temporary: Path, report: Report) -> Iterator[Getter]:
    if source.kind == "npm":
        yield _finder(_npm(source, temporary), describe_source(source))
    elif source.kind == "debian":
        yield _finder(_debian(source, temporary), describe_source(source))
    elif source.kind in ("url", "torchvision"):
        bases = [source.url] if source.kind == "url" else _mirrors(dataset)
        yield lambda name: _download(bases, name, temporary, report)
    else:
        raise UsageError(f"source kind {source.kind!r} of {dataset.name} is unknown: torchvision, url, npm or debian")


def _mirrors(dataset: Any) -> Sequence[str]:
    import torchvision.datasets

    return getattr(torchvision.datasets, dataset.torchvision_class).mirrors


def _download(bases: Sequence[str], name: str, temporary: Path, report: Report) -> Path:
    reasons, answered = [], False
    for base in bases:
        for file in (f"{name}.gz", name):
            url = base.rstrip("/") + "/" + file
            try:
                return _read_url(url, temporary / file, name, report)
            except urllib.error.HTTPError as error:
                answered = True
                reasons.append(f"{url} answered {error.code}")
            except (OSError, ValueError, http.client.HTTPException) as error:
                reasons.append(f"{base} does not answer as it should ({getattr(error, 'reason', error)})")
                break
    kind = SourceError if answered else _Gone
    raise kind("; ".join(dict.fromkeys(reasons)))


def _read_url(url: str, target: Path, name: str, report: Report) -> Path:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, target.open("wb") as writer:
        length = answer.headers.get("Content-Length")
        total, done = (int(length) if length is not None else None), 0
        while block := answer.read(CHUNK):
            writer.write(block)
            done += len(block)
            report(name, done, total)
    if total is not None and done < total:
        raise OSError(f"it broke off after {done:,} of {total:,} bytes")
    return target


def _npm(source: Any, temporary: Path) -> Path:
    _run(["npm", "pack", f"{source.package}@{source.version}", "--silent"], temporary)
    archive = next(temporary.glob("*.tgz"), None)
    if archive is None:
        raise SourceError("npm pack left no archive")
    folder = temporary / "unpacked"
    try:
        with tarfile.open(archive) as members:
            members.extractall(folder, filter="data")  # refuses paths outside the folder
    except (tarfile.TarError, OSError) as error:
        raise SourceError(f"{archive.name} cannot be unpacked ({error})") from error
    return folder


def _debian(source: Any, temporary: Path) -> Path:
    try:
        _run(["apt-get", "download", source.package], temporary)
    except SourceError:
        _run(["apt-get", "update"], temporary)
        _run(["apt-get", "download", source.package], temporary)
    archive = next(temporary.glob("*.deb"), None)
    if archive is None:
        raise SourceError("apt-get download left no package")
    _run(["dpkg-deb", "-x", archive.name, "unpacked"], temporary)
    return temporary / "unpacked"


def _finder(folder: Path, label: str) -> Getter:
    def find(name: str) -> Path:
        for file in (name, f"{name}.gz"):
            for path in sorted(folder.rglob(file)):
                if path.is_file() and not path.is_symlink():
                    return path
        raise SourceError(f"{label} has no {name}")

    return find


def _run(command: Sequence[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise _Gone(f"{command[0]} is not installed")
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired as error:
        raise _Gone(f"{' '.join(command)} gave no answer in {error.timeout:.0f} s") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise _Gone(f"{' '.join(command)} failed: {last}")


def _by_hand(dataset: Any, folder: Path, wanted: dict[str, str], reasons: Sequence[str]) -> str:
    tried = "".join(f"\n  {number}. {reason}" for number, reason in enumerate(reasons, 1))
    files = "".join(f"\n  {name}  (SHA-256 {sha256})" for name, sha256 in wanted.items())
    return (
        f"{dataset.name}: no source gave {', '.join(wanted)}. Tried:{tried}\n"
        f"By hand: place these files, plain or as .gz, in {folder}{files}\n"
        f"then type: {prepare_command(dataset)}"
    )
