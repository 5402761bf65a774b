"""What became of an experiment's cells, and how to finish it: ``python -m benchmark.status experiment=NAME``.

Reads the job files and cell folders, and changes nothing, but that ``verify=true`` marks a damaged record.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.cells import NUMERICS_VERSION
from benchmark.config import CONF_DIR, UsageError
from benchmark.report.committed import report_of
from benchmark.report.parts import RETRY, SKIP, Rules, rules_of, standing
from benchmark.say import warn
from benchmark.store.checkpoints import epochs_kept
from benchmark.store.experiments import MISSING, UNREADABLE, PlannedCell, collect, column_label, experiments
from benchmark.store.finished import code_fault, lacking
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
UNJUDGED = "unjudged"  # trained, but a rule of the last command for it has not judged it
STATES = ("done", PUBLISHED, UNJUDGED, "failed", "diverged", RUNNING, STALE, MISSING, UNREADABLE)


@dataclass(frozen=True)
class ExperimentStatus:
    """The cells of an experiment, oldest job first."""

    cells: list[PlannedCell]  # those that count
    replaced: list[PlannedCell]  # those of an earlier configuration: kept, but in no table
    jobs: list[PlannedJob]
    tried: list[PlannedCell] = field(default_factory=list)  # as they are here: not done, but published

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
        return self._typed({cell.job for cell in self.not_done if cell.state != RUNNING})

    def retries(self) -> list[str]:
        """What runs those once more that are not done here, but published."""
        commands = self._typed({cell.job for cell in self.tried})
        return [_with(command, "published", RETRY) for command in commands]

    def _typed(self, jobs: set[str]) -> list[str]:
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
    folder = report_of(experiment)
    try:
        left = standing([cell for cell in now if cell.state != RUNNING], collection.jobs, folder, experiment)
    except UsageError as error:  # the command that finishes the experiment is refused so too
        warn(str(error))
        left = []
    known = {cell.fingerprint for cell in left}
    asked = {job.job: (rules_of(job), job.chosen_rule) for job in collection.jobs}
    cells = [
        replace(cell, state=PUBLISHED, reason=f"in {folder.as_posix()}")
        if cell.fingerprint in known
        else _judged(cell, *asked[cell.job])
        for cell in now
    ]
    return ExperimentStatus(cells, replaced, collection.jobs, [cell for cell in left if cell.state != MISSING])


def _with(command: str, key: str, value: str) -> str:
    """``command`` with another value of a key."""
    kept = [word for word in shlex.split(command) if word.partition("=")[0] != key]
    return shlex.join([*kept, f"{key}={value}"])


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


def _judged(cell: PlannedCell, rules: Rules, chosen: str | None) -> PlannedCell:
    """A cell that is done as what the sweep makes of it: done, or trained and to be judged by further rules."""
    if cell.state != "done" or cell.record is None:
        return cell
    left = lacking(cell.record, rules)
    left += ["its chosen rule"] if chosen not in (None, cell.record.status.chosen_rule) else []
    if not left:
        return cell
    more = f" and {len(left) - 3} more rules" if len(left) > 3 else ""
    return replace(cell, state=UNJUDGED, reason=f"to be judged from its weights: {', '.join(left[:3])}{more}")


def show(status: ExperimentStatus, experiment: str, output_dir: str) -> None:
    """Print counts for each job, every cell that is not done, and what to type."""
    done, kept = (sum(cell.state == state for cell in status.cells) for state in ("done", PUBLISHED))
    where = f", {kept} published in {report_of(experiment).as_posix()}" if kept else ""
    print(f"{experiment} in {output_dir}: {done} of {len(status.cells)} cells done{where}.")
    rows = [(_title(job), status.counts(job.job)) for job in status.jobs if job.cells]
    width = max(len(title) for title, _ in rows)
    there = {cell.state for cell in status.cells}
    states = [state for state in STATES if state not in (PUBLISHED, UNJUDGED) or state in there]
    print("  ".join(["", "job".ljust(width), *states]))
    for title, counts in rows:
        if any(counts.values()):
            print("  ".join(["", title.ljust(width), *(str(counts[s] or "-").rjust(len(s)) for s in states)]))
    for heading, cells in (("Not done:", status.not_done), ("Left out of the tables:", status.replaced)):
        if cells:
            print(heading)
        for cell in cells:
            print(f"  {cell.state}: {cell.name}: {cell.reason}")
    if status.tried:
        print(f"Not done here, but published, which counts (published={SKIP}):")
        for cell in status.tried:
            print(f"  {cell.state}: {cell.name}: {cell.reason}")
        print("To try them again, type:")
        for command in status.retries():
            print(f"  {command}")
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
        what = f"Type for example: experiment={known[0]}" if known else start_with("quick", output_dir)
        raise UsageError(f"experiment=... is missing. {_there_is(known, output_dir)} {what}")
    return settings["experiment"]


def no_cells(output_dir: str, experiment: str) -> str:
    """What to say of an experiment without cells."""
    known = experiments(output_dir)
    is_preset = (CONF_DIR / "experiment" / f"{experiment}.yaml").is_file()
    start = f" {start_with(experiment if is_preset else 'quick', output_dir)}" if is_preset or not known else ""
    return f"no cells of experiment {experiment} in {output_dir}. {_there_is(known, output_dir)}{start}"


def start_with(preset: str, output_dir: str) -> str:
    """The command that makes cells where there are none."""
    place = [] if output_dir == "outputs" else [f"output_dir={output_dir}"]
    return f"Start with: {shlex.join(['python', '-m', 'benchmark', '-m', f'+experiment={preset}', *place])}"


def _there_is(known: Sequence[str], output_dir: str) -> str:
    return f"There is: {', '.join(known)}." if known else f"There is none in {output_dir}."


if __name__ == "__main__":
    sys.exit(main())
