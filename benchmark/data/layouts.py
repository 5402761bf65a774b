"""Where the images of somebody's own data set lie, and which class and split each has: found by name, none is read.

Five layouts are known, each said in a few words (``Found.layout``):

- ``CLASS/*.png``: class folders. No split is official: 70% of each class train (``own.py``).
- ``train/CLASS/*.png`` and ``test/CLASS/*.png``: both splits, such as MVTec's ``train/good`` and ``test/DEFECT``.
- ``*.png``: a flat folder of good images, all to train on.
- a CSV file of ``path,label`` or ``path,label,split``; paths are relative to its own folder.
- an ``.npz`` file: ``train_images``, ``train_labels``, ``test_images``, ``test_labels``; or ``images`` and ``labels``;
  or ``images`` alone.

Images are looked for in these folders alone: deeper ones (``ground_truth/``) are left out, and named.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from benchmark.config import UsageError
from benchmark.data.arrays import FILE, WHOLE, Arrays
from benchmark.data.files import expanded
from benchmark.data.reading import EXTENSIONS
from benchmark.say import shown

GOOD = "good"  # the class of a flat folder, and of arrays without labels
SPLITS = ("train", "test")
COLUMNS = ("path", "label", "split")
MORE_CELLS = "with more cells than the first line has columns, as text with a comma outside of quotes makes"
NAMED = 3  # of many, how many are named


@dataclass(frozen=True)
class Item:
    """One image: what it is called, where it is, and what it is."""

    name: str  # its path in the data set, with /; of an array, its number
    path: Path
    label: str
    split: str | None  # train | test | None: not said


@dataclass(frozen=True)
class Found:
    """A data set as it lies on the disk, in no particular order."""

    layout: str  # in words
    items: Sequence[Item]
    faults: Sequence[tuple[str, str]] = ()  # name and reason, of images that can be told to be of no use
    left_out: Sequence[str] = ()  # names of folders and kinds of files that are none of it
    arrays: Arrays | None = None  # for .npz: the images of the items
    files: Sequence[Path] = field(default_factory=list)  # whose content decides what the images are


def find(path: Path, key: str = "dataset.path") -> Found:
    """The images at ``path``, a folder, a CSV or an ``.npz`` file.

    Raises ``UsageError`` where there is nothing of the kind, or in a layout that is none of those above.
    """
    if not path.exists():
        raise UsageError(f"{key}={path}: there is no such folder or file. Type {key}=<your folder of images>")
    if path.is_dir():
        return _Folder(path, key).found()
    kind = path.suffix.lower()
    if kind == ".csv" and path.is_file():
        return _of_table(path, key)
    if kind == FILE and path.is_file():
        return _of_arrays(path, key)
    raise UsageError(
        f"{key}={path} is a file of another kind: it must be a folder of images, a .csv or an .npz file. "
        f"Type for example: {key}={path.parent}"
    )


def in_order(names: Sequence[str]) -> list[str]:
    """Names as people order them: 2 before 10.

    >>> in_order(["good", "10", "2"])
    ['2', '10', 'good']
    """
    parts = {name: re.findall(r"\d+|\D+", name) for name in names}
    return sorted(names, key=lambda name: [_rank(part) for part in parts[name]])


def _rank(part: str) -> tuple[int, int, str]:
    """Numbers before words, by how many digits they have: of too many ones Python makes no number."""
    if not part.isdecimal():
        return 1, 0, part
    digits = "".join(str(int(digit)) for digit in part).lstrip("0")
    return 0, len(digits), digits


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(shown(name) for name in names[:most]) + more


class _Folder:
    """A folder of images, whichever of its layouts it has."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        self.left_out: list[str] = []
        self.strays: list[tuple[str, str]] = []

    def found(self) -> Found:
        folders, images = self._entries(self.path)
        inside = {name: self._entries(self.path / name) for name in folders}
        others = [name for name in folders if inside[name][1] and name not in SPLITS]
        self._refuse_capitals(inside, others)
        if "train" in inside and inside["train"][0] and not others:
            layout, items = self._splits(inside, images)
        elif classes := [name for name in folders if inside[name][1]]:
            layout, items = self._classes(classes, inside, images)
        elif images:
            layout = "a flat folder of good images"
            items = [Item(name, self.path / name, GOOD, "train") for name in images]
            self.left_out += [f"{name}/" for name in folders]
        else:
            raise UsageError(self._empty(inside))
        return Found(layout, items, self.strays, self.left_out, files=[item.path for item in items])

    def _refuse_capitals(self, inside: dict[str, tuple[list[str], list[str]]], others: Sequence[str]) -> None:
        """Raise ``UsageError`` for ``Train/`` where it must be ``train/``: it would be passed over, or be a class."""
        odd = [name for name in inside if name not in SPLITS and name.lower() in SPLITS and any(inside[name])]
        if odd and "train" in map(str.lower, inside) and set(others) <= set(odd):
            wanted = " and ".join(f"{name.lower()}/" for name in odd)
            raise UsageError(
                f"{self.key}={self.path}: {' and '.join(f'{name}/' for name in odd)} must be in small letters to be "
                f"what is trained on or tested. Rename {'them' if len(odd) > 1 else 'it'}: {wanted}"
            )

    def _splits(self, inside: dict[str, tuple[list[str], list[str]]], images: list[str]) -> tuple[str, list[Item]]:
        items = []
        for split in SPLITS:
            if split in inside:
                classes, loose = inside[split]
                self.strays += [(f"{split}/{name}", "beside the class folders (in none of them)") for name in loose]
                items += self._of_classes(Path(split), classes, split)
        self.strays += [(name, "beside train/ and test/ (in neither)") for name in images]
        self.left_out += [f"{name}/" for name in inside if name not in SPLITS]
        if not items:
            raise UsageError(self._empty(inside))
        if not any(item.split == "train" for item in items) and (classes := inside["train"][0]):
            deeper = [name for name in self.left_out if name.startswith("train/")]
            why = f"images are not looked for in deeper folders ({listed(deeper)})" if deeper else "they are empty"
            raise UsageError(
                f"{self.key}={self.path}: there are no images in the class folders of train/ ({listed(classes)}): {why}"
                f". Put them into train/{shown(classes[0])}/ itself"
            )
        trained = {item.label for item in items if item.split == "train"}
        is_of_good = len(trained) == 1
        return f"train/{trained.pop()} and test/CLASS" if is_of_good else "train/CLASS and test/CLASS", items

    def _classes(
        self, classes: list[str], inside: dict[str, tuple[list[str], list[str]]], images: list[str]
    ) -> tuple[str, list[Item]]:
        if set(classes) <= {*SPLITS} and "train" in classes:
            raise UsageError(
                f"{self.key}={self.path}: train/ holds images outside of any class folder. Put them into "
                f"train/{GOOD}/, test images into test/{GOOD}/ and test/<what is wrong with them>/"
            )
        self.strays += [(name, "beside the class folders (in none of them)") for name in images]
        self.left_out += [f"{name}/" for name in inside if name not in classes]
        split = "train" if len(classes) == 1 else None
        layout = f"a folder of {shown(classes[0])} images alone" if split else "class folders"
        return layout, self._of_classes(Path(), classes, split)

    def _of_classes(self, below: Path, classes: Sequence[str], split: str | None) -> list[Item]:
        items = []
        for label in classes:
            folders, images = self._entries(self.path / below / label)
            self.left_out += [(below / label / name).as_posix() + "/" for name in folders]
            for name in images:
                place = below / label / name
                items.append(Item(place.as_posix(), self.path / place, label, split))
        return items

    def _entries(self, folder: Path) -> tuple[list[str], list[str]]:
        """Names of folders and of images in a folder, sorted; what is hidden is not looked at."""
        folders, images = [], []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name == "__MACOSX":
                        continue
                    if entry.is_dir():
                        folders.append(entry.name)
                    elif entry.name.lower().endswith(EXTENSIONS):
                        images.append(entry.name)
        except OSError as error:
            raise UsageError(f"{self.key}: {folder} cannot be looked into ({error.strerror})") from error
        return sorted(folders), sorted(images)

    def _empty(self, inside: dict[str, tuple[list[str], list[str]]]) -> str:
        kinds = ", ".join(EXTENSIONS)
        better = next((name for name, (folders, _) in inside.items() if "train" in folders), None)
        hint = f"Type {self.key}={self.path / better}" if better else f"Type {self.key}=<the folder that holds them>"
        deeper = [name for name in self.left_out if name.startswith(tuple(f"{split}/" for split in SPLITS))]
        if deeper:
            hint = f"Not looked into: {listed(deeper)}. Put the images into the class folders themselves"
        return f"{self.key}={self.path}: there are no images ({kinds}) in it, nor in its class folders. {hint}"


