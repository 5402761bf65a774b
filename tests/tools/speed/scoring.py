"""Speed of ``benchmark.score`` on files and arrays beside the engine: ``python -m tests.tools.speed.scoring FOLDER``.

Writes MNIST's test images below FOLDER as PNG files and as an array, trains a small VAE there, and scores both by
turns: images a second as a clock has them, and of processor time, of all threads together, which other work on the
machine disturbs less.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

ROUNDS = 16


def main(folder: Path) -> None:
    from benchmark.data import load_dataset_config
    from benchmark.data.files import data_dir
    from benchmark.data.images import load_images
    from benchmark.detect.loading import load_cell
    from benchmark.detect.scoring import Task, judge_of, score
    from benchmark.detect.sources import find_source

    images = load_images(load_dataset_config("mnist"), data_dir()).test_images
    write(folder, images.numpy())
    words = ["model=vae", "dataset=mnist", "split.normal_class=3", "trainer.epochs=1", "tracking=off"]
    subprocess.run([sys.executable, "-m", "benchmark", *words], cwd=folder, check=True)
    loaded = load_cell(next((folder / "outputs" / "cells").glob("*/*/vae/*")))
    task = Task(loaded, judge_of(loaded, 0.05), folder / "out.csv")
    sources = [find_source(folder / name, loaded.shape, loaded.levels) for name in ("png", "images.npz")]
    loaded.scorer.scores(images)
    work: dict[str, Callable[[], object]] = {
        "engine": lambda: loaded.scorer.scores(images),
        "files found": lambda: find_source(folder / "png", loaded.shape, loaded.levels),
        "files read": lambda: deque(sources[0].read(loaded.shape, False, loaded.levels, 500), 0),
        "PNG files": lambda: score(task, sources[0], "files"),
        "array": lambda: score(task, sources[1], "an array"),
    }
    clocks = {"": time.perf_counter, " of processor time": time.process_time}
    took: dict[tuple[str, str], list[float]] = {(name, clock): [] for name in work for clock in clocks}
    for _ in range(ROUNDS):
        for name, do in work.items():
            start = {clock: now() for clock, now in clocks.items()}
            do()
            for clock, now in clocks.items():
                took[name, clock].append(now() - start[clock])
    for (name, clock), seconds in took.items():  # shares are of neighbours in time
        shares = [
            engine / one for engine, one in zip(took["engine", clock], seconds, strict=True)
        ]  # neighbours in time
        print(
            f"{name}: {len(images) / statistics.median(seconds):,.0f} images a second{clock}, "
            f"{statistics.median(shares):.2f} of the engine's ({min(shares):.2f} to {max(shares):.2f})"
        )


def write(folder: Path, pixels) -> None:  # type: ignore[no-untyped-def]
    """Images (N, 1, H, W) as files and as an array."""
    import numpy as np
    from PIL import Image

    (folder / "png").mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(pixels):
        Image.fromarray(image[0]).save(folder / "png" / f"{number:05d}.png")
    np.savez(folder / "images.npz", images=pixels)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
