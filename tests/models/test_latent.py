"""Aggregated posterior against the prior, and active units, on closed forms in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from benchmark.data.images import ImageData
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from benchmark.models.parts.latent import active_units, kl_to_standard_normal, mmd_to_gaussians, moment_matched_kl
from tests.tiny_models import build


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_mmd_of_two_codes_by_hand() -> None:
    """In one dimension with the prior N(0, 1): k(x, y) = exp(-(x - y)^2 / 2)."""
    codes = torch.tensor([[0.5], [-1.0]], dtype=torch.float64)
    between = sum(math.sqrt(1 / 2) * math.exp(-(x**2) / 4) for x in (0.5, -1.0)) / 2
    expected = math.exp(-(1.5**2) / 2) - 2 * between + math.sqrt(1 / 3)
    assert float(mmd_to_gaussians(codes, torch.zeros(1, 1).double())) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("components", [1, 3])
def test_mmd_is_what_draws_of_the_prior_say(components: int) -> None:
    """The closed form against 4,000 draws: unbiased two-sample MMD^2 of the same kernel."""
    means = 2 * normal(components, 4, seed=5)
    codes = 0.5 + 0.7 * normal(300, 4, seed=1)
    drawn = normal(4002, 4, seed=2) + means.repeat(4002 // components, 1)
    k = lambda x, y: (-torch.cdist(x, y).square() / 8).exp()  # noqa: E731
    off = lambda m: (m.sum() - m.diagonal().sum()) / (len(m) * (len(m) - 1))  # noqa: E731
    expected = off(k(codes, codes)) - 2 * k(codes, drawn).mean() + off(k(drawn, drawn))
    assert float(mmd_to_gaussians(codes, means)) == pytest.approx(float(expected), abs=4e-3)
    assert float(expected) > 0.02  # far above that tolerance


def test_mmd_has_no_bias() -> None:
    """Codes drawn from the prior: the mean over many small sets is 0, within four standard errors."""
    found = torch.stack([mmd_to_gaussians(normal(8, 3, seed=s), torch.zeros(1, 3).double()) for s in range(2000)])
    error = float(found.std()) / math.sqrt(len(found))
    assert abs(float(found.mean())) < 4 * error
    assert error < 0.003  # the biased estimate would be off by about 0.1


def test_moment_matched_kl_against_torch_distributions() -> None:
    means, variances = 1.5 * normal(50, 3) + 1, normal(50, 3, seed=1).square()
    covariance = torch.cov(means.T) + variances.mean(0).diag()
    expected = kl_divergence(
        MultivariateNormal(means.mean(0), covariance),
        MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double()),
    )
    assert float(moment_matched_kl(means, variances)) == pytest.approx(float(expected), rel=1e-5)


def test_moment_matched_kl_of_draws_of_the_prior() -> None:
    found = [float(moment_matched_kl(normal(256, 16, seed=s), torch.zeros(256, 16).double())) for s in range(50)]
    assert sum(found) / 50 == pytest.approx(16 * 19 / 1024, rel=0.1)  # D (D + 3) / (4 N), as the glossary says


def test_a_collapsed_code_is_far_from_the_prior_and_inactive() -> None:
    collapsed = torch.ones(100, 4).double()
    assert 10 < float(moment_matched_kl(collapsed, torch.zeros_like(collapsed))) < 100
    assert int(active_units(collapsed)) == 0
    varied = normal(1000, 4) * torch.tensor([1.0, 0.3, 0.12, 0.09]).double()
    assert int(active_units(varied)) == 3  # variances 1, 0.09, 0.0144 and 0.0081


@pytest.mark.parametrize(("name", "changes"), [("vae", {}), ("aae", {}), ("aae", {"prior": "mixture"})])
def test_models_record_them(name: str, changes: dict[str, str], digits: ImageData) -> None:
    fleet = Fleet([build(name, 3, **changes)])
    index = (digits.train_labels == 0).nonzero().flatten()
    train(fleet, digits.train_images, [Member(index, 1, 2)], Settings(10, 32, len(index)))
    fleet.model.load_state_dict(fleet.state(0))
    model, images = fleet.model.eval(), to_pixels(digits.train_images[index])
    noise = {key: spec.draw(len(images), generator=torch.Generator()) for key, spec in model.diagnostic_noise.items()}
    with torch.no_grad():
        found = model.diagnostics(images, noise)
        codes = model.assess(images, {"eps": torch.zeros(1, 4)})["code"]
    assert ("latent/prior_kl" in found) == (changes == {})
    assert int(found["latent/active_units"]) == int((codes.var(0) > 0.01).sum())
    assert float(found["latent/prior_mmd2"]) > 0.001


def test_a_strong_beta_switches_units_off(digits: ImageData) -> None:
    """beta = 100: the posterior is the prior on every image, so the KL vanishes and so do the active units."""
    index = (digits.train_labels == 0).nonzero().flatten()
    found = []
    for beta in (0.01, 100.0):
        fleet = Fleet([build("vae", 3, beta=beta)])
        train(fleet, digits.train_images, [Member(index, 1, 2)], Settings(40, 32, len(index)))
        fleet.model.load_state_dict(fleet.state(0))
        with torch.no_grad():
            found.append(fleet.model.diagnostics(to_pixels(digits.train_images[index]), {"eps": torch.zeros(124, 4)}))
    assert int(found[0]["latent/active_units"]) == 4
    assert int(found[1]["latent/active_units"]) == 0
    assert found[1]["latent/prior_kl"] < 0.1 * found[0]["latent/prior_kl"]


def test_kl_to_standard_normal_is_the_closed_form() -> None:
    mean, log_variance = torch.randn(7, 5).double(), torch.randn(7, 5).double()
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected, rtol=1e-12, atol=1e-12)
    zero = torch.zeros(1, 5).double()
    assert kl_to_standard_normal(zero, zero).item() == 0
    assert kl_to_standard_normal(mean, log_variance).min() > 0


def test_kl_to_standard_normal_matches_a_monte_carlo_estimate() -> None:
    mean, log_variance = torch.tensor([[0.5, -1.0]]).double(), torch.tensor([[0.2, -0.7]]).double()
    diagonal = kl_to_standard_normal(mean, log_variance)
    eps = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(1)).double()
    z = mean + (0.5 * log_variance).exp() * eps
    ratio = Normal(mean, (0.5 * log_variance).exp()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    assert ratio.sum(1).mean().item() == pytest.approx(diagonal.item(), abs=0.01)
