"""Whole commands on real images, from configuration to LaTeX."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient
from sklearn.metrics import roc_auc_score

from benchmark.config import CONF_DIR
from benchmark.engine.memory import given_out
from benchmark.engine.update import Update
from benchmark.store.records import read_record
from benchmark.tracking.heartbeat import close_dead_runs
from tests.faults.helpers import run_here as run
from tests.faults.warm import Forked
from tests.faults.warm import run as run_alone

TINY = [
    "split.test_limit=300",
    "split.train_fraction=0.05",
    "trainer.epochs=2",
]
ONE_WORKER = pytest.mark.xdist_group("sweep")  # which then trains it once
ANOGAN = ["model.search_steps=5", "model.candidates=32", "chosen=none"]  # the objective of its YAML has an optimum


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four models and PCA on a few hundred MNIST images of three classes."""
    folder = tmp_path_factory.mktemp("sweep")
    classes = "split.normal_class=[0,3,8]"
    done = run_alone(folder, "-m", "model=ae,vae,aae", classes, *TINY, "experiment_name=small")
    assert done.returncode == 0, done.stderr
    assert "9 of 9 cells done" in done.stdout
    done = run(folder, "model=anogan", classes, *TINY, *ANOGAN, "experiment_name=small")
    assert done.returncode == 0, done.stderr
    done = run(folder, "model=pca", classes, *TINY, "experiment_name=small")
    assert done.returncode == 0, done.stderr
    return folder


def cells(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "outputs" / "cells").rglob("status.json"))


@ONE_WORKER
def test_every_cell_left_a_whole_record(sweep: Path) -> None:
    assert len(cells(sweep)) == 15
    for path in cells(sweep):
        record = read_record(path)
        assert record.state == "done"
        scores = record.scores()
        assert len(scores["index"]) == 300
        assert set(scores["label"]) == {0, 1}
        assert (scores["label"] == 1).tolist() == (scores["target"] != record.axes.normal_class).tolist()
        for name in (key.removeprefix("score/") for key in scores if key.startswith("score/")):
            expected = roc_auc_score(scores["label"], scores[f"score/{name}"])
            assert record.metrics[f"auroc/{name}"] == pytest.approx(expected, abs=1e-6)
        assert record.metrics["auroc"] == record.metrics[f"auroc/{record.status.headline}"]
        assert record.config()["split"]["normal_class"] == record.axes.normal_class
        normal = scores["score/reconstruction"][scores["label"] == 0]
        assert record.metrics["test/reconstruction_normal"] == pytest.approx(normal.mean(), rel=1e-4)


@ONE_WORKER
@pytest.mark.skipif(given_out() is None, reason="malloc keeps no count here")
def test_every_cell_says_how_much_memory_it_took(sweep: Path) -> None:
    """At least its weights and what it scores; not more than a machine has, and not what a process occupies."""
    for path in cells(sweep):
        metrics = read_record(path).metrics
        weights = sum(tensor.numel() * tensor.element_size() for tensor in read_record(path).weights().values())
        assert weights / 2**20 < metrics["peak_memory_mib"] < 2000
        assert 1 <= metrics["peak_memory_cells"] <= 15


@ONE_WORKER
def test_the_threshold_is_that_of_the_calibration_images(sweep: Path) -> None:
    """Split conformal over about thirty images of the normal class; what it flags is counted on the others."""
    for path in cells(sweep):
        record = read_record(path)
        calibration, scores = record.calibration(), record.scores()
        own = np.sort(calibration[f"score/{record.status.headline}"])
        assert len(own) == record.metrics["n_calibration"] > 19
        assert record.metrics["threshold"] == own[int(np.ceil((len(own) + 1) * 0.95)) - 1]
        flagged = scores[f"score/{record.status.headline}"] > record.metrics["threshold"]
        assert record.metrics["false_alarm_rate"] == pytest.approx(flagged[scores["label"] == 0].mean())
        assert record.metrics["recall"] == pytest.approx(flagged[scores["label"] == 1].mean())
        given = record.metrics["n_train"] + record.metrics["n_calibration"]
        assert record.metrics["n_calibration"] == round(0.1 * given)


