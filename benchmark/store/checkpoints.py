"""Checkpoints: the snapshots of cells in training on disk, so that a long one goes on after an interruption.

One file a cell, ``checkpoints/NAME.pt`` in the output directory, written under another name and renamed, gone once the
cell's record is written. Its first line names the cell's fingerprint, the code that made it and the SHA-256 of the
rest: a dict of tensors and plain values that loads without running anything. A file of which any of that does not fit
is dropped with a warning, and its cell trains from its start.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.data.writing import replacing
from benchmark.say import one_line, warn

if TYPE_CHECKING:
    from benchmark.cells import Cell
    from benchmark.engine.state import Moment, Snapshot

FOLDER = "checkpoints"
SHARE = 0.05  # of the time at most that goes into writing checkpoints
SOURCES = (
    *(
        "engine/adam.py",
        "engine/device.py",
        "engine/fleet.py",
        "engine/state.py",
        "engine/train.py",
        "engine/update.py",
    ),
    *("seeds.py", "data/splits.py", "models/**/*.py"),
)
LIBRARIES = ("torch",)  # that compute in a training


class Checkpoints:
    """The checkpoints of one output directory."""

    def __init__(self, output_dir: Path, seconds: float | None) -> None:
        self.output_dir, self.seconds = Path(output_dir), seconds
        self.warned = False

    def load(self, cell: Cell) -> Snapshot | None:
        """Where the cell was interrupted, or None if it is to be trained from its start."""
        path = checkpoint_path(self.output_dir, cell.path)
        if not path.exists():
            return None
        try:
            return _decode(path.read_bytes(), cell.fingerprint)
        except Exception as error:  # torch names damage in many ways
            self.refuse(cell, error)
            return None

    def refuse(self, cell: Cell, error: Exception) -> None:
        """Remove a checkpoint that cannot be used, and say why."""
        warn(f"the checkpoint of {cell.name} is dropped ({one_line(error)}): the cell trains from its start")
        self.drop(cell)

    def save(self, cell: Cell, snapshot: Snapshot) -> None:
        """Write the cell's checkpoint in place of the one before; what cannot be written costs one warning."""
        try:
            with replacing(checkpoint_path(self.output_dir, cell.path)) as temporary:
                temporary.write_bytes(_encode(snapshot, cell.fingerprint))
        except OSError as error:
            if not self.warned:
                warn(f"no checkpoint of {cell.name} could be written ({error}); the training goes on")
            self.warned = True

    def drop(self, cell: Cell) -> None:
        """Remove the cell's checkpoint, if there is one."""
        try:
            checkpoint_path(self.output_dir, cell.path).unlink(missing_ok=True)
        except OSError as error:
            warn(f"the checkpoint of {cell.name} could not be removed ({error})")

    def keeper(self, cells: Sequence[Cell], resumed: Sequence[Snapshot]) -> Keeper | None:
        """What the engine calls at the end of each epoch of a program; None if no checkpoints are wanted."""
        return None if not self.seconds else Keeper(self, cells, [snapshot.seconds for snapshot in resumed])


class Keeper:
    """Writes the checkpoints of a program's cells at the first end of an epoch after so many seconds."""

    def __init__(self, checkpoints: Checkpoints, cells: Sequence[Cell], before: Sequence[float]) -> None:
        self.checkpoints, self.cells = checkpoints, cells
        self.before = before or [0.0] * len(cells)  # seconds of training before this program, cell by cell
        self.start = time.perf_counter()
        self.due = self.start + (checkpoints.seconds or 0.0)

    def __call__(self, moment: Moment) -> None:
        """An epoch has ended. A cell that has diverged is not kept: it is about to be recorded as that."""
        now = time.perf_counter()
        if now < self.due:
            return
        for i, (cell, before) in enumerate(zip(self.cells, self.before, strict=True)):
            if moment.trainings[i].diverged is None:
                seconds = before + (now - self.start) / len(self.cells)
                self.checkpoints.save(cell, replace(moment.snapshot(i), seconds=seconds))
        took = time.perf_counter() - now
        self.due = now + took + max(self.checkpoints.seconds or 0.0, took / SHARE)


def checkpoint_path(output_dir: Path, cell: Path) -> Path:
    """Where the checkpoint of the cell with the folder ``cell`` lies."""
    return Path(output_dir) / FOLDER / f"{cell.name}.pt"


def epochs_kept(output_dir: Path, cell: Path) -> int | None:
    """The epochs behind the checkpoint of the cell with the folder ``cell``, without a look at its tensors."""
    try:
        with checkpoint_path(output_dir, cell).open("rb") as file:
            return int(json.loads(file.readline())["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def engine_version() -> str:
    """SHA-256 of what decides how a training goes on: sources, versions of libraries, the processor's features.

    Raises ``FileNotFoundError`` if a pattern of ``SOURCES`` fits no file: what moved would go unnoticed.
    """
    from importlib.metadata import version

    import torch

    libraries = " ".join(version(name) for name in LIBRARIES)
    digest = hashlib.sha256(f"{libraries} {torch.backends.cpu.get_cpu_capability()}".encode())
    root = Path(__file__).parents[1]
    for pattern in SOURCES:
        paths = sorted(root.glob(pattern))
        if not paths:
            raise FileNotFoundError(f"checkpoints.SOURCES names {pattern}, which fits no file below {root}")
        for path in paths:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _encode(snapshot: Snapshot, fingerprint: str) -> bytes:
    import torch

    buffer = io.BytesIO()
    content: dict[str, Any] = {name: value for name, value in vars(snapshot).items() if name != "tensors"}
    torch.save({"tensors": dict(snapshot.tensors), "rest": json.dumps(content)}, buffer)
    head = {"fingerprint": fingerprint, "engine": engine_version(), "epoch": snapshot.epoch}
    head["sha256"] = hashlib.sha256(buffer.getbuffer()).hexdigest()
    return json.dumps(head).encode() + b"\n" + buffer.getvalue()


def _decode(content: bytes, fingerprint: str) -> Snapshot:
    """The snapshot in a file's content. Raises an exception that says why it is not to be used."""
    import torch

    from benchmark.engine.state import Snapshot

    line, _, rest = content.partition(b"\n")
    try:
        head = json.loads(line)
        made_for, engine, digest = head["fingerprint"], head["engine"], head["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("its first line is not what was written") from error
    if made_for != fingerprint:
        raise ValueError("it belongs to a cell of another fingerprint")
    if engine != engine_version():
        raise ValueError("it was made by another version of the code, of torch, or on another kind of processor")
    if digest != hashlib.sha256(rest).hexdigest():
        raise ValueError("its content is not what was written")
    loaded = torch.load(io.BytesIO(rest), map_location="cpu", weights_only=True)
    return Snapshot(tensors=loaded["tensors"], **json.loads(loaded["rest"]))
