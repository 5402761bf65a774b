"""What is said, or refused, of a job before it runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.config import UsageError
from benchmark.engine.device import memory
from benchmark.sweep.compose import compose_jobs
from benchmark.sweep.foresee import ENOUGH, bytes_of_fit, foresee
from benchmark.sweep.job import Job, lay_out_job

MANY = 60


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A flat folder of good images."""
    (folder := tmp_path / "parts").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (MANY, 8, 8), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    return folder


def laid_out(*overrides: str) -> Job:
    return lay_out_job(compose_jobs(list(overrides))[0].config, device=("cpu", "fp32"))


def own(parts: Path, *more: str) -> Job:
    words = ["dataset=folder", f"dataset.path={parts}", f"data_dir={parts.parent / 'data'}", "dataset.image_size=28"]
    return laid_out(*words, *more)


def test_a_network_with_few_updates_is_warned_of_with_what_to_type(parts: Path) -> None:
    job = own(parts, "model=ae", "trainer.epochs=20")
    (line,) = foresee(job, job.cells, set())
    assert line.startswith("ae on parts: 20 epochs of 1 batch are 20 updates, which is little")
    assert f"Type trainer.epochs={ENOUGH}," in line
    for words in (["model=ae", f"trainer.epochs={ENOUGH}"], ["model=pca", "model.components=4"]):
        job = own(parts, *words)
        assert foresee(job, job.cells, set()) == []
    assert foresee(own(parts, "model=ae"), [], set()) == []  # all are finished


def test_copies_that_calibrate_are_warned_of_once_a_split(parts: Path) -> None:
    for path in sorted(parts.iterdir()):
        shutil.copy(path, parts / f"copy_{path.name}")
    job, known = own(parts, "model=mean_image"), set[str]()
    (line,) = foresee(job, job.cells, known)
    assert line.startswith("parts good seed 0: ")
    assert "of 12 calibration images are copies of images trained on: p-values are too small" in line
    assert foresee(job, job.cells, known) == []
    other = own(parts, "model=mean_image", "seed=1")
    assert len(foresee(other, other.cells, known)) == 1


def test_a_fit_that_memory_has_no_room_for_is_refused_before_it_begins() -> None:
    job = laid_out("model=pca", "dataset=digits", "model.components=4", "split.normal_class=3", "chosen=none")
    (cell,) = job.cells
    takes = bytes_of_fit(job, cell)
    assert takes == 21 * 28 * 28 * len(cell.split.train_index)
    assert foresee(job, job.cells, set(), takes) == []
    with pytest.raises(
        UsageError, match=r"fitted to all images at once, .* Type split.train_fraction=0.4, or"
    ) as caught:
        foresee(job, job.cells, set(), takes / 2)
    assert "\n" not in str(caught.value)
    steps = laid_out("model=ae", "dataset=digits", "split.normal_class=3", "chosen=none")
    assert foresee(steps, steps.cells, set(), 1.0) == []
    nearest = laid_out("model=knn", "dataset=digits", "model.most=10", "split.normal_class=3", "chosen=none")
    assert bytes_of_fit(nearest, cell) == 28 * 28 * (5 * len(cell.split.train_index) + 11 * 10)


def test_images_that_are_enlarged_are_said_to_be(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, size in ((parts, 28), (parts, 64)):
        own(path, "model=mean_image", f"dataset.image_size={size}")
        said = capsys.readouterr().err
        assert f"of {size} x {size} pixels, grey, enlarged from 8 x 8 (dataset.image_size); read into" in said
    for path in parts.iterdir():
        Image.open(path).resize((30, 8)).save(path)
    own(parts, "model=mean_image")
    assert "of 28 x 28 pixels, grey; read into" in capsys.readouterr().err


def test_memory_is_that_of_this_machine() -> None:
    assert 1 << 28 < memory() < 1 << 50


def test_images_that_keep_their_aspect_are_other_cells(parts: Path) -> None:
    """They have the same pixels here, being square; but new images are read as the cell was told."""
    plain, kept = (
        own(parts, "model=mean_image", f"dataset.keep_aspect={value}").cells[0] for value in ("false", "true")
    )
    assert plain.fingerprint != kept.fingerprint
    assert plain.split.hash == kept.split.hash
