"""Files and folders put in place whole or not at all, whenever the process ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmark.say import warn


class Writes:
    """Writes in progress in any thread, which the end of the process waits for; none begins once it is near."""

    def __init__(self) -> None:
        self.running, self.closed = 0, False
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Around a write, which holds no other."""
        with self.changed:
            while self.closed:  # the process is about to end, and this thread with it
                self.changed.wait()
            self.running += 1
        try:
            yield
        finally:
            with self.changed:
                self.running -= 1
                self.changed.notify_all()

    def close(self) -> None:
        """Wait for those in progress; no other begins from here on."""
        with self.changed:
            self.closed = True
            while self.running > 0:
                self.changed.wait()


WRITES = Writes()


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A name in the folder of ``path`` for what is to become ``path``; what has that name at the end is removed.

    ``.NAME.<32 hexadecimal digits>.tmp``: what a killed process left is known by it (``store/recovery.py``).
    """
    temporary = path.with_name(f".{path.name.removeprefix('.')}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
    finally:
        if os.path.lexists(temporary):
            with contextlib.suppress(OSError):
                remove(temporary)


@contextlib.contextmanager
def replacing(path: Path, wait: bool = True) -> Iterator[Path]:
    """A name to write a file or folder under, which takes the place of ``path`` once it is whole and on the disk.

    If that fails, ``path`` stays as it was. The end of the process waits for it, but for ``wait=False``: for what takes
    longer than whoever types Ctrl-C is to wait.
    """
    with WRITES.one() if wait else contextlib.nullcontext(), scratch(path) as temporary:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if not temporary.is_dir():
            sync(temporary)
            os.replace(temporary, path)
            return
        for file in temporary.iterdir():
            sync(file)
        sync(temporary)
        swap(temporary, path)
        sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def swap(temporary: Path, path: Path) -> None:
    """Rename ``temporary`` to ``path``. What was there goes; where it cannot, that is said and the next start tries."""
    if not os.path.lexists(path):
        os.rename(temporary, path)
        return
    old = path.parent / f".{path.name}.{uuid.uuid4().hex}.old"
    os.rename(path, old)
    try:
        os.rename(temporary, path)
    except OSError:
        os.rename(old, path)
        raise
    try:
        remove(old)
    except OSError as error:
        warn(f"{path} is written; what was there before could not be removed ({error}) and lies in {old.name}")


def remove(path: Path) -> None:
    """Remove a file, a link (not what it leads to) or a folder, though its own permissions be against it."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        path.chmod(0o700)
        for folder, folders, _ in os.walk(path):
            for inner in (Path(folder, name) for name in folders):
                if not inner.is_symlink():
                    inner.chmod(0o700)
        shutil.rmtree(path)
