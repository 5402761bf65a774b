"""Records that somebody has made up: nothing that they name is run, and what cannot be is said in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from benchmark import load_detector
from benchmark.code_hash import cell_code, model_code
from benchmark.config import UsageError
from benchmark.detect.detector import Detector
from benchmark.report.explorer.tiles import reconstructed
from benchmark.store.records import read_record
from tests.detect.conftest import Cells, reseal

EVIL = "open('ran', 'w').close()\nfrom benchmark.models.pca import PCA\nclass M(PCA): pass\n"


@pytest.fixture
def made_up(cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A copy of a cell in the current folder, with another configuration and a module of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, change: Callable[[dict[str, Any]], object], **status: Any) -> Path:
        path = tmp_path / name / "cell"
        shutil.copytree(cells.paths["pca"], path)
        for file in (path / "evil.py", path.parent / "mine.py"):
            file.write_text(EVIL)
        config = yaml.safe_load((path / "config.yaml").read_text())
        change(config)
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        reseal(path, **status)
        return path

    return make


def _names(target: str, name: str) -> Callable[[dict[str, Any]], object]:
    return lambda config: config["model"].update(_target_=target, name=name)


def test_a_record_runs_no_code_of_its_own(made_up: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which is not the model pca, and is not run"):
        load_detector(made_up("hostile1", _names("hostile1.cell.evil.M", "pca")))
    path = made_up("hostile2", _names("hostile2.cell.evil.M", "mine"))
    axes = {"model": "mine", **{k: v for k, v in vars(read_record(path).axes).items() if k != "model"}}
    reseal(path, axes=axes, code=cell_code("mine", "hostile2.cell.evil.M"))
    with pytest.raises(UsageError, match="lies in the record itself, and is not run"):
        load_detector(path)
    reseal(path, axes=axes, code=cell_code("mine", "hostile2.mine.M"))  # which is not the class it names
    with pytest.raises(UsageError, match="which is not the code that its status"):
        load_detector(path)
    assert not (tmp_path / "ran").exists()


def test_a_record_calls_no_function_for_images(made_up: Callable[..., Path], tmp_path: Path) -> None:
    call = {"_target_": "subprocess.call", "options": {"args": ["touch", str(tmp_path / "ran")]}}
    path = made_up("hostile3", lambda config: config["dataset"].update(call))
    with pytest.raises(UsageError, match=r"_target_=subprocess.call, a function that is not shipped"):
        load_detector(path, rule="standardised")
    assert not (tmp_path / "ran").exists()


def test_a_detector_of_a_class_of_ones_own_is_loaded(cells: Cells, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_class.py").write_text("from benchmark.models.pca import PCA\nclass Mine(PCA): pass\n")
    before = Detector("own_class.Mine", device="cpu", components=4, calibration_share=0.25).fit(cells.normal)
    after = load_detector(before.save(tmp_path / "saved"))
    assert (after.anomaly_scores(cells.test[:9]) == before.anomaly_scores(cells.test[:9])).all()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("dataset.image_size", 0, "image_size=0 in its config.yaml"),
        ("dataset.image_size", "x", "image_size=x in its config.yaml"),
        ("dataset.image_size", 999, "image_size=0 in its config.yaml"),
        ("trainer.score_batch_size", -500, "score_batch_size=-500 in its config.yaml"),
        ("trainer", 5, "cannot be what trained it"),
        ("model.components", "x", "cannot be what trained it|do not fit"),
    ],
)
def test_settings_that_cannot_be_are_refused(made_up: Callable[..., Path], key: str, value: object, says: str) -> None:
    section, _, name = key.partition(".")
    path = made_up("odd", lambda config: config[section].update({name: value}) if name else config.update(trainer=5))
    with pytest.raises(UsageError, match=says) as caught:
        load_detector(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scores", [np.full(32, np.nan, np.float32), np.array(["a"] * 32), np.zeros((32, 2))])
def test_calibration_scores_that_are_no_numbers_are_refused(made_up: Callable[..., Path], scores: np.ndarray) -> None:
    path = made_up("odd", lambda config: None)
    headline = read_record(path).status.headline
    np.savez(path / "calibration.npz", **{"index": np.arange(32), f"score/{headline}": scores})
    reseal(path)
    with pytest.raises(UsageError, match=r"calibration scores in its calibration\.npz are not all numbers"):
        load_detector(path)


@pytest.mark.parametrize("weights", [[1, 2], {1: torch.zeros(2)}, {"a": 5}])
def test_weights_that_are_none_are_refused(made_up: Callable[..., Path], weights: object) -> None:
    path = made_up("odd", lambda config: None)
    torch.save(weights, path / "weights.pt")
    reseal(path)
    with pytest.raises(UsageError, match=r"weights\.pt cannot be read \(it holds no weights by name\)"):
        load_detector(path)


def test_the_explorer_and_a_recorded_rule_run_no_code_of_a_record(made_up: Callable[..., Path], tmp_path: Path) -> None:
    path = made_up("hostile4", _names("hostile4.cell.evil.M", "pca"))
    record = read_record(path)
    with pytest.raises(UsageError, match="which is not the model pca, and is not run"):
        reconstructed(record, record.config(), torch.zeros(1, 1, 28, 28, dtype=torch.uint8))
    path = made_up("hostile5", lambda config: None)
    target = "hostile5.cell.evil.M"
    for code, says in (("", "other code than judged it"), (model_code(target), "lies in the record itself")):
        rules = {"mine": {"config": {"name": "mine", "_target_": target}, "code": code}}
        (path / "rules.json").write_text(json.dumps(rules))
        reseal(path)
        with pytest.raises(UsageError, match=says):
            load_detector(path, rule="mine")
    assert not (tmp_path / "ran").exists()
