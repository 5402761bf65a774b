"""Images in files: which there are below a folder, and their pixels, read by several threads in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.data.reading import EXTENSIONS, Unreadable, read_image, read_stored
from benchmark.detect.arrays import BadImages, Shape
from benchmark.engine.device import available_cores
from benchmark.say import shown

AT_ONCE = 32  # images that a thread reads before it says so
AHEAD = 64  # images that are read before they are asked for, by all threads together, unless somebody says another
SMALL = 4096  # bytes of a file in which Python has more to do than Pillow, which needs no lock
DEFAULT_SIZE = 64  # pixels along a side of images that nobody gave a size
SHOWN = 5  # files that a refusal names


def image_files(folder: Path) -> list[Path]:
    """The images below a folder and all folders in it, by the ends of their names, sorted; hidden ones left out.

    Raises ``BadImages`` for a folder in it that cannot be looked into.
    """
    found, faults = look(folder)
    if faults:
        raise BadImages(f"{faults[0]}. Give yourself the right to read it, or take it out")
    return found


def look(folder: Path) -> tuple[list[Path], list[str]]:
    """The images below a folder, as ``image_files`` has them, and in a line each which folders cannot be looked into.

    Links are followed, but for one that leads back to a folder that it lies in.
    """
    found: list[str] = []
    faults = []
    waiting: list[tuple[str, frozenset[str]]] = [(str(folder), frozenset())]
    while waiting:
        place, above = waiting.pop()
        if (real := os.path.realpath(place)) in above:
            continue
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name[0] == ".":
                        continue
                    if entry.is_dir():
                        waiting.append((os.path.join(place, entry.name), above | {real}))
                    elif entry.name.lower().endswith(EXTENSIONS):
                        found.append(os.path.join(place, entry.name))
        except OSError as error:
            faults.append(f"{shown(place)} cannot be looked into ({(error.strerror or str(error)).lower()})")
    found.sort(key=_as_paths_sort)  # as texts: paths take several times as long
    return [Path(path) for path in found], sorted(faults)


def _as_paths_sort(path: str) -> list[str]:
    return os.path.normcase(path).split(os.sep)


def read_many(
    paths: Sequence[Path], shape: Shape, keep_aspect: bool = False, ahead: int = AHEAD
) -> Iterator[np.ndarray | Unreadable]:
    """Of each path, in order, its image uint8 (C, H, W) or why it gives none; threads read about ``ahead`` of them."""
    channels, size = shape[0], square(shape)

    def read(some: Sequence[Path]) -> list[np.ndarray | Unreadable]:
        return [_read(path, channels, size, keep_aspect) for path in some]

    waiting: deque[Future[list[np.ndarray | Unreadable]]] = deque()
    with ThreadPoolExecutor(_threads(paths)) as pool:
        try:
            for first in range(0, len(paths), AT_ONCE):
                waiting.append(pool.submit(read, paths[first : first + AT_ONCE]))
                if len(waiting) * AT_ONCE > ahead:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _threads(paths: Sequence[Path]) -> int:
    """How many read: one for small files, by the first; several wait for one another more than for Pillow."""
    try:
        return 1 if paths and paths[0].stat().st_size < SMALL else available_cores()
    except OSError:  # said where it is read
        return available_cores()


def _read(path: Path, channels: int, size: int, keep_aspect: bool) -> np.ndarray | Unreadable:
    try:
        return read_image(path, channels, size, keep_aspect)
    except Unreadable as reason:
        return reason


def square(shape: Shape) -> int:
    """The side of images that files can be read as. Raises ``BadImages`` where they are no grey or RGB squares."""
    channels, height, width = shape
    if channels not in (1, 3) or height != width:
        raise BadImages(
            f"files are read as grey or RGB squares, and this detector is for images of {channels} x {height} x "
            f"{width} (channels, height, width). Hand in arrays"
        )
    return height


def read_folder(folder: Path, shape: Shape | None, keep_aspect: bool = False) -> Tensor:
    """All images below a folder: uint8 (N, C, H, W). Raises ``BadImages`` for none, and for any that cannot be read.

    ``shape`` None: grey or RGB as the first one is, 64 x 64.
    """
    if not folder.is_dir():
        raise BadImages(f"{folder} is no folder. Hand in an array, or a folder of images")
    paths = image_files(folder)
    if not paths:
        raise BadImages(f"{folder} has no images in it: none of its files ends in {', '.join(EXTENSIONS)}")
    shape = _shape_of(paths) if shape is None else shape
    square(shape)
    images, bad = np.empty((len(paths), *shape), np.uint8), []
    for i, found in enumerate(read_many(paths, shape, keep_aspect)):
        if isinstance(found, Unreadable):
            bad.append(f"{paths[i].relative_to(folder)} ({found})")
        else:
            images[i] = found
    if bad:
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise BadImages(
            f"{len(bad)} of {len(paths)} images in {folder} cannot be read: {', '.join(bad[:SHOWN])}{more}. "
            "Remove them, or mend them"
        )
    return torch.from_numpy(images)


def _shape_of(paths: list[Path]) -> Shape:
    for path in paths:
        try:
            return read_stored(path, 1, DEFAULT_SIZE)[1], DEFAULT_SIZE, DEFAULT_SIZE
        except Unreadable:
            continue
    return 1, DEFAULT_SIZE, DEFAULT_SIZE
