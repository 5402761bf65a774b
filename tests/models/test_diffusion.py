"""Diffusion: the posterior against Bayes' rule, the bound against its definition and an entropy, an oracle."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from benchmark.models.diffusion import Diffusion, evenly
from benchmark.models.parts.pixel_mixture import PixelMixture

SHAPE = (1, 8, 8)


class Oracle(Diffusion):
    """Takes the image behind each noisy one for ``truth`` + ``error``, up to ``variance``."""

    truth: Tensor
    error = 0.0
    variance = 1e-8

    def __init__(self, *arguments: object, **keywords: object) -> None:
        super().__init__(*arguments, **keywords)  # type: ignore[arg-type]
        self.seen: list[tuple[int, Tensor]] = []

    def pixels(self, noisy: Tensor, t: Tensor) -> PixelMixture:
        self.seen.append((int(t[0]), noisy))
        centre = (self.truth + self.error).expand_as(noisy)
        never = torch.full_like(centre, -torch.inf)
        return PixelMixture(never, never, torch.zeros_like(centre), centre, torch.full_like(centre, self.variance))


class Coin(Diffusion):
    """Knows that each pixel is black with probability 0.8 and else white, and nothing more: the true denoiser then."""

    def pixels(self, noisy: Tensor, t: Tensor) -> PixelMixture:
        black = torch.full_like(noisy, math.log(0.8))
        white, never = torch.full_like(noisy, math.log(0.2)), torch.full_like(noisy, -torch.inf)
        mixture = PixelMixture(black, white, never, torch.zeros_like(noisy), torch.ones_like(noisy))
        return mixture.given(noisy, self.signal(t), self.spread(t))


def small(kind: type[Diffusion] = Diffusion, **changes: object) -> Diffusion:
    return kind(SHAPE, channels=[4, 8], **changes).double()  # type: ignore[arg-type]


def oracle(truth: Tensor, **changes: object) -> Oracle:
    """An oracle in float64 for images in -1..1."""
    model = small(Oracle, **changes)
    assert isinstance(model, Oracle)
    model.truth = truth
    return model


def grey(*leading: int) -> Tensor:
    """Images of 256 grey levels in -1..1, float64."""
    levels = torch.randint(0, 256, (*leading, *SHAPE), generator=torch.Generator().manual_seed(3))
    return 2 * levels.double() / 255 - 1


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4)).double()


def test_noise_rises_evenly_in_log_snr_and_the_variance_is_kept() -> None:
    model = small(timesteps=101)
    t = torch.arange(1, 102)
    signal, spread = model.signal(t).flatten(), model.spread(t).flatten()
    torch.testing.assert_close(signal**2 + spread**2, torch.ones(101).double())
    torch.testing.assert_close((signal / spread).log() * 2, 9.2 - 0.172 * (t - 1).double(), rtol=1e-6, atol=1e-6)
    start = torch.zeros(1, dtype=torch.int64)
    assert (float(model.signal(start)), float(model.spread(start))) == (1, 0)


@pytest.mark.parametrize(("t", "s"), [(1000, 999), (700, 200), (2, 1), (30, 29)])
def test_posterior_is_bayes_rule(t: int, s: int) -> None:
    """q(x_s | x_t, x_0) is proportional to q(x_t | x_s) q(x_s | x_0): precisions add, means are weighted by them."""
    model = small()
    x, noisy = grey(2), normal(2, *SHAPE)
    mean, variance = model.posterior(x, noisy, torch.tensor([t, t]), torch.tensor([s, s]))
    a_t, a_s = (float(model.log_snr[i].sigmoid()) for i in (t, s))
    ratio = a_t / a_s
    prior_variance, step_variance = 1 - a_s, 1 - ratio  # of x_s given x_0, of x_t given x_s
    precision = 1 / prior_variance + ratio / step_variance
    expected = (math.sqrt(a_s) * x / prior_variance + math.sqrt(ratio) * noisy / step_variance) / precision
    torch.testing.assert_close(variance, torch.full_like(variance, 1 / precision), rtol=1e-8, atol=0)
    torch.testing.assert_close(mean, expected, rtol=1e-7, atol=1e-9)


def test_with_the_true_pixels_the_image_comes_back() -> None:
    x = grey(3)
    model = oracle(x, denoise_steps=4, noise_level=0.25)
    t = torch.full((3,), model.denoise_chain[0])
    assert len(model.denoise_chain) == 4
    torch.testing.assert_close(model.denoise(model.noised(x, t, normal(*SHAPE))), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(model.sample(normal(3, *model.sample_shape)), (x + 1) / 2, rtol=0, atol=1e-12)
    model.error = 0.3
    assert (model.denoise(model.noised(x, t, normal(*SHAPE))) - x).abs().mean() > 0.01


def test_on_the_way_back_the_noise_stays_the_same() -> None:
    """Deterministic steps with the true pixels pass through the very x_t that the noise makes of the image."""
    x, eps = grey(3), normal(*SHAPE)
    model = oracle(x, denoise_steps=4)
    model.denoise(model.noised(x, torch.full((3,), model.denoise_chain[0]), eps))
    assert [t for t, _ in model.seen] == model.denoise_chain
    for t, noisy in model.seen:
        torch.testing.assert_close(noisy, model.noised(x, torch.full((3,), t), eps), rtol=0, atol=1e-10)


def test_reconstruction_is_the_mean_over_draws_of_noise() -> None:
    x = grey(3)
    model = small(noise_draws=2)  # untrained: what it makes depends on the noise
    noise = {
        "bound": normal(model.bound_steps + 1, *SHAPE),
        "offset": torch.tensor(0.5),
        "partial": normal(2, *SHAPE),
    }
    with torch.no_grad():
        found = model.assess((x + 1) / 2, noise)["reconstruction"]
    t = model.times(model.denoise_chain[0], x)
    each = [(model.denoise(model.noised(x, t, eps)) + 1) / 2 for eps in noise["partial"]]
    assert (each[0] - each[1]).abs().mean() > 1e-3
    torch.testing.assert_close(found, (each[0] + each[1]) / 2)


def test_without_draws_the_image_is_faded_only() -> None:
    x = grey(3)
    model = oracle(x, noise_draws=0)
    assert "partial" not in model.score_noise
    noise = {"bound": normal(model.bound_steps + 1, *SHAPE), "offset": torch.tensor([0.5])}
    model.assess((x + 1) / 2, noise)
    t, seen = model.seen[-1]
    assert t == model.denoise_chain[0] == 700
    torch.testing.assert_close(seen, model.signal(torch.full((3,), t)) * x)


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
    """Each term by torch.distributions, with the oracle's guess of the image; every step of a short chain visited."""
    x = 0.8 * grey(2)  # away from -1 and 1, where the guess would be clipped
    model = oracle(x, timesteps=7, bound_steps=6, sample_steps=6)
    model.error, model.variance = error, 0.01**2
    eps = normal(7, *SHAPE)
    bound, noise_error = model.variational_bound(x, eps, torch.tensor(0.3))
    assert [t for t, _ in model.seen] == [1, *range(2, 8)]
    first, last = torch.tensor([1, 1]), torch.tensor([7, 7])
    end = Normal(model.signal(last) * x, model.spread(last))
    expected = kl_divergence(end, Normal(torch.zeros_like(x), 1.0)).flatten(1).sum(1)
    snr = []
    for i in range(6):
        t = torch.tensor([i + 2, i + 2])
        noisy = model.noised(x, t, eps[i])
        parts = [model.posterior(image, noisy, t, t - 1) for image in (x, x + error)]
        terms = [Normal(mean, variance.sqrt()) for mean, variance in parts]
        expected = expected + kl_divergence(*terms).flatten(1).sum(1)
        snr.append(float(model.log_snr[i + 2].exp()))
    expected = expected - model.pixels(x, first).log_probability(x).flatten(1).sum(1)
    torch.testing.assert_close(bound, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        noise_error, torch.full((2,), 64 * error**2 * sum(snr) / 6).double(), rtol=1e-6, atol=1e-12
    )


