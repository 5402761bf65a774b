"""Reads all images of a place, several at a time, into one file of pixels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from pathlib import Path

import numpy as np

from benchmark.data.judging import Seen
from benchmark.data.layouts import Found
from benchmark.data.reading import Unreadable, content_of, read_stored

AT_ONCE = 64  # images that a thread reads before it says so

Report = Callable[[int, int], None]  # images read, of how many


class Reader:
    """Reads every image once, several at a time, into a file: uint8 (N, C, size, size).

    ``channels`` is None where the files say how many they have: C is 3 then.
    """

    def __init__(self, found: Found, path: Path, channels: int | None, size: int, keep_aspect: bool) -> None:
        self.found, self.path, self.size, self.keep_aspect = found, path, size, keep_aspect
        self.channels = channels or 3  # grey ones are the same three times, until it is known that all are grey
        count = len(found.items)
        self.seen = Seen([0] * count, [b""] * count, [b""] * count)

    def read(self, report: Report) -> Seen:
        """What was seen of each item; those that cannot be read are among its faults."""
        count = len(self.found.items)
        if self.found.arrays is not None:
            _ = self.found.arrays.images  # before the threads, which would each load them
        with self.path.open("wb") as file, closing(_Threads()) as threads:
            some = [range(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE)]
            for numbers in threads.map(lambda numbers: self._some(file.fileno(), numbers), some):
                report(numbers.stop, count)
        return self.seen

    def pixels(self) -> np.ndarray:
        """What was read, mapped: (N, C, size, size), zeros where a fault is."""
        shape = len(self.found.items), self.channels, self.size, self.size
        with self.path.open("ab") as file:
            file.truncate(int(np.prod(shape)))  # where the last ones were faults
        return np.memmap(self.path, np.uint8, "r", shape=shape)

    def _some(self, file: int, numbers: range) -> range:
        for i in numbers:
            try:
                pixels = self._one(i)
            except Unreadable as error:
                self.seen.faults[i] = str(error)
                continue
            content = pixels.tobytes()
            self.seen.pixels[i] = hashlib.blake2b(content, digest_size=16).digest()
            _write_at(file, content, i * len(content))
        return numbers

    def _one(self, i: int) -> np.ndarray:
        seen = self.seen
        if self.found.arrays is not None:
            pixels, seen.channels[i], content = self.found.arrays.read(i, self.channels, self.size, self.keep_aspect)
            seen.content[i] = hashlib.sha256(content).digest()
            return pixels
        content = content_of(self.found.items[i].path)
        seen.content[i] = hashlib.sha256(content).digest()
        pixels, seen.channels[i] = read_stored(BytesIO(content), self.channels, self.size, self.keep_aspect)
        return pixels


class _Threads(ThreadPoolExecutor):
    """One a core: Pillow unpacks and resizes without Python's lock. What has not begun at an interrupt never does."""

    def __init__(self) -> None:
        super().__init__(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())

    def close(self) -> None:
        self.shutdown(cancel_futures=True)


def _write_at(file: int, content: bytes, place: int) -> None:
    """All of it; ``OSError`` where the disk is full, which writing to mapped memory would be killed for."""
    while content:
        written = os.pwrite(file, content, place)
        content, place = content[written:], place + written
