"""Whole commands on images of one's own: PNG files of Fashion-MNIST."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from PIL import Image

from benchmark.data import load_dataset_config
from benchmark.data.images import load_images
from benchmark.sweep.compose import compose_jobs
from benchmark.sweep.job import lay_out_job
from tests.faults.helpers import run_here

CLASSES = ("Trouser", "Sneaker", "Bag")
EACH = 60


@pytest.fixture(scope="module")
def clothes(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of a few training images."""
    fashion = load_images(load_dataset_config("fashion_mnist"), data_dir)
    folder = tmp_path_factory.mktemp("own") / "clothes"
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        rows = (fashion.train_labels == fashion.class_names.index(name)).nonzero().flatten()[:EACH]
        for row in rows.tolist():
            Image.fromarray(fashion.train_images[row, 0].numpy()).save(folder / name / f"{row}.png")
    return folder


def words(path: Path | str, data: Path, *more: str) -> list[str]:
    folder = [f"dataset.path={path}", f"data_dir={data}", "dataset=folder", "dataset.image_size=28"]
    return ["model=pca", "model.components=8", *folder, "tracking=off", *more]


def records(folder: Path) -> dict[int, Path]:
    found = {json.loads(path.read_text())["axes"]["normal_class"]: path for path in folder.rglob("status.json")}
    return {number: path.parent for number, path in found.items()}


def test_class_folders_from_files_to_records_and_the_same_cells_when_moved(clothes, tmp_path):
    done = run_here(tmp_path, *words(clothes, tmp_path / "data"))
    assert (done.returncode, done.stdout.splitlines()[0][:20]) == (0, "3 of 3 cells done in"), done.stderr
    assert done.stderr.startswith(f"dataset=folder: {clothes}: class folders (70% of each class train, by a hash of")
    assert "3 classes (Bag, Sneaker, Trouser); 126 training and 54 test images of 28 x 28 pixels, grey" in done.stderr
    cells = records(tmp_path / "outputs" / "cells" / "clothes")
    assert sorted(cells) == [0, 1, 2]
    for cell in cells.values():
        assert json.loads((cell / "metrics.json").read_text())["auroc"] > 0.8
    dataset = OmegaConf.load(cells[0] / "config.yaml").dataset
    assert list(dataset.classes) == ["Bag", "Sneaker", "Trouser"]
    assert (dataset.path, dataset.channels, dataset.image_size, dataset.skipped) == (str(clothes), 1, 28, [])
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.copytree(clothes, tmp_path / "elsewhere" / "clothes")
    again = run_here(tmp_path, *words(moved, tmp_path / "other_data"))
    assert "3 of 3 cells done (3 of them finished before)" in again.stdout
    assert records(tmp_path / "outputs" / "cells" / "clothes") == cells


def test_what_was_skipped_stands_in_the_record(clothes, tmp_path):
    parts = Path(shutil.copytree(clothes, tmp_path / "parts"))
    (parts / "Bag" / "bad.png").write_bytes(b"")
    arguments = words(parts, tmp_path / "data", "split.normal_class=Sneaker")
    stopped = run_here(tmp_path, *arguments)
    assert (stopped.returncode, stopped.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "outputs").exists()
    done = run_here(tmp_path, *arguments, "dataset.on_bad=skip")
    assert done.returncode == 0, done.stderr
    assert "; left out 1 of 181: empty (0 bytes): Bag/bad.png\n" in done.stderr
    ((_, cell),) = records(tmp_path / "outputs" / "cells").items()
    assert OmegaConf.load(cell / "config.yaml").dataset.skipped == ["Bag/bad.png: empty (0 bytes)"]
    (parts / "Bag" / "bad.png").unlink()
    whole = run_here(tmp_path, *arguments)
    assert "1 of 1 cells done (1 of them finished before)" in whole.stdout


def test_several_models_read_the_images_once_and_share_them(clothes, tmp_path):
    line = ["-m", *words(clothes, tmp_path / "data")[2:], "model=pca,mean_image,histogram", "split.normal_class=Bag"]
    done = run_here(tmp_path, *line)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("dataset=folder: ") == 1
    assert len(list((tmp_path / "data" / "folder").iterdir())) == 1


def test_two_folders_of_one_name_are_not_mixed(clothes, tmp_path):
    other = tmp_path / "clothes" / "Bag"
    other.mkdir(parents=True)
    for path in sorted((clothes / "Bag").iterdir())[:12]:
        shutil.copy(path, other)
    both = ["-m", *words(f"{clothes},{tmp_path / 'clothes'}", tmp_path / "data")]
    done = run_here(tmp_path, *both)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "hold other images under one name, clothes. Run a command for each, with dataset.name=<a" in done.stderr


def test_a_worker_that_composes_again_has_the_same_cells(clothes, tmp_path):
    config = compose_jobs(words(clothes, tmp_path / "data"))[0].config
    planned = lay_out_job(config)
    config.dataset.update(name=None, channels=None, content=None, classes=[], skipped=[])  # as Hydra gives it
    assert [cell.fingerprint for cell in lay_out_job(config).cells] == [cell.fingerprint for cell in planned.cells]


def test_prepare_fills_the_cache_that_a_run_uses(clothes, tmp_path):
    arguments = ["dataset=folder", f"dataset.path={clothes}", "dataset.image_size=28", f"data_dir={tmp_path / 'data'}"]
    done = run_here(tmp_path, *arguments, module="benchmark.prepare")
    assert (done.returncode, done.stderr) == (0, "")
    assert "; read into " in done.stdout
    config = compose_jobs(words(clothes, tmp_path / "data"))[0].config
    before = load_images(config.dataset, tmp_path / "data").version
    Image.new("L", (9, 9)).save(Path(shutil.copytree(clothes, tmp_path / "clothes")) / "Bag" / "new.png")
    other = [*arguments[:1], f"dataset.path={tmp_path / 'clothes'}", *arguments[2:]]
    assert run_here(tmp_path, *other, module="benchmark.prepare").returncode == 0
    changed = compose_jobs(words(tmp_path / "clothes", tmp_path / "data"))[0].config
    assert load_images(changed.dataset, tmp_path / "data").version != before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("dataset=mnist", "dataset.path=x"),
            "dataset.path is of dataset=folder. Type: dataset=folder dataset.path=...",
        ),
        (
            ("dataset=folder", "dataset.path=x", "dataset.image_size=big"),
            "dataset.image_size=big is not allowed (",
        ),
        (("dataset=folder",), "dataset=folder needs to know where your images are. Type dataset.path=<a folder,"),
    ],
)
def test_prepare_refuses_in_one_line(tmp_path, arguments, said):
    done = run_here(tmp_path, *arguments, module="benchmark.prepare")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
