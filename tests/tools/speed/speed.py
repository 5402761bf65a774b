"""Training and scoring speed beside a plain loop, PyOD and the floor: ``make bench``.

Everything is timed in one run, round after round, so that a busy moment of the machine hits all alike; the tables give
medians. Needs the ``bench`` extra (PyOD) and prepared MNIST. Arguments: ``device=cpu|cuda``, ``rounds=5``,
``results_dir=results/speed``.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.data.files import data_dir
from benchmark.data.images import load_images
from benchmark.engine.fleet import Fleet
from benchmark.engine.metrics import auroc
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, Watch, train, train_in_company
from benchmark.models import model_class
from benchmark.store.environment import environment
from benchmark.sweep.compose import compose_jobs
from benchmark.sweep.fleets import make_plan, run_programs
from tests.tools.speed import memory, rivals
from tests.tools.speed.output import write

NORMAL = 3  # the class that single cells are trained on
DENSE = {"hidden": (400, 200)}  # 784-400-200-16, the network that PyOD can be given too
CONV = {"network": "conv"}
ARCHITECTURES = {  # name -> model and its constructor's arguments
    "ae 400-200-16": ("ae", DENSE),
    "ae": ("ae", {}),
    "vae": ("vae", {}),
    "aae": ("aae", {}),
    "anogan": ("anogan", {}),
    "ae conv": ("ae", CONV),
    "vae conv": ("vae", CONV),
    "aae conv": ("aae", CONV),
    "anogan conv": ("anogan", CONV),
}


@dataclass
class Case:
    """One thing to time: ``run`` returns images per second."""

    kind: str  # train | score | growth
    name: str  # architecture
    what: str  # fleet of N | plain loop | PyOD | floor
    run: Callable[[], float]
    values: list[float] = field(default_factory=list)
    memory: float = 0.0  # MiB that a run needed at most beyond what the process held before

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def row(self) -> dict[str, Any]:
        spread = {"median": self.median, "low": min(self.values), "high": max(self.values), "n": len(self.values)}
        return {"kind": self.kind, "name": self.name, "what": self.what, **spread, "memory_mib": self.memory}


class Bench:
    """The data, the device, and the cases made from them."""

    def __init__(self, device: str) -> None:
        config = compose_jobs(["dataset=mnist"])[0].config
        self.device, self.folder = device, data_dir(None)
        self.data = load_images(config.dataset, self.folder)
        self.images = self.data.train_images.to(device)
        self.test = self.data.test_images.to(device)
        self.index = [(self.data.train_labels == k).nonzero().flatten() for k in range(10)]

    def build(self, name: str, count: int, **more: Any) -> list[Any]:
        model, arguments = ARCHITECTURES[name]
        return [model_class(model)((1, 28, 28), **{**arguments, **more}) for _ in range(count)]

    def fleet(self, name: str, cells: int, total: int, strategy: str = "auto", precision: str = "fp32", **more: Any):  # type: ignore[no-untyped-def]
        """Training of ``cells`` cells as the runner does it, on about ``total`` images in all."""
        models = self.build(name, cells, **more)
        plan = make_plan(models[0], self.device, cells, strategy)
        epoch = max(total // cells, 4 * models[0].batch_size)
        programs = plan.programs([(Fleet([m], self.device), k) for k, m in enumerate(models)])
        joined = [(_join([f for f, _ in part]), [k for _, k in part]) for part in programs]

        def program(part: Any, stop: Any) -> int:
            ((fleet, numbers),) = part
            members = [Member(self.index[k % 10], k, k) for k in numbers]
            settings = Settings(1, fleet.model.batch_size, epoch, precision)
            train_cells = train_in_company if plan.strategy == "vmap" and self.device == "cpu" else train
            done = train_cells(fleet, self.images, members, settings, Watch(stop=stop))
            return sum(training.images for training in done)

        def run() -> float:
            start = time.perf_counter()
            images = sum(run_programs(program, [[part] for part in joined], plan.workers, self.device))
            rivals.synchronize(self.device)
            return images / (time.perf_counter() - start)

        return run

    def scoring(self, name: str, cells: int, images: int, **more: Any) -> Callable[[], float]:
        """Scoring of ``images`` test images by each of ``cells`` cells."""
        models = self.build(name, cells, **more)
        plan = make_plan(models[0], self.device, cells)
        size = 1 if self.device == "cpu" else cells  # as the runner does it
        fleets = [Fleet(models[i : i + size], self.device) for i in range(0, cells, size)]

        def program(part: Any, stop: Any) -> int:
            (fleet,) = part
            views = [View(torch.arange(images), seed) for seed in range(fleet.size)]
            score_images(fleet, self.test, views, Scoring(500, stop=stop), ("scores",))
            return images * fleet.size

        def run() -> float:
            start = time.perf_counter()
            scored = sum(run_programs(program, [[fleet] for fleet in fleets], plan.workers, self.device))
            rivals.synchronize(self.device)
            return scored / (time.perf_counter() - start)

        return run

    def cases(self) -> list[Case]:
        cpu = self.device == "cpu"
        fleets = (1, 10, 50) if cpu else (1, 10, 50, 100)
        found = []
        for name in ARCHITECTURES:
            conv = "conv" in name
            total = (2_000 if conv else 30_000) if cpu else 600_000
            for cells in fleets:
                if conv and cpu and cells > 10:
                    continue  # cell after cell: a fleet of 50 is five of 10
                found.append(Case("train", name, f"fleet of {cells}", self.fleet(name, cells, total)))
            if cpu and not conv:
                found.append(Case("train", name, "fleet of 10, loop", self.fleet(name, 10, total, "loop")))
            if not conv and not cpu:
                found.append(Case("train", name, "fleet of 50, bf16", self.fleet(name, 50, total, precision="bf16")))
            images = (100 if "anogan" in name else 1000) if cpu else 10_000
            found.append(Case("score", name, "fleet of 10", self.scoring(name, 10, images)))
        for name in ("ae 400-200-16", "ae", "ae conv"):
            model, batch = self._eager(name)
            loop = rivals.plain_loop(model, self.folder, NORMAL, batch, self.device)
            found.append(Case("train", name, "plain loop", loop))
        if cpu:
            images = self.data.train_images[self.index[NORMAL]]
            found.append(Case("train", "ae 400-200-16", "PyOD", rivals.pyod(images, (400, 200, 16), 128)))
            for name, widths in (
                ("ae 400-200-16", (784, 400, 200, 16, 200, 400, 784)),
                ("ae", (784, 256, 16, 256, 784)),
            ):
                found.append(Case("train", name, "floor", rivals.dense_floor(widths, 128, torch.get_num_threads())))
            layers = [layer for layer in self._eager("ae conv")[0].modules() if not list(layer.children())]
            found.append(
                Case("train", "ae conv", "floor", rivals.convolution_floor(layers, 128, torch.get_num_threads()))
            )
        for cells in (1, 2, 5, 10, 20, 50):
            found.append(Case("growth", "ae 400-200-16", f"cells={cells}", self.fleet("ae 400-200-16", cells, 15_000)))
        for latent in (2, 16, 64):
            run = self.fleet("ae 400-200-16", 10, 15_000, latent=latent)
            found.append(Case("growth", "ae 400-200-16", f"latent={latent}", run))
        for images in (500, 1000, 2000, 4000):
            found.append(Case("growth", "ae", f"scored images={images}", self.scoring("ae", 2, images)))
        for steps in (10, 20, 40, 80):
            run = self.scoring("anogan", 2, 500, search_steps=steps)
            found.append(Case("growth", "anogan", f"search steps={steps}", run))
        return found

    def _eager(self, name: str) -> tuple[nn.Module, int]:
        (model,) = self.build(name, 1)
        return nn.Sequential(model.encoder, model.decoder), model.batch_size

    def quality(self) -> list[dict[str, Any]]:
        """AUROC of class 3 after ten epochs: ours and PyOD's with the same layers and batch size."""
        index = self.index[NORMAL]
        label = (self.data.test_labels != NORMAL).numpy()
        torch.manual_seed(0)
        fleet = Fleet(self.build("ae 400-200-16", 1, epochs=10), self.device)
        train_cells = train_in_company if self.device == "cpu" else train
        train_cells(fleet, self.images, [Member(index, 0, 0)], Settings(10, 128, len(index)))
        (found,) = score_images(fleet, self.test, [View(torch.arange(len(self.test)), 0)], Scoring(500), ("scores",))
        rows = [{"what": "here", "auroc": auroc(label, found.scores["reconstruction"].numpy())}]
        if self.device == "cpu":
            detector = rivals.pyod_detector((400, 200, 16), 128, epochs=10)
            detector.fit(rivals.flat(self.data.train_images[index]))
            scores = detector.decision_function(rivals.flat(self.data.test_images))
            rows.append({"what": "PyOD", "auroc": auroc(label, scores)})
        return rows


