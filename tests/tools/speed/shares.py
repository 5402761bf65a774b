"""What the wall time of a sweep went into: ``python -m tests.tools.speed.shares SECONDS [experiment=quick]``.

SECONDS is what ``make benchmark`` took, as it prints; the rest is read from the cells' records. Training and evaluation
ran in as many programs at once as there are cores, so their sums are divided by that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmark.store.experiments import collect


def main(arguments: list[str]) -> None:
    wall = float(arguments[0])
    given = dict(argument.split("=", 1) for argument in arguments[1:])
    cells = collect(Path(given.get("output_dir", "outputs")), given.get("experiment", "quick")).cells
    records = [cell.record for cell in cells if cell.state == "done"]
    workers = os.cpu_count() or 1
    training = sum(record.metrics["train_seconds"] for record in records) / workers
    scoring = sum(record.metrics["evaluate_seconds"] for record in records) / workers
    print(f"{len(records)} cells, {wall:.0f} s:")
    for what, seconds in (("training", training), ("scoring", scoring), ("all else", wall - training - scoring)):
        print(f"  {what}: {seconds:.0f} s, {seconds / wall:.1%}")


if __name__ == "__main__":
    main(sys.argv[1:])
