"""The explorer: whose verdicts disagree on which images, and pictures made again from a real cell's weights."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re

import numpy as np
import pytest
import torch

from benchmark.__main__ import main
from benchmark.engine.metrics import conformal_threshold
from benchmark.engine.pictures import side_by_side
from benchmark.report.__main__ import main as report
from benchmark.report.explorer.page import build_explorer
from benchmark.report.explorer.tiles import COLUMNS, picture, reconstructed
from benchmark.report.explorer.verdicts import Verdict, conformal_p, contested, verdicts
from benchmark.store.experiments import collect


def said(label: str, rule: str, p: list[float], scores: list[float] | None = None) -> Verdict:
    return Verdict(label, rule, np.array(scores or [0.0] * len(p)), np.array(p))


def test_what_is_flagged_is_what_the_threshold_flags() -> None:
    normal, scores = np.random.default_rng(0).normal(size=(2, 199))
    threshold = conformal_threshold(normal)
    assert threshold is not None
    assert ((conformal_p(scores, normal) <= 0.05) == (scores > threshold)).all()
    assert conformal_p(np.array([threshold]), normal)[0] > 0.05  # as high as the threshold is not above it


def test_pairs_share_a_rule_or_a_model_and_each_gets_its_image_of_either_kind() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])
    pair = [said("a", "own", [1, 0.01, 1, 1, 1, 0.01]), said("b", "own", [1, 1, 1, 1, 1, 1])]
    assert contested(pair, labels, 2).tolist() == [1, 5]  # of either kind the one that a alone flags
    assert contested([pair[0], said("b", "ssim", [1] * 6)], labels).tolist() == []
    assert contested([pair[0], said("a", "ssim", [1] * 6)], labels, 1).tolist() == [1]
    assert contested(pair[:1], labels).tolist() == []
    everything = contested(pair, labels)
    assert everything.tolist() == [0, 1, 2, 3, 4, 5]


def test_no_more_images_than_asked_for_and_none_twice() -> None:
    random = np.random.default_rng(1)
    many = [said(f"m{i}", "own", list(random.uniform(0.001, 1, 500)), list(random.normal(size=500))) for i in range(12)]
    labels = random.integers(0, 2, 500)
    found = contested(many, labels, 30)
    assert len(set(found.tolist())) == len(found) == 30
    assert (np.diff(found) > 0).all()
    assert 10 <= labels[found].sum() <= 20  # either kind of image


def test_every_pair_of_own_scores_has_its_largest_disagreement_beside_many_rules() -> None:
    random = np.random.default_rng(2)
    rules = ["own", *(f"r{i}" for i in range(9))]
    many = [said(label, rule, list(random.uniform(0.001, 1, 300))) for label in "abcd" for rule in rules]
    found = set(contested(many, np.arange(300) % 2, 100).tolist())
    assert len(found) == 100
    for a, b in itertools.combinations([one for one in many if one.rule == "own"], 2):
        gap = a.surprise - b.surprise
        assert {int(gap.argmax()), int(gap.argmin())} <= found


def test_a_picture_holds_the_tiles_row_by_row_in_sixteen_greys() -> None:
    from PIL import Image

    images = torch.randint(0, 256, (COLUMNS + 1, 1, 5, 4), dtype=torch.uint8)
    grid = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture(images).partition(",")[2]))).convert("L"), int)
    assert grid.shape == (10, 4 * COLUMNS)
    assert abs(grid[:5, 4:8] - images[1, 0].numpy().astype(int)).max() <= 9
    assert abs(grid[5:, :4] - images[COLUMNS, 0].numpy().astype(int)).max() <= 9
    assert grid[5:, 4:].max() == 0


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("explorer")
    typed = ["dataset=digits", "split.normal_class=3", "rule=[ssim]", "tracking=off", f"output_dir={folder}"]
    assert main(["-m", "model=pca,knn", "experiment_name=seen", *typed]) == 0
    return folder


def test_reconstructions_are_those_that_the_cell_was_recorded_with(output) -> None:
    record = next(cell.record for cell in collect(output, "seen").cells if cell.axes.model == "pca")
    assert record is not None
    stored = record.images()
    assert stored is not None
    inputs = torch.from_numpy(stored["input"]).unsqueeze(1)
    made = reconstructed(record, record.config(), inputs)
    assert made is not None
    assert abs(side_by_side(made).astype(int) - stored["reconstruction"].astype(int)).max() <= 1


def test_the_page_says_what_the_records_say(output, tmp_path, capsys) -> None:
    made = tmp_path / "report"
    typed = ["experiment=seen", f"output_dir={output}", f"results_dir={made}", "figures=false"]
    assert report([*typed, "explorer=true"]) == 0
    assert 'href="explorer.html"' in (made / "report.html").read_text(encoding="utf-8")
    page = (made / "explorer.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    (scene,) = json.loads(re.search(r"const DATA = (.*);\n", page)[1])["scenes"]
    assert [(one["model"], one["rule"]) for one in scene["verdicts"]][:2] == [("pca", "own"), ("pca", "ssim")]
    assert scene["models"]["pca"].startswith("data:image/png")
    assert scene["models"]["knn"] is None  # it reconstructs nothing
    (record,) = (cell.record for cell in collect(output, "seen").cells if cell.axes.model == "pca")
    assert record is not None
    scores, (own, *_) = record.scores(), verdicts("pca", record)
    rows = [list(scores["index"]).index(index) for index in scene["index"]]
    assert scene["label"] == scores["label"][rows].tolist()
    assert scene["shows"] == [str(k) for k in scores["target"][rows].tolist()]
    assert scene["verdicts"][0]["p"] == [round(float(p), 6) for p in own.p[rows]]

    assert report([*typed, "explorer=false"]) == 0
    assert "explorer.html" not in (made / "report.html").read_text(encoding="utf-8")
    assert not (made / "explorer.html").exists()


def test_without_two_verdicts_the_page_has_no_scene(output) -> None:
    cells = [cell for cell in collect(output, "seen").cells if cell.axes.model == "none"]
    assert '"scenes":[]' in build_explorer("seen", cells)
