"""Judge finished cells by further rules, from their weights: ``python -m benchmark.rescore experiment=E rule=ssim``.

Nothing is trained: cells that are missing, or of other code than here, are named and left alone. What was judged before
is not judged again, so the same command goes on after an interruption.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter

from benchmark.config import UsageError
from benchmark.sweep.arguments import help_text, parse, small_command

WHAT = "Judge the finished cells of an experiment by further rules, from their weights. Nothing is trained."
KEYS = {
    "experiment": "the experiment whose cells are judged",
    "rule": "all, a rule, or several: rule=smoothed,ssim; rules.smoothed.sigma=2 changes one",
    "model": "only the cells of these models: ae,vae (default: all)",
    "dataset": "only those of these data sets (default: all)",
    "output_dir": "where records are (default: outputs)",
}


@small_command("benchmark.rescore", lambda: help_text(WHAT, "benchmark.rescore", KEYS))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: every cell was judged, 1: not every one, 2: an argument is refused."""
    start = time.perf_counter()
    changes = [word for word in arguments if word.startswith("rules.")]
    settings = parse([word for word in arguments if word not in changes], KEYS)
    if "rule" not in settings:
        raise UsageError("rule= is missing: which rules are to judge? Type for example: rule=all")
    from benchmark.sweep.check import check_jobs
    from benchmark.sweep.compose import compose_command

    command = compose_command(["-m", f"rule={settings['rule']}", *changes])
    if len(command.jobs) > 1:
        raise UsageError(
            f"{' '.join(changes)} names several values: one a command. Type for example: {changes[0].partition(',')[0]}"
        )
    from benchmark.engine.committee import NAME as COMMITTEE
    from benchmark.status import no_cells, required_experiment
    from benchmark.store.experiments import as_planned, collect
    from benchmark.sweep.recorded import fault, grouped, jobs
    from benchmark.sweep.sweep import Sweep, put_right

    output_dir = settings.get("output_dir", "outputs")
    experiment = required_experiment(settings, output_dir)
    put_right({output_dir})
    cells = [
        cell
        for cell in as_planned(collect(output_dir, experiment)).cells
        if _among(cell.axes.model, settings.get("model")) and _among(cell.axes.dataset, settings.get("dataset"))
        if cell.axes.model != COMMITTEE  # it has no weights, and its members are judged themselves
    ]
    if not cells:
        print(f"benchmark.rescore: {no_cells(output_dir, experiment)}", file=sys.stderr)
        return 1
    faults = Counter(why for cell in cells if (why := fault(cell)) is not None)
    for why, count in faults.items():
        print(f"{count} of {len(cells)} cells are left alone: {why}", file=sys.stderr)
    groups = grouped([cell for cell in cells if fault(cell) is None])
    typed = "python -m benchmark.rescore " + shlex.join(arguments)
    sweep = Sweep(command, typed, start)
    sweep.take(jobs(groups, experiment, output_dir, command.jobs[0].config.rules, typed))
    check_jobs([job.config for job in sweep.jobs], command.launcher, recorded=True)
    return sweep.run([]) or (1 if faults else 0)


def _among(name: str, wanted: str | None) -> bool:
    return wanted is None or name in wanted.split(",")


if __name__ == "__main__":
    sys.exit(main())
