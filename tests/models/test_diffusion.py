"""Diffusion: the posterior against Bayes' rule, the bound against its definition, an oracle, the schedules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from benchmark.models.diffusion import Diffusion, evenly, evenly_in_log_snr, log_alpha_bar, log_normal_below

SHAPE = (1, 8, 8)


class Oracle(Diffusion):
    """Knows the image behind each noisy one, up to ``error`` in the noise."""

    truth: Tensor
    error = 0.0

    def __init__(self, *arguments: object, **keywords: object) -> None:
        super().__init__(*arguments, **keywords)  # type: ignore[arg-type]
        self.seen: list[tuple[int, Tensor]] = []

    def predict_noise(self, noisy: Tensor, t: Tensor) -> Tensor:
        self.seen.append((int(t[0]), noisy))
        return (noisy - self.signal(t) * self.truth) / self.spread(t) + self.error


def oracle(truth: Tensor, **changes: object) -> Oracle:
    """An oracle in float64 for images in -1..1."""
    model = Oracle(SHAPE, channels=[4, 8], **changes).double()  # type: ignore[arg-type]
    model.truth = truth
    return model


def grey(*leading: int) -> Tensor:
    """Images of 256 grey levels in -1..1, float64."""
    levels = torch.randint(0, 256, (*leading, *SHAPE), generator=torch.Generator().manual_seed(3))
    return 2 * levels.double() / 255 - 1


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4)).double()


def test_schedules_are_the_papers() -> None:
    beta = np.linspace(1e-4, 0.02, 1000)
    found = log_alpha_bar("linear", 1000)
    np.testing.assert_allclose(found[1:].exp(), np.cumprod(1 - beta), rtol=1e-12)
    assert found[0] == 0
    cosine = log_alpha_bar("cosine", 1000).exp().numpy()
    expected = np.cos((np.arange(1000) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2  # without the last, whose beta is cut
    np.testing.assert_allclose(cosine[:1000], expected / expected[0], rtol=1e-9)
    assert cosine[1000] / cosine[999] == pytest.approx(0.001)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_noise_in_many_steps_is_noise_in_one(schedule: str) -> None:
    """Mean and variance of x_t by the chain's own steps, x_t = sqrt(1 - beta) x + sqrt(beta) noise, to t = 600."""
    model = Diffusion(SHAPE, channels=[4, 8], noise_schedule=schedule).double()  # type: ignore[arg-type]
    log_a = log_alpha_bar(schedule, 1000)
    mean, variance = 1.0, 0.0
    for step in log_a.diff()[:600].exp():
        mean, variance = mean * math.sqrt(step), variance * float(step) + 1 - float(step)
    t = torch.tensor([600])
    assert float(model.signal(t)) == pytest.approx(mean, rel=1e-5)
    assert float(model.spread(t)) == pytest.approx(math.sqrt(variance), rel=1e-5)


@pytest.mark.parametrize(("t", "s"), [(1000, 999), (700, 200), (2, 1), (30, 29)])
def test_posterior_is_bayes_rule(t: int, s: int) -> None:
    """q(x_s | x_t, x_0) is proportional to q(x_t | x_s) q(x_s | x_0): precisions add, means are weighted by them."""
    model = Diffusion(SHAPE, channels=[4, 8]).double()
    x, noisy = grey(2), normal(2, *SHAPE)
    mean, variance = model.posterior(x, noisy, torch.tensor([t, t]), torch.tensor([s, s]))
    a_t, a_s = (float(model.log_a[i].exp()) for i in (t, s))
    ratio = a_t / a_s
    prior_variance, step_variance = 1 - a_s, 1 - ratio  # of x_s given x_0, of x_t given x_s
    precision = 1 / prior_variance + ratio / step_variance
    expected = (math.sqrt(a_s) * x / prior_variance + math.sqrt(ratio) * noisy / step_variance) / precision
    torch.testing.assert_close(variance, torch.full_like(variance, 1 / precision), rtol=1e-8, atol=0)
    torch.testing.assert_close(mean, expected, rtol=1e-7, atol=1e-9)