def test_without_enough_calibration_images_there_is_no_threshold(tmp_path: Path) -> None:
    found = {}
    for share in (0, 0.1):
        done = run(tmp_path, "model=pca", "dataset=digits", "split.normal_class=0", f"split.calibration_share={share}")
        assert done.returncode == 0, done.stderr
    for path in cells(tmp_path):
        record = read_record(path)
        found[record.status.variant] = record.metrics["n_calibration"]
        assert not {"threshold", "precision", "recall", "f1", "false_alarm_rate"} & set(record.metrics)
    assert found == {"": 12, "calibration_share=0.0": 0}


@ONE_WORKER
def test_models_record_what_is_theirs(sweep: Path) -> None:
    found = {read_record(path).axes.model: read_record(path).metrics for path in cells(sweep)}
    assert found["vae"]["test/kl_anomalous"] > 0
    assert found["anogan"]["gan/value_at_optimum"] == pytest.approx(-np.log(4))
    assert 0 < found["anogan"]["gan/d_fake"] < 1
    assert "train/kl" not in found["ae"]
    assert found["pca"]["auroc"] > 0.8


def test_a_bound_is_recorded_with_the_steps_of_its_chain_and_its_draws(tmp_path: Path) -> None:
    small = ["model.channels=[4,8]", "model.timesteps=50", "model.sample_steps=2", "model.bound_steps=3"]
    done = run(tmp_path, "model=diffusion", "dataset=digits", "split.normal_class=3", *small, *TINY[1:], "tracking=off")
    assert done.returncode == 0, done.stderr
    (found,) = (read_record(path).metrics for path in cells(tmp_path))
    assert found["test/bits_per_dim_normal"] > 0
    # three of the chain's steps and its last term, with a noisy version of the image each
    assert (found["bound/chain_steps"], found["bound/draws"]) == (50, 4)
    done = run(tmp_path, "model=flow", "dataset=digits", "split.normal_class=3", *TINY[1:], "tracking=off")
    assert done.returncode == 0, done.stderr
    (exact,) = (read_record(path).metrics for path in cells(tmp_path) if "flow" in path.as_posix())
    assert exact["test/bits_per_dim_normal"] > 0
    assert not any(key.startswith("bound/") for key in exact)


@ONE_WORKER
def test_training_uses_the_split_it_says(sweep: Path) -> None:
    for path in cells(sweep):
        record = read_record(path)
        assert record.metrics["n_train"] == pytest.approx(300, abs=45)  # 5% of a class
        assert record.metrics["n_test"] == 300


@ONE_WORKER
def test_mlflow_holds_every_cell_below_its_job(sweep: Path) -> None:
    client = MlflowClient(f"sqlite:///{sweep / 'outputs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'cell'")
    assert len(runs) == 15
    assert {run.info.status for run in runs} == {"FINISHED"}
    vae = client.search_runs([experiment.experiment_id], "tags.model = 'vae' and tags.normal_class = '3'")
    (one,) = vae
    assert one.info.run_name.startswith("vae mnist 3")
    parent = client.get_run(one.data.tags["mlflow.parentRunId"])
    assert parent.data.tags["kind"] == "job"
    siblings = [run for run in runs if run.data.tags["mlflow.parentRunId"] == parent.info.run_id]
    mean = np.mean([run.data.metrics["auroc"] for run in siblings])
    assert parent.data.metrics["auroc"] == pytest.approx(mean)
    assert parent.data.metrics["cells_done"] == 3
    record = next(r for r in map(read_record, cells(sweep)) if r.fingerprint == one.data.tags["fingerprint"])
    assert one.data.metrics["auroc"] == record.metrics["auroc"]
    assert one.data.params["model.latent"] == str(record.config()["model"]["latent"])
    assert [m.step for m in client.get_metric_history(one.info.run_id, "history/kl")] == [1, 2]


@ONE_WORKER
def test_the_report_is_complete(sweep: Path) -> None:
    done = run(sweep, "experiment=small", module="benchmark.report")
    assert done.returncode == 0, done.stderr
    folder = sweep / "outputs" / "reports" / "small"
    rows = list(csv.DictReader((folder / "cells.csv").open()))
    assert len(rows) == 15
    aurocs = {(r["model"], r["normal_class"]): float(r["auroc"]) for r in rows}
    for path in cells(sweep):
        record = read_record(path)
        key = (record.axes.model, str(record.axes.normal_class))
        assert aurocs[key] == pytest.approx(record.metrics["auroc"])
    latex = "".join(path.read_text() for path in folder.rglob("*.tex"))
    assert r"\toprule" in latex
    mean = np.mean([value for (model, _), value in aurocs.items() if model == "pca"])
    assert f"{mean:.3f}" in latex
    page = (folder / "report.html").read_text()
    assert 'src="figures/heatmap_mnist_one_vs_rest.png"' in page
    assert 'src="http' not in page
    assert json.loads((folder / "manifest.json").read_text())
    assert str(sweep) not in (folder / "manifest.json").read_text()