def _of_table(path: Path, key: str) -> Found:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            rows = list(_rows(file, next((d for d in ",;\t" if d in head), ",")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{key}={path} cannot be read as a CSV file in UTF-8 ({error})") from error
    names = [name.strip().lower() for name in rows[0][1]] if rows else []
    if not {"path", "label"} <= set(names):
        raise UsageError(
            f"{key}={path}: its first line must name the columns path and label (and split, if there is one); it "
            f"has: {listed(names, 5) or 'nothing'}"
        )
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise UsageError(
            f"{key}={path}: its first line names the column {twice[0]} {names.count(twice[0])} times, and which of "
            f"them counts is not said. Leave one {twice[0]}, and call the other something else"
        )
    at = {name: names.index(name) for name in COLUMNS if name in names}
    items, faults, seen = [], [], set()
    has_split = "split" in at and any(len(row) > at["split"] and row[at["split"]].strip() for _, row in rows[1:])
    for number, row in rows[1:]:
        if not any(cell.strip() for cell in row):
            continue
        if any(cell.strip() for cell in row[len(names) :]):
            faults.append((f"line {number}", f"{MORE_CELLS} ({len(row)}, not {len(names)})"))
            continue
        cells = {name: row[place].strip() if place < len(row) else "" for name, place in at.items()}
        name, split = cells["path"] or f"line {number}", cells.get("split", "").lower() or None
        file = path.parent / expanded(Path(name))
        if (wrong := _fault_of_row(cells, split, has_split, os.path.normpath(file) in seen)) is not None:
            faults.append((name, wrong))
            continue
        seen.add(os.path.normpath(file))  # ./a.png is a.png
        items.append(Item(name, file, cells["label"], split))
    if not items and not faults:
        raise UsageError(f"{key}={path} lists no images: a line an image must follow the first one")
    if not has_split and len({item.label for item in items}) == 1:
        items = [Item(item.name, item.path, item.label, "train") for item in items]
    layout = "a CSV of path, label and split" if has_split else "a CSV of path and label"
    return Found(layout, items, faults, files=[item.path for item in items])


def _rows(file: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of the line that it begins in: text in quotes may go over several."""
    reader, first = csv.reader(file, delimiter=delimiter), 1
    for row in reader:
        yield first, row
        first = reader.line_num + 1


def _fault_of_row(cells: dict[str, str], split: str | None, has_split: bool, is_again: bool) -> str | None:
    if not cells["path"]:
        return "without a path"
    if not cells["label"]:
        return "without a label"
    if has_split and split not in SPLITS:
        return f"of no split that there is ({split or 'empty'}; train and test are)"
    return "listed twice" if is_again else None


def _of_arrays(path: Path, key: str) -> Found:
    arrays = Arrays(path, key)
    items = [
        Item(f"{part.name} {number}", path, label or GOOD, part.split)
        for part in arrays.parts
        for number, label in enumerate(part.labels)
    ]
    if not any(item.split == "train" for item in items) and any(part.name == WHOLE[0] for part in arrays.parts):
        raise UsageError(f"{key}={path}: {WHOLE[0]} has no images, and without any nothing can be trained on")
    if not items:
        raise UsageError(f"{key}={path}: images has no images")
    if not any(item.split for item in items) and len({item.label for item in items}) == 1:
        items = [Item(item.name, item.path, item.label, "train") for item in items]
    return Found("arrays of an .npz file", items, arrays=arrays, files=[path])
