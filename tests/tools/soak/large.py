"""A store of thousands of cells, each a real one with other axes and metrics."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import statistics
import time
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from benchmark.code_hash import model_code
from benchmark.store.experiments import write_job
from benchmark.store.files import DIGEST, digest_of, write_json
from benchmark.store.format import read_job
from benchmark.store.records import STATUS_FILE, read_record
from tests.tools.soak.checks import cell_folders, finish

EXPERIMENT = "large"
CELLS = 10_000
LIMIT = 15  # seconds that status and report may take
REPEATS = 3
MODELS = ("pca", "ae", "vae", "aae", "anogan")
DATASETS = ("mnist", "fashion_mnist", "kmnist", "digits")
CLASSES = range(10)
LINKED = ("weights.pt", "images.npz", "latent.npz")  # files that a status never reads, and a report for few cells


def run(folder: Path, cells: int = CELLS) -> list[tuple[str, str]]:
    """Returns what was found, as rows of a table. Raises ``AssertionError`` where a command takes longer than LIMIT."""
    source = folder / "source"
    finish(source, "model=vae", "dataset=digits", "split.normal_class=3", "trainer.epochs=5", "tracking=off")
    made = make_store(folder / "outputs", EXPERIMENT, cell_folders(source)[0], cells)
    rows = [("cells", f"{made:,}")]
    for module, arguments in (("benchmark.status", []), ("benchmark.report", ["figures=false"])):
        seconds = []
        for _ in range(REPEATS):
            start = time.monotonic()
            out = finish(folder, f"experiment={EXPERIMENT}", *arguments, module=module)
            seconds.append(time.monotonic() - start)
        typed = " ".join([f"python -m {module} experiment={EXPERIMENT}", *arguments])
        rows.append((f"`{typed}`", f"{statistics.median(seconds):.1f} s (median of {REPEATS})"))
        assert statistics.median(seconds) < LIMIT, rows[-1]
        if module == "benchmark.status":
            assert f"{made} of {made} cells done." in out, out[-500:]
    with (folder / "outputs" / "reports" / EXPERIMENT / "cells.csv").open() as file:
        assert sum(1 for _ in file) == made + 1
    return rows


def make_store(output_dir: Path, experiment: str, source: Path, cells: int) -> int:
    """Write an experiment of so many cells into ``output_dir``, made from the one at ``source``; returns how many.

    They are models x data sets x classes x as many seeds as it takes, with the arrays of the source.
    """
    draw, record = random.Random(0), read_record(source)
    seeds = -(-cells // (len(MODELS) * len(DATASETS) * len(CLASSES)))
    config = (source / "config.yaml").read_text(encoding="utf-8")
    made = 0
    for model, dataset in product(MODELS, DATASETS):
        entries = []
        for label, seed in product(CLASSES, range(seeds)):
            axes = {**asdict(record.axes), "model": model, "dataset": dataset, "normal_class": label, "seed": seed}
            axes["normal_class_name"] = str(label)
            fingerprint = hashlib.sha256(json.dumps(axes, sort_keys=True).encode()).hexdigest()
            path = Path("cells", dataset, axes["split"], model, f"class{label}-seed{seed}-{fingerprint[:12]}")
            metrics = record.metrics | {"auroc": draw.uniform(0.8, 1.0), "average_precision": draw.uniform(0.8, 1.0)}
            status = {**asdict(record.status), "axes": axes, "fingerprint": fingerprint, "experiment_name": experiment}
            status |= {"variant": "", "code": model_code(model)}
            _write(output_dir / path, source, status, metrics, config.replace("name: vae", f"name: {model}"))
            entries.append({"axes": axes, "variant": "", "fingerprint": fingerprint, "path": path.as_posix()})
        made += len(entries)
        job = {"job": f"{model}-{dataset}", "started": record.status.started, "command": "", "overrides": []}
        write_job(output_dir, experiment, read_job({**job, "cells": entries}))
    return made


def _write(path: Path, source: Path, status: dict[str, Any], metrics: dict[str, float], config: str) -> None:
    path.mkdir(parents=True)
    changed = {"metrics.json": json.dumps(metrics, indent=2) + "\n", "config.yaml": config}
    for file in source.iterdir():
        if file.name in changed or file.name == STATUS_FILE:
            continue
        if file.name in LINKED:
            os.link(file, path / file.name)
        else:
            shutil.copyfile(file, path / file.name)
    files = dict(status["files"])
    for name, content in changed.items():
        encoded = content.encode()
        (path / name).write_bytes(encoded)
        files[name] = {"bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}
    complete = {**status, "files": files}
    write_json(path / STATUS_FILE, {**complete, DIGEST: digest_of(complete)})
