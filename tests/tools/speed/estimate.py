"""What one H200 would take for the paper table, estimated from host time, bytes and FLOPs: no such machine was at hand.

``python -m tests.tools.speed.estimate`` writes results/speed/estimate_h200.md. A training step takes as long as the
longest of three: Python and kernel launches (measured here, with images and layers so small that nothing else counts),
the products' arithmetic, and the optimiser's memory traffic.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmark.engine.fleet import Fleet
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from benchmark.models import model_class
from benchmark.store.environment import environment

FP32, BANDWIDTH = 67e12, 4.8e12  # NVIDIA's figures of an H200: FLOP/s without tensor cores, bytes/s
SHARE = 0.5  # of both that such sizes reach, a guess
CELLS, IMAGES, TESTED = 50, 6000, 10_000  # ten classes and five seeds; a class; the test split
TINY: dict[str, Any] = {"hidden": (2,), "latent": 2}
RECORD = 0.36  # seconds a cell for record, MLflow and figure, as measured on this machine (one thread)


def host_seconds(name: str, cells: int) -> float:
    """Seconds of one training step with tiny layers and images: Python, dispatch and launches."""
    tiny = TINY | ({"discriminator_hidden": (2,)} if name in ("aae", "anogan") else {})
    images = torch.zeros(64, 1, 2, 2, dtype=torch.uint8)
    members, steps = [Member(torch.arange(64), cell, cell) for cell in range(cells)], 20
    values = []
    for _ in range(6):
        fleet = Fleet([model_class(name)((1, 2, 2), **tiny) for _ in range(cells)])
        start = time.perf_counter()
        train(fleet, images, members, Settings(1, 2, 2 * steps))
        values.append((time.perf_counter() - start) / steps)
    return statistics.median(values[1:])


def device_seconds(name: str, cells: int) -> float:
    """Seconds of a step's products and Adam's traffic on the device: six FLOP a weight and image, 28 bytes a weight."""
    model = model_class(name)((1, 28, 28))
    passes = {"ae": 1.0, "vae": 1.0, "aae": 1.5, "anogan": 2.5}[name]  # through all weights, all phases together
    weights = sum(p.numel() for p in model.parameters())
    flop, traffic = 6 * passes * weights * model.batch_size * cells, 28 * weights * cells
    return max(flop / FP32, traffic / BANDWIDTH) / SHARE


def search_seconds(cells: int) -> tuple[float, float]:
    """Seconds of AnoGAN's search over the test split: host, and device."""
    model = model_class("anogan")((1, 28, 28), hidden=(2,), discriminator_hidden=(2,), latent=2)
    images = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
    values = []
    for _ in range(4):
        start = time.perf_counter()
        views = [View(torch.arange(4), seed) for seed in (0, 1)]
        score_images(Fleet([model, model]), images, views, Scoring(4), ("scores",))
        values.append(time.perf_counter() - start)
    real = model_class("anogan")((1, 28, 28))
    weights = sum(p.numel() for p in real.generator.parameters()) + 784 * 256
    chunks = cells * TESTED / (CELLS * 500)  # 500 images of every cell at once
    return chunks * statistics.median(values[1:]), 6 * weights * real.search_steps * cells * TESTED / FP32 / SHARE


def main() -> None:
    torch.set_num_threads(1)
    lines, total = [], 0.0
    for name in ("ae", "vae", "aae", "anogan"):
        model = model_class(name)((1, 28, 28))
        steps = model.epochs * round(IMAGES / model.batch_size)
        alone = max(host_seconds(name, 1), device_seconds(name, 1))
        host, device = host_seconds(name, CELLS), device_seconds(name, CELLS)
        together = max(host, device)
        seconds = 2 * steps * together  # both data sets
        total += seconds
        lines.append(
            f"| {name} | {1000 * alone:.2f} | {1000 * host:.2f} | {1000 * device:.2f} | "
            f"{CELLS * alone / together:.0f} | {seconds:.0f} |"
        )
    host, device = search_seconds(2 * CELLS)
    total += max(host, device)
    lines.append(f"| anogan, search | | {1000 * host:.0f} | {1000 * device:.0f} | | {max(host, device):.0f} |")
    records = 400 * RECORD
    machine = environment("cpu", "fp32")
    text = f"""# One H200, estimated

No GPU was at hand: **every figure here is an estimate**, made by `python -m tests.tools.speed.estimate` from host times
measured on {machine["cpu"]} (one thread, torch {torch.__version__}) and from NVIDIA's figures of an H200
(67 TFLOP/s fp32, 4.8 TB/s), of which {SHARE:.0%} is assumed to be reached. A step takes the longer of host and device.

| model | one cell's step, ms | 50 cells' step: host, ms | device, ms | 50 against one by one, times | 100 cells, s |
| --- | ---: | ---: | ---: | ---: | ---: |
{chr(10).join(lines)}

The 400 trainings and the search of a million images: {total:.0f} s. Records, MLflow, figures of 400 cells, {RECORD} s
each in one thread: {records:.0f} s. Together {(total + records) / 60:.1f} minutes, against a target of 10.
"""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results/speed")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "estimate_h200.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
