"""What stored files hold, as types; read with a check, so that a damaged one is named instead of half used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from benchmark.cells import Axes, Cell

STATES = ("done", "failed", "diverged")
ARRAYS = {  # in each file, besides the optional ones
    "scores": ("index", "label", "target"),
    "calibration": ("index",),
    "rules": (),
    "images": ("label", "group", "input", "score"),
    "latent": (
        *("codes", "label", "target", "grid", "grid_x", "grid_y"),
        *("interpolation", "interpolation_codes", "interpolation_ends"),
    ),
}
Content = TypeVar("Content")


@dataclass(frozen=True)
class Written:
    """A file of a record, as it was written."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Member:
    """A cell whose recorded scores a committee was made of."""

    name: str  # as it is typed: pca:smoothed
    model: str
    fingerprint: str
    code: str  # of its model
    rule: str  # that made its scores; "own": its headline
    rule_code: str = ""  # "" for its own headline
    scores: str  # SHA-256 of the scores that were taken of it


@dataclass(frozen=True, kw_only=True)
class Status:
    """``status.json`` of a cell: what it is, what became of it, and which files belong to it.

    What has a default is missing in records of before it was noted.
    """

    state: str  # done | failed | diverged
    reason: str | None = None  # None: it is done
    fingerprint: str
    code: str = ""  # SHA-256 of the model's code, "" where it was not noted
    numerics: int = 1
    experiment_name: str = ""
    axes: Axes
    variant: str = ""
    headline: str | None = None  # the score that stands for the model
    chosen_rule: str | None = None  # the rule that was chosen for its model and data set, if one was
    split: Mapping[str, Any] = field(default_factory=dict)  # version and hash
    data_version: str = ""
    started: str = ""  # ISO 8601
    finished: str = ""
    members: tuple[Member, ...] = ()  # of a committee
    files: Mapping[str, Written] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How a cell stands in the file of a job that plans it."""

    axes: Axes
    variant: str | None = None  # None: of before it was noted
    fingerprint: str
    path: str  # its folder, relative to the output directory

    @classmethod
    def of(cls, cell: Cell) -> Entry:
        return cls(axes=cell.axes, variant=cell.variant, fingerprint=cell.fingerprint, path=cell.path.as_posix())


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """A job's file in ``experiments/``: the cells that one Hydra job planned."""

    number: int | None = None  # what orders the jobs of an experiment; None: not given yet, or of before there were any
    job: str  # its ID
    started: str = ""  # ISO 8601
    command: str = ""
    overrides: tuple[str, ...] = ()
    git_revision: str = ""
    config_hash: str = ""
    published: str = "train"  # skip, retry: cells that are published are left to the report
    version: int = 1  # 2: what follows is noted of every job, not of those alone that leave published cells
    rules: Mapping[str, Any] = field(default_factory=dict)  # configurations of those that judge its cells
    chosen_rule: str | None = None  # that is noted of its cells
    cells: tuple[Entry, ...]


def read_status(content: Any) -> Status:
    """What ``status.json`` holds. Raises ``ValueError`` with what is wrong with it."""
    status = _read(Status, content)
    if status.state not in STATES:
        raise ValueError(f"state is {status.state!r}, allowed: {', '.join(STATES)}")
    for name in status.files:
        if not _is_inside(name):
            raise ValueError(f"files names {name!r}, which is outside the cell's folder")
    return status


def read_job(content: Any) -> PlannedJob:
    """What a job's file holds. Raises ``ValueError`` with what is wrong with it."""
    job = _read(PlannedJob, content)
    for i, cell in enumerate(job.cells):
        if not _is_inside(cell.path):
            raise ValueError(f"cells[{i}].path is {cell.path!r}, outside the output directory")
    return job


def read_metrics(content: Any, state: str) -> dict[str, float]:
    """What ``metrics.json`` holds. Raises ``ValueError`` with what is wrong with it.

    A cell that is done has an AUROC, unless it had no anomalous image to evaluate.
    """
    if not isinstance(content, dict):
        raise ValueError(f"it holds {_kind(content)}, not metrics by name")
    wrong = [name for name, value in content.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    if wrong:
        raise ValueError(f"{wrong[0]} is no number")
    if state == "done" and "auroc" not in content and content.get("n_test_anomalous") != 0:
        raise ValueError("auroc is missing")
    return content


def check_arrays(stem: str, names: Iterable[str], headline: str | None) -> None:
    """Raises ``ValueError`` if arrays are missing in ``scores.npz``, ``images.npz`` or ``latent.npz``."""
    needed = [*ARRAYS[stem], *([f"score/{headline}"] if stem == "scores" and headline is not None else [])]
    missing = [name for name in needed if name not in names]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")


def _read(kind: type[Content], content: Any, where: str = "") -> Content:
    """``content`` as a dataclass of this kind, which says what each entry is; others are passed over."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{where.rstrip('.') or 'it'} holds {_kind(content)}, not entries by name")
    hints, needed = _entries(kind)
    missing = sorted(where + name for name in needed if name not in content)
    if missing:
        raise ValueError(f"lacks {', '.join(missing)}")
    found = {name: _value(hint, content[name], where + name) for name, hint in hints.items() if name in content}
    return kind(**found)


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return _read(hint, value, f"{where}.")  # type: ignore[arg-type]
    origin, inner = get_origin(hint), get_args(hint)
    kinds = {tuple: list, Mapping: Mapping}.get(origin, inner or hint)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ValueError(f"{where} holds {_kind(value)}")
    if origin is tuple:
        return tuple(_value(inner[0], one, f"{where}[{i}]") for i, one in enumerate(value))
    if origin is Mapping and inner[1] is not Any:
        return {name: _value(inner[1], one, f"{where}.{name}") for name, one in value.items()}
    return value


@cache
def _entries(kind: type) -> tuple[dict[str, Any], list[str]]:
    """The entries of a dataclass with their types, and those that have no default."""
    needed = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
    return get_type_hints(kind), needed


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and "\\" not in path


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")
