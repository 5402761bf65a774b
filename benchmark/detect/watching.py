"""A folder that fills: which images have come and are whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmark.detect.files import image_files
from benchmark.detect.sources import Item, Source, shown


class Folder:
    """Looked at again and again; an image is handed out once, when two looks have found it of one size and time."""

    def __init__(self, path: Path, known: Iterable[str] = ()) -> None:
        self.path, self.known = path, set(known)  # names of rows that there are
        self.seen: dict[Path, tuple[int, int]] = {}  # not handed out yet: size and time of change

    def settled(self) -> Source | None:
        """The images that are whole since the last look; None if there are none."""
        found, whole = {}, []
        for path in image_files(self.path):
            if (name := shown(path)) in self.known:
                continue
            try:
                state = path.stat()
            except OSError:  # gone again
                continue
            found[path] = (state.st_size, state.st_mtime_ns)
            if self.seen.get(path) == found[path]:
                whole.append(path)
                self.known.add(name)
        self.seen = {path: state for path, state in found.items() if path not in whole}
        return Source([Item(shown(path)) for path in whole], whole) if whole else None
