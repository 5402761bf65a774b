"""What a pixel may be: Bayes' rule by quadrature, grey levels that share all the mass, SciPy's tails."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from benchmark.models.parts.pixel_mixture import PixelMixture, log_normal_below


def pixel(black: float, white: float, centre: float, log_variance: float) -> PixelMixture:
    """The mixture of one pixel, from the numbers of a network."""
    return PixelMixture.of(torch.tensor([black, white, centre, log_variance]).double().view(1, 4, 1, 1))


def one(value: float) -> Tensor:
    return torch.tensor(value).double().view(1, 1, 1, 1)


@pytest.mark.parametrize(("noisy", "signal"), [(-0.7, 0.9), (0.2, 0.3), (1.3, 0.99), (-2.0, 0.5)])
def test_after_a_look_it_is_bayes_rule(noisy: float, signal: float) -> None:
    """Weights and mean by sums over a fine grid of greys, and the two ends."""
    before, spread = pixel(0.7, -0.4, 0.3, -2.0), math.sqrt(1 - signal**2)
    after = before.given(one(noisy), one(signal), one(spread))
    greys, step = np.linspace(-6, 6, 200_001, retstep=True)
    total = math.exp(0.7) + math.exp(-0.4) + 1
    density = norm.pdf(greys, math.tanh(0.3), math.exp(-1.0)) * norm.pdf(noisy, signal * greys, spread) * step / total
    ends = [math.exp(logit) / total * norm.pdf(noisy, signal * x, spread) for logit, x in ((0.7, -1), (-0.4, 1))]
    mass = density.sum() + sum(ends)
    assert float(after.log_black.exp()) == pytest.approx(ends[0] / mass, rel=1e-6)
    assert float(after.log_white.exp()) == pytest.approx(ends[1] / mass, rel=1e-6)
    assert float(after.log_grey.exp()) == pytest.approx(density.sum() / mass, rel=1e-6)
    centre = (density * greys).sum() / density.sum()
    assert float(after.centre) == pytest.approx(centre, abs=1e-6)
    assert float(after.variance) == pytest.approx((density * (greys - centre) ** 2).sum() / density.sum(), rel=1e-6)
    assert float(after.mean()) == pytest.approx(((density * greys).sum() - ends[0] + ends[1]) / mass, abs=1e-6)


@pytest.mark.parametrize("centre", [-8.0, 0.01, 3.0])
@pytest.mark.parametrize("log_variance", [-10.0, -3.0, 1.0])
def test_grey_levels_share_all_the_mass(centre: float, log_variance: float) -> None:
    mixture = pixel(0.2, -1.0, centre, log_variance)
    found = mixture.log_probability((2 * torch.arange(256).double() / 255 - 1).view(-1, 1, 1, 1)).exp()
    assert float(found.sum()) == pytest.approx(1, abs=1e-5)


def test_a_grey_level_has_scipys_mass() -> None:
    mixture = pixel(-1.0, -1.0, 0.1, -9.0)
    level = 2 * 160 / 255 - 1
    scale, centre = math.exp(-4.5), math.tanh(0.1)
    upper, lower = ((level + d / 255 - centre) / scale for d in (1, -1))
    mass = norm.logsf(lower) + math.log1p(-math.exp(norm.logsf(upper) - norm.logsf(lower)))
    assert float(mixture.log_probability(one(level))) == pytest.approx(mass - math.log(1 + 2 / math.e), rel=1e-6)


def test_black_and_white_have_their_own_mass_and_the_tails() -> None:
    mixture = pixel(0.5, -0.5, 0.0, 0.0)
    total = 1 + math.exp(0.5) + math.exp(-0.5)
    tail = norm.cdf(-1 + 1 / 255)
    assert float(mixture.log_probability(one(-1.0)).exp()) == pytest.approx((math.exp(0.5) + tail) / total)
    assert float(mixture.log_probability(one(1.0)).exp()) == pytest.approx((math.exp(-0.5) + tail) / total)


def test_gradients_are_finite_for_black_white_and_far_greys() -> None:
    numbers = torch.tensor([0.0, 0.0, -9.0, -11.0]).view(1, 4, 1, 1).expand(3, 4, 1, 1).clone().requires_grad_()
    x = torch.tensor([-1.0, 0.9, 1.0]).view(3, 1, 1, 1)
    loss = PixelMixture.of(numbers).given(x, one(1.0).float(), one(0.01).float()).log_probability(x).sum()
    loss.backward()
    assert numbers.grad is not None
    assert torch.isfinite(numbers.grad).all()


def test_log_of_the_normal_distribution_is_scipys() -> None:
    x = torch.tensor([-math.inf, -200.0, -30.0, -5.0, -1.0, -1e-9, 0.0, 0.5, 6.0, math.inf]).double()
    torch.testing.assert_close(log_normal_below(x), torch.from_numpy(norm.logcdf(x.numpy())), rtol=1e-12, atol=1e-15)
