"""Own images as they were read once: below the data directory, in files that are mapped into memory.

``folder/NAME-HASH/`` is of one place and one way to read it; in it ``images/`` has, written as one:

- ``images.npy``: uint8 (N, C, H, W), training images first; ``labels.npy``: int64 (N,).
- ``about.json``: classes, counts, faults and ``content``, a SHA-256 over names (of classes too), images and
  labels: the version of the data, by which what is mapped is checked each time.
- ``files.json``: name, size, times of change and SHA-256 of every file that was read; ``rows.json``: the file of each
  row.

They are used again as long as there are the same images with the same labels, and every file has the same size and
times of change, or at least the same SHA-256. ``benchmark.prepare`` looks at every SHA-256, whatever the times.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config import UsageError
from benchmark.data.files import sha256_of, stamp_of
from benchmark.data.judging import FEWEST, TRAIN_SHARE, Judged, Seen, in_words, judge
from benchmark.data.layouts import Found, in_order
from benchmark.data.reader import Reader, Report
from benchmark.data.sources import locked
from benchmark.data.writing import remove, replacing, scratch
from benchmark.say import shown

SPLIT = f" ({TRAIN_SHARE:.0%} of each class train, by a hash of their content)"
FORMAT = 2  # raise it when the same files give another cache
FITTED = 2  # raise it when they do with ``keep_aspect`` alone
SUM = "sha256"  # in about.json: of all that stands there besides
ROWS = 1024  # images that are copied at once


@dataclass(frozen=True)
class Way:
    """How images are read."""

    name: str  # of the data set
    path: Path  # absolute
    size: int
    channels: int | None  # None: as the files have it
    keep_aspect: bool

    @property
    def key(self) -> str:
        """What was typed, for what is said."""
        return f"dataset.path={shown(str(self.path))}"

    def place(self, data_dir: Path) -> Path:
        """The folder of its cache."""
        fitted = [FITTED] if self.keep_aspect else []
        key = json.dumps([FORMAT, *map(str, asdict(self).values()), *fitted])
        return data_dir / "folder" / f"{self.name}-{hashlib.sha256(key.encode(errors='replace')).hexdigest()[:12]}"


@dataclass(frozen=True)
class About:
    """What a cache holds."""

    content: str  # the version of the data
    name: str
    layout: str
    classes: list[str]
    channels: int
    train: int  # how many of the rows are training images
    count: int  # rows
    found: int  # images that were found, faults among them
    faults: list[tuple[str, str]]  # name and reason of what was left out


@dataclass(frozen=True)
class Mapped:
    """Arrays of a cache: images are read from the disk as they are looked at."""

    about: About
    images: np.ndarray  # uint8 (N, C, H, W), not to be written to
    labels: np.ndarray  # int64 (N,)

    def splits(self) -> list[np.ndarray]:
        """Images and labels of training and of test."""
        at = self.about.train
        return [self.images[:at], self.labels[:at], self.images[at:], self.labels[at:]]


def version_of(name: str, arrays: Sequence[np.ndarray]) -> str:
    """The version of a data set: SHA-256 over its name, and the shapes and bytes of its arrays."""
    digest = hashlib.sha256(name.encode())
    for array in arrays:
        digest.update(str(tuple(array.shape)).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    return digest.hexdigest()


def _version(found: Mapped) -> str:
    """As ``version_of``; the names of classes count too, as labels are no more than their places among these."""
    return version_of(json.dumps([found.about.name, found.about.classes]), found.splits())


def cached(way: Way, found: Found, data_dir: Path, report: Report, thorough: bool = False) -> tuple[About, bool]:
    """What the images of ``found`` are, and whether they had to be read. Others that read the same are waited for.

    Raises ``UsageError`` if no image is left to train on, or the data directory cannot hold them.
    """
    place = way.place(data_dir)
    listing = _Listing(found)
    if (about := _fresh(place, listing, thorough)) is not None:
        return about, False
    with locked(place):
        if (about := _fresh(place, listing, thorough)) is not None:
            return about, False
        for leftover in [*place.glob(".*.tmp"), *place.glob(".*.old")]:  # of a process that was killed
            remove(leftover)
        return _build(place, way, found, listing, report), True


def of_content(content: str, data_dir: Path) -> list[Path]:
    """The folders of caches that say to hold this version of some data."""
    there = sorted((data_dir / "folder").glob("*/images"))
    return [path.parent for path in there if (about := _about(path)) is not None and about.content == content]


def discard(place: Path) -> None:
    """Remove what a cache holds, so that it is read again."""
    with locked(place), suppress(FileNotFoundError):
        remove(place / "images")


def mapped(place: Path) -> Mapped | None:
    """The arrays of a cache, or None where they are not what they were when they were written."""
    about = _about(place / "images")
    try:
        found = None if about is None else _loaded(place / "images", about)
    except (OSError, ValueError, EOFError):
        return None
    return found if found is not None and _version(found) == found.about.content else None


def _loaded(folder: Path, about: About) -> Mapped:
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    return Mapped(about, images, np.load(folder / "labels.npy", allow_pickle=False))


class _Listing:
    """The files that a cache is made from, as they are now."""

    def __init__(self, found: Found) -> None:
        self.found = found
        items = sorted((item.name, item.label, item.split) for item in found.items)
        self.items = hashlib.sha256(json.dumps([items, sorted(found.faults)]).encode()).hexdigest()
        self.stamps = {str(path): stamp_of(path) for path in found.files}

    def is_that_of(self, noted: Any, thorough: bool) -> bool:
        """Whether nothing but times of change differs from what was noted."""
        if noted["items"] != self.items or set(noted["files"]) != set(self.stamps):
            return False
        for path, stamp in self.stamps.items():
            *then, sha256 = noted["files"][path]
            if stamp[0] != then[0] or ((thorough or [*stamp] != then) and _sha256(Path(path)) != sha256):
                return False
        return True


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except (OSError, ValueError):
        return ""


def _fresh(place: Path, listing: _Listing, thorough: bool) -> About | None:
    """What a cache holds, if it is of these files."""
    about, path = _about(place / "images"), place / "images" / "files.json"
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
        if about is None or not listing.is_that_of(noted, thorough):
            return None
        now = {name: [*stamp, noted["files"][name][-1]] for name, stamp in listing.stamps.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if now != noted["files"]:  # so that no command has to look at their content again
        with suppress(OSError), replacing(path) as temporary:
            _dump(temporary, {**noted, "files": now})
    return None if thorough and mapped(place) is None else about


def _about(folder: Path) -> About | None:
    """None too for one that is not what was written, as after an edit by hand."""
    try:
        content = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        written = content.pop(SUM)
        return About(**content) if written == _sum(content) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _sum(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _build(place: Path, way: Way, found: Found, listing: _Listing, report: Report) -> About:
    with scratch(place / "read") as path:
        try:
            reader = Reader(found, path, way.channels, way.size, way.keep_aspect)
            seen = reader.read(report)
            judged = judge(found.items, seen, way.channels)
            faults = [*found.faults, *judged.faults]
            if judged.train == 0:
                raise UsageError(
                    f"{way.key}: no class has {FEWEST} images to train on: {in_words(faults) or 'all are test images'}"
                )
            with replacing(place / "images", wait=False) as folder:
                folder.mkdir()
                labels = [found.items[i].label for i in judged.rows]
                classes = in_order(sorted(set(labels)))
                _write_images(folder / "images.npy", reader.pixels(), judged)
                np.save(folder / "labels.npy", np.array([classes.index(label) for label in labels], dtype=np.int64))
                about = About(
                    content="",
                    name=way.name,
                    layout=found.layout + (SPLIT if judged.is_ours else ""),
                    classes=classes,
                    channels=judged.channels,
                    train=judged.train,
                    count=len(judged.rows),
                    found=len(found.items) + len(found.faults),
                    faults=faults,
                )
                written = _loaded(folder, about)
                about = replace(about, content=_version(written))
                _dump(folder / "about.json", {**asdict(about), SUM: _sum(asdict(about))})
                _dump(folder / "files.json", {"items": listing.items, "files": _noted(found, seen, listing)})
                _dump(folder / "rows.json", [found.items[i].name for i in judged.rows])
        except OSError as error:
            raise UsageError(
                f"the images of {way.path} cannot be kept in {place} ({error.strerror or error}). Make room there, or "
                "type data_dir=<a folder>"
            ) from error
    return about


def _write_images(path: Path, pixels: np.ndarray, judged: Judged) -> None:
    """An array of the rows, in their order and with the channels that they are to have."""
    shape = len(judged.rows), judged.channels, *pixels.shape[2:]
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for first in range(0, len(judged.rows), ROWS):
            file.write(pixels[judged.rows[first : first + ROWS], : judged.channels].tobytes())


def _noted(found: Found, seen: Seen, listing: _Listing) -> dict[str, list[Any]]:
    """Size, times of change and SHA-256 of each file; no SHA-256 of what could not be read at all."""
    if found.arrays is not None:
        sha256 = {str(path): sha256_of(path) for path in found.files}
        found.arrays.refuse_changed()
    else:
        sha256 = {str(item.path): seen.content[i].hex() for i, item in enumerate(found.items)}
    return {path: [*stamp, sha256[path]] for path, stamp in listing.stamps.items()}


def _dump(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
