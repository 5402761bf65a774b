"""Small experiments written by the real record writer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cells import NUMERICS_VERSION
from benchmark.code_hash import model_code
from benchmark.store.experiments import write_job
from benchmark.store.format import read_job, read_status
from benchmark.store.records import Content, write_record


class Records:
    """Writes cells and jobs of one experiment below ``output_dir``."""

    def __init__(self, output_dir: Path, experiment: str = "small") -> None:
        self.output_dir, self.experiment, self.jobs = output_dir, experiment, 0

    def job(self, *cells: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        """Write cells (see ``cell``) and the job that planned them, with ``more`` entries; later calls, later jobs."""
        self.jobs += 1
        entries = [self._write(cell) for cell in cells]
        content = {
            "job": f"job{self.jobs}",
            "started": f"2026-01-01T00:{self.jobs:02d}:00",
            "command": "python -m benchmark -m output_dir=/home/somebody/outputs",
            "overrides": [],
            "git_revision": "0123456789abcdef",
            "config_hash": "f" * 64,
            "cells": entries,
            **more,
        }
        write_job(self.output_dir, self.experiment, read_job(content))
        return entries

    def rewrite(self, path: Path, **more: np.ndarray) -> None:
        """Add arrays to a file of a record, which names the size and digest of each of its files."""
        np.savez(path, **np.load(path), **more)
        status = json.loads((path.parent / "status.json").read_text())
        status["files"][path.name] = {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        del status["digest"]
        (path.parent / "status.json").write_text(json.dumps(status))

    def _write(self, cell: dict[str, Any]) -> dict[str, Any]:
        defaults = {"dataset": "mnist", "split": "one_vs_rest", "seed": 0, "evaluate_on": "test"}
        axes = {name: cell.get(name, value) for name, value in defaults.items()}
        axes |= {
            "model": cell["model"],
            "normal_class": cell["k"],
            "normal_class_name": cell.get("name", str(cell["k"])),
        }
        variant, state = cell.get("variant", ""), cell.get("state", "done")
        identity = repr((sorted(axes.items()), variant, cell.get("version", 1)))
        digest = hashlib.sha256(identity.encode()).hexdigest()
        leaf = f"class{cell['k']}-seed{axes['seed']}-{digest[:12]}"
        path = f"cells/{axes['dataset']}/{axes['split']}/{axes['model']}/{leaf}"
        if state != "missing":
            status = {
                "state": state, "reason": cell.get("reason"), "fingerprint": digest,
                "code": cell.get("code", model_code(axes["model"])), "experiment_name": self.experiment,
                "numerics": NUMERICS_VERSION,
                "axes": axes, "variant": variant, "headline": "reconstruction",
                "chosen_rule": cell.get("chosen_rule"),
                "started": "2026-01-01T00:00:00", "finished": "2026-01-01T00:01:00",
            }  # fmt: skip
            metrics = cell.get("metrics", {})
            if state == "done":
                metrics = {"auroc": cell["auroc"], "auroc/reconstruction": cell["auroc"], "n_train": 100.0} | metrics
            classes = "[" + ",".join(f"'{i}'" for i in range(cell.get("classes", 2))) + "]"
            history = [{"epoch": e, "step": 10 * e, "train/loss": 1 / e} for e in (1, 2, 3)]
            content = Content(
                config=f"dataset: {{classes: {classes}}}\n",
                metrics=metrics,
                environment={"python": "3.11", "torch": "2.15", "cpu": cell.get("cpu", "a processor")},
                arrays=_arrays() if state == "done" and cell.get("arrays") else {},
                history=history if cell.get("arrays") else (),
            )
            write_record(self.output_dir / path, read_status(status), content)
        return {"axes": axes, "variant": variant, "fingerprint": digest, "path": path}


def _arrays() -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    label = np.array([0] * 20 + [1] * 30, np.uint8)
    score = (rng.normal(size=50) + label).astype(np.float32)
    target = (np.arange(50) % 2).astype(np.int64)
    pictures = rng.integers(0, 256, (8, 28, 28), dtype=np.uint8)
    group = np.repeat(["normal", "anomalous", "normal_most", "anomalous_least"], 2)
    images = {"index": np.arange(8), "label": label[:8], "target": target[:8], "group": group}
    images |= {"input": pictures, "reconstruction": pictures[::-1], "score": score[:8]}
    axis = np.linspace(-1, 1, 15).astype(np.float32)
    latent = {
        "codes": rng.normal(size=(50, 2)).astype(np.float32), "label": label, "target": target,
        "grid": rng.integers(0, 256, (15, 15, 28, 28), dtype=np.uint8), "grid_x": axis, "grid_y": axis,
        "interpolation": pictures, "interpolation_codes": rng.normal(size=(8, 2)).astype(np.float32),
        "interpolation_ends": pictures[:2],
    }  # fmt: skip
    scores = {"index": np.arange(50), "label": label, "target": target, "score/reconstruction": score}
    return {"scores": scores, "images": images, "latent": latent}


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "outputs")


@pytest.fixture
def frame_of(records: Records) -> Callable[[], Any]:
    """Collects the experiment and returns its frame."""
    from benchmark.report.frame import build_frame
    from benchmark.store.experiments import collect

    return lambda: build_frame(collect(records.output_dir, records.experiment).cells)
