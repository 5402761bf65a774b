"""A job's best cell is a model in MLflow, which answers over HTTP as the detector of the cell does."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest
import uvicorn
from mlflow import MlflowClient
from mlflow.pyfunc import scoring_server

from benchmark import Detector, load_detector
from benchmark.config import TrackingConfig, UsageError
from benchmark.detect.conformal import flagged
from benchmark.store.records import Record, read_record
from benchmark.sync import main as sync
from benchmark.tracking.models import PACKAGES, ROOMS, chosen, save_model
from benchmark.tracking.registry import register
from benchmark.tracking.tracker import Tracker
from tests.faults.helpers import run_here
from tests.test_cli import user_environment
from tests.tracking.test_tracker import output_dir

Answer = tuple[int, Any]  # status and content


@pytest.fixture(scope="module")
def folder(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A job of two cells, logged, as a command leaves it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path_factory.mktemp("models")
        output_dir(folder / "outputs", blank)
        job = ["model=pca", "dataset=digits", "split.normal_class=[0,1]", "split.test_limit=200"]
        done = run_here(folder, *job, "tracking.figures=false", "split.calibration_share=0.3")
        assert done.returncode == 0, done.stderr
        yield folder / "outputs"


@pytest.fixture(scope="module")
def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")


@pytest.fixture(scope="module")
def records(folder: Path) -> list[Record]:
    return [read_record(path.parent) for path in sorted((folder / "cells").rglob("status.json"))]


@pytest.fixture(scope="module")
def best(records: list[Record]) -> Record:
    return max(records, key=lambda record: record.metrics["auroc"])


@pytest.fixture(scope="module")
def logged(client: MlflowClient) -> Any:
    experiments = [one.experiment_id for one in client.search_experiments()]
    (model,) = client.search_logged_models(experiments)
    return model


@pytest.fixture(scope="module")
def path(logged: Any) -> Path:
    return Path(logged.artifact_location.removeprefix("file://"))


# what is logged


def test_the_best_cell_of_a_job_is_a_model_in_its_run(client: MlflowClient, logged: Any, best: Record) -> None:
    assert (logged.status, logged.name, logged.model_type) == ("READY", "detector", "anomaly detector")
    assert logged.tags["fingerprint"] == best.fingerprint
    assert logged.tags["model"] == "pca"
    assert {metric.key: metric.value for metric in logged.metrics}["auroc"] == best.metrics["auroc"]
    run = client.get_run(logged.source_run_id)
    assert run.data.tags["fingerprint"] == best.fingerprint
    assert [output.model_id for output in run.outputs.model_outputs] == [logged.model_id]
    assert run.info.status == "FINISHED"


def test_the_same_command_again_logs_no_second_one(folder: Path, client: MlflowClient, logged: Any) -> None:
    assert sync(["experiment=default", f"output_dir={folder}"]) == 0
    tracker = Tracker.open(TrackingConfig(), folder, "default")
    tracker.log_models([read_record(path.parent) for path in (folder / "cells").rglob("status.json")])
    assert len(client.search_logged_models([logged.experiment_id])) == 1


def test_which_cells_get_one(records: list[Record], best: Record) -> None:
    assert chosen(records, "best") == [best]
    assert chosen(records, "all") == records
    assert chosen(records, "off") == []
    without = [Record(r.path, r.status, {k: v for k, v in r.metrics.items() if k != "auroc"}) for r in records]
    assert chosen(without, "best") == without[:1]
    failed = [Record(r.path, r.status, r.metrics, written=False) for r in records]
    assert chosen(failed, "all") == []


def test_a_model_holds_its_cell_and_no_pickle_and_no_path_of_this_machine(path: Path, best: Record) -> None:
    info = mlflow.models.Model.load(str(path))
    (cell,) = (path / "artifacts").iterdir()
    assert read_record(cell).fingerprint == best.fingerprint
    assert {file.name: file.read_bytes() for file in cell.iterdir()} == {
        file.name: file.read_bytes() for file in best.path.iterdir()
    }
    assert info.metadata["threshold"] == best.metrics["threshold"]
    assert info.metadata["fingerprint"] == best.fingerprint
    assert {file.suffix for file in path.rglob("*") if file.is_file()} <= {
        *("", ".py", ".yaml", ".json", ".txt", ".npz", ".pt", ".csv")
    }
    text = "".join(file.read_text() for file in path.iterdir() if file.is_file())
    assert str(best.path) not in text
    assert str(Path(__file__).parents[2]) not in text
    assert info.signature.inputs.inputs[0].name == (
        "images (N, 1, 28, 28) or (N, 28, 28): whole numbers from 0 to 255, or floats from 0 to 1"
    )
    assert str(info.signature.params) == "['alpha': double (default: 0.05)]"


def test_the_requirements_are_pinned_and_name_what_the_code_imports(path: Path) -> None:
    lines = [line for line in (path / "requirements.txt").read_text().splitlines() if line]
    assert all("==" in line and "+" not in line for line in lines)
    assert {line.partition("==")[0] for line in lines} == set(PACKAGES)
    modules = packages_distributions()
    ours = [*(path / "code" / "benchmark").glob("*.py")]
    for room in ROOMS:
        ours += (path / "code" / "benchmark" / room).rglob("*.py")
    needed = set()
    for file in ours:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            needed |= {name.split(".")[0] for name in names}
    distributions = {d.lower() for name in needed - {"benchmark"} for d in modules.get(name, ())}
    assert distributions <= {package.lower() for package in PACKAGES}


def test_a_model_runs_by_the_code_in_it(path: Path, tmp_path: Path, best: Record) -> None:
    """In a process of its own, whose path does not lead to this package."""
    moved = tmp_path / "elsewhere"
    shutil.copytree(path, moved)
    program = (
        "import mlflow.pyfunc, numpy, sys\n"
        f"model = mlflow.pyfunc.load_model({str(moved)!r})\n"
        "import benchmark\n"
        "print(benchmark.__file__)\n"
        "print(repr(float(model.predict(numpy.zeros((1, 28, 28)))['score'][0])))\n"
    )
    command = [sys.executable, "-W", "error::UserWarning:mlflow", "-c", program]
    environment = {key: value for key, value in user_environment().items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    file, score = done.stdout.splitlines()[-2:]
    assert Path(file) == moved / "code" / "benchmark" / "__init__.py"
    assert float(score) == load_detector(best.path).anomaly_scores(np.zeros((1, 28, 28)))[0]


# in the registry


def test_one_command_registers_the_best_model_under_a_name_and_an_alias(
    folder: Path, client: MlflowClient, logged: Any, best: Record, tmp_path: Path
) -> None:
    command = ["experiment=default", "name=digits", f"output_dir={folder}"]
    done = run_here(tmp_path, *command, module="benchmark.register")
    assert done.returncode == 0, done.stderr
    of, auroc = f"pca digits {best.axes.normal_class} seed 0", f"{best.metrics['auroc']:.4f}"
    assert done.stdout.startswith(f"digits version 1, alias champion: {of}, AUROC {auroc}.")
    assert "mlflow models serve -m models:/digits@champion --env-manager local" in done.stdout
    version = client.get_model_version_by_alias("digits", "champion")
    assert (version.source, version.run_id) == (logged.artifact_location, logged.source_run_id)
    again = run_here(tmp_path, *command, "alias=old", module="benchmark.register")
    assert again.stdout.startswith("digits version 1, alias old: "), "the same model gets no second version"
    assert len(client.search_model_versions("name = 'digits'")) == 1


def judged(
    client: MlflowClient, experiment: str, images: str | None, auroc: float, label: str = "0", run: str = "test"
) -> None:
    """A model, with no files, of a cell that was judged on such images; None: one of before, whose run says it."""
    made = client.create_run(experiment, tags={"evaluate_on": run})
    tags = {"model": "pca", "dataset": "parts", "normal_class": label, "seed": "0", "fingerprint": f"{auroc}"}
    tags |= {} if images is None else {"evaluate_on": images}
    model = client.create_logged_model(experiment, "detector", made.info.run_id, tags)
    client.log_metric(made.info.run_id, "auroc", auroc, model_id=model.model_id)
    client.finalize_logged_model(model.model_id, "READY")


def test_models_of_cells_judged_on_different_images_are_not_compared(
    blank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    store = output_dir(tmp_path / "outputs", blank)
    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    experiment = client.create_experiment("mix", artifact_location=(store / "mlartifacts").as_uri())
    judged(client, experiment, "test", 0.99)
    judged(client, experiment, "synthetic", 0.98)
    judged(client, experiment, "validation", 0.7)
    judged(client, experiment, None, 0.8, run="validation")
    made = register(None, store, "mix", "parts", "champion", {})
    assert (made.auroc, made.images, made.left_out) == (0.8, "validation", 2)
    judged(client, experiment, "validation", 0.9, label="1")
    with pytest.raises(UsageError, match=r"several: class=0, 1, .* for example: class=0$"):
        register(None, store, "mix", "parts", "champion", {})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["experiment=default"], "name= is missing. Type for example: experiment=parts name=parts"),
        (["experiment=other", "name=a"], "experiment=other is not in MLflow. There is: "),
        (["experiment=default", "name=a", "model=vae"], "experiment=default model=vae has no model in MLflow. Models"),
        (["experiment=default", "name=a/b"], "does not register a/b: "),
        (["experiment=default", "name=a", "output_dir=nowhere"], "there is no MLflow store sqlite:"),
    ],
)
def test_what_cannot_be_registered_is_refused_in_one_line(
    folder: Path, logged: Any, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = run_here(tmp_path, f"output_dir={folder}", *arguments, module="benchmark.register")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line


# over HTTP


class Server:
    """MLflow's scoring server with a model, on a port of this machine."""

    def __init__(self, path: Path) -> None:
        app = scoring_server.init(mlflow.pyfunc.load_model(str(path)))
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def ask(self, content: Any, kind: str = "application/json") -> Answer:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        address = f"http://127.0.0.1:{self.port}/invocations"
        request = urllib.request.Request(address, body, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture(scope="module")
def server(path: Path) -> Iterator[Server]:
    started = Server(path)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 1, 28, 28), dtype=np.uint8)


