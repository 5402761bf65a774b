"""Cells of a published report, laid out once more from its commands: the jobs that run them, and why others cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from omegaconf import OmegaConf

from benchmark.cells import NUMERICS_VERSION, Axes, Cell
from benchmark.code_hash import code_now
from benchmark.config import UsageError
from benchmark.report.agreement import names_of
from benchmark.report.committed import Committed
from benchmark.report.hashes import HEADLINE
from benchmark.report.plain import not_plain
from benchmark.rules import labelled, rule_code, rule_names, shipped
from benchmark.say import one_line
from benchmark.sweep.compose import compose_jobs
from benchmark.sweep.job import Job, lay_out_job

OWN = (  # keys set here instead
    *("output_dir", "data_dir", "experiment_name", "resume", "published", "debug", "tracking", "device"),
)
HIDDEN = ".../"  # what a published command has instead of a folder of the machine that it was typed on

Row = Mapping[str, Any]  # of cells.csv


@dataclass(frozen=True)
class Where:
    """What is this command's own, whatever was typed when the cells were published."""

    output_dir: str
    experiment: str
    data_dir: str | None = None
    config_dir: str | None = None  # of models and data sets that are none of ours
    runs_code: bool = False  # whether the report's own code is run, as that of a submission is


@dataclass
class Again:
    """What can be run again of some published cells."""

    jobs: list[Job] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # fingerprint -> why a cell is not run
    rules: dict[str, dict[str, str]] = field(default_factory=dict)  # fingerprint -> rule -> why it does not judge


def lay_out_again(committed: Committed, rows: Sequence[Row], where: Where, typed: str) -> Again:
    """Jobs of these published cells: each with the very fingerprint that was published, and the rules that judged it.

    Raises ``UsageError`` if the data are not here. Nothing is written.
    """
    again = Again()
    waiting: dict[str, Row] = {}
    for row in rows:
        if (why := _unlike(committed, row)) is not None:
            again.refused[row["fingerprint"]] = why
        else:
            waiting[row["fingerprint"]] = row
    reasons: dict[str, str] = {}
    for overrides in _commands(committed, list(waiting.values())):
        if not waiting:
            break
        job = _laid_out(committed, overrides, waiting, where, typed, reasons)
        if job is None:
            continue
        cells = [cell for cell in job.cells if cell.fingerprint in waiting]
        if cells:
            again.jobs.append(_with_rules(committed, job, cells, waiting, again))
            for cell in cells:
                del waiting[cell.fingerprint]
    for fingerprint, row in waiting.items():
        again.refused[fingerprint] = reasons.get(fingerprint, f"no command of the report gives {_axes(row)}")
    return again


def _unlike(committed: Committed, row: Row) -> str | None:
    """Why a cell would be another one here, as far as the report alone tells."""
    origin = committed.origin(row["fingerprint"])
    if not origin:
        return None
    if origin["numerics"] != NUMERICS_VERSION:
        return f"numerics of version {origin['numerics']}, here {NUMERICS_VERSION}: git checkout {committed.revision}"
    now = code_now(row["model"], origin["code"])
    if now != origin["code"]:
        what = "is another" if now else "is not here"
        return f"the code of model {row['model']} {what} than when it was published: git checkout {committed.revision}"
    return None


def _commands(committed: Committed, rows: Sequence[Row]) -> Iterator[list[str]]:
    """The overrides of each job that may have planned one of these cells, the latest first, as it counts."""
    commands = committed.manifest.get("commands", [])
    for job in reversed(committed.manifest["jobs"]):
        place = job.get("command")
        if place is not None and not commands[place].startswith(("python -m benchmark ", "benchmark ")):
            continue  # of benchmark.rescore or benchmark.committee
        if _may_have(job["overrides"], rows):
            yield job["overrides"]


def _may_have(overrides: Sequence[str], rows: Sequence[Row]) -> bool:
    """Whether a job with these overrides may have planned one of the cells, by model and data set."""
    typed = dict(override.partition("=")[::2] for override in overrides)
    return any(all(typed.get(key, row[key]) == row[key] for key in ("model", "dataset")) for row in rows)


