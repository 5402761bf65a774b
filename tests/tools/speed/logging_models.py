"""What logging a model costs a whole job: ``python -m tests.tools.speed.logging_models FOLDER [ROUNDS]``.

Runs quick jobs in turns with ``tracking.models=best`` and ``tracking.models=off``, each a command in a folder of its
own below FOLDER, where the MLflow store is there already, and counts the processor time of the command and of all that
it starts, which other work on the machine disturbs least.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 5
JOBS = {
    "digits, ten classes, one epoch": ("model=ae", "dataset=digits", "trainer.epochs=1"),
    "MNIST, one class, 20 epochs": ("model=ae", "dataset=mnist", "split.normal_class=3", "trainer.epochs=20"),
}
HOW = ("off", "best")


def main(folder: Path, rounds: int) -> None:
    print("| job | off, s | best, s | difference, s | share of the job |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for number, (name, words) in enumerate(JOBS.items()):
        took: dict[str, list[float]] = {how: [] for how in HOW}
        for turn in range(-1, rounds):  # the first ones make the store and fill the kernel's memory with files
            for how in HOW if turn % 2 else HOW[::-1]:
                place = folder / f"{number}-{how}"
                seconds = processor_time(place, *words, f"tracking.models={how}", f"seed={turn + 1}")
                if turn >= 0:
                    took[how].append(seconds)
        more = [best - off for off, best in zip(took["off"], took["best"], strict=True)]
        shares = [one / best for one, best in zip(more, took["best"], strict=True)]
        print(
            f"| {name} | {_all(took['off'])} | {_all(took['best'])} | {_all(more)} | {_all(shares, '.1%')} |",
            flush=True,
        )


def processor_time(folder: Path, *words: str) -> float:
    """Seconds of processor time, of a command and its children."""
    folder.mkdir(parents=True, exist_ok=True)
    before = os.times()
    subprocess.run([sys.executable, "-m", "benchmark", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _all(values: list[float], how: str = ".2f") -> str:
    """The median, and the lowest and highest."""
    return f"{statistics.median(values):{how}} ({min(values):{how}} to {max(values):{how}})"


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS)