def coin(count: int) -> Tensor:
    """Images (count, 1, 8, 8) of black and white pixels, -1 with probability 0.8."""
    return 1 - 2 * (torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(5)) < 0.8).double()


def test_with_the_true_denoiser_a_long_chain_comes_to_the_entropy_and_a_short_one_does_not() -> None:
    """-log P of independent black and white pixels is known; what is above it is the chain's."""
    x, found = coin(400), {}
    for steps in (5, 20, 400):
        model = small(Coin, timesteps=steps, bound_steps=steps - 1, sample_steps=1, noise_level=1.0)
        noise = torch.randn(steps, 400, *SHAPE, generator=torch.Generator().manual_seed(6)).double()
        found[steps] = float(model.variational_bound(x, noise, torch.tensor(0.5))[0].mean()) / 64  # own noise an image
    entropy = -float(Bernoulli(torch.tensor(0.8).double()).log_prob((x < 0).double()).mean())
    assert found[400] == pytest.approx(entropy, abs=0.02)
    assert found[20] > found[400] + 0.05
    assert found[5] > found[20] + 0.3


def test_few_steps_estimate_the_bound_of_the_whole_chain() -> None:
    """The mean over evenly spaced offsets is the whole chain's bound, whatever the number of steps visited."""
    model = small(timesteps=61, bound_steps=60, sample_steps=1, noise_level=1.0)
    x, eps = grey(2), normal(1, *SHAPE).expand(61, *SHAPE)
    with torch.no_grad():
        whole, _ = model.variational_bound(x, eps, torch.tensor(0.5))
        model.bound_steps = 5
        each = [model.variational_bound(x, eps[:6], torch.tensor((i + 0.5) / 12))[0] for i in range(12)]
    assert float((each[0] - each[6]).abs().max()) > 1
    torch.testing.assert_close(torch.stack(each).mean(0), whole)


