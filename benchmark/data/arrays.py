"""Images and labels in an ``.npz`` file, as ``numpy.savez`` writes them."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config import UsageError
from benchmark.data.files import stamp_of
from benchmark.data.reading import fitted, to_bytes
from benchmark.say import one_line

FILE = ".npz"
WHOLE = ("train_images", "train_labels", "test_images", "test_labels")
KINDS = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.bool_))


@dataclass(frozen=True)
class Part:
    """An array of images, and what is said of each."""

    name: str
    split: str | None
    labels: Sequence[str | None]


class Arrays:
    """The arrays of a file. Labels are read at once, images when the first is asked for: they fill memory.

    Raises ``UsageError`` for a file that is no such one, for arrays of other names, kinds or shapes, and for other
    numbers of labels than of images.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key, self.stamp = path, key, stamp_of(path)
        with self._told():
            if not zipfile.is_zipfile(path):
                raise ValueError("it is none")
            with np.load(path, allow_pickle=False) as file:
                names = set(file.files)
                self._refuse_names(names)
                parts = {name: file[name] for name in names if name.endswith("labels")}
            heads = {name: self._head(name) for name in names if name.endswith("images")}
            order = [name for name in ("images", *WHOLE) if name in heads]
            self.parts = [self._part(name, heads[name], parts) for name in order]

    def read(self, number: int, channels: int, size: int, keep_aspect: bool) -> tuple[np.ndarray, int, bytes]:
        """Image ``number``, counted through all arrays: as ``read_stored`` gives it, and what it is made from."""
        import PIL.Image

        for images in self.images:
            if number < len(images):
                break
            number -= len(images)
        pixels = to_bytes(np.ascontiguousarray(images[number]))  # (H, W) or (H, W, C)
        stored = 1 if pixels.ndim == 2 else 3
        image = PIL.Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
        return fitted(image, size, keep_aspect), stored, pixels.tobytes()

    @cached_property
    def images(self) -> list[np.ndarray]:
        """All of them, in memory: (N, H, W) or (N, H, W, 3) each."""
        with self._told(), np.load(self.path, allow_pickle=False) as file:
            found = [_last(file[part.name]) for part in self.parts]
        self.refuse_changed()
        return found

    def refuse_changed(self) -> None:
        """Raise ``UsageError`` where the file is another than its labels were read from."""
        if stamp_of(self.path) != self.stamp:
            raise UsageError(
                f"{self.key}={self.path} changed while it was read. Type the command again once it is written"
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever fails inside is the file's fault: zipfile and numpy raise many kinds of errors for damaged ones
        (OSError, ValueError, zlib.error, NotImplementedError, RuntimeError, TokenError, MemoryError, ...)."""
        try:
            yield
        except UsageError:
            raise
        except Exception as error:
            said = one_line(error) or type(error).__name__
            raise UsageError(f"{self.key}={self.path} cannot be read as an .npz file of numpy ({said})") from error

    def _refuse_names(self, names: set[str]) -> None:
        if "images" in names and names <= {"images", "labels"}:
            return
        if names == set(WHOLE):
            return
        raise UsageError(
            f"{self.key}={self.path}: its arrays must be named {', '.join(WHOLE)}, or images and labels, or images; "
            f"they are {', '.join(sorted(names)[:6]) or 'none'}"
        )

    def _head(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and type of an array, without reading it."""
        with zipfile.ZipFile(self.path) as file, file.open(f"{name}.npy") as member:
            major, _ = np.lib.format.read_magic(member)
            read: Any = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(member)
            size, stored = math.prod(shape) * dtype.itemsize, file.getinfo(member.name).file_size - member.tell()
            if size != stored:
                raise ValueError(f"{name} is of shape {shape} and has {stored:,} bytes")
            return shape, dtype

    def _part(self, name: str, head: tuple[tuple[int, ...], np.dtype], labels: dict[str, np.ndarray]) -> Part:
        shape, dtype = head
        where = f"{self.key}={self.path}: {name}"
        if dtype.newbyteorder("=") not in KINDS:
            raise UsageError(
                f"{where} has numbers of type {dtype}; it must be uint8 (0 to 255), uint16 or bool. Of floats "
                "from 0 to 1 save: (255 * images).round().astype('uint8')"
            )
        if len(shape) not in (3, 4) or (len(shape) == 4 and not {1, 3} & {shape[1], shape[3]}) or 0 in shape[1:]:
            raise UsageError(
                f"{where} has shape {shape}; it must be (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3"
            )
        own = name.replace("images", "labels")
        if own not in labels:
            return Part(name, None, [None] * shape[0])
        if labels[own].shape != shape[:1] or labels[own].dtype.kind not in "iubUS":
            raise UsageError(
                f"{where} has {shape[0]:,} images, and {own} is of type {labels[own].dtype} and shape "
                f"{labels[own].shape}; it must have a whole number, a bool or a word for each image"
            )
        if labels[own].dtype.kind == "b":
            labels[own] = labels[own].astype(np.uint8)  # classes 0 and 1
        if labels[own].dtype.kind == "i" and labels[own].min(initial=0) < 0:
            numbers = ", ".join(str(number) for number in np.unique(labels[own])[:5])
            raise UsageError(
                f"{self.key}={self.path}: {own} has negative numbers ({numbers}), and no class name begins with a -. "
                f"Save words, for example of 1 and -1: {own}=numpy.where(labels == 1, 'good', 'anomalous')"
            )
        plain = np.char.decode(labels[own], "utf-8", "replace") if labels[own].dtype.kind == "S" else labels[own]
        words = [str(label) for label in plain.tolist()]
        return Part(name, name.partition("_")[0] if name in WHOLE else None, words)


def _last(images: np.ndarray) -> np.ndarray:
    """Channels last, and none for one: (N, H, W) or (N, H, W, 3)."""
    if images.ndim == 3:
        return images
    if images.shape[3] not in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[3] == 1 else images