def test_it_answers_with_score_p_value_and_flag(server: Server, best: Record, images: np.ndarray) -> None:
    detector = load_detector(best.path)
    known = np.concatenate([images, np.zeros((1, 1, 28, 28), np.uint8)])
    status, answer = server.ask({"inputs": known.tolist()})
    assert status == 200
    rows = answer["predictions"]
    assert [row.keys() for row in rows] == [{"score", "p_value", "flagged"}] * 7
    assert [row["score"] for row in rows] == detector.anomaly_scores(known).tolist()
    assert [row["p_value"] for row in rows] == detector.p_values(known).tolist()
    assert [row["flagged"] for row in rows] == detector.flag(known).tolist()
    assert rows[0]["flagged"] is True, "noise is no digit"


def test_images_may_have_no_channels_and_be_floats(server: Server, images: np.ndarray) -> None:
    answers = [
        server.ask({"inputs": images.tolist()}),
        server.ask({"inputs": images[:, 0].tolist()}),
        server.ask({"inputs": (images / 255).tolist()}),
        server.ask({"instances": images.tolist()}),
    ]
    assert [status for status, _ in answers] == [200] * 4
    assert all(answer == answers[0][1] for _, answer in answers)


def test_alpha_can_be_said_with_the_request(server: Server, best: Record) -> None:
    detector = load_detector(best.path)
    shown = best.images()["input"].reshape(-1, 1, 28, 28)
    seen = set()
    for alpha in (0.05, 0.5, 0.9):
        status, answer = server.ask({"inputs": shown.tolist(), "params": {"alpha": alpha}})
        assert status == 200
        expected = flagged(detector.anomaly_scores(shown), detector.calibration_scores, alpha).tolist()
        assert [row["flagged"] for row in answer["predictions"]] == expected
        seen.add(sum(expected))
    assert len(seen) > 1, "another alpha flags no other images"