def test_every_step_is_visited_equally_often() -> None:
    model = small(timesteps=12, bound_steps=3, sample_steps=1, noise_level=1.0)
    assert model.spaced(torch.tensor(0.0), 11).tolist() == list(range(2, 13))
    visits = torch.stack([model.spaced(torch.tensor((i + 0.5) / 1100), 4) for i in range(1100)])  # 4 divides no 11
    assert torch.bincount(visits.flatten())[2:].tolist() == [400] * 11


def test_the_loss_is_the_bound() -> None:
    """Its mean over noise, in bits a dimension, is that of the bound of the scores, before any clipping."""
    model = small(Coin, timesteps=50, bound_steps=49, sample_steps=1, noise_level=1.0)
    x = coin(400)
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(50, 400, *SHAPE, generator=generator).double()
    bound = float(model.variational_bound(x, noise, torch.tensor(0.5))[0].mean()) / (64 * math.log(2))
    losses = []
    for _ in range(40):
        drawn = {
            "t": torch.rand(400, generator=generator),
            "eps": torch.randn(400, *SHAPE, generator=generator).double(),
        }
        order = torch.randperm(400, generator=generator)  # a batch's first images get little noise, its last ones much
        losses.append(float(model.loss("noise", (x[order] + 1) / 2, drawn)[0]))
    assert sum(losses) / 40 == pytest.approx(bound, rel=0.02)


def test_chains() -> None:
    assert evenly(250, 4) == [250, 188, 125, 62]
    assert evenly(2, 4) == [2, 1]


def test_what_cannot_be_is_refused() -> None:
    for changes, why in (
        ({"bound_steps": 1000}, "bound_steps must be from 1 to timesteps - 1 = 999, got 1000"),
        ({"channels": [8]}, "two widths"),
    ):
        with pytest.raises(ValueError, match=why):
            Diffusion(SHAPE, **changes)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"that 4 divides, got 27 x 28; type dataset\.image_size=28"):
        Diffusion((1, 27, 28))
