"""Take planned cells out of an experiment: ``python -m benchmark.forget experiment=NAME [job=ID | cells="WORDS"]``.

A job that was planned by mistake, or a column of it, then counts no more in status and report. Nothing changes without
``yes=true``, and nothing that was trained is deleted without ``records=true``. MLflow keeps what it was sent, marked as
forgotten, which reports from there leave out.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from benchmark.config import UsageError
from benchmark.status import ExperimentStatus, experiment_status, no_cells, required_experiment
from benchmark.store.experiments import PlannedCell
from benchmark.store.files import RecordError
from benchmark.store.leases import read_lease
from benchmark.store.removal import Forgotten, Selection, forget
from benchmark.sweep.arguments import help_text, parse, small_command, true_or_false
from benchmark.tracking.forgotten import mark_forgotten

KEYS = {
    "experiment": "name of the experiment (experiment_name of the runs)",
    "job": "its job with this ID, or the only one whose ID begins so",
    "cells": 'a model: all its columns | a column: "ae (latent=2)" | words that names of cells begin with: '
    '"ae (latent=2) mnist", and "ae mnist" of ae as shipped alone',
    "yes": "true | false: do it; without it is only said what would be done; default: false",
    "records": "true | false: also delete the folders of these cells, but for those that another job or experiment "
    "plans or that are being trained; default: false",
    "output_dir": "where the runner wrote; default: outputs",
    "uri": "address of the MLflow store in which the cells are marked as forgotten; default: MLFLOW_TRACKING_URI, else "
    "the one in output_dir",
}
WHAT = "Take planned cells out of an experiment: they count no more in status and report. Nothing is done unasked."


def planned_cells(status: ExperimentStatus) -> list[PlannedCell]:
    """Every cell of an experiment, those of an earlier configuration with the same labels as the others."""
    shared = status.cells[0].shared if status.cells else ()
    return [*status.cells, *(replace(cell, shared=shared) for cell in status.replaced)]


def select_job(status: ExperimentStatus, given: str) -> Selection:
    """The cells of one job. Raises ``UsageError`` unless one ID begins with ``given``."""
    ids = [job.job for job in status.jobs]
    found = [given] if given in ids else [name for name in ids if name.startswith(given)]
    if len(found) != 1:
        what = "is no job of the experiment" if not found else "may be several"
        raise UsageError(
            f"job={given[:40]} {what}. There is: {', '.join(found or ids)}. Type for example: job={(found or ids)[0]}"
        )
    fingerprints = {entry.fingerprint for job in status.jobs if job.job in found for entry in job.cells}
    cells = [cell for cell in planned_cells(status) if cell.fingerprint in fingerprints]
    names = {(cell.axes, cell.variant) for cell in cells}
    others = {(entry.axes, entry.variant or "") for job in status.jobs if job.job not in found for entry in job.cells}
    return Selection(cells, frozenset(found), len(names & others))


def select_cells(status: ExperimentStatus, words: str) -> Selection:
    """The cells of a model, else of a column, else whose names begin with ``words``.

    They are given up by every job that plans them. Raises ``UsageError`` if there is none.
    """
    wanted, cells = " ".join(words.split()), planned_cells(status)
    found = [cell for cell in cells if cell.axes.model == wanted]
    found = found or [cell for cell in cells if cell.label == wanted]
    found = found or [cell for cell in cells if f"{cell.name} ".startswith(f"{wanted} ")]
    if not found:
        labels = list(dict.fromkeys(cell.label for cell in cells))
        raise UsageError(
            f'no cell is called cells="{wanted[:60]}". Columns are: {", ".join(labels)}. '
            f"Type for example: {shlex.quote(f'cells={labels[0]}')}"
        )
    return Selection(found, frozenset(job.job for job in status.jobs))


def show_choices(status: ExperimentStatus, experiment: str, output_dir: str) -> None:
    """Print the jobs and columns of an experiment, and what to type to forget one."""
    print(f"{experiment} in {output_dir}: {len(status.cells)} cells.")
    print("Jobs:")
    for job in status.jobs:
        cells = [cell for cell in planned_cells(status) if cell.job == job.job]
        more = len({entry.fingerprint for entry in job.cells} - {cell.fingerprint for cell in cells})
        later = f"; {more} planned again by a later job" if more else ""
        print(f"  {job.job}: {', '.join(_columns(cells)) or 'nothing of its own'}{later}")
    print("Columns:")
    for line in _columns(planned_cells(status)):
        print(f"  {line}")
    print("To forget a job, a column or all of a model (cells=MODEL), type (nothing changes before yes=true):")
    print(f"  {_command(experiment, output_dir, {'job': status.jobs[0].job})}")
    print(f"  {_command(experiment, output_dir, {'cells': planned_cells(status)[0].label})}")


def _columns(cells: Iterable[PlannedCell]) -> list[str]:
    """A line for each column and data set: how many cells, and in which state."""
    found: dict[str, Counter[str]] = {}
    for cell in cells:
        found.setdefault(f"{cell.label} {cell.axes.dataset} {cell.axes.split}", Counter())[cell.state] += 1
    return [
        f"{name}: {counts.total()} cells ({', '.join(f'{count} {state}' for state, count in counts.items())})"
        for name, counts in found.items()
    ]


def show_plan(selection: Selection, records: bool, command: str) -> None:
    """Print what would be forgotten, and the command that does it."""
    columns = Counter(cell.label for cell in selection.cells)
    print(f"This would be forgotten, {_count(columns.total(), 'cell')} of {_count(len(columns), 'column')}:")
    for line in _columns(selection.cells):
        print(f"  {line}")
    if selection.kept:
        print(f"{selection.kept} of these cells stand in another job too, and go on to count there.")
    _warn_of_training(selection)
    print(f"Folders of these cells would be {'deleted' if records else 'kept (records=true deletes them)'}.")
    print("Nothing is changed. To do it, type:")
    print(f"  {command}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _warn_of_training(selection: Selection) -> None:
    """Say that a process goes on to train cells that are forgotten."""
    leases = [lease for cell in selection.cells if (lease := read_lease(cell.folder)) is not None and lease.is_alive]
    if leases:
        holders = ", ".join(dict.fromkeys(lease.holder for lease in leases))
        print(f"{len(leases)} of these cells are being trained now, by {holders}: end that, or it goes on.")


def show_done(done: Forgotten, experiment: str) -> None:
    """Print what was forgotten."""
    files = f" with {done.jobs} whole job{'s' * (done.jobs != 1)}" if done.jobs else ""
    print(f"{done.cells} planned cells of {experiment} forgotten{files}; {done.folders} folders deleted.")
    if done.runs:
        print(f"{done.runs} runs in MLflow marked as forgotten.")
    for line in done.kept:
        print(f"  kept: {line}")
    print("The command that planned them would plan them again.")


def _command(experiment: str, output_dir: str, settings: Mapping[str, str]) -> str:
    where = {"output_dir": output_dir} if output_dir != "outputs" else {}
    words = {"experiment": experiment, **where, **settings}
    return f"python -m benchmark.forget {shlex.join(f'{key}={value}' for key, value in words.items())}"


@small_command("benchmark.forget", lambda: help_text(WHAT, "benchmark.forget", KEYS))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: done, or shown, 1: there are no cells or files are in the way, 2: a wrong argument."""
    settings = parse(arguments, KEYS)
    output_dir = settings.get("output_dir", "outputs")
    experiment = required_experiment(settings, output_dir)
    yes, records = true_or_false(settings, "yes", False), true_or_false(settings, "records", False)
    if "job" in settings and "cells" in settings:
        raise UsageError("job=... and cells=... are two ways to choose: type one of them")
    if yes and not settings.keys() & {"job", "cells"}:
        raise UsageError("yes=true needs job=... or cells=...: without yes=true this command lists what there is")
    status = experiment_status(output_dir, experiment)
    if not status.cells:
        print(f"benchmark.forget: {no_cells(output_dir, experiment)}", file=sys.stderr)
        return 1
    if "job" in settings:
        selection = select_job(status, settings["job"])
    elif "cells" in settings:
        selection = select_cells(status, settings["cells"])
    else:
        show_choices(status, experiment, output_dir)
        return 0
    if not yes:
        chosen = {key: settings[key] for key in ("job", "cells", "records", "uri") if key in settings}
        show_plan(selection, records, _command(experiment, output_dir, {**chosen, "yes": "true"}))
        return 0
    stays = {entry.fingerprint for job in status.jobs if job.job not in selection.jobs for entry in job.cells}
    gone = selection.fingerprints - stays
    runs = mark_forgotten(settings.get("uri"), Path(output_dir), experiment, gone)  # first, as is said of folders
    try:
        done = replace(forget(output_dir, experiment, selection, records), runs=runs)
    except OSError as error:
        raise RecordError(f"{output_dir} cannot be changed ({error}). Mend that, then type the same again") from error
    show_done(done, experiment)
    _warn_of_training(selection)
    return 0


if __name__ == "__main__":
    sys.exit(main())
