"""ONNX: onnxruntime's scores are those of the detector, for every model that can be written."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import Detector
from benchmark.config import UsageError
from benchmark.detect.detector import load_detector
from benchmark.detect.scorer import Scorer
from benchmark.engine.fleet import Fleet
from benchmark.export import PACKAGES, TOLERANCE, convert, examples, run
from benchmark.models import model_names
from tests.faults.helpers import run_here
from tests.tiny_models import build

MISSING = [package for package in PACKAGES if find_spec(package) is None]
needs_onnx = pytest.mark.skipif(MISSING != [], reason=f"pip install -e '.[onnx]': {', '.join(MISSING)}")
SHAPE = (1, 28, 28)
SEARCH = "its score is the end of a search with gradients for every image"
CHANGES: dict[str, dict[str, Any]] = {
    "fanogan": {"search_steps": 0},  # with a search it has no graph either
    "ocsvm": {"gamma": 0.1},  # a kernel that is not 0 for noise
}
ONE_AT_ONCE = {"conv_lstm_ae", "diffusion", "iforest", "lstm_ae"}  # the size of a batch is a constant of their programs


def trained(name: str, **changes: Any) -> Any:
    """A tiny model, as far as ``initialise`` or ``fit`` go: its weights are like those of no other."""
    model = build(name, **changes)
    pixels = torch.rand(200, *SHAPE, generator=torch.Generator().manual_seed(0)) ** 3
    (model.initialise if model.phases else model.fit)(pixels, 0)
    return model


@needs_onnx
@pytest.mark.parametrize("name", model_names())
def test_onnxruntime_scores_as_the_detector(name: str) -> None:
    model, images = trained(name, **CHANGES.get(name, {})), examples(SHAPE)
    if name == "anogan":
        with pytest.raises(UsageError, match=SEARCH):
            convert(model, 7, images, np.zeros(len(images)))
        return
    scorer = Scorer(Fleet([model]), 7)
    ours = scorer.scores(images)
    graph = convert(model, 7, images, ours)
    assert graph.batch == (1 if name in ONE_AT_ONCE else None)
    near = torch.rand(15, *SHAPE, generator=torch.Generator().manual_seed(1)) ** 3  # as those trained on
    others = torch.cat([images.flip(0, 3), near.mul(255).byte()])  # 31: no batch that it was made with
    found, expected = run(graph.content, others.numpy(), graph.batch), scorer.scores(others)
    assert np.abs(found["score"] - expected).max() <= TOLERANCE * np.sqrt(np.square(expected).mean())
    assert len(np.unique(expected)) > 10, "scores that do not differ show nothing"
    reconstruction = scorer.reconstructions(others)
    assert ("reconstruction" in found) == (reconstruction is not None)
    if reconstruction is not None:
        assert np.abs(found["reconstruction"] - reconstruction.numpy()).max() < 1e-5


@needs_onnx
def test_floats_are_rounded_to_the_levels_of_bytes() -> None:
    model, images = trained("pca"), examples(SHAPE)
    ours = Scorer(Fleet([model]), 0).scores(images)
    graph = convert(model, 0, images, ours, "float32")
    found = run(graph.content, images.numpy().astype(np.float32) / 255 + 0.001)["score"]
    assert np.abs(found - ours).max() <= TOLERANCE * np.sqrt(np.square(ours).mean())


@needs_onnx
def test_a_graph_that_scores_otherwise_is_not_taken() -> None:
    model, images = trained("mean_image"), examples(SHAPE)
    ours = Scorer(Fleet([model]), 0).scores(images)
    with pytest.raises(UsageError, match=r"onnxruntime's scores differ by \d\.\de-0[34] of"):
        convert(model, 0, images, ours * 1.001)


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    job = ["model=pca", "dataset=digits", "split.normal_class=0", "split.test_limit=100", "tracking=off"]
    done = run_here(folder, *job, "split.calibration_share=0.3")
    assert done.returncode == 0, done.stderr
    return next((folder / "outputs" / "cells").rglob("status.json")).parent


@needs_onnx
def test_the_command_writes_scores_and_what_flags_them(cell: Path, tmp_path: Path) -> None:
    import onnx

    done = run_here(tmp_path, f"cell={cell}", "out=model.onnx", module="benchmark.export")
    assert done.returncode == 0, done.stderr
    assert "any number of images at once; onnxruntime's scores are within" in done.stdout
    content = (tmp_path / "model.onnx").read_bytes()
    metadata = {one.key: one.value for one in onnx.load_from_string(content).metadata_props}
    detector = load_detector(cell)
    assert json.loads(metadata["calibration_scores"]) == detector.calibration_scores.tolist()
    assert float(metadata["threshold"]) == detector.threshold_
    assert metadata["input"] == "images (N, 1, 28, 28), whole numbers from 0 to 255"
    images = examples(SHAPE).numpy()
    scores = run(content, images)["score"]
    assert np.allclose(scores, detector.anomaly_scores(images), rtol=1e-5)
    known = np.array(json.loads(metadata["calibration_scores"]))
    p_values = (1 + (known >= scores[:, None]).sum(1)) / (len(known) + 1)
    assert p_values.tolist() == detector.p_values(images).tolist()
    assert (p_values <= float(metadata["alpha"])).tolist() == detector.flag(images).tolist()


@needs_onnx
def test_a_saved_detector_keeps_its_alpha(tmp_path: Path) -> None:
    import onnx

    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8), dtype=np.uint8)
    detector = Detector("pca", components=2, calibration_share=0.5, alpha=0.2, device="cpu").fit(images)
    detector.save(tmp_path / "mine")
    done = run_here(tmp_path, "cell=mine", "out=model.onnx", module="benchmark.export")
    assert done.returncode == 0, done.stderr
    known = onnx.load_from_string((tmp_path / "model.onnx").read_bytes()).metadata_props
    metadata = {one.key: one.value for one in known}
    assert float(metadata["alpha"]) == 0.2
    assert float(metadata["threshold"]) == detector.threshold_


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["out=a.onnx"], "cell= is missing. Type for example: cell=outputs/cells/..."),
        (["cell=x"], "out= is missing. Type for example: out=model.onnx"),
        (["cell=x", "out=a.txt"], "out=a.txt is not allowed: it must end in .onnx"),
        (["cell=x", "out=a.onnx", "input=int8"], "input=int8 is not allowed: it must be one of uint8, float32"),
        (["cell=x", "out=a.onnx", "opset=3"], "opset"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = run_here(tmp_path, *arguments, module="benchmark.export")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line


@needs_onnx
def test_a_folder_without_a_cell_and_a_place_that_cannot_be_written_are_refused(cell: Path, tmp_path: Path) -> None:
    for arguments, said in (
        ([f"cell={tmp_path}", "out=a.onnx"], "is no folder of a cell"),
        ([f"cell={cell}", "out=/proc/nowhere/a.onnx"], "out=/proc/nowhere/a.onnx cannot be written"),
    ):
        done = run_here(tmp_path, *arguments, module="benchmark.export")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert said in done.stderr


@pytest.mark.skipif(MISSING == [], reason="the packages are there")
def test_missing_packages_are_named(tmp_path: Path) -> None:
    done = run_here(tmp_path, "cell=x", "out=a.onnx", module="benchmark.export")
    assert done.returncode == 2
    assert done.stderr.endswith("which is not installed. Type: pip install -e '.[onnx]'\n")
