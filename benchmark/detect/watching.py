"""A folder that fills: which images have come and are whole, and what is there still of those that were scored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmark.detect.files import look
from benchmark.detect.sources import Item, Source, shown
from benchmark.detect.streaming import Judge
from benchmark.detect.table import Row

NEAR = (
    1e-3  # how far a score may be from that of the same image on another machine, of it and of the calibration's span
)


class Folder:
    """Looked at again and again; an image is handed out once, when two looks have found it of one size and time."""

    def __init__(self, path: Path, known: Iterable[str] = ()) -> None:
        self.path, self.known = path, set(known)  # names of rows that there were
        self.handed: set[Path] = set()  # by path: names of two files may read alike
        self.seen: dict[Path, tuple[int, int]] = {}  # not handed out yet: size and time of change
        self.faults: list[str] = []  # of the last look: which folders cannot be looked into

    def settled(self) -> Source | None:
        """The images that are whole since the last look; None if there are none."""
        found, whole = {}, []
        paths, self.faults = look(self.path)
        for path in paths:
            if path in self.handed or shown(path) in self.known:
                continue
            try:
                state = path.stat()
            except OSError:  # gone again
                continue
            found[path] = (state.st_size, state.st_mtime_ns)
            if self.seen.get(path) == found[path]:
                whole.append(path)
                self.handed.add(path)
        self.seen = {path: state for path, state in found.items() if path not in self.handed}
        return Source([Item(shown(path)) for path in whole], whole) if whole else None


def recalled(
    judge: Judge, known: Sequence[Row], folder: Path, most: int
) -> tuple[list[tuple[Row, np.ndarray | None]], int]:
    """Rows that there were, the ``most`` with the highest scores with their pixels; and of how many these are gone.

    Pixels are read from the files, and taken where they still have the score of the row.
    """
    scored = [i for i, row in enumerate(known) if row.score is not None]
    top = sorted(scored, key=lambda i: -(known[i].score or 0.0))[:most]
    files = {shown(path): path for path in look(folder)[0]} if top else {}
    there = [i for i in top if known[i].path in files]
    source = Source([Item(known[i].path) for i in there], [files[known[i].path] for i in there])
    pairs = (pair for rows in judge.rows(source) for pair in rows)
    pixels = {i: image for i, (now, image) in zip(there, pairs, strict=True) if _alike(known[i], now, judge)}
    return [(row, pixels.get(i)) for i, row in enumerate(known)], len(top) - len(pixels)


def _alike(before: Row, now: Row, judge: Judge) -> bool:
    if before.score is None or now.score is None:
        return False
    return abs(before.score - now.score) <= NEAR * max(abs(before.score), float(np.ptp(judge.calibration)))