def test_an_alpha_that_flags_nothing_is_refused_where_it_is_said(server: Server, best: Record) -> None:
    count = len(load_detector(best.path).calibration_scores)
    status, answer = server.ask({"inputs": square(0), "params": {"alpha": 0.001}})
    said = f"{count} calibration images flag nothing at alpha=0.001, which takes 999: ask for a larger one"
    assert (status, json.loads(answer)["message"]) == (400, said)
    least = 1 / (count + 1)
    assert server.ask({"inputs": square(0), "params": {"alpha": least}})[0] == 200


def test_a_saved_detector_is_served_with_its_alpha(images: np.ndarray, tmp_path: Path) -> None:
    detector = Detector("pca", components=2, calibration_share=0.2, alpha=0.2, device="cpu")
    detector.fit(np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)).save(tmp_path / "mine")
    model = mlflow.pyfunc.load_model(str(save_model(read_record(tmp_path / "mine"), tmp_path / "model")))
    shown = np.concatenate([images[:5], 255 - images[:5]])
    assert model.predict(shown)["flagged"].tolist() == detector.flag(shown).tolist()
    detector.set_params(alpha=0.05)
    assert not detector.flag(shown).any(), "six calibration images flag nothing at the usual alpha"
    assert model.metadata.signature.params.params[0].default == 0.2