@ONE_WORKER
def test_the_report_can_read_mlflow_alone(sweep: Path, tmp_path: Path) -> None:
    plain = run(sweep, "experiment=small", "figures=false", "results_dir=from_folders", module="benchmark.report")
    assert plain.returncode == 0, plain.stderr
    options = ["experiment=small", "figures=false", "source=mlflow", "results_dir=from_mlflow"]
    done = run(sweep, *options, module="benchmark.report")
    assert done.returncode == 0, done.stderr
    assert (sweep / "from_mlflow" / "cells.csv").read_text() == (sweep / "from_folders" / "cells.csv").read_text()


@ONE_WORKER
def test_the_same_command_again_trains_nothing(sweep: Path) -> None:
    before = {path: (path / "status.json").stat().st_mtime_ns for path in cells(sweep)}
    client = MlflowClient(f"sqlite:///{sweep / 'outputs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("small").experiment_id
    runs = len(client.search_runs([experiment]))
    done = run(sweep, "model=pca", "split.normal_class=[0,3,8]", *TINY, "experiment_name=small")
    assert "3 of 3 cells done (3 of them finished before)" in done.stdout
    assert {path: (path / "status.json").stat().st_mtime_ns for path in cells(sweep)} == before
    assert len(client.search_runs([experiment])) == runs, "a run of nothing was added"


@ONE_WORKER
def test_a_cell_alone_gives_the_number_it_gives_beside_others(sweep: Path, tmp_path: Path) -> None:
    """Bit for bit on the CPU: the same weights and scores for class 3 alone as in the sweep of three classes."""
    done = run(tmp_path, "model=vae", "split.normal_class=3", *TINY, "tracking=off")
    assert done.returncode == 0, done.stderr
    (alone,) = cells(tmp_path)
    (beside,) = [path for path in cells(sweep) if path.name == alone.name]
    ours, theirs = read_record(alone).scores(), read_record(beside).scores()
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert np.array_equal(ours[key], theirs[key]), key


def test_a_cell_that_fails_is_recorded_and_stops_nothing(tmp_path: Path) -> None:
    """PCA with more components than class 0 has images (124; class 1 has 127): that cell fails, with its reason."""
    options = ["model=pca", "dataset=digits", "model.components=126", "split.normal_class=[0,1]", "tracking=off"]
    options.append("split.calibration_share=0")
    done = run(tmp_path, *options)
    states = {read_record(path).axes.normal_class: read_record(path) for path in cells(tmp_path)}
    assert done.returncode == 1
    assert {label: record.state for label, record in states.items()} == {0: "failed", 1: "done"}
    assert "type model.components=" in states[0].status.reason
    assert (states[0].path / "traceback.txt").exists()
    assert "1 of 2 cells done" in done.stdout
    assert "failed: pca digits 0 seed 0" in done.stdout


def test_a_fleet_without_room_halves_itself_and_its_cells_stay_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that has room for two cells' step trains five in three programs, and says so."""
    options = ["model=ae", "dataset=digits", "split.normal_class=[0,1,2,3,4]", "trainer.epochs=1", "trainer.workers=1"]
    options += ["model.hidden=[16]", "tracking=off"]
    update = Update.__call__

    def step(self: Update, *arguments: Any) -> Any:
        if self.fleet.size > 2:
            raise torch.OutOfMemoryError(f"no room for {self.fleet.size} cells")
        return update(self, *arguments)

    found = {}
    for name in ("room", "none"):
        (tmp_path / name).mkdir()
        if name == "none":
            monkeypatch.setattr(Update, "__call__", step)
        done = run(tmp_path / name, *options)
        assert done.returncode == 0, done.stderr
        assert ("5 cells as one fleet failed" in done.stderr) is (name == "none")
        records = [read_record(path) for path in cells(tmp_path / name)]
        found[name] = {record.axes.normal_class: record.scores()["score/reconstruction"] for record in records}
    assert list(found["none"]) == list(found["room"]) == [0, 1, 2, 3, 4]
    for label, scores in found["room"].items():
        np.testing.assert_array_equal(found["none"][label], scores)


def runs(store: Path, status: str) -> int:
    """How many runs of that status an SQLite store has."""
    if not store.exists():
        return 0
    with contextlib.closing(sqlite3.connect(store)) as database:
        return int(database.execute("SELECT count(*) FROM runs WHERE status = ?", [status]).fetchone()[0])


def test_an_interrupted_sweep_reports_what_is_missing_and_goes_on_from_there(tmp_path: Path) -> None:
    """Ctrl-C while the second model trains: the report shows the first one's cells beside the second's missing ones."""
    sweep = ["-m", "model=pca,ae", "dataset=digits", "split.normal_class=[0,1]", "experiment_name=half"]
    log = tmp_path / "log"
    log.write_text("")
    endless = ["trainer.epochs=100000", "tracking.history_seconds=1"]
    long = Forked(tmp_path, "-m", "benchmark", *sweep, *endless, out=log, err=log)
    try:
        deadline = time.monotonic() + 300
        store = tmp_path / "outputs" / "mlflow.db"  # Ctrl-C does not wait for an MLflow that lags behind
        while not (runs(store, "FINISHED") == 3 and runs(store, "RUNNING") >= 2):  # the job, and a cell in training
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        long.send_signal(signal.SIGINT)
        assert long.wait(timeout=60) == 130
    finally:
        long.kill()
    assert f"the same command goes on from there:\n  python -m benchmark {' '.join(sweep[:2])}" in log.read_text()
    done = run(tmp_path, "experiment=half", "figures=false", module="benchmark.report")
    assert done.returncode == 0, done.stderr
    assert "2 of 4 cells are done" in done.stdout
    assert done.stdout.count("missing: ae") == 2
    rows = list(csv.DictReader((tmp_path / "outputs" / "reports" / "half" / "cells.csv").open()))
    assert [(row["model"], row["state"]) for row in rows] == [("pca", "done")] * 2 + [("ae", "missing")] * 2
    client = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    close_dead_runs(client)  # as the next start does
    jobs = client.search_runs([client.get_experiment_by_name("half").experiment_id], "tags.kind = 'job'")
    assert {run.data.tags["model"]: run.info.status for run in jobs} == {"pca": "FINISHED", "ae": "KILLED"}


def test_a_diverging_cell_is_recorded(tmp_path: Path) -> None:
    options = ["dataset=digits", "split.normal_class=0", "model.learning_rate=1e30", "trainer.epochs=3"]
    done = run(tmp_path, *options)
    (path,) = cells(tmp_path)
    assert done.returncode == 1
    assert read_record(path).state == "diverged"
    assert "loss of phase 'reconstruction' is" in read_record(path).status.reason
    client = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    (found,) = client.search_runs(["1"], "tags.kind = 'cell'")
    assert found.info.status == "FAILED"


PRESETS = sorted(path.stem for path in (CONF_DIR / "experiment").glob("*.yaml"))
SMALLER = {  # those that take long
    "family": ["trainer.generation_metrics=false"],  # gan_objectives has them too
    "gan_objectives": ["split.train_fraction=0.2"],  # of nine classes
    "interpolation": ["split.train_fraction=0.2", "model.latent=2"],
}


OF_ITS_OWN = (
    "calibration",
    "chosen",
    "gan_objectives",
    "interpolation",
    "latent2d",
    "leave_one_out",
    "moving_mnist",
    "rules",
)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_runs(tmp_path: Path, preset: str) -> None:
    """Each shipped preset on a class and seed of the smallest data set, and its report where no other is like it."""
    options = ["split.normal_class=3", "seed=0", "trainer.epochs=1", "split.test_limit=40", "dataset=digits"]
    options += ["split.anomalous_class=1", "split.train_fraction=0.8", "tracking=off", *SMALLER.get(preset, [])]
    done = run(tmp_path, "-m", f"+experiment={preset}", *options)
    assert done.returncode == 0, done.stderr
    if preset in OF_ITS_OWN:
        figures = "true" if preset == "interpolation" else "false"  # the other kinds are drawn from the sweep above
        content = yaml.safe_load((CONF_DIR / "experiment" / f"{preset}.yaml").read_text(encoding="utf-8"))
        experiment = content["experiment_name"]  # two presets may fill one table
        done = run(tmp_path, f"experiment={experiment}", f"figures={figures}", module="benchmark.report")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "outputs" / "reports" / experiment / "report.html").exists()
    shutil.rmtree(tmp_path / "outputs")
