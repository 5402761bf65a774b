"""Run cells of a published report again and compare: ``python -m benchmark.verify experiment=paper sample=5``.

The cells are laid out from the report's own commands, as they compose here; each must have the very fingerprint that
was published. What is compared, and by which rule, stands behind each: docs/verify.md. What was run is not run again,
so the same command goes on after an interruption.
"""

from __future__ import annotations

import math
import random
import shlex
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.config import UsageError, refusal
from benchmark.sweep.arguments import help_text, parse, small_command

if TYPE_CHECKING:
    from benchmark.report.agreement import Agreement
    from benchmark.report.committed import Committed
    from benchmark.sweep.again import Again, Where
    from benchmark.sweep.votes_again import Members

WHAT = "Run cells of a published report again, and compare their scores with what was published."
KEYS = {
    "experiment": "a published experiment: its report in results/<experiment>",
    "results": "instead: the folder of a report, with manifest.json and cells.csv",
    "claim": "instead: the folder of a submission with a claim.yaml (docs/submit.md); the code in it is run",
    "sample": "how many cells are drawn; default: 5",
    "cells": "all: every cell instead of a sample",
    "seed": "of the draw: the same one draws the same cells; default: 0",
    "model": "only cells of these models: ae,vae (default: all)",
    "dataset": "only those of these data sets (default: all)",
    "output_dir": "where they are run; default: outputs/verify",
    "data_dir": "where the data sets are; default: as for python -m benchmark",
}
PREFIX = "verify_"  # of the experiment in which they are run
Row = Mapping[str, Any]  # of cells.csv


