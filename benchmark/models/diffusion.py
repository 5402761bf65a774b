"""Denoising diffusion: a network that takes noise out of normal images and puts it into others as if they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import cos, log, pi, prod, sqrt
from typing import Any, Literal

import torch
from torch import Tensor

from benchmark.models.base import RECONSTRUCTION_SCORES, Model, Noise, Phase, reconstruction_scores
from benchmark.models.choices import Schedule
from benchmark.models.networks import ImageShape
from benchmark.models.unet import UNet


class Diffusion(Model):
    """Denoising diffusion probabilistic model with a small U-Net e(x_t, t).

    x_0 = 2 image - 1; x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps, eps ~ N(0, I), t = 1..T. a_t falls from almost 1 to
    almost 0: the product of 1 - beta_i, with beta ``linear`` from 0.1 / T to 20 / T (Ho et al. for T = 1000), or
    ``cosine`` (Nichol & Dhariwal). Objective: min E |eps - e(x_t, t)|^2, mean over pixels, t uniform in 1..T. The
    network's guess of the image is x' = (x_t - sqrt(1 - a_t) e) / sqrt(a_t), clipped to [-1, 1].

    Scores: the four distances of ``reconstruction_scores`` from the image that is left when x is given noise up to step
    ``noise_level`` * T and freed of it in ``denoise_steps`` deterministic steps (Song et al.; Wyatt et al.), the mean
    over ``noise_draws`` draws of that noise.
    ``variational_bound``, -log P(x) is at most this, in nats, for the Markov chain through ``bound_steps`` + 1 of the
    T steps, 1 and T among them: KL(q(x_T|x) || N(0, I)) + sum KL(q(x_s|x_t, x) || p(x_s|x_t)) - log p(x|x_1), where
    p(x_s|x_t) is q(x_s|x_t, x') and p(x|x_1) a Gaussian of variance beta_1 around x', discretised (Ho et al., equation
    13). ``noise_error``, the mean over its steps of |eps - e|^2, summed over pixels. All noise is drawn once, the same
    for every image.

    References
    ----------
    Ho, Jain & Abbeel 2020, Denoising Diffusion Probabilistic Models, arXiv:2006.11239 (sections 2, 3).
    Nichol & Dhariwal 2021, Improved Denoising Diffusion Probabilistic Models, arXiv:2102.09672 (sections 3.2, 4).
    Song, Meng & Ermon 2021, Denoising Diffusion Implicit Models, arXiv:2010.02502 (equation 12 with sigma = 0).
    Wyatt et al. 2022, AnoDDPM: Anomaly Detection with Denoising Diffusion Probabilistic Models using Simplex Noise,
    CVPR Workshops.

    Differences from the papers
    ---------------------------
    1. A U-Net of two resolutions without attention or dropout; no moving average of the weights, a learning rate that
       falls to 0 instead.
    2. The bound is that of a chain through few steps, evenly spaced in log(a / (1 - a)), with one draw of noise for
       each: looser than that of all T.
    3. Gaussian instead of simplex noise; denoising in one or few deterministic steps instead of all of them at random,
       and the mean of several such images instead of one.
    """

    score_names = (*RECONSTRUCTION_SCORES, "variational_bound", "noise_error")
    learnt = "noise_error"

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "reconstruction_bernoulli",
        channels: Sequence[int] = (24, 48),
        blocks: int = 1,
        timesteps: int = 1000,
        noise_schedule: Literal["linear", "cosine"] = "linear",
        noise_level: float = 0.5,
        denoise_steps: int = 1,
        noise_draws: int = 8,
        bound_steps: int = 12,
        sample_steps: int = 50,
        epochs: int = 10,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        if not 0 < noise_level <= 1:
            raise ValueError(f"noise_level must be above 0 and at most 1, got {noise_level}")
        if noise_draws < 1:
            raise ValueError(f"noise_draws must be at least 1, got {noise_draws}")
        for name, steps in (("bound", bound_steps), ("denoise", denoise_steps), ("sample", sample_steps)):
            if not 1 <= steps < timesteps:
                raise ValueError(f"{name}_steps must be from 1 to timesteps - 1 = {timesteps - 1}, got {steps}")
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.timesteps, self.dimensions = timesteps, prod(image_shape)
        self.denoiser = UNet(image_shape, channels, blocks)
        log_a = log_alpha_bar(noise_schedule, timesteps)
        self.register_buffer("log_a", log_a.float())  # log a_t for t = 0..T
        self.bound_chain = evenly_in_log_snr(log_a, bound_steps)
        self.denoise_chain = evenly(round(noise_level * timesteps), denoise_steps)
        self.sample_chain = evenly(timesteps, sample_steps)
        self.phases = (
            Phase(
                "noise",
                ("denoiser",),
                learning_rate,
                weight_decay=weight_decay,
                noise={"t": Noise((), "uniform"), "eps": Noise(image_shape)},
            ),
        )
        self.score_noise = {
            "bound": Noise((len(self.bound_chain), *image_shape)),
            "partial": Noise((noise_draws, *image_shape)),
        }
        self.sample_shape = (len(self.sample_chain), *image_shape)

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        t = (noise["t"] * self.timesteps).long().clamp(max=self.timesteps - 1) + 1  # (B,)
        noisy = self.noised(2 * images - 1, t, noise["eps"])
        value = (noise["eps"] - self.predict_noise(noisy, t)).square().mean()
        return value, {"loss": value}

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        x = 2 * images - 1
        bound, error = self.variational_bound(x, noise["bound"])  # (B,) twice
        start = self.times(self.denoise_chain[0], x)
        found = [self.denoise(self.noised(x, start, eps)) for eps in noise["partial"]]
        reconstruction = (torch.stack(found).mean(0) + 1) / 2
        scores = reconstruction_scores(images, reconstruction)
        scores |= {"variational_bound": bound, "noise_error": error}
        return {
            "scores": scores,
            "reconstruction": reconstruction,
            "bits_per_dim": bound / (self.dimensions * log(2)),
        }

    def noised(self, x: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t of x_0 (B, C, H, W) at steps t (B,)."""
        return self.signal(t) * x + self.spread(t) * eps

    def signal(self, t: Tensor) -> Tensor:
        """sqrt(a_t), (B, 1, 1, 1)."""
        return (0.5 * self.log_a[t]).exp()[:, None, None, None]

    def spread(self, t: Tensor) -> Tensor:
        """sqrt(1 - a_t), (B, 1, 1, 1)."""
        return (-torch.expm1(self.log_a[t])).sqrt()[:, None, None, None]

    def times(self, t: int, x: Tensor) -> Tensor:
        """Step t for each of the images: int64 (B,)."""
        return torch.full((len(x),), t, device=x.device)

    def predict_noise(self, noisy: Tensor, t: Tensor) -> Tensor:
        """The network's estimate of eps in x_t, (B, C, H, W)."""
        return self.denoiser(noisy, t.to(noisy.dtype) / self.timesteps).to(noisy.dtype)

    def clean(self, noisy: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x', the clipped image that is left of x_t without the noise eps: (B, C, H, W)."""
        return ((noisy - self.spread(t) * eps) / self.signal(t)).clamp(-1, 1)

    def denoise(self, noisy: Tensor) -> Tensor:
        """From x_t at the first step of ``denoise_chain`` to step 0: x_s = sqrt(a_s) x' + sqrt(1 - a_s) e'."""
        for t, s in zip(self.denoise_chain, [*self.denoise_chain[1:], 0], strict=True):
            now = self.times(t, noisy)
            guess = self.clean(noisy, now, self.predict_noise(noisy, now))
            eps = (noisy - self.signal(now) * guess) / self.spread(now)  # what is no part of x' is noise
            noisy = self.noised(guess, self.times(s, noisy), eps)
        return noisy

    def posterior(self, x: Tensor, noisy: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, C, H, W) and variance (B, 1, 1, 1) of q(x_s | x_t, x_0 = x) for s < t (Ho et al., eq. 6, 7)."""
        step = self.log_a[t] - self.log_a[s]  # log of a_t / a_s
        share = torch.expm1(self.log_a[s]) / torch.expm1(self.log_a[t])  # (1 - a_s) / (1 - a_t)
        of_x = (0.5 * self.log_a[s]).exp() * torch.expm1(step) / torch.expm1(self.log_a[t])
        of_noisy = (0.5 * step).exp() * share
        variance = -torch.expm1(step) * share
        mean = of_x[:, None, None, None] * x + of_noisy[:, None, None, None] * noisy
        return mean, variance[:, None, None, None]

    def variational_bound(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """The bound in nats and the mean error of the noise: x (B, C, H, W), eps (steps, C, H, W) -> (B,) twice."""
        last = self.times(self.timesteps, x)
        log_a = self.log_a[self.timesteps]
        constant = -log_a.exp() - torch.log(-torch.expm1(log_a))  # of one pixel's KL(q(x_T|x) || N(0, I))
        bound = 0.5 * ((self.signal(last) * x).square() + constant).flatten(1).sum(1)
        errors = []
        for i, (t, drawn) in enumerate(zip(self.bound_chain, eps, strict=True)):
            now = self.times(t, x)
            noisy = self.noised(x, now, drawn)
            found = self.predict_noise(noisy, now)
            guess = self.clean(noisy, now, found)
            errors.append((drawn - found).square().flatten(1).sum(1))
            if t == 1:
                bound = bound - self.log_probability(x, guess)
            else:
                before = self.times(self.bound_chain[i + 1], x)
                true, variance = self.posterior(x, noisy, now, before)
                ours, _ = self.posterior(guess, noisy, now, before)
                bound = bound + (0.5 * (true - ours).square() / variance).flatten(1).sum(1)
        return bound, torch.stack(errors).mean(0)

    def log_probability(self, x: Tensor, guess: Tensor) -> Tensor:
        """log p(x | x_1) of grey levels x in -1..1 under a Gaussian of variance beta_1 around ``guess``: (B,).

        A grey level has the mass of the 2 / 255 around it; black and white have the tails as well.
        """
        scale = (-torch.expm1(self.log_a[1])).sqrt()
        upper = ((x + 1 / 255 - guess) / scale).masked_fill(x > 0.999, torch.inf)
        lower = ((x - 1 / 255 - guess) / scale).masked_fill(x < -0.999, -torch.inf)
        flip = lower > 0  # in the upper tail the mass is taken from the other side, where it is no 1 - 1
        upper, lower = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)
        high, low = log_normal_below(upper), log_normal_below(lower)
        return (high + torch.log1p(-(low - high).exp().clamp(max=1 - 1e-7))).flatten(1).sum(1)

    def sample(self, noise: Tensor) -> Tensor:
        noisy = noise[:, 0]  # x_T
        for i, t in enumerate(self.sample_chain):
            now = self.times(t, noisy)
            guess = self.clean(noisy, now, self.predict_noise(noisy, now))
            if i + 1 == len(self.sample_chain):
                return (guess + 1) / 2
            mean, variance = self.posterior(guess, noisy, now, self.times(self.sample_chain[i + 1], noisy))
            noisy = mean + variance.sqrt() * noise[:, i + 1]
        raise AssertionError("a chain has at least one step")


def log_normal_below(x: Tensor) -> Tensor:
    """log P(Z <= x) of Z ~ N(0, 1), exact in the lower tail (torch's ``log_ndtr`` has no rule for ``vmap``)."""
    tail = x.clamp(max=0.0)
    below = torch.special.erfcx(-tail / sqrt(2)).log() - log(2) - 0.5 * tail.clamp(min=-1e18).square()
    return torch.where(x < 0, below, torch.special.ndtr(x).log())


def log_alpha_bar(schedule: str, timesteps: int) -> Tensor:
    """log a_t for t = 0..T in float64, with a_0 = 1.

    ``linear``: beta from 0.1 / T to 20 / T. ``cosine``: a_t = f(t) / f(0) with f(t) = cos^2((t / T + 0.008) / 1.008 *
    pi / 2), no beta above 0.999.
    """
    if schedule == "linear":
        beta = torch.linspace(0.1 / timesteps, min(20 / timesteps, 0.999), timesteps, dtype=torch.float64)
    else:
        f = [cos((t / timesteps + 0.008) / 1.008 * pi / 2) ** 2 for t in range(timesteps + 1)]
        beta = torch.tensor([min(1 - f[t] / f[t - 1], 0.999) for t in range(1, timesteps + 1)], dtype=torch.float64)
    return torch.cat([torch.zeros(1, dtype=torch.float64), torch.log1p(-beta).cumsum(0)])


def evenly(first: int, count: int) -> list[int]:
    """At most ``count`` steps from ``first`` down, evenly spaced, the next of which would be 0."""
    steps = [round(first * (count - i) / count) for i in range(count)]
    return sorted({step for step in steps if step > 0} or {1}, reverse=True)


def evenly_in_log_snr(log_a: Tensor, count: int) -> list[int]:
    """At most ``count`` + 1 steps from T down to 1, evenly spaced in log(a / (1 - a))."""
    log_snr = log_a[1:] - torch.log(-torch.expm1(log_a[1:]))  # of steps 1..T, falling
    wanted = torch.linspace(float(log_snr[-1]), float(log_snr[0]), count + 1, dtype=torch.float64)
    steps = (log_snr.unsqueeze(1) - wanted).abs().argmin(0) + 1
    return sorted({1, len(log_snr), *steps.tolist()}, reverse=True)