def test_posterior_of_one_step_is_equation_7() -> None:
    model = Diffusion(SHAPE, channels=[4, 8]).double()
    a = model.log_a.exp()
    beta = 1 - a[500] / a[499]
    mean, variance = model.posterior(grey(1), normal(1, *SHAPE), torch.tensor([500]), torch.tensor([499]))
    of_x = a[499].sqrt() * beta / (1 - a[500])
    of_noisy = (1 - beta).sqrt() * (1 - a[499]) / (1 - a[500])
    torch.testing.assert_close(mean, of_x * grey(1) + of_noisy * normal(1, *SHAPE), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(variance.squeeze(), (1 - a[499]) / (1 - a[500]) * beta, rtol=1e-9, atol=0)


def test_with_the_true_noise_the_image_comes_back() -> None:
    x = grey(3)
    model = oracle(x, denoise_steps=4, noise_level=0.25)
    t = torch.full((3,), model.denoise_chain[0])
    assert len(model.denoise_chain) == 4
    torch.testing.assert_close(model.denoise(model.noised(x, t, normal(*SHAPE))), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(model.sample(normal(3, *model.sample_shape)), (x + 1) / 2, rtol=0, atol=1e-12)
    model.error = 0.3
    assert (model.denoise(model.noised(x, t, normal(*SHAPE))) - x).abs().mean() > 0.01


def test_on_the_way_back_the_noise_stays_the_same() -> None:
    """Deterministic steps with the true noise pass through the very x_t that the noise makes of the image."""
    x, eps = grey(3), normal(*SHAPE)
    model = oracle(x, denoise_steps=4)
    model.denoise(model.noised(x, torch.full((3,), model.denoise_chain[0]), eps))
    assert [t for t, _ in model.seen] == model.denoise_chain
    for t, noisy in model.seen:
        torch.testing.assert_close(noisy, model.noised(x, torch.full((3,), t), eps), rtol=0, atol=1e-10)


def test_reconstruction_is_the_mean_over_draws_of_noise() -> None:
    x = grey(3)
    model = Diffusion(SHAPE, channels=[4, 8], noise_draws=2).double()  # untrained: what it makes depends on the noise
    noise = {"bound": normal(len(model.bound_chain), *SHAPE), "partial": normal(2, *SHAPE)}
    with torch.no_grad():
        found = model.assess((x + 1) / 2, noise)["reconstruction"]
    t = model.times(model.denoise_chain[0], x)
    each = [(model.denoise(model.noised(x, t, eps)) + 1) / 2 for eps in noise["partial"]]
    assert (each[0] - each[1]).abs().mean() > 0.01
    torch.testing.assert_close(found, (each[0] + each[1]) / 2)


def test_sampling_has_the_noise_of_each_step() -> None:
    """With the oracle, x_t of a sample has mean sqrt(a_t) x_0 and variance 1 - a_t at every step of the chain."""
    x = grey(1)
    model = oracle(x, sample_steps=6)
    model.sample(normal(2000, *model.sample_shape))
    assert [t for t, _ in model.seen] == model.sample_chain
    for t, noisy in model.seen[1:]:
        rest = noisy - model.signal(torch.tensor([t])) * x
        spread = float(model.spread(torch.tensor([t])))
        remains = float(model.signal(torch.tensor([1000]))) * 2  # x_T starts from N(0, I), not around x_0
        assert float(rest.mean()) == pytest.approx(0, abs=0.01 + remains)
        assert float(rest.std()) == pytest.approx(spread, rel=0.01)


@pytest.mark.parametrize("error", [0.0, 0.05])
def test_bound_is_the_sum_of_its_divergences(error: float) -> None:
    """Each term by torch.distributions, with the oracle's guess of the image."""
    x = 0.8 * grey(2)  # away from -1 and 1, where the guess would be clipped
    model = oracle(x, bound_steps=5)
    model.error = error
    eps = normal(len(model.bound_chain), *SHAPE)
    bound, noise_error = model.variational_bound(x, eps)
    assert model.bound_chain[0] == 1000
    assert model.bound_chain[-1] == 1
    a = model.log_a.exp()
    end = Normal(a[1000].sqrt() * x, (1 - a[1000]).sqrt())
    expected = kl_divergence(end, Normal(torch.zeros_like(x), 1.0)).flatten(1).sum(1)
    guess = x
    for i, (t, s) in enumerate(zip(model.bound_chain, model.bound_chain[1:], strict=False)):
        noisy = a[t].sqrt() * x + (1 - a[t]).sqrt() * eps[i]
        guess = (x - (1 - a[t]).sqrt() / a[t].sqrt() * error).clamp(-1, 1)
        times = torch.full((2,), t), torch.full((2,), s)
        parts = [model.posterior(image, noisy, *times) for image in (x, guess)]
        terms = [Normal(mean, variance.sqrt()) for mean, variance in parts]
        expected = expected + kl_divergence(*terms).flatten(1).sum(1)
    guess = x - (1 - a[1]).sqrt() / a[1].sqrt() * error
    expected = expected - model.log_probability(x, guess)
    torch.testing.assert_close(bound, expected, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(noise_error, torch.full((2,), 64 * error**2).double(), rtol=1e-6, atol=1e-12)


def test_grey_levels_share_the_mass_of_the_gaussian() -> None:
    """The probabilities of all 256 grey levels of a pixel sum to 1, and one is SciPy's difference of tails."""
    model = Diffusion(SHAPE, channels=[4, 8]).double()
    levels = (2 * torch.arange(256).double() / 255 - 1).view(-1, 1, 1, 1)
    for centre in (-1.0, 0.013, 0.995):
        found = model.log_probability(levels, torch.full_like(levels, centre)).exp()
        assert float(found.sum()) == pytest.approx(1, abs=1e-5)
    scale = math.sqrt(-math.expm1(float(model.log_a[1])))
    upper, lower = ((float(levels[140, 0, 0, 0]) + d / 255 - 0.05) / scale for d in (1, -1))
    expected = norm.logsf(lower) + math.log1p(-math.exp(norm.logsf(upper) - norm.logsf(lower)))
    found = model.log_probability(levels[140:141], torch.full((1, 1, 1, 1), 0.05).double())
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_log_of_the_normal_distribution_is_scipys() -> None:
    x = torch.tensor([-math.inf, -200.0, -30.0, -5.0, -1.0, -1e-9, 0.0, 0.5, 6.0, math.inf]).double()
    torch.testing.assert_close(log_normal_below(x), torch.from_numpy(norm.logcdf(x.numpy())), rtol=1e-12, atol=1e-15)


def test_chains() -> None:
    assert evenly(250, 4) == [250, 188, 125, 62]
    assert evenly(2, 4) == [2, 1]
    log_a = log_alpha_bar("linear", 1000)
    chain = evenly_in_log_snr(log_a, 6)
    snr = (log_a - torch.log(-torch.expm1(log_a)))[chain]
    assert (chain[0], chain[-1], len(chain)) == (1000, 1, 7)
    torch.testing.assert_close(snr.diff(), torch.full((6,), float(snr[-1] - snr[0]) / 6).double(), rtol=0.25, atol=0)


def test_what_cannot_be_is_refused() -> None:
    for changes, why in (
        ({"noise_level": 0.0}, "noise_level must be above 0"),
        ({"bound_steps": 0}, "bound_steps must be from 1 to timesteps - 1 = 999, got 0"),
        ({"channels": [8]}, "two widths"),
    ):
        with pytest.raises(ValueError, match=why):
            Diffusion(SHAPE, **changes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"that 4 divides, got 27 x 28; type dataset\.image_size=28"):
        Diffusion((1, 27, 28))