@small_command("benchmark.verify", lambda: help_text(WHAT, "benchmark.verify", KEYS, "experiment=quick sample=5"))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: all are equal, 1: not all, or not all could be compared, 2: an argument is refused."""
    start, settings = time.perf_counter(), parse(arguments, KEYS)
    output_dir = settings.get("output_dir", str(Path("outputs", "verify")))
    _refuse_choice(settings)
    committed, config_dir = _report(settings)
    rows = drawn(committed, settings)
    _refuse_folder(output_dir)
    _say_what_comes(committed, rows, settings)
    from benchmark.engine.committee import NAME as COMMITTEE
    from benchmark.sweep.again import Where, lay_out_again
    from benchmark.sweep.votes_again import members_of

    experiment = f"{PREFIX}{committed.folder.resolve().name}"[:100]
    where = Where(output_dir, experiment, settings.get("data_dir"), config_dir, "claim" in settings)
    typed = "python -m benchmark.verify " + shlex.join(arguments)
    trained = {row["fingerprint"]: row for row in rows if row["model"] != COMMITTEE}
    voting = {row["fingerprint"]: members_of(committed, row) for row in rows if row["model"] == COMMITTEE}
    members = {row["fingerprint"]: row for of in voting.values() for row in of.rows}
    again = lay_out_again(committed, list({**members, **trained}.values()), where, typed)
    for why, count in Counter(again.refused.values()).items():
        print(f"{count} of {len(rows)} cells are not run: {why}", file=sys.stderr)
    if again.jobs:
        run(again, typed, start)
    found = {row["fingerprint"]: judged(row, committed, again) for row in rows if row["model"] != COMMITTEE}
    for row in rows:
        if (of := voting.get(row["fingerprint"])) is not None:
            found[row["fingerprint"]] = voted(row, committed, of, where)
    return show(rows, [found[row["fingerprint"]] for row in rows], Path(output_dir, "cells"))


def _refuse_choice(settings: Mapping[str, str]) -> None:
    """Raise ``UsageError`` unless one report is named, and one way to choose its cells."""
    places = [key for key in ("experiment", "results", "claim") if key in settings]
    if len(places) != 1:
        which = f"{', '.join(places)} name several reports" if places else "which report?"
        raise UsageError(f"{which} Type one of experiment=quick, results=<a folder>, claim=<a folder>")
    if "cells" in settings and settings["cells"] != "all":
        raise UsageError(refusal("cells", settings["cells"], "all; sample= draws some", "cells=all"))
    if "cells" in settings and "sample" in settings:
        raise UsageError("cells=all and sample= do not go together: leave out one of them")
    for key, least in (("sample", 1), ("seed", 0)):
        value = settings.get(key, str(least))
        if not value.isdecimal() or len(value) > 18 or int(value) < least:
            raise UsageError(refusal(key, value, f"a whole number of at least {least}", f"{key}=5"))


def _report(settings: Mapping[str, str]) -> tuple[Committed, str | None]:
    """The report, and the folder of configurations that comes with it."""
    from benchmark.report.committed import published, read_committed

    if "experiment" in settings:
        return published(settings["experiment"], "experiment"), None
    if "results" in settings:
        return read_committed(Path(settings["results"])), None
    from benchmark.report.claim import read_claim

    claim = read_claim(Path(settings["claim"]))
    committed = read_committed(claim.folder)
    for line in claim.check(committed):
        print(line)
    sys.path.append(str(claim.folder.resolve()))  # its modules, after all others
    return committed, claim.config_dir


def drawn(committed: Committed, settings: Mapping[str, str]) -> list[Row]:
    """The cells that are to be compared, in the order of the report: all, or some that the seed alone decides.

    Raises ``UsageError`` if there is none.
    """
    frame = committed.frame
    chosen = frame["state"] == "done"
    for key in ("model", "dataset"):
        if key in settings:
            known, wanted = list(dict.fromkeys(frame[key])), settings[key].split(",")
            if unknown := [name for name in wanted if name not in known]:
                raise UsageError(f"{key}={unknown[0]}: the report has no such cells. It has: {', '.join(known)}")
            chosen &= frame[key].isin(wanted)
    rows = frame[chosen].to_dict("records")
    if not rows:
        raise UsageError(f"{committed.folder.as_posix()} has no done cell of these. Name another model or dataset")
    if "cells" in settings:
        return rows
    order = sorted(rows, key=lambda row: row["fingerprint"])
    count = min(int(settings.get("sample", 5)), len(rows))
    some = random.Random(int(settings.get("seed", 0))).sample(order, count)
    names = {row["fingerprint"] for row in some}
    return [row for row in rows if row["fingerprint"] in names]


def _refuse_folder(output_dir: str) -> None:
    """Raise ``UsageError`` for a folder with other experiments: their cells would count as run again."""
    from benchmark.store.experiments import experiments

    others = [name for name in experiments(output_dir) if not name.startswith(PREFIX)]
    if others:
        raise UsageError(
            f"output_dir={output_dir} holds experiment {others[0]}, whose cells would be compared with themselves. "
            "Type output_dir=<a folder of its own>, or leave it out"
        )


def _say_what_comes(committed: Committed, rows: Sequence[Row], settings: Mapping[str, str]) -> None:
    done = int((committed.frame["state"] == "done").sum())
    how = "" if "cells" in settings else f", drawn with seed {settings.get('seed', 0)}"
    for line in committed.renamed:
        print(line)
    seconds = math.fsum(row[key] for row in rows for key in ("train_seconds", "score_seconds") if row[key] == row[key])
    minutes, rest = divmod(round(seconds), 60)
    print(
        f"{committed.folder.as_posix()}, revision {committed.revision}: {len(rows)} of {done} cells{how}. They "
        f"took {minutes}:{rest:02d} minutes where they were made, rules apart."
    )


def run(again: Again, typed: str, start: float) -> int:
    """Run what can be, but for what is done."""
    from benchmark.store.finished import finished_record
    from benchmark.sweep.check import check_jobs
    from benchmark.sweep.compose import ComposedCommand
    from benchmark.sweep.launchers import Launcher
    from benchmark.sweep.summary import Planned
    from benchmark.sweep.sweep import Sweep, put_right

    launcher = Launcher()
    check_jobs([job.config for job in again.jobs], launcher, recorded=True)
    put_right({str(again.jobs[0].output_dir)})
    sweep = Sweep(ComposedCommand([], launcher), typed, start)
    sweep.jobs = list(again.jobs)
    sweep.planned = [
        Planned(job.output_dir, cell, finished_record(job.output_dir, cell) is not None)
        for job in again.jobs
        for cell in job.cells
    ]
    return sweep.run([])


def judged(row: Row, committed: Committed, again: Again) -> Agreement:
    """What came of a cell."""
    from benchmark.report.agreement import NOT_COMPARED, Agreement, compare
    from benchmark.store.finished import finished_record

    fingerprint = row["fingerprint"]
    if fingerprint in again.refused:
        return Agreement(NOT_COMPARED, again.refused[fingerprint])
    job, cell = next((job, cell) for job in again.jobs for cell in job.cells if cell.fingerprint == fingerprint)
    record = finished_record(job.output_dir, cell)
    if record is None:
        return Agreement(NOT_COMPARED, "it was not finished here; the lines above say why")
    return compare(row, committed, record, again.rules[fingerprint])


def voted(row: Row, committed: Committed, members: Members, where: Where) -> Agreement:
    """What came of a committee, whose members were run again."""
    from benchmark.report.agreement import NOT_COMPARED, Agreement, compare
    from benchmark.sweep.votes_again import vote_again

    made = members.why or vote_again(row, members, Path(where.output_dir), where.experiment)
    return Agreement(NOT_COMPARED, made) if isinstance(made, str) else compare(row, committed, made, {})


def show(rows: Sequence[Row], found: Sequence[Agreement], folder: Path) -> int:
    """Print what came of each cell and of all, in which folder their records are, and return the exit code."""
    from benchmark.report.agreement import EQUAL, STATES, WITHIN
    from benchmark.store.experiments import column_label

    width = max(len(state) for state in STATES)
    for row, one in zip(rows, found, strict=True):
        label = column_label(row["model"], row["variant"])
        name = f"{label} {row['dataset']} {row['split']} {row['normal_class']} seed {row['seed']}"
        print(f"{one.state:<{width}}  {name}: {one.what}")
    counts = Counter(one.state for one in found)
    print(", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]) + f", of {len(found)} cells.")
    print(f"Cells: {folder.as_posix()}, a folder each")
    return 0 if counts[EQUAL] + counts[WITHIN] == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
