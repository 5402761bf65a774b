"""The flow's density: it integrates to 1, its Jacobian is autograd's, its maps can be turned round."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchmark.data.images import ImageData
from benchmark.fleet import Fleet, to_pixels
from benchmark.models.flow import Flow
from benchmark.score import assess
from benchmark.train import Settings, train
from tests.tiny_models import build


def small(shape: tuple[int, int, int], transform: str, alpha: float = 0.01) -> Flow:
    """A flow in float64 with weights far from their start, so that its maps are no identity."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = Flow(shape, transform=transform, transforms=3, hidden=[16], alpha=alpha).double().eval()
        for parameter in model.parameters():
            parameter.data += 0.4 * torch.randn_like(parameter)
    return model


@pytest.fixture(params=["autoregressive", "coupling"])
def transform(request: pytest.FixtureRequest) -> str:
    return request.param


def test_density_integrates_to_one(transform: str) -> None:
    """Two pixels, the midpoint rule on 600 x 600 cells that are finer towards the edges of the unit square."""
    model = small((1, 1, 2), transform)
    edges = torch.sin(torch.linspace(0, math.pi / 2, 601).double()).square()
    middle, width = (edges[1:] + edges[:-1]) / 2, edges.diff()
    grid = torch.cartesian_prod(middle, middle).view(-1, 1, 1, 2)
    with torch.no_grad():
        density = model.log_density(grid).exp()
    inside = (density * torch.outer(width, width).flatten()).sum()
    z = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        drawn = model.dequantised(z).flatten(1)
    share = ((drawn >= 0) & (drawn <= 1)).all(1).double().mean()  # the rest lies in the margins that alpha leaves
    assert 0.5 < share <= 1
    assert float(inside) == pytest.approx(float(share), abs=5e-3)


def test_density_is_the_change_of_variables_by_autograd(transform: str) -> None:
    model = small((1, 3, 2), transform)
    images = torch.randint(0, 256, (4, 1, 3, 2), generator=torch.Generator().manual_seed(1)).double() / 255
    u = torch.rand(1, 3, 2, generator=torch.Generator().manual_seed(2)).double()
    for image in images:
        s = (255 * image + u) / 256

        def to_latent(s: Tensor) -> Tensor:
            return model.latent((256 * s - u).unsqueeze(0) / 255, u)[0]

        jacobian = torch.autograd.functional.jacobian(to_latent, s).reshape(6, 6)
        z = to_latent(s)
        expected = -0.5 * z.square().sum() - 3 * math.log(2 * math.pi) + torch.linalg.slogdet(jacobian).logabsdet
        found = model.log_density(s.unsqueeze(0))[0]
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
        nll = model.negative_log_likelihood(image.unsqueeze(0), u)[0]
        torch.testing.assert_close(nll, 6 * math.log(256) - expected, rtol=1e-9, atol=1e-9)


def test_maps_are_inverted_by_sampling(transform: str) -> None:
    model = small((1, 4, 3), transform)
    images = torch.randint(0, 256, (9, 1, 4, 3), generator=torch.Generator().manual_seed(1)).double() / 255
    u = torch.rand(9, 1, 4, 3, generator=torch.Generator().manual_seed(2)).double()
    z = model.latent(images, u)
    assert (z[1:] - z[:1]).abs().min() > 0
    torch.testing.assert_close(model.dequantised(z), (255 * images + u) / 256, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.sample(z), images, rtol=0, atol=1e-12)  # the grey levels come back exactly


def test_a_uniform_density_has_eight_bits_a_pixel() -> None:
    """y = logit(u) of a uniform u is logistic: with that for y in place of the flow, all images have 8 bits."""
    model = small((1, 2, 2), "coupling", alpha=1e-9)
    logistic = torch.distributions.TransformedDistribution(
        torch.distributions.Uniform(torch.zeros(4).double(), torch.ones(4).double()),
        [torch.distributions.SigmoidTransform().inv],
    )
    model.flow.forward = lambda: torch.distributions.Independent(logistic, 1)
    images = torch.randint(0, 256, (5, 1, 2, 2)).double() / 255
    nll = model.negative_log_likelihood(images, torch.full((1, 2, 2), 0.5).double())
    torch.testing.assert_close(model.bits_per_dim(nll), torch.full((5,), 8.0).double(), rtol=1e-6, atol=1e-6)


def test_typicality_is_the_distance_from_the_training_mean(digits: ImageData) -> None:
    fleet = Fleet([build("flow", 3)])
    rows = (digits.train_labels == 0).nonzero().flatten()
    (training,) = train(fleet, digits.train_images, [rows], [1], [2], Settings(15, 32, len(rows)))
    (found,) = assess(fleet, digits.test_images, [torch.arange(100)], [0], 50)
    model = fleet.model
    model.load_state_dict(fleet.state(0))
    mean = model.mean_training_nll()
    epochs = torch.tensor([row["train/loss"] for row in training.history])
    weights = (1 - model.MOMENTUM) ** (training.steps / len(epochs) * torch.arange(len(epochs)).flip(0))
    assert float(mean) == pytest.approx(float((weights * epochs).sum() / weights.sum()), rel=0.03)
    scores = found["scores"]
    torch.testing.assert_close(scores["typicality"], (scores["negative_log_likelihood"] - mean).abs())
    torch.testing.assert_close(found["bits_per_dim"], scores["negative_log_likelihood"] / (784 * math.log(2)))


def test_running_mean_of_the_first_update_is_unbiased(digits: ImageData) -> None:
    model = build("flow").train()
    images = to_pixels(digits.train_images[:16])
    value, _ = model.loss("likelihood", images, {"dequantisation": torch.rand(16, 1, 28, 28)})
    torch.testing.assert_close(model.mean_training_nll(), value.detach(), rtol=1e-5, atol=1e-2)