def square(value: Any) -> Any:
    return [[[value] * 28] * 28]


SHAPES = "images are an array (N, 1, 28, 28) or (N, 28, 28)"
PIXELS = "pixels are whole numbers from 0 to 255, or floats from 0 to 1"
BAD = {
    "wrong size": ([[[1, 2], [3, 4]]], "images of 2 x 2, but Detector is for images of 1 x 28 x 28"),
    "wrong channels": (np.zeros((1, 3, 28, 28), int).tolist(), "images of 3 x 28 x 28, but Detector is for images of"),
    "flat": ([[0] * 784], f"an array of shape (1, 784): {SHAPES}; one image alone goes into a list"),
    "one alone": (square(0)[0], f"an array of shape (28, 28): {SHAPES}; one image alone goes into a list"),
    "a number": (3, f"an array of shape (): {SHAPES}"),
    "unequal": ([[[1, 2], [3]]], f"the lists are of unequal lengths; {SHAPES}"),
    "empty": ([], f"there is no image in an array of shape (0,); {SHAPES}"),
    "empty images": ([[], []], f"there is no image in an array of shape (2, 0); {SHAPES}"),
    "nan": (square(float("nan")), f"a pixel is NaN or infinite: {PIXELS}"),
    "infinite": (square(float("inf")), f"a pixel is NaN or infinite: {PIXELS}"),
    "null": (square(None), f"a pixel is no number: {PIXELS}"),
    "texts": (square("0.5"), f"a pixel is no number: {PIXELS}"),
    "huge": (square(10**400), f"a pixel is no number: {PIXELS}"),
    "large": (square(1e300), "pixels from 1e+300 to 1e+300: floats are taken for 0 (black) to 1 (white). Send whole"),
    "negative": (square(-1), "pixels from -1 to -1: whole numbers are taken for 0 (black) to 255 (white). Send"),
    "many": ([[[0]]] * 10_001, "10001 images are too many for one request, at most 10000: send them in parts"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_answered_in_one_line(server: Server, name: str) -> None:
    inputs, said = BAD[name]
    status, answer = server.ask({"inputs": inputs})
    assert status == 400, answer
    content = json.loads(answer)
    assert content.keys() == {"error_code", "message"}
    assert content["error_code"] == "INVALID_PARAMETER_VALUE"
    assert content["message"].startswith(said)
    assert "\n" not in content["message"]
    assert "Traceback" not in answer
    assert len(answer) < 500, "the request is no part of the answer"


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        ({"inputs": square(0), "params": {"alpha": 2}}, "application/json", 400, "alpha=2.0 is not allowed"),
        ({"inputs": square(0), "params": {"alpha": "x"}}, "application/json", 400, "alpha"),
        ({"pictures": square(0)}, "application/json", 400, "inputs"),
        ({"inputs": {"other": square(0)}}, "application/json", 400, "missing inputs"),
        ([1, 2], "application/json", 400, "dictionary"),
        (b"{", "application/json", 400, "JSON"),
        (b"", "application/json", 400, "JSON"),
        (b"1,2", "text/csv", 400, "Failed to parse input"),
        (b"\x89PNG", "image/png", 415, "only supports the following content types"),
    ],
)
def test_what_mlflow_itself_refuses_is_no_error_of_the_server(
    server: Server, content: Any, kind: str, status: int, said: str
) -> None:
    found, answer = server.ask(content, kind)
    assert found == status, answer
    assert said in answer


def test_a_parameter_that_is_none_is_refused(server: Server) -> None:
    status, answer = server.ask({"inputs": square(0), "params": {"alpha": 0.1, "alhpa": 0.2}})
    assert (status, json.loads(answer)["message"]) == (400, "params has 'alhpa', which is none. There is: alpha")


def test_a_bad_request_leaves_the_server_well(server: Server, images: np.ndarray) -> None:
    before = server.ask({"inputs": images.tolist()})
    threads = [threading.Thread(target=server.ask, args=({"inputs": inputs},)) for inputs, _ in BAD.values()]
    for thread in threads:
        thread.start()
    assert server.ask({"inputs": images.tolist()}) == before
    for thread in threads:
        thread.join()
    assert server.ask({"inputs": images.tolist()}) == before