def _laid_out(
    committed: Committed,
    overrides: Sequence[str],
    waiting: Mapping[str, Row],
    where: Where,
    typed: str,
    reasons: dict[str, str],
) -> Job | None:
    """The job of these overrides as it is here; None with a reason for each cell that may be of it."""
    kept = [override for override in overrides if not _is_own(override)]
    meant = [row for row in waiting.values() if _may_have(overrides, [row])]
    hidden = next((override for override in kept if HIDDEN in override), None)
    if hidden is not None:
        _note(reasons, meant, f"its command names a folder of the machine that it was typed on: {hidden}")
        return None
    if not where.runs_code and (more := not_plain(kept)) is not None:
        _note(
            reasons,
            meant,
            f"its command has {one_line(more)}, which may run code, and only that of a submission is run. Type "
            "claim=<the folder of a submission> if you trust it",
        )
        return None
    words = [*kept, "tracking=off", *_ours(where, _device(committed, waiting))]
    flags = ["--config-dir", where.config_dir] if where.config_dir is not None else []
    try:
        composed, *others = compose_jobs(["-m", *flags, *words])
        if others:
            raise UsageError(f"it is of {1 + len(others)} jobs, where the report has one")
        job = lay_out_job(composed.config, typed, composed.overrides)
    except UsageError as error:
        _note(reasons, meant, f"its command is refused here: {error}")
        return None
    for cell in job.cells:
        for fingerprint, row in waiting.items():
            if _is_of(cell.axes, row):
                reasons[fingerprint] = _why_other(committed, row, cell, job)
    return job


def _ours(where: Where, device: str | None) -> list[str]:
    """Overrides of this command."""
    folders = [f"output_dir={_quoted(where.output_dir)}", f"experiment_name={where.experiment}"]
    data = [f"data_dir={_quoted(where.data_dir)}"] if where.data_dir is not None else []
    return [*folders, *data, *([f"device={device}"] if device is not None else [])]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _device(committed: Committed, waiting: Mapping[str, Row]) -> str | None:
    """The kind of device that the cells ran on, where it was one."""
    kinds = {
        str(one["device"]).split(":")[0]
        for fingerprint in waiting
        for one in committed.environments(fingerprint)
        if "device" in one
    }
    return kinds.pop() if len(kinds) == 1 else None


def _is_own(override: str) -> bool:
    key = override.lstrip("+~").partition("=")[0]
    return key in OWN or key.startswith(("tracking.", "hydra.", "hydra/"))


def _is_of(axes: Axes, row: Row) -> bool:
    names = ("model", "dataset", "split", "normal_class", "seed", "evaluate_on")
    return all(getattr(axes, name) == row[name] for name in names)


def _why_other(committed: Committed, row: Row, cell: Cell, job: Job) -> str:
    """Why the cell of the same axes is another one here."""
    origin = committed.origin(row["fingerprint"])
    if origin and origin["data_version"] != job.data.version:
        versions = f"{origin['data_version'][:16]} then, {job.data.version[:16]} here"
        return f"other images of {row['dataset']}: data of version {versions}"
    if origin and origin["split_version"] != cell.split.version:
        return f"split of version {origin['split_version']}, here {cell.split.version}"
    if row["variant"] != cell.variant:
        here, then = (text or "as shipped" for text in (cell.variant, row["variant"]))
        return f"other settings: {then}, and its command gives here: {here}"
    return (
        f"its command gives another fingerprint here ({cell.fingerprint[:12]}): a setting, the data or the split are "
        f"others than at revision {committed.revision}"
    )


def _with_rules(committed: Committed, job: Job, cells: Sequence[Cell], rows: Mapping[str, Row], again: Again) -> Job:
    """The job with these cells alone, judged by the rules that their rows have."""
    names = dict.fromkeys(name for cell in cells for name in names_of(rows[cell.fingerprint]) if name != HEADLINE)
    own: dict[str, Any] = OmegaConf.to_container(job.config.rules, resolve=True)  # type: ignore[assignment]
    known = {label: (key, own[key]) for key, label in zip(own, labelled(own), strict=True)}
    known |= {name: (name, shipped(name)) for name in names if name not in known and name in rule_names()}
    faults: dict[str, str] = {}
    for name in names:
        if name not in known:
            faults[name] = "there is no such rule here"
        elif committed.rules is not None:
            here = {"config": known[name][1], "code": rule_code(known[name][1])}
            if here not in committed.rules.get(name, []):
                faults[name] = f"its code or settings are others than at revision {committed.revision}"
    judging: dict[str, Any] = {}
    for name in names:
        if name not in faults and known[name][0] in judging:
            faults[name] = f"one command judges by one version of rule {known[name][0]}"
        elif name not in faults:
            judging[known[name][0]] = known[name][1]
    config = job.config.copy()
    config.rules = judging
    config.chosen_rule = (
        config.chosen_rule if config.chosen_rule in names and config.chosen_rule not in faults else None
    )
    for cell in cells:
        again.rules[cell.fingerprint] = {k: v for k, v in faults.items() if k in names_of(rows[cell.fingerprint])}
    return replace(job, config=config, cells=cells)


def _note(reasons: dict[str, str], rows: Sequence[Row], why: str) -> None:
    for row in rows:
        reasons.setdefault(row["fingerprint"], why)


def _axes(row: Row) -> str:
    variant = f" ({row['variant']})" if row["variant"] else ""
    return f"{row['model']}{variant} {row['dataset']} {row['split']} {row['normal_class']} seed {row['seed']}"
