"""Whole commands on good images alone: a cell trains, keeps scores and thresholds, has no AUROC, and all goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from benchmark.engine.metrics import conformal_threshold
from benchmark.report.frame import read_frame
from benchmark.report.packed import read_manifest
from benchmark.store.records import Record, read_record
from tests.faults.helpers import run_here

DATA = """
import numpy as np


def load(test, kinds=1, classes=1):
    draw = np.random.default_rng(0)
    parts = []
    for count, known in ((200, classes), (test, kinds)):
        labels = np.arange(count) % known
        pixels = draw.integers(0, 60, (count, 3, 12, 12), dtype=np.uint8)
        pixels[:, :, 4:7] += (150 + 30 * labels[:, None, None, None]).astype(np.uint8)
        parts += [pixels, labels]
    return parts
"""
YAML = """name: {name}
_target_: good_parts.load
options: {options}
classes: [good, crack, dent]
image_size: 12
"""
SETS = {"flat": "{test: 0}", "good": "{test: 30}", "parts": "{test: 30, kinds: 3}"}
SMALL = ("--config-dir", "conf", "model.latent=2", "model.hidden=[8]", "trainer.epochs=1", "experiment_name=e")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells of a flat folder, of a test split of good images, and of one with defects, judged under two rules."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "conf" / "dataset").mkdir(parents=True)
    (folder / "good_parts.py").write_text(DATA)
    for name, options in SETS.items():
        (folder / "conf" / "dataset" / f"{name}.yaml").write_text(YAML.format(name=name, options=options))
    for name in SETS:
        more = () if name == "flat" else ("tracking=off",)  # a store takes seconds
        done = run(folder, *SMALL, *more, "model=vae", f"dataset={name}", "rule=[squared,mahalanobis]")
        assert done.returncode == 0, done.stderr
        told = "no AUROC: there were no anomalous images to evaluate" in done.stdout
        assert told == (name != "parts") == ("split.evaluate_on=synthetic" in done.stdout)
        assert ("Next: python -m benchmark.score experiment=e " in done.stdout) == told
        assert ("Next: python -m benchmark.report experiment=e" in done.stdout) != told
        assert ("no AUROC, as there were no anomalies" in done.stderr) == told
    return folder


def run(folder: Path, *words: str, module: str = "benchmark") -> Any:
    return run_here(folder, *words, module=module)


def records(place: Path, name: str) -> list[Record]:
    return [read_record(path.parent) for path in sorted((place / "outputs" / "cells" / name).rglob("status.json"))]


@pytest.mark.parametrize("name", ["flat", "good"])
def test_a_cell_is_done_with_scores_and_a_threshold_and_without_auroc(place: Path, name: str) -> None:
    (record,) = records(place, name)
    metrics, scores, kept = record.metrics, record.scores(), record.calibration()
    assert (record.state, metrics["n_test_anomalous"]) == ("done", 0)
    assert not [key for key in metrics if key.startswith(("auroc", "average_precision", "fpr95", "recall", "against"))]
    assert not [key for key, value in metrics.items() if not np.isfinite(value)]
    assert metrics["n_test"] == len(scores["label"]) == (0 if name == "flat" else 30)
    own = f"score/{record.status.headline}"
    assert (scores[own].dtype, len(scores[own]), len(kept[own])) == (np.float32, len(scores["label"]), 20)
    assert metrics["threshold"] == conformal_threshold(kept[own])
    assert ("false_alarm_rate" in metrics) == ("test/kl_normal" in metrics) == (name == "good")
    assert ("train/kl" in metrics, "test/kl_anomalous" in metrics) == (True, False)
    ruled = record.rule_scores()
    assert {key: len(values) for key, values in ruled.items()} == {
        f"{kind}/{rule}": count
        for kind, count in (("score", len(scores["label"])), ("calibration", 20))
        for rule in ("squared", "mahalanobis")
    }
    images = record.images()  # of calibration images, where there are no others
    assert set(images["group"]) == {"normal", "normal_most"}
    assert np.isin(images["index"], kept["index"]).all() == (name == "flat")
    assert len(images["interpolation"]) > 0
    assert len(record.latent()["codes"]) == (20 if name == "flat" else 30)


def test_a_missing_auroc_of_a_cell_that_had_anomalies_is_a_fault_still(place: Path) -> None:
    from benchmark.store.format import read_metrics

    (record,) = records(place, "parts")
    without = {key: value for key, value in record.metrics.items() if key != "auroc"}
    with pytest.raises(ValueError, match="auroc is missing"):
        read_metrics(without, "done")
    assert read_metrics({**without, "n_test_anomalous": 0.0}, "done")


def test_defects_without_training_images_are_no_normal_class(place: Path) -> None:
    (record,) = records(place, "parts")
    assert (record.axes.normal_class_name, record.metrics["n_test_anomalous"]) == ("good", 20)
    assert record.status.split["classes"] == 1
    assert "classes" in records(place, "good")[0].status.split
    refused = run(place, *SMALL, "model=vae", "dataset=parts", "split.normal_class=dent")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "benchmark: split.normal_class=dent is not allowed: no training images would be left; allowed: all, or an "
        "index or name of 0 (good). Type: split.normal_class=good\n"
    )


def test_status_report_and_a_second_run_go_on(place: Path) -> None:
    assert run(place, "experiment=e", module="benchmark.status").returncode == 0
    done = run(place, *SMALL, "model=vae", "dataset=flat", "rule=[squared,mahalanobis]")
    assert "1 of 1 cells done (1 of them finished before)" in done.stdout
    assert "1 cell has no AUROC" in done.stdout
    done = run(place, "experiment=e", module="benchmark.report")
    assert done.returncode == 0, done.stderr
    folder = place / "outputs" / "reports" / "e"
    frame = read_frame(folder / "cells.csv").set_index("dataset")
    assert frame["auroc"].isna().to_dict() == {"flat": True, "good": True, "parts": False}
    assert set(frame["n_classes"]) == {1}  # classes of defects are none that is missing
    tables = (folder / "tables.md").read_text()
    assert tables.count("| 0 good | — no anomalies |") == 2
    assert tables.count("No anomalies: none were evaluated") == 4  # beside AUROC and the threshold's table, twice
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert {"scores_flat_one_vs_rest.png", "roc_parts_one_vs_rest.png", "heatmap_parts_one_vs_rest.png"} <= drawn
    assert not {name for name in drawn if name.startswith(("roc", "heatmap")) and "parts" not in name}
    manifest = read_manifest(folder / "manifest.json")
    assert [cell["auroc"] is None for cell in manifest["cells"]] == [True, True, False]


def test_mlflow_has_a_run_with_a_figure(place: Path) -> None:
    client = MlflowClient(f"sqlite:///{place}/outputs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("e").experiment_id], "tags.dataset = 'flat'")
    cells = [run for run in runs if "fingerprint" in run.data.tags]
    assert [run.info.status for run in cells] == ["FINISHED"]
    assert [key in cells[0].data.metrics for key in ("threshold", "auroc")] == [True, False]
    assert [file.path for file in client.list_artifacts(cells[0].info.run_id, "figures")] == ["figures/cell.png"]


def test_rescore_committee_and_select_go_on(place: Path) -> None:
    done = run(place, "experiment=e", "rule=ssim", module="benchmark.rescore")
    assert done.returncode == 0, done.stderr
    (record,) = records(place, "flat")
    assert {len(record.rule_scores()[f"{kind}/ssim"]) for kind in ("score", "calibration")} == {0, 20}
    done = run(place, "experiment=e", "models=[vae:squared,vae:ssim]", module="benchmark.committee")
    assert done.returncode == 0, done.stderr
    assert "no AUROC, as there were no anomalies" in done.stdout + done.stderr
    done = run(place, "experiment=e", module="benchmark.select")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_validation_of_one_class_has_no_anomalies_either(place: Path) -> None:
    words = ("model=pca", "dataset=flat", "split.evaluate_on=validation", "experiment_name=v", "tracking=off")
    done = run(place, "--config-dir", "conf", *words)
    assert (done.returncode, "1 cell has no AUROC" in done.stdout) == (0, True)
    found = [record.metrics for record in records(place, "flat") if record.axes.evaluate_on == "validation"]
    assert [(metrics["n_test"], metrics["n_test_anomalous"]) for metrics in found] == [(40, 0)]
