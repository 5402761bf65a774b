"""``python -m tests.tools.speed.instructions [rounds]``: speed with pinned instructions against the machine's fastest.

Both run in turn, each in a process of its own, one thread; models as shipped, random images. What is counted is the
processor's time, which other work on the machine disturbs least.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from benchmark import instructions
from benchmark.engine.fleet import Fleet
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from benchmark.models import constructor, model_class

IMAGES = torch.randint(0, 256, (2000, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TRAINED = {  # name -> model, cells in one program, images an epoch, keywords
    "ae, fleet of five": ("ae", 5, 3000, {}),
    "ae, convolutions": ("ae", 1, 256, {"network": "conv"}),
    "vae, fleet of five": ("vae", 5, 2000, {}),
    "aae, fleet of five": ("aae", 5, 1500, {}),
    "anogan, fleet of five": ("anogan", 5, 1500, {}),
    "diffusion, fleet of five": ("diffusion", 5, 500, {}),
    "pca, fit": ("pca", 1, 2000, {}),
}


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def measure() -> dict[str, float]:
    """Seconds of processor time of each case, in this process."""
    torch.set_num_threads(1)
    found, rows = {}, torch.arange(len(IMAGES))
    for name, (kind, cells, images, keywords) in TRAINED.items():
        torch.manual_seed(0)
        fleet = Fleet([model_class(kind)((1, 28, 28), **keywords) for _ in range(cells)])
        batch_size = constructor(kind)["batch_size"].default if "batch_size" in constructor(kind) else 1
        members = [Member(rows, cell, cell) for cell in range(cells)]

        def work(count: int, fleet: Fleet = fleet, batch: int = batch_size, members: list[Member] = members) -> object:
            return train(fleet, IMAGES, members, Settings(1, batch, count))

        work(batch_size)  # what is made once
        found[name] = _seconds(lambda work=work, images=images: work(images))
        if kind == "anogan":
            one, views = fleet.subset([0]), [View(rows[:200], 0)]
            found["anogan, search"] = _seconds(
                lambda one=one, views=views: score_images(one, IMAGES, views, Scoring(200))
            )
    return found


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    times: dict[str, list[dict[str, float]]] = {instructions.PINNED: [], instructions.MACHINE: []}
    own = {name: value for name, value in os.environ.items() if name not in instructions.pins()}
    for _ in range(rounds):
        for mode, found in times.items():
            command = [sys.executable, "-m", "tests.tools.speed.instructions", "measure"]
            environment = {**own, instructions.VARIABLE: mode, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout))
    print("| | pinned, s | machine, s | pinned / machine |\n| --- | ---: | ---: | ---: |")
    for case in times[instructions.PINNED][0]:
        pinned, machine = ([run[case] for run in times[mode]] for mode in times)
        ratios = [a / b for a, b in zip(pinned, machine, strict=True)]
        middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
        medians = f"{statistics.median(pinned):.2f} | {statistics.median(machine):.2f}"
        print(f"| {case} | {medians} | {middle:.2f} ({low:.2f} to {high:.2f}) |")


if __name__ == "__main__":
    if sys.argv[1:] == ["measure"]:
        print(json.dumps(measure()))
    else:
        main()
