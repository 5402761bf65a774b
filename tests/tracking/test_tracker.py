"""What arrives in MLflow is what stands in the cells' folders, and it can be brought back from there."""

from __future__ import annotations

import ast
import hashlib
import json
import math
import os
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from omegaconf import OmegaConf
from pandas.testing import assert_frame_equal
from sqlalchemy.exc import OperationalError

import benchmark
from benchmark import forget
from benchmark.code_hash import model_code
from benchmark.config import TrackingConfig, UsageError
from benchmark.report.frame import build_frame
from benchmark.store.experiments import collect, write_job
from benchmark.store.format import Entry, PlannedJob, read_status
from benchmark.store.records import Content, Record, add_rules, read_record, write_record
from benchmark.tracking.client import schema_relation, tracking_uri
from benchmark.tracking.download import fetch_cells
from benchmark.tracking.tracker import Tracker

EXPERIMENT = "small"
REVISION = "0123456789abcdef0123456789abcdef01234567"
METRICS = {"auroc": 1 / 3, "auroc/reconstruction": 1 / 3, "fpr95": 1e-12, "n_train": 40.0, "n_test": 20.0}
HISTORY = [{"epoch": e, "step": 10 * e, "train/reconstruction": 1 / e, "train/kl": 0.1 * e} for e in (1, 2, 3)]


@pytest.fixture(scope="module", autouse=True)
def _no_store_of_the_user() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture
def output(blank: Path, tmp_path: Path) -> Path:
    return output_dir(tmp_path / "outputs", blank)


def output_dir(folder: Path, blank: Path) -> Path:
    """An output directory with an empty store."""
    folder.mkdir(parents=True)
    shutil.copy(blank, folder / "mlflow.db")
    return folder


def connect(folder: Path, experiment: str = "cells", figures: bool = False, uri: str | None = None) -> Tracker:
    tracker = Tracker.open(TrackingConfig(uri=uri, figures=figures), folder, experiment)
    assert tracker is not None
    return tracker


def cell(output: Path, model: str = "vae", label: int = 3, seed: int = 1, **changes: Any) -> Record:
    """A cell's folder as the runner leaves it; ``changes`` go to its status, ``metrics`` and so on to the writer."""
    state, variant = changes.pop("state", "done"), changes.pop("variant", "")
    digest = hashlib.sha256(repr((model, label, seed, variant, changes.pop("version", 1))).encode()).hexdigest()
    axes = {
        "model": model,
        "dataset": "fashion_mnist",
        "split": "one_vs_rest",
        "normal_class": label,
        "normal_class_name": changes.pop("class_name", "Dress"),
        "seed": seed,
        "evaluate_on": "test",
    }
    scores = np.random.default_rng(label).normal(size=20).astype(np.float32)
    content: dict[str, Any] = {
        "config": OmegaConf.to_yaml(
            {
                "model": {"name": model, "latent": 16, "hidden": [400, 200]},
                "dataset": {
                    "name": "fashion_mnist",
                    "options": {},
                    "classes": ["Shirt", "Dress"],
                    "sha256": {"a": "b"},
                },
                "trainer": {"epochs": 3, "workers": None},
                "seed": seed,
            }
        ),
        "metrics": METRICS if state == "done" else {},
        "environment": {"python": "3.11", "git_revision": REVISION},
        "arrays": {
            "scores": {
                "index": np.arange(20),
                "label": np.arange(20) % 2,
                "target": np.arange(20) % 10,
                "score/reconstruction": scores,
            }
        }
        if state == "done"
        else {},
        "history": HISTORY,
    }
    content |= {key: changes.pop(key) for key in list(changes) if key in (*content, "traceback")}
    status = {
        "state": state,
        "reason": None,
        "fingerprint": digest,
        "experiment_name": EXPERIMENT,
        "axes": axes,
        "variant": variant,
        "headline": "reconstruction",
        "split": {"version": 1, "hash": "5" * 64},
        "data_version": "d" * 64,
        "started": "2026-01-01T00:00:00.250+00:00",
        "finished": "2026-01-01T00:01:00.500+00:00",
    }
    path = output / "cells" / "fashion_mnist" / "one_vs_rest" / model / f"class{label}-seed{seed}-{digest[:12]}"
    write_record(path, read_status(status | changes), Content(**content))
    return read_record(path)


