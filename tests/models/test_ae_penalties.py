"""The penalties of the contractive and the sparse autoencoder against closed forms and autograd, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchmark.data.images import ImageData
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from benchmark.models.ae import squared_jacobian
from tests.tiny_models import build


def images_of(count: int) -> Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("network", ["dense", "conv"])
def test_contraction_is_the_frobenius_norm_of_autograds_jacobian(network: str) -> None:
    model = build("ae", network=network, activation="silu", contraction=0.5, contraction_probes=0).double()
    images = images_of(3)
    _, logged = model.loss("reconstruction", images, {})
    jacobian = torch.autograd.functional.jacobian(lambda x: model.encoder(x).sum(0), images)  # (D, 3, C, H, W)
    expected = jacobian.square().sum() / 3
    torch.testing.assert_close(logged["contraction"], expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(logged["loss"] - logged["reconstruction"], 0.5 * expected, rtol=1e-6, atol=1e-4)


def test_contraction_of_a_sigmoid_layer_is_rifais_closed_form() -> None:
    """sum_j (h_j (1 - h_j))^2 sum_i W_ji^2, equation 4 of Rifai et al. 2011."""
    model = build("ae", hidden=[], code="sigmoid", contraction=1.0, contraction_probes=0).double()
    images = images_of(5)
    _, logged = model.loss("reconstruction", images, {})
    h = model.encode(images)
    expected = ((h * (1 - h)).square() * model.encoder.head.weight.square().sum(1)).sum(1).mean()
    torch.testing.assert_close(logged["contraction"], expected, rtol=1e-10, atol=0)


def test_contraction_probes_are_without_bias() -> None:
    """The mean over many draws of one probe comes to the exact value, within five standard errors."""
    model = build("ae", activation="silu", contraction=1.0).double()
    image, draws = images_of(1), 4000
    probes = torch.randn(draws, 1, 4, generator=torch.Generator().manual_seed(0)).double()
    found = squared_jacobian(model.encode, image.expand(draws, -1, -1, -1), probes).detach()
    exact = squared_jacobian(model.encode, image, model.all_directions(torch.zeros(1, 4).double())).detach()
    assert abs(float(found.mean() - exact)) < 5 * float(found.std()) / math.sqrt(draws)
    assert float(found.std()) > 0.1 * float(exact)  # the bound above is worth something


def test_contraction_lowers_the_jacobian(digits: ImageData) -> None:
    images = to_pixels(digits.test_images[digits.test_labels == 0])
    norms = []
    for weight in (0.0, 10.0):
        fleet = Fleet([build("ae", 3, contraction=weight, contraction_probes=2)])
        index = (digits.train_labels == 0).nonzero().flatten()
        train(fleet, digits.train_images, [Member(index, 1, 2)], Settings(20, 32, len(index)))
        fleet.model.load_state_dict(fleet.state(0))
        model = fleet.model
        norms.append(float(squared_jacobian(model.encode, images, model.all_directions(model.encode(images))).mean()))
    assert norms[1] < 0.5 * norms[0]


def test_sparsity_of_a_linear_code_is_its_l1_norm() -> None:
    model = build("ae", sparsity=2.0).double()
    images = images_of(6)
    value, logged = model.loss("reconstruction", images, {})
    expected = sum(abs(float(z)) for z in model.encode(images).flatten()) / 6
    assert float(logged["sparsity"]) == pytest.approx(expected, rel=1e-6)
    assert float(value - logged["reconstruction"]) == pytest.approx(2 * expected, rel=1e-5)


def test_sparsity_of_a_sigmoid_code_is_ngs_divergence() -> None:
    """sum_j rho log(rho / r_j) + (1 - rho) log((1 - rho) / (1 - r_j)), r_j the mean activation."""
    model = build("ae", code="sigmoid", sparsity=1.0, sparsity_target=0.2).double()
    images = images_of(6)
    _, logged = model.loss("reconstruction", images, {})
    means = model.encode(images).mean(0).tolist()
    expected = sum(0.2 * math.log(0.2 / r) + 0.8 * math.log(0.8 / (1 - r)) for r in means)
    assert float(logged["sparsity"]) == pytest.approx(expected, rel=1e-5)
    at_target = model.sparsity_penalty(torch.full((3, 4), 0.2).double())
    assert float(at_target) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("changes", [{"code": "linear"}, {"code": "sigmoid", "sparsity_target": 0.1}])
def test_sparsity_makes_codes_sparse(changes: dict[str, object], digits: ImageData) -> None:
    images = to_pixels(digits.test_images[digits.test_labels == 0])
    means = []
    for weight in (0.0, 100.0):
        fleet = Fleet([build("ae", 3, sparsity=weight, **changes)])
        index = (digits.train_labels == 0).nonzero().flatten()
        train(fleet, digits.train_images, [Member(index, 1, 2)], Settings(20, 32, len(index)))
        fleet.model.load_state_dict(fleet.state(0))
        means.append(float(fleet.model.assess(images, {})["code"].detach().abs().mean()))
    assert means[1] < 0.5 * means[0]


@pytest.mark.parametrize("changes", [{"contraction": 0.1}, {"sparsity": 0.1}, {"contraction": 0.1, "sparsity": 0.1}])
def test_penalties_train_as_fleets(changes: dict[str, float], digits: ImageData) -> None:
    """Three cells as one program take the steps that each takes alone."""
    index = (digits.train_labels == 0).nonzero().flatten()

    def losses(seeds: list[int]) -> list[list[float]]:
        fleet = Fleet([build("ae", seed, **changes) for seed in seeds])
        members = [Member(index, seed, seed) for seed in seeds]
        found = train(fleet, digits.train_images, members, Settings(6, 32, 32))
        return [[row["train/loss"] for row in training.history] for training in found]

    for together, seed in zip(losses([1, 2, 3]), (1, 2, 3), strict=True):
        assert together == pytest.approx(losses([seed])[0], rel=1e-4)
