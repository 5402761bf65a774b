"""A finished cell scores images again with the bits that it recorded, and what is no finished cell is refused."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import load_detector
from benchmark.config import UsageError
from tests.detect.conftest import Cells


@pytest.mark.parametrize("model", ["vae", "pca"])
def test_the_test_images_have_the_bits_of_the_record(cells: Cells, model: str) -> None:
    record = cells.record(model)
    known, detector = record.scores(), load_detector(record.path)
    found = detector.anomaly_scores(cells.test[known["index"]])
    assert found.dtype == np.float64
    assert np.array_equal(found.astype(np.float32), known[f"score/{record.status.headline}"])
    kept = record.calibration()
    assert kept is not None
    assert np.array_equal(detector.calibration_scores, kept[f"score/{record.status.headline}"].astype(np.float64))
    assert detector.threshold_ == record.metrics["threshold"]
    assert (detector.model_name, detector.rule, detector.image_shape) == (model, None, (1, 28, 28))


@pytest.mark.parametrize("rule", ["ssim", "committee", "image_neighbours"])  # asks for nothing, kept images, all images
def test_under_a_rule_too(cells: Cells, rule: str) -> None:
    record = cells.record("vae")
    known, detector = record.rule_scores(), load_detector(record.path, rule=rule)
    found = detector.anomaly_scores(cells.test[record.scores()["index"]])
    assert np.array_equal(found.astype(np.float32), known[f"score/{rule}"])
    assert np.array_equal(detector.calibration_scores, known[f"calibration/{rule}"].astype(np.float64))
    assert detector.rule == rule


def test_a_rule_that_has_not_judged_the_cell_is_shown_its_images(cells: Cells) -> None:
    record = cells.record("pca")
    detector = load_detector(record.path, rule="own")
    assert np.array_equal(detector.calibration_scores, load_detector(record.path).calibration_scores)
    assert len(load_detector(record.path, rule="standardised").calibration_scores) == 32


def test_one_image_scores_as_among_others_but_for_rounding(cells: Cells) -> None:
    detector = load_detector(cells.paths["vae"])
    alone = [detector.anomaly_scores(cells.test[i : i + 1])[0] for i in range(4)]
    assert alone == pytest.approx(detector.anomaly_scores(cells.test)[:4], rel=1e-5)


def test_many_threads_have_the_bits_of_one(cells: Cells) -> None:
    detector, threads = load_detector(cells.paths["vae"]), torch.get_num_threads()
    known = detector.anomaly_scores(cells.test)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detector.anomaly_scores, [cells.test] * 8))
    assert all(np.array_equal(scores, known) for scores in found)
    assert torch.get_num_threads() == threads


def test_what_is_no_finished_cell_is_refused(cells: Cells, tmp_path: Path, altered: Callable[..., Path]) -> None:
    for path, says in ((tmp_path / "none", "does not exist"), (tmp_path, "is no folder of a cell")):
        with pytest.raises(UsageError, match=says):
            load_detector(path)
    with pytest.raises(UsageError, match=r"is failed and scores nothing: it ran out of memory. Train it again"):
        load_detector(altered("pca", state="failed", reason="it ran out of memory"))


@pytest.mark.parametrize("name", ["weights.pt", "calibration.npz", "config.yaml", "metrics.json", "history.csv"])
def test_one_flipped_bit_is_a_usage_error_whatever_the_file(altered: Callable[..., Path], name: str) -> None:
    path = altered("vae")
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(UsageError, match=rf"cell={path} cannot be read: {path / name} .*") as caught:
        load_detector(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"code": "0" * 64}, r"other code than is here \(its code changed\)"),
        ({"numerics": 1}, "its numerics are of another version"),
    ],
)
def test_a_cell_of_other_code_is_refused(altered: Callable[..., Path], changes: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_detector(altered("pca", **changes))


def test_a_rule_whose_images_are_others_now_is_refused(altered: Callable[..., Path]) -> None:
    path = altered("pca", data_version="0" * 64)
    load_detector(path, rule="ssim")  # whose calibration scores the record has
    with pytest.raises(UsageError, match=r"rule=image_neighbours has to be shown .*, which are others now"):
        load_detector(path, rule="image_neighbours")


def test_a_rule_that_does_not_apply_is_refused(cells: Cells) -> None:
    with pytest.raises(UsageError, match="rule=chosen: no rule was chosen for pca on digits"):
        load_detector(cells.paths["pca"], rule="chosen")
    with pytest.raises(UsageError, match="there is no such rule"):
        load_detector(cells.paths["pca"], rule="nosuch")