def job(*records: Record, output: Path, name: str = "job1", started: str = "2026-01-01T00:00:00") -> PlannedJob:
    """The job that planned these cells, written as the runner does."""
    cells = tuple(
        Entry(
            axes=record.axes,
            variant=record.status.variant,
            fingerprint=record.fingerprint,
            path=record.path.relative_to(output).as_posix(),
        )
        for record in records
    )
    content = PlannedJob(
        job=name,
        started=started,
        command="python -m benchmark -m model=vae",
        overrides=("model=vae",),
        git_revision=REVISION,
        config_hash="f" * 64,
        cells=cells,
    )
    write_job(output, EXPERIMENT, content)
    return content


@dataclass
class Logged:
    """A job of four cells in MLflow, and their folders."""

    output: Path
    tracker: Tracker
    parent: str
    records: dict[str, Record]

    def run(self, key: str) -> Any:
        (found,) = runs(self.tracker, f"tags.fingerprint = '{self.records[key].fingerprint}'")
        return found


@pytest.fixture(scope="module")
def logged(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Logged:
    output = output_dir(tmp_path_factory.mktemp("logged") / "out put's (1) #2 ü+&;=[x]", blank)
    records = {
        "plain": cell(output),
        "varied": cell(output, label=7, class_name="7", variant="latent=2"),
        "failed": cell(
            output,
            seed=2,
            state="failed",
            reason="ValueError: no\tgood",
            traceback="Traceback: here",
            history=(),
        ),
        "diverged": cell(
            output,
            seed=3,
            state="diverged",
            reason="loss of phase 'kl' is nan",
            history=[HISTORY[0], {**HISTORY[1], "train/kl": math.nan, "train/reconstruction": math.inf}],
        ),
    }
    tracker = connect(output, EXPERIMENT, figures=True)
    parent = tracker.start_job(job(*records.values(), output=output))
    for record in records.values():
        assert tracker.log_cell(record, parent)
    tracker.end_job(parent, "FAILED")
    return Logged(output, tracker, parent, records)


def runs(tracker: Tracker, query: str = "tags.kind = 'cell'") -> list[Any]:
    return list(tracker.client.search_runs([tracker.experiment_id], query))


def history(logged: Logged, key: str, metric: str) -> list[tuple[int, float]]:
    found = logged.tracker.client.get_metric_history(logged.run(key).info.run_id, metric)
    return sorted((one.step, one.value) for one in found)


def contexts(run: Any) -> list[str]:
    return sorted(tag.value for one in run.inputs.dataset_inputs for tag in one.tags)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def files(logged: Logged, key: str, folder: str) -> dict[str, Path]:
    client, run_id = logged.tracker.client, logged.run(key).info.run_id
    return {Path(f.path).name: Path(f.path) for f in client.list_artifacts(run_id, folder)}


# the job and its cells


def test_a_job_is_a_parent_run_and_each_cell_a_child_of_it(logged: Logged) -> None:
    everything = runs(logged.tracker, "")
    assert len(everything) == 5
    children = runs(logged.tracker, f"tags.mlflow.parentRunId = '{logged.parent}'")
    assert {run.data.tags["fingerprint"] for run in children} == {r.fingerprint for r in logged.records.values()}
    (parent,) = [run for run in everything if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.run_id == logged.parent
    assert parent.data.tags["kind"] == "job"
    assert parent.data.tags["job"] == "job1"
    assert parent.data.tags["command"] == "python -m benchmark -m model=vae"
    assert parent.data.tags["git_revision"] == REVISION
    assert parent.data.tags["model"] == "vae"


def test_a_job_ends_as_its_cells_did(output: Path) -> None:
    tracker = connect(output)
    content = job(cell(output), output=output)
    for status in ("FINISHED", "FAILED", "KILLED"):
        parent = tracker.start_job(content)
        assert tracker.client.get_run(parent).info.status == "RUNNING"
        tracker.end_job(parent, status, {"auroc": 0.75})
        assert tracker.client.get_run(parent).data.metrics == {"auroc": 0.75}
        assert tracker.client.get_run(parent).info.status == status


def test_runs_have_names_to_read(logged: Logged) -> None:
    assert logged.run("plain").info.run_name == "vae fashion_mnist 3 Dress seed 1"
    assert logged.run("varied").info.run_name == "vae fashion_mnist 7 seed 1 latent=2"
    parent = logged.tracker.client.get_run(logged.parent)
    assert parent.info.run_name == "vae fashion_mnist one_vs_rest: 4 cells"


def test_tags_say_which_cell_it_is(logged: Logged) -> None:
    tags = {key: value for key, value in logged.run("varied").data.tags.items() if not key.startswith("mlflow.")}
    record = logged.records["varied"]
    assert json.loads(tags.pop("process"))["pid"] == os.getpid()
    assert abs(datetime.now(UTC) - datetime.fromisoformat(tags.pop("heartbeat"))) < timedelta(hours=1)
    assert tags == {
        "kind": "cell",
        "attempt": record.status.started,
        "state": "done",
        "model": "vae",
        "dataset": "fashion_mnist",
        "split": "one_vs_rest",
        "normal_class": "7",
        "normal_class_name": "7",
        "seed": "1",
        "evaluate_on": "test",
        "variant": "latent=2",
        "headline": "reconstruction",
        "fingerprint": record.fingerprint,
        "git_revision": REVISION,
        "cell_path": f"cells/fashion_mnist/one_vs_rest/vae/{record.path.name}",
    }


def test_parameters_are_the_resolved_configuration(logged: Logged) -> None:
    assert logged.run("plain").data.params == {
        "model.name": "vae",
        "model.latent": "16",
        "model.hidden": "[400, 200]",
        "dataset.name": "fashion_mnist",
        "dataset.options": "{}",
        "trainer.epochs": "3",
        "trainer.workers": "None",
        "seed": "1",
    }


def test_every_metric_arrives_with_its_value(logged: Logged) -> None:
    found = logged.run("plain").data.metrics
    assert {key: value for key, value in found.items() if not key.startswith("history/")} == METRICS


def test_the_history_arrives_step_by_step(logged: Logged) -> None:
    assert history(logged, "plain", "history/reconstruction") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert history(logged, "plain", "history/kl") == [(row["epoch"], row["train/kl"]) for row in HISTORY]
    assert {key for key in logged.run("plain").data.metrics if key.startswith("history/")} == {
        "history/reconstruction",
        "history/kl",
    }


def test_a_run_has_the_times_of_its_cell(logged: Logged) -> None:
    info = logged.run("plain").info
    assert info.start_time == 1767225600250
    assert info.end_time == 1767225660500


def test_the_data_set_is_an_input_of_training_and_of_the_test(logged: Logged) -> None:
    plain, varied = (
        {one.tags[0].value: one.dataset for one in logged.run(key).inputs.dataset_inputs} for key in ("plain", "varied")
    )
    assert {context: one.name for context, one in plain.items()} == {
        "train": "fashion_mnist 3 train",
        "test": "fashion_mnist 3 test",
    }
    assert varied["train"].name == "fashion_mnist 7 train"
    assert {one.digest for one in plain.values()} == {"dddddddd55555555"}
    assert '"normal_class": 3' in plain["train"].source
    assert plain["train"].profile == '{"n_train": 40.0}'
    assert plain["test"].profile == '{"n_test": 20.0}'
    assert {tag.key for one in logged.run("plain").inputs.dataset_inputs for tag in one.tags} == {"mlflow.data.context"}


def test_the_folder_of_a_cell_is_there_byte_for_byte(logged: Logged, tmp_path: Path) -> None:
    record = logged.records["plain"]
    client, run_id = logged.tracker.client, logged.run("plain").info.run_id
    fetched = Path(client.download_artifacts(run_id, "cell", str(tmp_path)))
    assert content(fetched) == content(record.path)
    assert {"config.yaml", "metrics.json", "scores.npz", "history.csv", "status.json"} <= content(fetched).keys()


def test_a_cell_that_is_done_has_a_figure(logged: Logged, tmp_path: Path) -> None:
    assert set(files(logged, "plain", "figures")) == {"cell.png"}
    client, run_id = logged.tracker.client, logged.run("plain").info.run_id
    figure = Path(client.download_artifacts(run_id, "figures/cell.png", str(tmp_path)))
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert files(logged, "failed", "figures") == {}


def test_figures_can_be_left_out(output: Path) -> None:
    tracker = connect(output, figures=False)
    assert tracker.log_cell(cell(output), None)
    (run,) = runs(tracker)
    assert [f.path for f in tracker.client.list_artifacts(run.info.run_id)] == ["cell"]


def test_artifacts_lie_in_the_output_directory_whatever_its_name(logged: Logged) -> None:
    run_id = logged.run("plain").info.run_id
    assert (logged.output / "mlartifacts" / run_id / "artifacts" / "cell" / "scores.npz").exists()
    assert {path.name for path in logged.output.parent.iterdir()} == {logged.output.name}


def test_a_cell_that_failed_is_a_failed_run_with_its_reason(logged: Logged) -> None:
    run = logged.run("failed")
    assert run.info.status == "FAILED"
    assert run.data.tags["state"] == "failed"
    assert run.data.tags["reason"] == "ValueError: no\tgood"
    assert run.data.metrics == {}
    assert "traceback.txt" in files(logged, "failed", "cell")
    assert logged.run("plain").info.status == "FINISHED"
    assert "reason" not in logged.run("plain").data.tags


def test_a_cell_that_diverged_is_a_failed_run_with_its_reason_and_losses(logged: Logged) -> None:
    run = logged.run("diverged")
    assert run.info.status == "FAILED"
    assert run.data.tags["state"] == "diverged"
    assert run.data.tags["reason"] == "loss of phase 'kl' is nan"
    (first, loss), (second, nan) = history(logged, "diverged", "history/kl")
    assert (first, loss, second) == (1, 0.1, 2)
    assert math.isnan(nan)
    assert [step for step, _ in history(logged, "diverged", "history/reconstruction")] == [1, 2]


# once, and in one go


def test_a_cell_logged_again_is_not_there_twice(output: Path) -> None:
    record = cell(output)
    tracker = connect(output)
    for _ in range(2):
        assert tracker.log_cell(record, None)
    assert connect(output).log_cell(record, None), "another process, later"
    assert len(runs(tracker)) == 1
    assert tracker.log_cell(cell(output, seed=2), None)
    assert len(runs(tracker)) == 2
    elsewhere = connect(output, "another")
    assert elsewhere.log_cell(record, None)
    assert len(runs(elsewhere)) == 1


def test_a_cell_that_failed_and_is_done_later_is_logged_then(output: Path) -> None:
    tracker = connect(output)
    assert tracker.log_cell(cell(output, state="failed", reason="out of memory"), None)
    assert tracker.log_cell(cell(output), None)
    assert sorted(run.info.status for run in runs(tracker)) == ["FAILED", "FINISHED"]


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often MLflow's store is asked to write which kind of thing."""
    counted: Counter[str] = Counter()

    def count(name: str) -> None:
        original = getattr(SqlAlchemyStore, name)

        def counting(*arguments: Any, **keywords: Any) -> Any:
            counted[name] += 1
            return original(*arguments, **keywords)

        monkeypatch.setattr(SqlAlchemyStore, name, counting)

    for name in ("create_run", "log_batch", "log_metric", "log_param", "set_tag", "update_run_info"):
        count(name)
    return counted


def test_what_a_cell_holds_is_one_batch(output: Path, writes: Counter[str]) -> None:
    tracker = connect(output)
    long = [{"epoch": e, "step": e, "train/reconstruction": 1 / e, "train/kl": 0.5} for e in range(1, 126)]
    assert tracker.log_cell(cell(output, history=long), None)
    assert writes == {"create_run": 1, "log_batch": 2, "update_run_info": 1}, "and one that says what became of it"


def test_what_is_too_much_for_one_batch_arrives_whole(output: Path, writes: Counter[str]) -> None:
    tracker = connect(output)
    long = [{"epoch": e, "step": e, "train/reconstruction": 1 / e, "train/kl": 0.5} for e in range(1, 701)]
    settings = {f"key{i}": i for i in range(130)} | {"long": "x" * 7000}
    record = cell(output, history=long, config=OmegaConf.to_yaml({"model": settings}))
    assert tracker.log_cell(record, None)
    (run,) = runs(tracker)
    assert run.info.status == "FINISHED"
    for key in ("history/reconstruction", "history/kl"):
        steps = [one.step for one in tracker.client.get_metric_history(run.info.run_id, key)]
        assert sorted(steps) == list(range(1, 701))
    assert run.data.metrics["auroc"] == METRICS["auroc"]
    assert len(run.data.params) == 131
    assert run.data.params["model.key129"] == "129"
    assert run.data.params["model.long"] == "x" * 6000
    assert writes["log_batch"] <= 5


def test_two_writers_at_once_lose_nothing(output: Path) -> None:
    trackers = [connect(output), connect(output)]
    records = [[cell(output, model=model, seed=seed) for seed in range(5)] for model in ("ae", "vae")]
    taken: list[bool] = []

    def work(tracker: Tracker, mine: list[Record]) -> None:
        taken.extend(tracker.log_cell(record, None) for record in mine)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(trackers, records, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == [True] * 10
    found = runs(trackers[0])
    assert {run.data.tags["fingerprint"] for run in found} == {r.fingerprint for part in records for r in part}
    assert len(found) == 10
    assert all(len(run.data.metrics) == len(METRICS) + 2 for run in found)
    assert all(len(run.inputs.dataset_inputs) == 2 for run in found)


def test_a_data_set_that_another_process_has_just_made_is_no_failure(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, asked = SqlAlchemyStore.log_inputs, []

    def too_late(store: Any, *arguments: Any, **keywords: Any) -> None:
        asked.append(1)
        if len(asked) == 1:
            raise MlflowException("UNIQUE constraint failed: datasets.experiment_id, datasets.name, datasets.digest")
        original(store, *arguments, **keywords)

    monkeypatch.setattr(SqlAlchemyStore, "log_inputs", too_late)
    tracker = connect(output)
    assert tracker.log_cell(cell(output), None)
    (run,) = runs(tracker)
    assert run.info.status == "FINISHED"
    assert contexts(run) == ["test", "train"]


# the store


def test_the_store_is_one_file_that_many_can_read_while_one_writes(output: Path, tmp_path: Path) -> None:
    tracker = connect(output)
    assert tracker.log_cell(cell(output), None)
    tracker.close()
    copy = tmp_path / "copy.db"
    shutil.copy(output / "mlflow.db", copy)
    with sqlite3.connect(copy) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT name FROM runs").fetchall() == [("vae fashion_mnist 3 Dress seed 1",)]


def test_opened_again_the_experiment_is_the_same(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = connect(output, "shared")
    assert connect(output, "shared").experiment_id == first.experiment_id
    original, seen = SqlAlchemyStore.get_experiment_by_name, []

    def too_early(store: Any, name: str) -> Any:
        seen.append(name)
        return None if len(seen) == 1 else original(store, name)

    monkeypatch.setattr(SqlAlchemyStore, "get_experiment_by_name", too_early)
    assert connect(output, "shared").experiment_id == first.experiment_id, "made by another process in between"
    assert seen == ["shared", "shared"]


def test_the_store_is_where_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracking_uri(None, Path("out put")) == f"sqlite:///{tmp_path / 'out put' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(None, Path("outputs")) == "http://127.0.0.1:5000"
    given = "postgresql+psycopg2://user@host/db"
    assert tracking_uri(given, Path("outputs")) == given, "what is typed beats the environment"


def test_the_environment_names_the_store(output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{output / 'mlflow.db'}")
    assert connect(elsewhere).log_cell(cell(elsewhere), None)
    assert not (elsewhere / "mlflow.db").exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert len(runs(connect(output))) == 1


def test_a_relative_address_is_one_of_the_working_directory(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(output)
    tracker = connect(output, uri="sqlite:///mlflow.db")
    assert tracker.log_cell(cell(output), None)
    tracker.close()
    assert len(list((output / "mlartifacts").iterdir())) == 1
    assert len(runs(connect(output))) == 1


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("mlruns", "a file store, which MLflow no longer supports"),
        ("file:///srv/mlruns", "a file store, which MLflow no longer supports"),
        ("ftp://host/store", "of scheme 'ftp'"),
        ("sqlit:///store.db", "of scheme 'sqlit'"),
    ],
)
def test_a_wrong_address_is_refused_in_one_line(uri: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError) as refused:
        tracking_uri(uri, Path("outputs"))
    message = str(refused.value)
    assert message.startswith(f"tracking.uri={uri} is {said}; allowed: sqlite:")
    assert "Type for example: tracking.uri=http://" in message
    assert "\n" not in message
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UsageError):
        tracking_uri(None, Path("outputs"))


@pytest.mark.parametrize("name", ["what?", "a%20b"])
def test_a_folder_that_an_address_cannot_name_is_refused(tmp_path: Path, name: str) -> None:
    """SQLAlchemy would open another file: the name up to ``?``, or with ``%20`` read as a space."""
    with pytest.raises(
        UsageError, match=r"^output_dir=.* is not allowed with MLflow on SQLite: .* must hold no \? and"
    ):
        tracking_uri(None, tmp_path / name)
    assert tracking_uri("http://127.0.0.1:5000", tmp_path / name) == "http://127.0.0.1:5000"


# failures of the tracker cost a warning


@pytest.mark.parametrize("uri", ["mssql+nosuch://me:secret@host/db", "sqlite:////dev/null/mlflow.db"])
def test_a_store_out_of_reach_costs_one_line(tmp_path: Path, uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert Tracker.open(TrackingConfig(uri=uri), tmp_path, "cells") is None
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"warning: MLflow at {uri.replace('me:secret@', '')} cannot be used (")
    sync = "python -m benchmark.sync experiment=cells"
    assert line.endswith(f"; cells are kept in {tmp_path / 'cells'}, and {sync} sends them")
    assert "secret" not in line
    assert said.out == ""


def test_a_cell_that_mlflow_does_not_take_costs_one_warning(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    records = [cell(output, seed=seed) for seed in range(3)]
    tracker = connect(output)
    with monkeypatch.context() as patch:

        def full(*arguments: Any, **keywords: Any) -> None:
            raise OSError("disk\nfull")

        patch.setattr(SqlAlchemyStore, "log_batch", full)
        parent = tracker.start_job(job(*records, output=output))
        assert [tracker.log_cell(record, parent) for record in records] == [False] * 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "warning: MLflow did not take vae fashion_mnist 3 Dress seed 0 (OSError: disk full); "
        "the cell folders are complete, and python -m benchmark.sync experiment=cells sends what it misses"
    )
    assert {run.info.status for run in runs(tracker)} == {"KILLED"}, "no run is left open, none looks finished"
    assert tracker.log_cell(records[0], parent), "not taken for logged already"
    fetched = fetch_cells("cells", None, output, tmp_path / "fetched")
    assert [c.fingerprint for c in collect(fetched, "cells").cells] == [records[0].fingerprint]


def test_a_job_that_mlflow_does_not_take_is_none(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*arguments: Any, **keywords: Any) -> None:
        raise ConnectionError

    tracker = connect(output)
    monkeypatch.setattr(SqlAlchemyStore, "create_run", gone)
    parent = tracker.start_job(job(cell(output), output=output))
    assert parent is None
    tracker.end_job(parent, "FINISHED")


def test_what_a_job_missed_is_sent_when_it_ends(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = connect(output)
    records = [cell(output, seed=seed) for seed in range(3)]
    parent = tracker.start_job(job(*records, output=output))
    with monkeypatch.context() as patch:

        def full(*arguments: Any, **keywords: Any) -> None:
            raise OSError("disk full")

        patch.setattr(SqlAlchemyStore, "log_batch", full)
        assert not tracker.log_cell(records[0], parent)
        assert not tracker.log_cell(records[1], parent)
    assert tracker.log_cell(records[2], parent)
    tracker.end_job(parent, "FINISHED")
    logged = runs(tracker, "tags.kind = 'cell' and attributes.status = 'FINISHED'")
    assert Counter(run.data.tags["fingerprint"] for run in logged) == Counter(record.fingerprint for record in records)
    assert {run.data.tags["mlflow.parentRunId"] for run in logged} == {parent}


def test_a_store_that_does_not_answer_is_not_asked_again_for_a_while(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, asked = connect(output), []
    records = [cell(output, seed=seed) for seed in range(3)]
    with monkeypatch.context() as patch:

        def locked(*arguments: Any, **keywords: Any) -> None:
            asked.append(1)
            with sqlite3.connect(output / "mlflow.db") as database:
                try:
                    database.execute("SELECT nonsense")
                except sqlite3.Error as error:
                    raise MlflowException("locked") from OperationalError("SELECT", {}, error)

        patch.setattr(SqlAlchemyStore, "create_run", locked)
        assert [tracker.log_cell(record, None) for record in records] == [False] * 3
    assert len(asked) == 1
    assert not tracker.log_cell(records[0], None), "it is left alone for a while"
    monkeypatch.setattr(tracker, "silent_until", time.monotonic())
    assert tracker.log_cell(records[0], None)


# back from MLflow


def test_the_report_is_the_same_from_folders_and_from_mlflow(logged: Logged, tmp_path: Path) -> None:
    fetched = fetch_cells(EXPERIMENT, None, logged.output, tmp_path / "fetched")
    ours, theirs = (build_frame(collect(folder, EXPERIMENT).cells) for folder in (logged.output, fetched))
    assert_frame_equal(theirs, ours, check_exact=True)
    assert ours["state"].value_counts().to_dict() == {"done": 2, "failed": 1, "diverged": 1}
    assert set(ours["variant"]) == {"", "latent=2"}
    assert "ValueError: no good" in set(ours["reason"])
    for record in logged.records.values():
        copy = fetched / record.path.relative_to(logged.output)
        assert {p.name: p.read_bytes() for p in copy.iterdir()} == {
            p.name: p.read_bytes() for p in record.path.iterdir()
        }


def test_of_two_configurations_the_newer_counts_from_both_sides(output: Path, tmp_path: Path) -> None:
    tracker = connect(output, EXPERIMENT)
    for version in (1, 2):
        started = f"2026-01-0{version}T00:00:00.000+00:00"
        record = cell(output, version=version, started=started, metrics={**METRICS, "auroc": 0.1 * version})
        job(record, output=output, name=f"job{version}", started=started)
        assert tracker.log_cell(record, None)
    fetched = fetch_cells(EXPERIMENT, None, output, tmp_path / "fetched")
    ours, theirs = (collect(folder, EXPERIMENT) for folder in (output, fetched))
    assert_frame_equal(build_frame(theirs.cells), build_frame(ours.cells), check_exact=True)
    assert [c.record.metrics["auroc"] for c in theirs.cells] == [0.2]
    assert theirs.warnings == ours.warnings != []


def test_of_several_attempts_the_one_that_is_done_counts(output: Path, tmp_path: Path) -> None:
    tracker = connect(output)
    late = "2026-01-03T00:00:00.000+00:00"
    done = cell(output, started="2026-01-02T00:00:00.000+00:00")
    assert tracker.log_cell(done, None)
    for seed, day in ((1, late), (2, "2026-01-01T00:00:00.000+00:00"), (2, late)):
        assert tracker.log_cell(cell(output, seed=seed, state="failed", reason=f"on {day[:10]}", started=day), None)
    cells = collect(fetch_cells("cells", None, output, tmp_path / "fetched"), "cells").cells
    assert {(c.axes.seed, c.state, c.reason) for c in cells} == {(1, "done", ""), (2, "failed", "on 2026-01-03")}


def test_a_cell_trained_again_by_other_code_is_sent_and_fetched(output: Path, tmp_path: Path) -> None:
    tracker = connect(output, EXPERIMENT)
    now = model_code("vae")
    for code in ("0" * 64, now, now, "0" * 64):
        tracker.log_cell(cell(output, code=code, started="2026-01-01T00:00:00+00:00"), None)
    assert sorted(run.data.tags["code"] for run in runs(tracker)) == sorted(["0" * 64, now])
    fetch_cells(EXPERIMENT, None, output, tmp_path / "fetched")
    (found,) = (tmp_path / "fetched" / "cells").rglob("status.json")
    assert read_record(found.parent).status.code == now


def test_a_finished_job_adds_what_is_missing_and_no_run_of_nothing(output: Path) -> None:
    tracker = connect(output)
    one, two = cell(output, seed=1), cell(output, seed=2)
    planned = job(one, two, output=output)
    for _ in range(2):
        tracker.log_missing(planned, [one, two])
        (parent,) = runs(tracker, "tags.kind = 'job'")
        assert (parent.info.status, parent.data.metrics["cells_done"]) == ("FINISHED", 2)
        assert parent.data.metrics["auroc"] == pytest.approx(METRICS["auroc"])
        assert len(runs(tracker)) == 2
    tracker.log_missing(planned, [one, two, cell(output, seed=3)])
    assert len(runs(tracker, "tags.kind = 'job'")) == 1
    assert {run.data.tags["mlflow.parentRunId"] for run in runs(tracker)} == {parent.info.run_id}


def test_a_sweep_that_still_runs_can_be_fetched(output: Path, tmp_path: Path) -> None:
    tracker = connect(output)
    record = cell(output)
    parent = tracker.start_job(job(record, output=output))
    assert tracker.log_cell(record, parent)
    tags = {"kind": "cell", "fingerprint": "e" * 64, "cell_path": "cells/half"}
    tracker.client.create_run(tracker.experiment_id, tags=tags)
    fetched = fetch_cells("cells", None, output, tmp_path / "fetched")
    assert [c.fingerprint for c in collect(fetched, "cells").cells] == [record.fingerprint]


def test_what_was_forgotten_is_not_fetched_until_it_is_planned_again(output: Path, tmp_path: Path) -> None:
    tracker = connect(output, EXPERIMENT)
    one, two = cell(output, seed=1), cell(output, seed=2)
    planned = job(one, two, output=output)
    for record in (one, two):
        assert tracker.log_cell(record, None)
    name = next(c.name for c in collect(output, EXPERIMENT).cells if c.fingerprint == one.fingerprint)
    assert forget.main([f"experiment={EXPERIMENT}", f"output_dir={output}", f"cells={name}", "yes=true"]) == 0
    fetched = fetch_cells(EXPERIMENT, None, output, tmp_path / "fetched")
    assert [c.fingerprint for c in collect(fetched, EXPERIMENT).cells] == [two.fingerprint]
    assert [tracker.has(record) for record in (one, two)] == [False, True]
    tracker.log_missing(planned, [one, two])
    assert len(runs(tracker)) == 3
    fetched = fetch_cells(EXPERIMENT, None, output, tmp_path / "again")
    assert {c.fingerprint for c in collect(fetched, EXPERIMENT).cells} == {one.fingerprint, two.fingerprint}


def test_tables_of_another_mlflow_are_told_from_its_own() -> None:
    from alembic.script import ScriptDirectory

    folder = Path(str(find_spec("mlflow").origin)).parent / "store" / "db_migrations"
    newest, *others = [one.revision for one in ScriptDirectory(str(folder)).walk_revisions()]
    assert schema_relation(newest) == "same"
    assert {schema_relation(one) for one in others[:3]} == {"older"}
    assert schema_relation("ffffffffffff") == "newer"


def test_an_experiment_that_is_not_there_is_refused_with_those_that_are(output: Path, tmp_path: Path) -> None:
    connect(output, "paper")
    with pytest.raises(UsageError, match=r"^experiment=papre is not in MLflow\. There is: .*\bpaper\b"):
        fetch_cells("papre", None, output, tmp_path / "fetched")


def test_a_run_cannot_write_outside_of_the_destination(output: Path, tmp_path: Path) -> None:
    tracker = connect(output)
    assert tracker.log_cell(cell(output), None)
    (run,) = runs(tracker)
    tracker.client.set_tag(run.info.run_id, "cell_path", "../escaped")
    with pytest.raises(UsageError, match="outside the destination"):
        fetch_cells("cells", None, output, tmp_path / "fetched")
    assert not (tmp_path / "escaped").exists()


# the house


def test_few_modules_import_mlflow() -> None:
    package = Path(benchmark.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "mlflow" for name in names):
                found.add(path.relative_to(package).as_posix())
    assert found == {
        f"tracking/{name}.py"
        for name in ("client", "live", "models", "origin", "registry", "runs", "served", "tracker")
    }


def test_what_further_rules_say_is_added_to_the_run_of_the_cell(output: Path) -> None:
    """No second run: metrics, tag and files of the one that is there."""
    tracker = connect(output)
    before = cell(output)
    assert tracker.log_cell(before, None)
    assert tracker.has(before)
    entry = {"config": {"name": "ssim"}, "code": "c" * 64}
    after = add_rules(before, {"ssim": entry}, {"auroc/rule_ssim": 0.75}, {"score/ssim": np.arange(3.0)})
    assert not tracker.has(after)
    assert tracker.log_cell(after, None)
    assert tracker.has(after)
    (run,) = tracker.client.search_runs([tracker.experiment_id])
    assert run.data.metrics["auroc/rule_ssim"] == 0.75
    assert run.data.metrics["auroc"] == before.metrics["auroc"]
    folder = Path(tracker.client.download_artifacts(run.info.run_id, "cell", str(output)))
    assert read_record(folder).rules() == {"ssim": entry}
    assert read_record(folder).rule_scores()["score/ssim"].tolist() == [0, 1, 2]
