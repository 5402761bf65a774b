"""The end of a command: how many cells are done, what became of the others, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.store.leases import read_lease
from benchmark.store.records import RecordError, read_record
from benchmark.sweep.progress import elapsed

if TYPE_CHECKING:
    from benchmark.cells import Cell
    from benchmark.store.records import Record
    from benchmark.sweep.run import JobResult


PUBLISHED = "published"  # the state of a cell that a published report has, and that is not trained


@dataclass(frozen=True)
class Planned:
    """A cell of the command."""

    output_dir: Path
    cell: Cell
    finished: bool  # before the command
    published: str = ""  # the report that has it already, so that it is not trained

    @property
    def path(self) -> Path:
        return self.output_dir / self.cell.path


@dataclass(frozen=True)
class Outcome:
    """What became of a cell."""

    state: str
    name: str
    what: str  # and why, if it is not done
    without_auroc: bool = False  # done, but there were no anomalies


def summarise(planned: Sequence[Planned], results: Sequence[JobResult], start: float) -> int:
    """Print what became of every cell that is not done, and return the exit code.

    ``results`` are those of this process's jobs; of others the cells' folders tell. ``start`` is ``perf_counter``'s.
    """
    found = _outcomes(planned, results)
    outcomes = list(found.values())
    done, elsewhere = (sum(outcome.state == state for outcome in outcomes) for state in ("done", PUBLISHED))
    resumed = len({cell.cell.fingerprint for cell in planned if cell.finished})
    before = f" ({resumed} of them finished before)" if resumed else ""
    where = ", ".join(dict.fromkeys(one.published for one in planned if one.published))
    kept = f", {elsewhere} published in {where} and not trained again" if elsewhere else ""
    print(f"{done} of {len(outcomes)} cells done{before}{kept} in {elapsed(start)}.")
    for outcome in outcomes:
        if outcome.state not in ("done", PUBLISHED):
            print(f"  {outcome.state}: {outcome.name}: {outcome.what}")
    _say_what_is_not_known(outcomes)
    if done:
        _say_what_is_next(planned, found)
    return 0 if done + elsewhere == len(outcomes) else 1


def _say_what_is_not_known(outcomes: Sequence[Outcome]) -> None:
    """That cells have no AUROC, why, and what gives one."""
    if count := sum(outcome.without_auroc for outcome in outcomes):
        cells = "1 cell has" if count == 1 else f"{count} cells have"
        print(
            f"{cells} no AUROC: there were no anomalous images to evaluate. Scores and thresholds are kept; "
            "split.evaluate_on=synthetic makes anomalies of held-out normal images, which give one."
        )


def _say_what_is_next(planned: Sequence[Planned], found: Mapping[Path, Outcome]) -> None:
    """Where the records are, and what makes tables of each experiment.

    Where no cell of it has an AUROC there is nothing to compare: then what scores new images.
    """
    if len(planned) == 1:
        print(f"Cell: {planned[0].path}")
    elif planned:
        parents = dict.fromkeys(one.path.parent for one in planned)
        folders = parents if len(parents) == 1 else dict.fromkeys(one.output_dir / "cells" for one in planned)
        print(f"Cells: {', '.join(map(str, folders))}, a folder each")
    kept = {one.cell.config["experiment_name"] for one in planned if one.published}
    cells: dict[tuple[str, str], list[Path]] = {}
    for one in planned:
        if one.published or found[one.path].state == "done":
            cells.setdefault((one.cell.config["experiment_name"], str(one.output_dir)), []).append(one.path)
    for (experiment, output_dir), done in cells.items():
        words = [f"experiment={experiment}", *([f"output_dir={output_dir}"] if output_dir != "outputs" else [])]
        if experiment in kept:
            words += ["publish=true", "carry=true"]
        if experiment not in kept and all(found[path].without_auroc for path in done):
            which = shlex.join(words if len(set(done)) == 1 else [f"cell={done[0]}"])
            print(f"Next: python -m benchmark.score {which} images=<a folder of new images> out=new.csv page=new.html")
        else:
            print(f"Next: python -m benchmark.report {shlex.join(words)}")


def _outcomes(planned: Sequence[Planned], results: Sequence[JobResult]) -> dict[Path, Outcome]:
    """The outcome of every cell, each folder once."""
    found: dict[Path, Outcome] = {}
    for result in results:
        found |= {record.path: _outcome(record) for record in result.records}
        found |= {busy.path: _running(busy.name, busy.holder) for busy in result.busy}
    for one in planned:
        if one.path not in found:
            found[one.path] = _recorded(one)
    return found


def _recorded(planned: Planned) -> Outcome:
    """What the folder of a cell says that a worker was to train."""
    path, name = planned.path, planned.cell.name
    if planned.published:
        return Outcome(PUBLISHED, name, planned.published)
    lease = read_lease(path)
    if lease is not None and lease.is_alive:
        return _running(name, lease.holder)
    if not path.exists():
        return Outcome("missing", name, "no record of it was written: its worker says why, unless it was killed")
    try:
        return _outcome(read_record(path))
    except RecordError as error:
        return Outcome("unreadable", name, str(error))


def _outcome(record: Record) -> Outcome:
    axes = record.axes
    parts = (axes.model, axes.dataset, str(axes.normal_class), f"seed {axes.seed}", record.status.variant)
    name = " ".join(part for part in parts if part)
    without = record.state == "done" and "auroc" not in record.metrics
    return Outcome(record.state, name, f"{record.status.reason} ({record.path})", without)


def _running(name: str, holder: str) -> Outcome:
    return Outcome("running", name, f"{holder} trains it; the same command later counts it")