def _join(fleets: list[Fleet]) -> Fleet:
    """One fleet of all members."""
    joined = fleets[0]
    if len(fleets) > 1:
        joined = joined.subset([0] * len(fleets))
        for name in joined.parameters:
            joined.parameters[name] = torch.cat([f.parameters[name] for f in fleets])
        for name in joined.buffers:
            joined.buffers[name] = torch.cat([f.buffers[name] for f in fleets])
    return joined


def main(arguments: list[str] | None = None) -> None:
    given = dict(argument.split("=", 1) for argument in (sys.argv[1:] if arguments is None else arguments))
    device = given.get("device", "cuda" if torch.cuda.is_available() else "cpu")
    rounds = int(given.get("rounds", 5))
    machine = environment(device, "fp32")  # now: the checkout may be another one when the timing ends
    bench = Bench(device)
    cases = bench.cases()
    if "only" in given:
        cases = [case for case in cases if given["only"] in f"{case.kind} {case.name} {case.what}"]
    for number in range(rounds + 1):  # the first round warms up and is not counted
        for case in cases:
            before = memory.start(device)
            value = case.run()
            case.memory = max(case.memory, memory.peak(device) - before)
            if number > 0:
                case.values.append(value)
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    content = {
        "command": "python -m tests.tools.speed.speed " + " ".join(f"{k}={v}" for k, v in given.items()),
        "rounds": rounds,
        "environment": machine,
        "machine": platform.machine(),
        "cases": [case.row() for case in cases],
        "quality": bench.quality(),
    }
    folder = Path(given.get("results_dir", "results/speed"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"speed_{torch.device(device).type}.json").write_text(json.dumps(content, indent=1) + "\n")
    write(folder, content)


if __name__ == "__main__":
    main()
