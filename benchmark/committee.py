"""A committee of recorded cells, without training: ``python -m benchmark.committee experiment=NAME models=[ae,knn]``.

For every data set, split, class and seed the score of an image is the mean over members of their z-scores on
calibration images. What comes of it are cells like all others: in status, reports and MLflow (``benchmark.sync``).
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config import LONGEST, UsageError, is_plain_name, refusal
from benchmark.status import no_cells, required_experiment
from benchmark.store.experiments import as_planned, collect
from benchmark.store.records import RecordError
from benchmark.store.recovery import recover
from benchmark.sweep.arguments import help_text, parse, small_command
from benchmark.sweep.progress import elapsed

if TYPE_CHECKING:
    from benchmark.sweep.committee import Ended

KEYS = {
    "experiment": "name of the experiment whose cells are the members",
    "models": "the members, such as [pca,vae:smoothed,ae@latent=32:ssim]: a model; behind an @ each of its settings, "
    "where the experiment has several variants of it, @shipped for none; behind a colon the rule that gives its "
    "scores (:chosen: the one chosen for model and data set), else its own headline",
    "rules": "such as [own,smoothed]: members without a rule vote under each of these; default: own, their headline",
    "into": "experiment in whose tables the committee stands; default: that of its members",
    "output_dir": "where the runner wrote; default: outputs",
}
WHAT = "Let recorded cells vote: the mean of their z-scores on calibration images. Never trains."


@small_command("benchmark.committee", lambda: f"{help_text(WHAT, 'benchmark.committee', KEYS)} models=[pca,knn]")
def main(arguments: list[str]) -> int:
    """Run the command line; 0: every cell is done, 1: not every one, or there is none, 2: an argument is refused."""
    start, settings = time.perf_counter(), parse(arguments, KEYS)
    output_dir = settings.get("output_dir", "outputs")
    experiment = required_experiment(settings, output_dir)
    into = settings.get("into", experiment)
    if not is_plain_name(into):
        allowed = f"a name for a folder, without / and not beginning with a dot, of at most {LONGEST} bytes"
        raise UsageError(refusal("into", repr(into[:40]), allowed, "into=committees"))
    recover(output_dir)
    cells = as_planned(collect(output_dir, experiment)).cells
    if not cells:
        print(f"benchmark.committee: {no_cells(output_dir, experiment)}", file=sys.stderr)
        return 1
    from benchmark.sweep.committee import lay_out, left_out, make, write_plan  # torch comes with it
    from benchmark.sweep.members import find_members, read_members

    if "models" not in settings:
        known = list(dict.fromkeys(cell.axes.model for cell in cells))
        raise UsageError(f"models=... is missing. There is: {', '.join(known)}. Type for example: models=[pca,knn]")
    columns = find_members(read_members(settings["models"], settings.get("rules")), cells, experiment)
    planned = lay_out(columns, cells, experiment)
    if lone := left_out(columns, cells):
        print(f"{lone} cells are left out: not every member has one of that data set, split, class and seed.")
    typed = f"python -m benchmark.committee {shlex.join(arguments)}"
    try:
        write_plan(planned, Path(output_dir), into, typed, experiment)
    except OSError as error:
        raise RecordError(f"{output_dir} cannot be written ({error}). Make room there") from error
    return show(make(planned, Path(output_dir), into), into, output_dir, start)


def show(results: Iterable[Ended], experiment: str, output_dir: str, start: float) -> int:
    """Print what becomes of every cell, as it comes, and what to type next; returns the exit code."""
    done = before = total = 0
    for ended in results:
        how = "finished before, " if ended.before else ""
        print(f"  {ended.cell.name}: {ended.state}, {how}{ended.what}", flush=True)
        total += 1
        done += ended.state == "done"
        before += ended.before
    finished = f" ({before} of them finished before)" if before else ""
    print(f"{done} of {total} cells done{finished} in {elapsed(start)}.")
    where = [f"output_dir={output_dir}"] if output_dir != "outputs" else []
    print(f"Cells: {Path(output_dir, 'cells').as_posix()}, a folder each")
    command = "report" if done == total else "status"
    print(f"Next: python -m benchmark.{command} {shlex.join([f'experiment={experiment}', *where])}")
    return 0 if done == total else 1


if __name__ == "__main__":
    sys.exit(main())
