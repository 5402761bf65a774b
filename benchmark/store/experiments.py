"""Which cells an experiment planned, in the files of its jobs, and what became of each of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmark.cells import Axes
from benchmark.data.writing import replacing
from benchmark.say import shown
from benchmark.store.files import RecordError, read_json, write_json
from benchmark.store.finished import code_fault
from benchmark.store.format import Entry, PlannedJob, read_job
from benchmark.store.records import STATUS_FILE, Record, read_record

NUMBER = "number"  # first entry of a job's file: what orders the jobs of an experiment
MISSING = "missing"  # planned, but no folder yet
UNREADABLE = "unreadable"  # a folder whose files cannot be read


@dataclass(frozen=True)
class PlannedCell:
    """A cell that a job of the experiment planned, with its record where there is one."""

    axes: Axes
    variant: str
    fingerprint: str
    state: str  # done | failed | diverged | missing | unreadable
    reason: str  # "" for a cell that is done
    record: Record | None = None
    folder: Path = Path()
    job: str = ""  # the job that planned it last
    shared: tuple[str, ...] = ()  # settings of its variant that all cells of the experiment have
    called: str | None = None  # the name of its column in a report, where that says more (``store/naming.py``)

    @property
    def label(self) -> str:
        """Name of the cell's column: the model, and in brackets what sets it apart from the model as shipped."""
        return self.called or column_label(self.axes.model, self.variant, self.shared)

    @property
    def name(self) -> str:
        axes = self.axes
        return f"{self.label} {axes.dataset} {axes.split} {axes.normal_class} seed {axes.seed}"


@dataclass(frozen=True)
class Collection:
    """The cells of an experiment, its jobs, and what was left out of the tables."""

    cells: list[PlannedCell]
    jobs: list[PlannedJob]  # oldest first
    warnings: list[str] = field(default_factory=list)
    stale: list[PlannedCell] = field(default_factory=list)  # of an earlier configuration


def column_label(model: str, variant: str, shared: Sequence[str] = ()) -> str:
    """``ae`` as shipped, ``ae (latent=2)`` with another setting; ``shared`` ones are left out."""
    own = " ".join(part for part in variant.split() if part not in shared)
    return f"{model} ({own})" if own else model


