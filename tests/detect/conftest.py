"""Finished cells of scikit-learn's digits, class 3, and the images that they were made of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.data import load_dataset_config
from benchmark.data.files import sha256_of
from benchmark.data.images import load_images
from benchmark.store.records import STATUS_FILE, Record, read_record
from tests.faults.helpers import run_here

TINY = ("split.calibration_share=0.25", "trainer.epochs=2", "tracking=off", "rule=ssim,committee,image_neighbours")


@dataclass(frozen=True)
class Cells:
    """A VAE, whose scores draw noise, and a PCA; arrays are uint8 (N, 28, 28)."""

    folder: Path  # the output directory
    paths: dict[str, Path]  # model -> its cell
    normal: np.ndarray  # the class's images of the training split, in the order of the data set
    test: np.ndarray  # the test split
    labels: np.ndarray  # of the test split

    def record(self, model: str) -> Record:
        return read_record(self.paths[model])


@pytest.fixture(scope="session", name="cells")
def finished_cells(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    folder = tmp_path_factory.mktemp("cells")
    for model in ("vae", "pca"):
        done = run_here(folder, f"model={model}", "dataset=digits", "split.normal_class=3", *TINY)
        assert done.returncode == 0, done.stderr
    records = [read_record(path.parent) for path in (folder / "outputs" / "cells").rglob(STATUS_FILE)]
    data = load_images(load_dataset_config("digits"), Path())
    normal = data.train_images[data.train_labels == 3, 0].numpy()
    paths = {record.axes.model: record.path for record in records}
    return Cells(folder / "outputs", paths, normal, data.test_images[:, 0].numpy(), data.test_labels.numpy())


def reseal(path: Path, **changes: Any) -> None:
    """Write a status with these changes, and with what its files are now, as somebody would who means ill."""
    status = json.loads((path / STATUS_FILE).read_text())
    files = {
        name: {"bytes": (path / name).stat().st_size, "sha256": sha256_of(path / name)} for name in status["files"]
    }
    status = {key: value for key, value in (status | changes).items() if key != "digest"}
    (path / STATUS_FILE).write_text(json.dumps({**status, "files": files}))


@pytest.fixture
def altered(cells: Cells, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a cell with other entries of its status."""

    def alter(model: str, **changes: Any) -> Path:
        path = tmp_path / "altered"
        shutil.copytree(cells.paths[model], path)
        status = json.loads((path / STATUS_FILE).read_text())
        status = {key: value for key, value in (status | changes).items() if key != "digest"}
        (path / STATUS_FILE).write_text(json.dumps(status))
        return path

    return alter
