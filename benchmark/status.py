"""What became of an experiment's cells, and how to finish it: ``python -m benchmark.status experiment=NAME``.

Reads the job files and cell folders, and changes nothing, but that ``verify=true`` marks a damaged record.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.cells import NUMERICS_VERSION
from benchmark.config import UsageError
from benchmark.report.carry import current_in
from benchmark.report.committed import report_of
from benchmark.store.checkpoints import epochs_kept
from benchmark.store.experiments import MISSING, UNREADABLE, PlannedCell, collect, column_label, experiments
from benchmark.store.finished import code_fault
from benchmark.store.format import PlannedJob
from benchmark.store.leases import read_lease
from benchmark.store.records import RecordError
from benchmark.sweep.arguments import help_text, parse, resuming, small_command, true_or_false
from benchmark.sweep.summary import PUBLISHED

KEYS = {
    "experiment": "name of the experiment (experiment_name of the runs)",
    "output_dir": "where the runner wrote; default: outputs",
    "verify": "true | false: also compare the SHA-256 of arrays and weights; what is damaged is trained again by the "
    "command that is shown; default: false",
}
WHAT = "What became of an experiment's cells, and what finishes it."
RUNNING = "running"  # a live process holds its lease
STALE = "stale"  # of an earlier configuration, code or version of the numerics
STATES = ("done", PUBLISHED, "failed", "diverged", RUNNING, STALE, MISSING, UNREADABLE)


@dataclass(frozen=True)
class ExperimentStatus:
    """The cells of an experiment, oldest job first."""

    cells: list[PlannedCell]  # those that count
    replaced: list[PlannedCell]  # those of an earlier configuration: kept, but in no table
    jobs: list[PlannedJob]

    @property
    def not_done(self) -> list[PlannedCell]:
        """Those that are yet to be run."""
        return [cell for cell in self.cells if cell.state not in ("done", PUBLISHED)]

    def counts(self, job: str) -> dict[str, int]:
        """Number of cells in each state, of one job."""
        found = Counter(cell.state for cell in [*self.cells, *self.replaced] if cell.job == job)
        return {state: found[state] for state in STATES}

    def commands(self) -> list[str]:
        """What finishes the experiment: the commands of the jobs in which a cell is to be run, each once."""
        jobs = {cell.job for cell in self.not_done if cell.state != RUNNING}
        found = (resuming(job.command) for job in self.jobs if job.job in jobs and job.command)
        return list(dict.fromkeys(found))


def experiment_status(output_dir: str | Path, experiment: str, verify: bool = False) -> ExperimentStatus:
    """The state of every cell that the jobs of ``experiment`` planned; with ``verify`` all that was written is read."""
    collection = collect(output_dir, experiment)
    cells, stale = (list(map(_verified, found)) if verify else found for found in (collection.cells, collection.stale))
    replaced = [
        cell
        if cell.state == UNREADABLE
        else replace(cell, state=STALE, reason="replaced by a newer configuration of the same cell")
        for cell in stale
    ]
    now = [_now(cell, Path(output_dir)) for cell in cells]
    return ExperimentStatus(_published(now, collection.jobs, experiment), replaced, collection.jobs)


def _published(cells: list[PlannedCell], jobs: Sequence[PlannedJob], experiment: str) -> list[PlannedCell]:
    """The cells, those that a job with ``published=skip`` leaves to the published report marked."""
    skipping = {job.job for job in jobs if job.published == "skip"}
    waiting = [cell for cell in cells if cell.state == MISSING and cell.job in skipping]
    folder = report_of(experiment)
    known = current_in(folder) if waiting else frozenset()
    return [
        replace(cell, state=PUBLISHED, reason=f"in {folder.as_posix()}")
        if cell.fingerprint in known and cell in waiting
        else cell
        for cell in cells
    ]


def _verified(cell: PlannedCell) -> PlannedCell:
    if cell.record is None:
        return cell
    try:
        cell.record.verify()
    except (OSError, RecordError) as error:
        try:
            cell.record.mark_damaged(str(error))
        except OSError as refused:
            error = RecordError(f"{error}; it cannot be marked ({refused.strerror}): delete {cell.folder}")
        return replace(cell, state=UNREADABLE, reason=str(error), record=None)
    return cell


def _now(cell: PlannedCell, output_dir: Path) -> PlannedCell:
    """The cell with what its folder does not say: that it is running, was interrupted, or is out of date."""
    if cell.state == "done":
        version = cell.record.status.numerics if cell.record is not None else NUMERICS_VERSION
        if version != NUMERICS_VERSION:
            reason = f"its numerics are of version {version}, now it is {NUMERICS_VERSION}"
            return replace(cell, state=STALE, reason=reason)
        changed = code_fault(cell.record) if cell.record is not None else None
        return cell if changed is None else replace(cell, state=STALE, reason=changed)
    lease = read_lease(cell.folder)
    if lease is not None and lease.is_alive:
        return replace(cell, state=RUNNING, reason=f"{lease.holder} trains it")
    if cell.state != MISSING:
        return cell
    epochs = epochs_kept(output_dir, cell.folder)
    kept = "" if epochs is None else f"; it goes on after epoch {epochs}"
    if lease is not None:
        return replace(cell, reason=f"interrupted: {lease.holder} is gone{kept}")
    return replace(cell, reason=f"interrupted{kept}") if kept else cell


def show(status: ExperimentStatus, experiment: str, output_dir: str) -> None:
    """Print counts for each job, every cell that is not done, and what to type."""
    done, kept = (sum(cell.state == state for cell in status.cells) for state in ("done", PUBLISHED))
    where = f", {kept} published in {report_of(experiment).as_posix()}" if kept else ""
    print(f"{experiment} in {output_dir}: {done} of {len(status.cells)} cells done{where}.")
    rows = [(_title(job), status.counts(job.job)) for job in status.jobs if job.cells]
    width = max(len(title) for title, _ in rows)
    states = [state for state in STATES if state != PUBLISHED or kept]
    print("  ".join(["", "job".ljust(width), *states]))
    for title, counts in rows:
        if any(counts.values()):
            print("  ".join(["", title.ljust(width), *(str(counts[s] or "-").rjust(len(s)) for s in states)]))
    for heading, cells in (("Not done:", status.not_done), ("Left out of the tables:", status.replaced)):
        if cells:
            print(heading)
        for cell in cells:
            print(f"  {cell.state}: {cell.name}: {cell.reason}")
    if status.commands():
        print("To finish it, type:")
        for command in status.commands():
            print(f"  {command}")
        if any(cell.state == "diverged" for cell in status.cells):
            print("A cell that diverged diverges again with the same settings.")
    elif status.not_done and all(cell.state == RUNNING for cell in status.not_done):
        print("The others are being trained: nothing to type.")


def _title(job: PlannedJob) -> str:
    first = job.cells[0]
    axes, label = first.axes, column_label(first.axes.model, first.variant or "")
    return f"{label} {axes.dataset} {axes.split} ({job.job[:8]})"


@small_command("benchmark.status", lambda: help_text(WHAT, "benchmark.status", KEYS))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: every cell is done, 1: not every one, or there is none, 2: an argument is refused."""
    settings = parse(arguments, KEYS)
    output_dir = settings.get("output_dir", "outputs")
    experiment = required_experiment(settings, output_dir)
    status = experiment_status(output_dir, experiment, true_or_false(settings, "verify", False))
    if not status.cells:
        print(f"benchmark.status: {no_cells(output_dir, experiment)}", file=sys.stderr)
        return 1
    show(status, experiment, output_dir)
    return 1 if status.not_done else 0


def required_experiment(settings: Mapping[str, str], output_dir: str) -> str:
    """The experiment that was named. Raises ``UsageError`` with those that exist if none was."""
    if "experiment" not in settings:
        known = experiments(output_dir)
        example = f"experiment={known[0] if known else 'quick'}"
        raise UsageError(f"experiment=... is missing. {_there_is(known, output_dir)} Type for example: {example}")
    return settings["experiment"]


def no_cells(output_dir: str, experiment: str) -> str:
    """What to say of an experiment without cells."""
    return f"no cells of experiment {experiment} in {output_dir}. {_there_is(experiments(output_dir), output_dir)}"


def _there_is(known: Sequence[str], output_dir: str) -> str:
    return f"There is: {', '.join(known)}." if known else f"There is none in {output_dir}."


if __name__ == "__main__":
    sys.exit(main())
