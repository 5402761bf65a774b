"""The conditional AAE: classes learnt from few labels, style and content apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from benchmark.data.images import ImageData
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from tests.models.test_models import loaded
from tests.tiny_models import build

ONE_WORKER = pytest.mark.xdist_group("cond_aae")  # which then trains it once


@pytest.fixture(scope="module")
def model(digits: ImageData) -> torch.nn.Module:
    """Trained on nine classes with the labels of one image in five."""
    fleet = Fleet([build("cond_aae", 3, label_share=0.2, hidden=[128], adversarial_learning_rate=2e-3)])
    index = (digits.train_labels != 9).nonzero().flatten()
    told = torch.where(torch.arange(len(index)) % 5 == 0, digits.train_labels[index], -1)
    train(fleet, digits.train_images, [Member(index, 1, 2, told)], Settings(25, 32, len(index)))
    return loaded(fleet)


def normal(data: ImageData) -> tuple[Tensor, Tensor]:
    rows = data.test_labels != 9
    return to_pixels(data.test_images[rows]), data.test_labels[rows]


@ONE_WORKER
def test_few_labels_are_enough_to_name_the_classes(model: torch.nn.Module, digits: ImageData) -> None:
    images, labels = normal(digits)
    with torch.no_grad():
        code = model.assess(images, {})["code"]
    assert model.seen.tolist() == [1] * 9 + [0]
    assert (code[:, model.latent :].argmax(1) == labels).float().mean() > 0.7
    assert code[:, -1].sum() == 0, "an image was taken for the class left out"


@ONE_WORKER
def test_the_class_code_sets_the_class(model: torch.nn.Module, digits: ImageData) -> None:
    """Most images of a column are nearest to the mean image of that class; the style moves the image too."""
    with torch.no_grad():
        grid = model.styles(torch.randn(40, 4, generator=torch.Generator().manual_seed(0)))  # (40, 10, 1, 28, 28)
    assert grid.shape == (40, 10, 1, 28, 28)
    pixels = to_pixels(digits.train_images).flatten(1)
    means = torch.stack([pixels[digits.train_labels == k].mean(0) for k in range(9)])
    nearest = torch.cdist(grid[:, :9].flatten(2).flatten(0, 1), means).argmin(1).view(40, 9)
    assert (nearest == torch.arange(9)).float().mean() > 0.7
    assert grid[:, 0].flatten(1).var(0).sum() > 1


@ONE_WORKER
def test_prior_energy_is_the_density_of_the_style(model: torch.nn.Module, digits: ImageData) -> None:
    images, _ = normal(digits)
    with torch.no_grad():
        found = model.assess(images[:6], {})
    expected = -Normal(0, 1).log_prob(found["code"][:, : model.latent]).sum(1)
    torch.testing.assert_close(found["scores"]["prior_energy"], expected)
    combined = found["scores"]["reconstruction"] + found["scores"]["prior_energy"]
    torch.testing.assert_close(found["scores"]["combined"], combined)


def test_the_categorical_prior_is_uniform_over_the_classes_seen() -> None:
    model = build("cond_aae", classes=6)
    uniform = (torch.arange(600) + 0.5) / 600
    assert model.prior_category(uniform).sum(0).tolist() == [100] * 6
    model.seen[[1, 4]] = 1
    assert model.prior_category(uniform).sum(0).tolist() == [0, 300, 0, 0, 300, 0]


def test_losses_use_the_label_where_it_is_told() -> None:
    model = build("cond_aae")
    images = torch.rand(4, 1, 28, 28)
    label = torch.tensor([2, -1, 2, 7])
    with torch.no_grad():
        style, logit = model.encode(images)
        value, _ = model.loss("classes", images, {"label": label})
        expected = torch.nn.functional.cross_entropy(logit[[0, 2, 3]], label[[0, 2, 3]])
        torch.testing.assert_close(value, expected)
        category = logit.softmax(1)
        for row, k in ((0, 2), (2, 2), (3, 7)):
            category[row] = torch.eye(10)[k]
        value, _ = model.loss("reconstruction", images, {"label": label})
        back = model.decode(torch.cat([style, category], 1))
        torch.testing.assert_close(value, (back - images).square().flatten(1).sum(1).mean())
        none, _ = model.loss("classes", images, {"label": torch.full((4,), -1)})
    assert float(none) == 0
    assert model.seen.nonzero().flatten().tolist() == [2, 7]


def test_it_trains_on_one_class(digits: ImageData) -> None:
    """one_vs_rest: a single class, told or not; every image gets a finite score."""
    index = (digits.train_labels == 4).nonzero().flatten()
    for told in (digits.train_labels[index], None):
        fleet = Fleet([build("cond_aae", 3)])
        (training,) = train(fleet, digits.train_images, [Member(index, 1, 2, told)], Settings(3, 32, 64))
        assert training.diverged is None
        with torch.no_grad():
            found = loaded(fleet).assess(to_pixels(digits.test_images), {})["scores"]
        assert all(torch.isfinite(values).all() for values in found.values())


def test_label_share_is_checked() -> None:
    with pytest.raises(ValueError, match="label_share must be between 0 and 1"):
        build("cond_aae", label_share=1.5)
