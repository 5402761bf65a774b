"""GEOM: its transformations, its Dirichlet distributions, and what its classifier finds odd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import digamma

from benchmark.data.images import ImageData
from benchmark.engine.fleet import to_pixels
from benchmark.engine.metrics import auroc
from benchmark.models.geom import fit_dirichlet, inverse_digamma, transformations
from tests.models.test_models import fitted, loaded
from tests.tiny_models import build

TURNS = {"flips": False, "shift": 0.0, "turns": True}


def by_hand(image: np.ndarray, flip: bool, down: int, right: int, quarter: int) -> np.ndarray:
    """An image flipped, shifted with its edges mirrored, and turned, by numpy."""
    flipped = np.fliplr(image) if flip else image
    wide = np.pad(flipped, 2, mode="symmetric")
    height, width = image.shape
    shifted = wide[2 - down : 2 - down + height, 2 - right : 2 - right + width]
    return np.rot90(shifted, quarter)


def test_the_transformations_are_the_papers_72_and_all_different() -> None:
    table = transformations(8, 8, True, 0.25, True)
    assert table.shape == (72, 64)
    assert torch.equal(table[0], torch.arange(64))
    image = np.random.default_rng(0).random((8, 8))
    found = {image.flatten()[row.numpy()].tobytes() for row in table}
    expected = {
        by_hand(image, flip, down, right, quarter).tobytes()
        for flip in (False, True) for down in (0, -2, 2) for right in (0, -2, 2) for quarter in range(4)
    }  # fmt: skip
    assert len(found) == 72
    assert found == expected


@pytest.mark.parametrize(
    ("flips", "shift", "turns", "count"), [(True, 0.0, False, 2), (False, 0.25, False, 9), (False, 0.25, True, 36)]
)
def test_kinds_of_transformations_multiply(flips: bool, shift: float, turns: bool, count: int) -> None:
    assert len(transformations(8, 8, flips, shift, turns)) == count


def test_what_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nothing to tell apart. Type for example model\.turns=true"):
        transformations(8, 8, False, 0.01, False)
    with pytest.raises(ValueError, match=r"8 x 6 image has another shape. Type model\.turns=false"):
        transformations(8, 6, True, 0.0, True)
    assert len(transformations(8, 6, True, 0.25, False)) == 18


def test_an_image_is_taken_apart_and_put_together_by_channel() -> None:
    model = build("geom", **TURNS)
    images = torch.rand(3, 2, 28, 28)
    for quarter in range(4):
        found = model.transformed(images, model.table[quarter].expand(3, -1))
        assert torch.equal(found, images.rot90(quarter, (2, 3)))


@pytest.mark.parametrize("alpha", [[30.0, 0.05, 0.05, 0.2], [300.0, 1.0, 0.5, 0.5], [0.3] * 8, [2000.0, 0.02, 0.02]])
def test_a_dirichlet_distribution_is_found_from_its_mean_logarithms(alpha: list[float]) -> None:
    mean_log = torch.from_numpy(digamma(alpha) - digamma(sum(alpha)))
    torch.testing.assert_close(fit_dirichlet(mean_log), torch.tensor(alpha), rtol=1e-4, atol=1e-5)
    drawn = torch.distributions.Dirichlet(torch.tensor([3.0, 0.5, 1.5]))
    torch.manual_seed(0)
    found = fit_dirichlet(drawn.sample((20000,)).log().mean(0))
    torch.testing.assert_close(found, drawn.concentration, rtol=0.05, atol=0.02)


def test_the_digamma_is_inverted() -> None:
    x = torch.logspace(-4, 7, 50, dtype=torch.float64)
    torch.testing.assert_close(inverse_digamma(torch.digamma(x)), x, rtol=1e-6, atol=0)


def test_a_certain_classifier_has_a_finite_distribution() -> None:
    """Equal outputs for all images: no Dirichlet distribution is the likeliest, the sum stays at its limit."""
    mean_log = torch.tensor([-1e-7, -16.1, -16.1])
    assert torch.isfinite(fit_dirichlet(mean_log)).all()


def test_every_transformation_is_shown_equally_often_and_named_rightly() -> None:
    """The loss is the cross-entropy of images that were really transformed as they are said to have been."""
    model, images = build("geom", **TURNS), torch.rand(8, 1, 28, 28)
    with torch.no_grad():
        value, _ = model.train().loss("classifier", images, {"first": torch.full((8,), 0.6)})
        chosen = [2, 3, 0, 1, 2, 3, 0, 1]  # from floor(0.6 * 4) on
        turned = torch.stack([image.rot90(k, (1, 2)) for image, k in zip(images, chosen, strict=True)])
        expected = torch.nn.functional.cross_entropy(model.classifier(turned), torch.tensor(chosen))
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    assert (model.counts == 2 * model.MOMENTUM).all()


def test_scores_are_the_papers_sums(digits: ImageData) -> None:
    model = loaded(fitted("geom", digits, epochs=2, **TURNS))
    images = to_pixels(digits.test_images[:6])
    with torch.no_grad():
        found = model.assess(images, {})["scores"]
        logs = torch.stack([model.classifier(images.rot90(k, (2, 3))).log_softmax(1) for k in range(4)])  # (4, B, 4)
        means = model.log_sums / model.counts.unsqueeze(1)
        alpha = torch.stack([fit_dirichlet(row) for row in means])
    right = torch.stack([logs[k, :, k] for k in range(4)])
    torch.testing.assert_close(found["softmax"], (1 - right.exp()).mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found["log_softmax"], -right.mean(0), rtol=1e-4, atol=1e-6)
    normality = torch.stack([((alpha[k] - 1) * logs[k]).sum(1) for k in range(4)]).mean(0)
    torch.testing.assert_close(found["dirichlet"], -normality, rtol=1e-4, atol=1e-4)


def test_the_running_means_are_those_of_the_training_images(digits: ImageData) -> None:
    """Where the weights move no more, they are what one pass over the training images gives; what was before fades."""
    model = loaded(fitted("geom", digits, epochs=10, batch_norm=False, **TURNS))
    images = to_pixels(digits.train_images[digits.train_labels == 0][:96])
    model.log_sums.fill_(-1000)
    model.counts.fill_(1)
    with torch.no_grad():
        for step in range(800):
            rows = (torch.arange(32) + 13 * step) % 96
            model.loss("classifier", images[rows], {"first": torch.full((32,), step % 7 / 7)})
        logs = torch.stack([model.classifier(images.rot90(k, (2, 3))).log_softmax(1).mean(0) for k in range(4)])
    means = model.log_sums / model.counts.unsqueeze(1)
    assert float((means - logs).abs().max()) < 0.05 * float(logs.abs().max())


def test_before_any_image_all_chances_are_even() -> None:
    model = build("geom", **TURNS)
    assert torch.equal(model.dirichlets(), torch.ones(4, 4))


def test_it_tells_normal_digits_from_others(digits: ImageData) -> None:
    """The classifier is right on most held-out normal digits, and at a loss with others; untrained, with all."""
    model = loaded(fitted("geom", digits, epochs=30, **TURNS))
    anomalous = (digits.test_labels != 0).numpy()
    with torch.no_grad():
        found, start = (m.assess(to_pixels(digits.test_images), {})["scores"] for m in (model, build("geom").eval()))
    for name, scores in found.items():
        assert auroc(anomalous, scores.numpy()) > 0.8, name
    normal = ~torch.from_numpy(anomalous)
    assert float(found["softmax"][normal].mean()) < 0.5 * float(start["softmax"][normal].mean())
    assert float(found["log_softmax"][~normal].mean()) > 2 * float(found["log_softmax"][normal].mean())
