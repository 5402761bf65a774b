"""What is to be scored: a folder, one file, a CSV of files, or the arrays of an ``.npz``; with labels, if any."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.config import UsageError
from benchmark.data.files import expanded
from benchmark.data.reading import EXTENSIONS, Unreadable
from benchmark.detect.arrays import Range, Shape, as_images
from benchmark.detect.files import look, read_many, square
from benchmark.say import one_line

LABELS = ("label", "labels")  # columns of a CSV, arrays of an .npz
_NOT_UNICODE = re.compile("[\ud800-\udfff]")  # how Python has bytes of names that are no UTF-8
EXAMPLE = "Type images=<a folder, an image, a CSV with a column path, or an .npz file>"


class Item(NamedTuple):
    """One image to score."""

    name: str  # what its row is called
    label: str | None = None


@dataclass(frozen=True)
class Source:
    """Images to score, in order: files, or the rows of an array."""

    items: Sequence[Item]
    paths: Sequence[Path] = ()
    array: np.ndarray | None = None
    labelled: str = ""  # where the labels come from; "": there are none

    def read(
        self, shape: Shape, keep_aspect: bool, levels: Range | None, size: int
    ) -> Iterator[list[np.ndarray | Unreadable]]:
        """Their pixels uint8 (C, H, W), or why there are none, ``size`` images at once."""
        if self.array is not None:
            for first in range(0, len(self.array), size):
                yield list(as_images(self.array[first : first + size], shape, levels, "the cell").numpy())
            return
        found: list[np.ndarray | Unreadable] = []
        for image in read_many(self.paths, shape, keep_aspect, ahead=2 * size):
            found.append(image)
            if len(found) == size:
                yield found
                found = []
        if found:
            yield found


def find_source(
    path: Path, shape: Shape, levels: Range | None = None, key: str = "images", empty: bool = False
) -> Source:
    """What is to be scored at ``path``. Raises ``UsageError`` in one line for what holds no images of this shape.

    Images in files are resized; arrays have to be of the shape, and their values in range, which is seen here.
    ``empty``: a folder may have none yet.
    """
    if not path.exists():
        raise UsageError(f"{key}={path} does not exist. {EXAMPLE}")
    ending = path.suffix.lower()
    if not path.is_dir() and ending == ".npz":
        return _of_arrays(path, shape, levels, key)
    square(shape)
    if path.is_dir():
        return _of_folder(path, key, empty)
    if ending == ".csv":
        return _of_table(path, key)
    if ending in EXTENSIONS:
        return Source([Item(shown(path))], [path])
    raise UsageError(f"{key}={path} is no image: its name ends in none of {', '.join(EXTENSIONS)}. {EXAMPLE}")


def shown(path: Path) -> str:
    """A path as it stands in a table: a spreadsheet must not take it for a formula."""
    text = plain(str(path))
    return f"./{text}" if text[:1] in "=+-@" else text


def plain(text: str) -> str:
    """A text without what breaks a row of a CSV although it is in quotes; bytes that are no UTF-8 as ``\\xff``."""
    return _NOT_UNICODE.sub(_escaped, text.replace("\r", "\\r").replace("\0", "\\0"))


def _escaped(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"


def _refuse_formulas(items: Sequence[Item], what: str) -> None:
    """Raise ``UsageError`` for a label that a spreadsheet would take for a formula; numbers such as -1 are none."""
    for label in {item.label for item in items if item.label is not None}:
        if label[:1] in "=+@" or (label[:1] == "-" and not label[1:].replace(".", "", 1).isdigit()):
            raise UsageError(f"{what}: label {label!r} is what a spreadsheet takes for a formula. Write another label")


def _of_folder(folder: Path, key: str, empty: bool) -> Source:
    paths, faults = look(folder)
    if faults:
        raise UsageError(f"{key}={folder}: {faults[0]}. Give yourself the right to read it, or take it out")
    if not paths and not empty:
        raise UsageError(
            f"{key}={folder} has no images in it: none of its files ends in {', '.join(EXTENSIONS)}. {EXAMPLE}"
        )
    above = len(folder.parts)
    places = [path.parts[above:] for path in paths]
    classes = {parts[0] for parts in places if len(parts) > 1}
    in_classes = len(classes) > 1 and all(len(parts) > 1 for parts in places)
    labels = [plain(parts[0]) if in_classes else None for parts in places]
    items = [Item(shown(path), label) for path, label in zip(paths, labels, strict=True)]
    _refuse_formulas(items, f"{key}={folder}")
    return Source(items, paths, labelled="its class folders" if in_classes else "")


def _of_table(path: Path, key: str) -> Source:
    too_long: list[tuple[int, int]] = []  # lines with more cells than the first one, and how many these have
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            rows = csv.DictReader(file, delimiter=next((d for d in ",;\t" if d in head), ","))
            names = {name.strip().lower(): name for name in rows.fieldnames or ()}
            found = []
            for row in rows:
                if any(cell.strip() for cell in row.get(None, ())):
                    too_long.append((rows.line_num, len(row[None]) + len(names)))
                if (row.get(names.get("path", "")) or "").strip():
                    found.append(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{key}={path} cannot be read as a CSV in UTF-8: {one_line(error)}") from error
    if "path" not in names:
        raise UsageError(
            f"{key}={path} has no column path; its first line is {head.strip()[:80]!r}. Write there: path or path,label"
        )
    if too_long:
        (line, cells), count = too_long[0], len(names)
        raise UsageError(
            f"{key}={path}: line {line} has {cells} cells, and the first line names {count}, so that the rest would be "
            'cut off. Put a text that has the separator in it in quotes, as in "a,b"'
        )
    if not found:
        raise UsageError(f"{key}={path} lists no images: a line an image must follow its first one")
    label = next((names[name] for name in LABELS if name in names), None)
    paths = [path.parent / expanded(Path(row[names["path"]].strip())) for row in found]
    labels = [None if label is None else plain((row.get(label) or "").strip()) or None for row in found]
    items = [Item(shown(place), given) for place, given in zip(paths, labels, strict=True)]
    _refuse_formulas(items, f"{key}={path}")
    return Source(items, paths, labelled="" if label is None else f"its column {label}")


def _of_arrays(path: Path, shape: Shape, levels: Range | None, key: str) -> Source:
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no .npz file")
        with np.load(path, allow_pickle=False) as arrays:
            name = "images" if "images" in arrays.files else arrays.files[0] if len(arrays.files) == 1 else None
            if name is None:
                raise UsageError(f"{key}={path} has no array images; it has: {', '.join(arrays.files) or 'none'}")
            images = arrays[name]
            labels = next((arrays[label] for label in LABELS if label in arrays.files), None)
    except UsageError:
        raise
    except Exception as error:  # zipfile and numpy raise many kinds of errors for damaged files
        raise UsageError(f"{key}={path} cannot be read as arrays: {one_line(error) or type(error).__name__}") from error
    if images.ndim < 2 or len(images) == 0 or images.dtype.kind not in "uifb":
        raise UsageError(f"{key}={path}: {name} is {images.dtype} of shape {images.shape}, which are no images")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise UsageError(f"{key}={path}: {name} holds numbers that are not finite. Take them out")
    if labels is not None and labels.shape != (len(images),):
        raise UsageError(f"{key}={path}: {len(images)} images, but labels of shape {labels.shape}")
    as_images(images[:1], shape, None if images.dtype == np.uint8 else levels, "the cell")
    if levels is None and images.dtype != np.uint8:
        images = as_images(images, shape, None, "the cell").numpy()  # which sees whether all are in range
    words = [None] * len(images) if labels is None else [plain(str(label)) for label in labels]
    items = [Item(f"{shown(path)}[{row}]", word) for row, word in enumerate(words)]
    _refuse_formulas(items, f"{key}={path}")
    return Source(items, array=images, labelled="" if labels is None else "its array of labels")
