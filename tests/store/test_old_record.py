"""A record of before there were rooms, ``old_record`` (revision 4913735), is read, reported and shown as any other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sklearn.metrics import roc_auc_score

from benchmark import status
from benchmark.cells import Axes
from benchmark.report.build import build_report
from benchmark.store.experiments import collect

FINGERPRINT = "9d4b3caf7fff"
AXES = Axes(
    model="pca",
    dataset="digits",
    split="one_vs_rest",
    normal_class=3,
    normal_class_name="3",
    seed=0,
    evaluate_on="test",
)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(Path(__file__).with_name("old_record"), tmp_path / "outputs"))


def test_all_of_it_is_read(outputs: Path) -> None:
    (cell,) = collect(outputs, "old").cells
    record = cell.record
    assert record is not None
    record.verify()
    assert (cell.state, cell.name) == ("done", "pca digits one_vs_rest 3 seed 0")
    assert (record.axes, record.axes.normal_class_name) == (AXES, "3")
    assert record.fingerprint.startswith(FINGERPRINT)
    assert (record.status.numerics, record.status.headline, record.status.reason) == (2, "reconstruction", None)
    scores = record.scores()
    assert roc_auc_score(scores["label"], scores["score/reconstruction"]) == record.metrics["auroc"]
    assert record.config()["model"] == {"name": "pca", "headline": "reconstruction", "components": 1}
    assert record.environment()["git_revision"].startswith("4913735")
    images, calibration = record.images(), record.calibration()
    assert images is not None and calibration is not None  # noqa: PT018
    assert images["input"].shape[1:] == (8, 8)
    assert len(calibration["index"]) == record.metrics["n_calibration"]
    assert record.history() is None
    assert {name: tuple(values.shape) for name, values in record.weights().items()}["axes"] == (1, 64)


def test_its_experiment_is_reported(outputs: Path, tmp_path: Path) -> None:
    report = build_report("old", outputs, tmp_path / "report", figures=False)
    (row,) = report.frame.to_dict("records")
    assert (row["model"], row["variant"], row["state"], row["auroc"]) == ("pca", "components=1", "done", 1.0)
    assert row["fingerprint"].startswith(FINGERPRINT)


def test_its_status_is_shown(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main(["experiment=old", f"output_dir={outputs}", "verify=true"]) == 1
    out = capsys.readouterr().out
    assert "stale: pca digits one_vs_rest 3 seed 0: its " in out  # its code, or its numerics
    assert "python -m benchmark model=pca model.components=1 dataset=digits" in out