def shared_settings(columns: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The settings that all columns (model, variant) have, be it one, and that therefore belong above the table.

    >>> shared_settings([("gan", "clip=1 train_fraction=0.2"), ("vae", "train_fraction=0.2")])
    ('train_fraction=0.2',)
    """
    variants = [variant.split() for _, variant in dict.fromkeys(columns)]
    if not variants:
        return ()
    return tuple(part for part in variants[0] if all(part in other for other in variants))


def hide_paths(text: str) -> str:
    """``text`` with every absolute path cut down to its last part: a report names no folders of one machine."""
    return re.sub(r"(?<![\w./:~])(?:[A-Za-z]:)?/(?:[\w.+@-]+/)+([\w.+@-]*)", r".../\1", text)


def experiments(output_dir: str | Path) -> list[str]:
    """The experiments below ``output_dir``; none if that can be no folder."""
    try:
        return sorted(path.name for path in (Path(output_dir) / "experiments").glob("[!.]*") if path.is_dir())
    except OSError:
        return []


def write_job(output_dir: Path, experiment: str, job: PlannedJob) -> Path:
    """Write which cells belong to a job of an experiment, so that a report knows what is missing.

    A job is given a number, above those of all jobs that are there: clocks differ, and are set back. Where several
    processes write at once, the caller holds the lock of the output directory.
    """
    path = Path(output_dir) / "experiments" / experiment / f"{job.job}.json"
    if job.number is None:
        job = replace(job, number=1 + max((_number(other) for other in path.parent.glob("*.json")), default=0))
    with replacing(path) as temporary:
        write_json(temporary, asdict(job))
    return path


def read_jobs(output_dir: str | Path, experiment: str) -> list[PlannedJob]:
    """Every job of an experiment, in the order of their numbers; an empty list if it has none.

    Jobs of before there were numbers come first, by the time at which they were started.
    """
    folder, jobs = Path(output_dir) / "experiments" / experiment, []
    try:
        paths = list(folder.glob("*.json"))
    except OSError as error:
        raise RecordError(f"{folder} cannot be read ({error.strerror}). Type output_dir=<a folder>") from error
    for path in paths:
        what_to_do = "delete it and type the command of the sweep again, which plans its cells anew"
        content = read_json(path, what_to_do)
        try:
            jobs.append(read_job(content))
        except ValueError as error:
            raise RecordError(f"{path}: {error}; {what_to_do}") from error
    return sorted(jobs, key=lambda job: (job.number or 0, job.started, job.job))


def _number(path: Path) -> int:
    """The number of a job, from its file's first line or two: the list of cells below may be long."""
    try:
        with path.open(encoding="utf-8") as file:
            found = re.match(rf'\{{\s*"{NUMBER}": (\d{{1,15}}),', file.read(64))
    except (OSError, ValueError):
        return 0
    return int(found[1]) if found else 0


def collect(output_dir: str | Path, experiment: str) -> Collection:
    """The cells that the jobs of ``experiment`` planned, the newest configuration of each.

    Where several jobs planned the same axes and variant with different fingerprints (the configuration changed in
    between), the cell of the job started last counts; the others are named in ``warnings``, never mixed in.
    """
    output_dir = Path(output_dir)
    jobs = read_jobs(output_dir, experiment)  # oldest first
    chosen: dict[tuple[Axes, str], PlannedCell] = {}
    stale: dict[str, PlannedCell] = {}
    for job in jobs:
        found = [(entry, *_open(output_dir, entry)) for entry in job.cells]
        fallback = next((record.status.variant for *_, record in found if record), _guess_variant(job))
        for entry, state, reason, record in found:
            guess = record.status.variant if record is not None else fallback
            variant, folder = entry.variant if entry.variant is not None else guess, output_dir / entry.path
            reason = hide_paths(reason)
            cell = PlannedCell(entry.axes, variant, entry.fingerprint, state, reason, record, folder, job.job)
            before = chosen.pop((cell.axes, variant), None)
            if before is not None and before.fingerprint != cell.fingerprint:
                stale[before.fingerprint] = before
            chosen[cell.axes, variant] = cell
            stale.pop(cell.fingerprint, None)
    shared = shared_settings((cell.axes.model, cell.variant) for cell in chosen.values())
    cells = [replace(cell, shared=shared) for cell in chosen.values()] if shared else list(chosen.values())
    return Collection(cells, jobs, [*_warn(stale), *warnings_of_code(cells)], list(stale.values()))


def _open(output_dir: Path, entry: Entry) -> tuple[str, str, Record | None]:
    path = output_dir / entry.path
    try:
        if not (path / STATUS_FILE).exists():
            return MISSING, "not run yet, or interrupted", None
        record = read_record(path)
    except OSError as error:
        return UNREADABLE, f"{path} cannot be read ({error.strerror}); run the cell again", None
    except RecordError as error:
        return UNREADABLE, str(error), None
    if record.fingerprint != entry.fingerprint:
        return MISSING, "its folder holds a cell of another fingerprint", None
    return record.state, shown(" ".join((record.status.reason or "").split())), record


def as_planned(collection: Collection) -> Collection:
    """The collection, its records narrowed to the rules that the experiment's own jobs asked for.

    A cell belongs to every experiment that planned it, and another may have asked for further rules, or have chosen
    another one: the chosen rule is that of the last own job that has one. Those of jobs from before all noted their
    rules keep everything.
    """
    rules: dict[str, set[str]] = {}
    chosen: dict[str, str] = {}
    whole: set[str] = set()
    for job in collection.jobs:
        for entry in job.cells:
            if job.version < 2:
                whole.add(entry.fingerprint)
            rules.setdefault(entry.fingerprint, set()).update(job.rules)
            if job.chosen_rule is not None:
                chosen[entry.fingerprint] = job.chosen_rule
    cells = [
        replace(cell, record=cell.record.narrowed(rules[key], chosen.get(key)))
        if cell.record is not None and (key := cell.fingerprint) not in whole
        else cell
        for cell in collection.cells
    ]
    return replace(collection, cells=cells)


def _guess_variant(job: PlannedJob) -> str:
    """The variant of a job none of whose cells is recorded, from what was typed."""
    short = (
        *("model.", "trainer.epochs=", "trainer.batch_size="),
        *("split.train_fraction=", "split.contamination=", "split.calibration_share="),
    )
    rounded = ("precision=bf16", "precision=tf32")
    typed = [o for o in job.overrides if o.startswith(short) or o in rounded]
    return " ".join(o.split(".", 1)[-1] for o in typed)


def warnings_of_code(cells: Sequence[PlannedCell]) -> list[str]:
    """What is to be said of done cells whose model has other code now."""
    done = [cell for cell in cells if cell.state == "done" and cell.record is not None]
    found = Counter((cell.axes.model, code_fault(cell.record)) for cell in done if cell.record is not None)
    return [
        f"{model}: {count} cells are of other code than here ({fault}); the sweep's command trains them again"
        for (model, fault), count in found.items()
        if fault is not None
    ]


def _warn(stale: Mapping[str, PlannedCell]) -> list[str]:
    groups: dict[tuple[str, str], list[PlannedCell]] = {}
    for cell in stale.values():
        groups.setdefault((cell.label, cell.axes.dataset), []).append(cell)
    return [
        f"{label} on {dataset}: {len(cells)} stale cells of an earlier configuration left out ("
        + ", ".join(f"class {c.axes.normal_class} seed {c.axes.seed} {c.fingerprint[:12]}" for c in cells)
        + ")"
        for (label, dataset), cells in groups.items()
    ]
