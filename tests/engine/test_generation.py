"""The classifier that judges generated images, and what is measured with it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.data import load_dataset_config
from benchmark.data.files import data_dir
from benchmark.data.images import ImageData, load_images
from benchmark.engine import judge as module
from benchmark.engine.fleet import to_pixels
from benchmark.engine.generation import entropy, fit_gaussian, frechet_distance, generation_metrics
from benchmark.engine.judge import Classifier, classifier_of, train_classifier


@pytest.fixture(scope="module")
def digits() -> ImageData:
    torch.set_num_threads(1)
    return load_images(load_dataset_config("digits"), data_dir())


@pytest.fixture(scope="module")
def judge(digits: ImageData) -> Classifier:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "STEPS", 250)
        return train_classifier(digits)


def test_frechet_distance_of_gaussians_with_one_basis_in_closed_form() -> None:
    """Covariances Q diag(a) Q' and Q diag(b) Q': |m1 - m2|^2 + sum (sqrt a - sqrt b)^2."""
    draw = np.random.default_rng(0)
    basis, _ = np.linalg.qr(draw.normal(size=(6, 6)))
    a, b, m1, m2 = draw.uniform(0.1, 3, 6), draw.uniform(0.1, 3, 6), draw.normal(size=6), draw.normal(size=6)
    found = frechet_distance((m1, basis * a @ basis.T), (m2, basis * b @ basis.T))
    assert found == pytest.approx(((m1 - m2) ** 2).sum() + ((a**0.5 - b**0.5) ** 2).sum(), rel=1e-12)


def test_frechet_distance_of_any_gaussians_against_the_product_form() -> None:
    """tr (S1^(1/2) S2 S1^(1/2))^(1/2) is the sum of the roots of the eigenvalues of S1 S2; singular ones included."""
    draw = np.random.default_rng(1)
    one, other = (draw.normal(size=(50, 4)) @ draw.normal(size=(4, 4)) for _ in range(2))
    first, second = fit_gaussian(torch.from_numpy(one)), fit_gaussian(torch.from_numpy(other))
    roots = np.sqrt(np.linalg.eigvals(first[1] @ second[1]).real).sum()
    expected = ((first[0] - second[0]) ** 2).sum() + np.trace(first[1]) + np.trace(second[1]) - 2 * roots
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(second, first) == pytest.approx(expected, rel=1e-9)
    flat = np.zeros((4, 4))
    assert frechet_distance((first[0], flat), (first[0], flat)) == pytest.approx(0, abs=1e-12)


def test_entropy_in_nats() -> None:
    assert entropy(torch.full((9,), 0.1)) == pytest.approx(math.log(9))
    assert entropy(torch.tensor([0.5, 0.0])) == 0
    assert entropy(torch.zeros(3)) == 0


def test_the_classifier_is_the_same_every_time_and_knows_the_classes(
    digits: ImageData, judge: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEPS", 250)
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    again = train_classifier(digits)
    assert torch.equal(state, torch.random.get_rng_state()), "it drew from the global generator"
    for name, value in judge.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    found, _ = judge.judge(to_pixels(digits.test_images))
    assert judge.accuracy == pytest.approx(float((found == digits.test_labels).float().mean()))
    assert judge.accuracy > 0.85


def test_the_classifier_is_kept_in_a_file_and_trained_again_if_that_is_broken(
    digits: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEPS", 5)
    monkeypatch.setattr(module, "_KEPT", {})
    images = to_pixels(digits.test_images[:50])
    made = classifier_of(digits, tmp_path)
    assert classifier_of(digits, tmp_path) is made
    (path,) = tmp_path.iterdir()
    monkeypatch.setattr(module, "_KEPT", {})
    monkeypatch.setattr(module, "STEPS", 6)  # another training would give another classifier
    read = classifier_of(digits, tmp_path)
    assert read.accuracy == made.accuracy
    assert torch.equal(read.judge(images)[1], made.judge(images)[1])
    path.write_bytes(b"no weights")
    monkeypatch.setattr(module, "_KEPT", {})
    assert not torch.equal(classifier_of(digits, tmp_path).judge(images)[1], made.judge(images)[1])
    assert path.stat().st_size > 1000


def test_real_images_reach_every_mode_and_copies_of_one_image_do_not(digits: ImageData, judge: Classifier) -> None:
    normal = (digits.train_labels != 9).nonzero().flatten()
    good = generation_metrics(to_pixels(digits.train_images[normal[::2]]), digits, normal, judge)
    assert good["generation/modes"] == good["generation/modes_hit"] == 9
    assert good["generation/mode_entropy"] == pytest.approx(good["generation/mode_entropy_real"], abs=0.1)
    assert good["generation/share_other"] < 0.05
    assert sum(good[f"generation/share_{k}"] for k in range(9)) == pytest.approx(1 - good["generation/share_other"])
    one = digits.train_images[digits.train_labels == 3][:1].repeat(500, 1, 1, 1)
    collapsed = generation_metrics(to_pixels(one), digits, normal, judge)
    assert collapsed["generation/modes_hit"] == 1
    assert collapsed["generation/mode_entropy"] == 0
    assert collapsed["generation/share_3"] == 1
    assert collapsed["generation/frechet_classifier"] > 20 * good["generation/frechet_classifier"]
    assert good["generation/frechet_classifier"] < 3 * good["generation/frechet_classifier_real"] + 1
