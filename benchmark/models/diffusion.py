"""Denoising diffusion: a network that takes noise out of normal images and puts it into others as if they were."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, prod
from typing import Any

import torch
from torch import Tensor

from benchmark.models.base import RECONSTRUCTION_SCORES, Model, Noise, Phase, reconstruction_scores
from benchmark.models.keywords import (
    Count,
    CountOrNone,
    NotNegative,
    Positive,
    Schedule,
    ShareAbove0,
    TwoOrMore,
    Widths,
)
from benchmark.models.parts.networks import ImageShape
from benchmark.models.parts.pixel_mixture import PARTS, PixelMixture
from benchmark.models.parts.unet import UNet

LOG_SNR = 9.2, -8.0  # log(a / (1 - a)) of step 1 (noise of 1.3 grey levels) and of step T
LAST = 8  # every so many images of a batch are also decoded from step 1 in training


class Diffusion(Model):
    """Denoising diffusion whose network says what each pixel may be: black, white or some grey.

    x_0 = 2 image - 1; x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps, eps ~ N(0, I), t = 1..T, log(a_t / (1 - a_t)) evenly
    spaced from 9.2 to -8; SNR = a / (1 - a). A small U-Net of (x_t, t) gives each pixel a ``PixelMixture``, Bayes' rule
    brings in the pixel's own noisy value, and x' is the mean of that.
    Objective: the bound below, with one step of 2..T an image, spread evenly over the batch, and the last term of
    every eighth image.

    Scores: the four distances of ``reconstruction_scores`` from the image that is left when x is faded, as at step t =
    ``noise_level`` * T, to sqrt(a_t) x and brought back in ``denoise_steps`` deterministic steps (Song et al.). With
    ``noise_draws`` above 0 it is given noise too (Wyatt et al.), and the image is the mean over so many draws.
    ``variational_bound``, -log P(x) is at most this, in nats, for the Markov chain of all T steps:
    KL(q(x_T|x) || N(0, I)) + sum KL(q(x_{t-1}|x_t, x) || p(x_{t-1}|x_t)) - log p(x|x_1), where p(x_{t-1}|x_t) is
    q(x_{t-1}|x_t, x') and p(x|x_1) the pixels' mixtures, discretised. A term of the sum is
    (SNR(t-1) - SNR(t)) |x - x'|^2 / 2; the sum is estimated, without bias, from ``bound_steps`` of its terms, evenly
    spaced, with one draw of noise each. ``noise_error``, the mean over them of SNR(t) |x - x'|^2, which is |eps - e|^2
    of the noise e in x_t that x' leaves. All noise is drawn once, the same for every image.

    References
    ----------
    Ho, Jain & Abbeel 2020, Denoising Diffusion Probabilistic Models, arXiv:2006.11239 (sections 2, 3).
    Kingma, Salimans, Poole & Ho 2021, Variational Diffusion Models, arXiv:2107.00630 (bound, spread of the steps).
    Song, Meng & Ermon 2021, Denoising Diffusion Implicit Models, arXiv:2010.02502 (equation 12 with sigma = 0).
    Wyatt et al. 2022, AnoDDPM: Anomaly Detection with Denoising Diffusion Probabilistic Models using Simplex Noise,
    CVPR Workshops.

    Differences from the papers
    ---------------------------
    1. The network describes each pixel by a mixture instead of guessing the noise: most pixels of these images are
       exactly black, and no noise estimate finds that out exactly. p(x|x_1) is that mixture too, and no Gaussian.
    2. A U-Net of two resolutions without attention or dropout; no moving average of the weights, a learning rate that
       falls to 0 instead. The noise schedule is fixed and not learnt.
    3. For its scores an image is faded without noise (as shipped): the same noise on every image puts the same wrong
       strokes into all of them. Else Gaussian instead of simplex noise. Either way one or few deterministic steps back
       instead of all of them at random.
    """

    score_names = (*RECONSTRUCTION_SCORES, "variational_bound", "noise_error")
    learnt = "variational_bound"

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "reconstruction_bernoulli",
        channels: Widths = (24, 48),
        blocks: Count = 1,
        timesteps: TwoOrMore = 1000,
        noise_level: ShareAbove0 = 0.7,
        denoise_steps: Count = 1,
        noise_draws: CountOrNone = 0,
        bound_steps: Count = 20,
        sample_steps: Count = 50,
        epochs: Count = 25,
        batch_size: Count = 32,
        learning_rate: Positive = 2e-3,
        weight_decay: NotNegative = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        for name, steps in (("bound", bound_steps), ("denoise", denoise_steps), ("sample", sample_steps)):
            if steps >= timesteps:
                raise ValueError(f"{name}_steps must be from 1 to timesteps - 1 = {timesteps - 1}, got {steps}")
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.timesteps, self.bound_steps, self.dimensions = timesteps, bound_steps, prod(image_shape)
        self.denoiser = UNet(image_shape, channels, blocks, PARTS * image_shape[0])
        snr = torch.linspace(*LOG_SNR, timesteps, dtype=torch.float64)
        self.register_buffer("log_snr", torch.cat([torch.full((1,), torch.inf), snr]).float())  # of t = 0..T
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
            "bound": Noise((bound_steps + 1, *image_shape)),
            "offset": Noise((1,), "uniform"),
            **({"partial": Noise((noise_draws, *image_shape))} if noise_draws else {}),
        }
        self.sample_shape = (len(self.sample_chain), *image_shape)

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        x, eps = 2 * images - 1, noise["eps"]
        count, last = len(x), -(-len(x) // LAST)  # images; those that are decoded from step 1 as well
        t = torch.cat([self.spaced(noise["t"][0], count), self.times(1, x[:last])])
        noisy = self.noised(torch.cat([x, x[:last]]), t, torch.cat([eps, eps[:last]]))
        pixels = self.pixels(noisy, t)
        error = (x - pixels.mean()[:count]).square().flatten(1).sum(1)
        divergences = (self.timesteps - 1) * self.gain(t[:count]) * error
        decoded = pixels.rows(count).log_probability(x[:last]).flatten(1).sum(1)
        bits = (divergences.mean() - decoded.mean()) / (self.dimensions * log(2))
        return bits, {"loss": bits}

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        x = 2 * images - 1
        bound, error = self.variational_bound(x, noise["bound"], noise["offset"])  # (B,) twice
        start = self.times(self.denoise_chain[0], x)
        found = [self.denoise(self.noised(x, start, eps)) for eps in noise.get("partial", torch.zeros_like(x[:1]))]
        reconstruction = (torch.stack(found).mean(0) + 1) / 2
        scores = reconstruction_scores(images, reconstruction)
        scores |= {"variational_bound": bound, "noise_error": error}
        return {
            "scores": scores,
            "reconstruction": reconstruction,
            "bits_per_dim": bound / (self.dimensions * log(2)),
        }

    def spaced(self, offset: Tensor, count: int) -> Tensor:
        """``count`` of the steps 2..T, evenly spaced from a start that ``offset`` in 0..1 moves: int64 (count,).

        With a uniform ``offset`` each step is among them equally often.
        """
        place = (torch.arange(count, device=offset.device) + offset) / count  # in 0..1
        return (place * (self.timesteps - 1)).long().clamp(max=self.timesteps - 2) + 2

    def noised(self, x: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t of x_0 (B, C, H, W) at steps t (B,)."""
        return self.signal(t) * x + self.spread(t) * eps

    def signal(self, t: Tensor) -> Tensor:
        """sqrt(a_t), (B, 1, 1, 1)."""
        return self.log_snr[t].sigmoid().sqrt()[:, None, None, None]

    def spread(self, t: Tensor) -> Tensor:
        """sqrt(1 - a_t), (B, 1, 1, 1)."""
        return (-self.log_snr[t]).sigmoid().sqrt()[:, None, None, None]

    def gain(self, t: Tensor) -> Tensor:
        """(SNR(t - 1) - SNR(t)) / 2 of steps t > 1: (B,)."""
        return 0.5 * self.log_snr[t].exp() * torch.expm1(self.log_snr[t - 1] - self.log_snr[t])

    def times(self, t: int, x: Tensor) -> Tensor:
        """Step t for each of the images: int64 (B,)."""
        return torch.full((len(x),), t, device=x.device)

    def pixels(self, noisy: Tensor, t: Tensor) -> PixelMixture:
        """What each pixel of x_0 may be, given x_t."""
        numbers = self.denoiser(noisy, t.to(noisy.dtype) / self.timesteps).to(noisy.dtype)
        return PixelMixture.of(numbers).given(noisy, self.signal(t), self.spread(t))

    def clean(self, noisy: Tensor, t: Tensor) -> Tensor:
        """x', the mean of what x_0 may be, in -1..1: (B, C, H, W)."""
        return self.pixels(noisy, t).mean().clamp(-1, 1)

    def denoise(self, noisy: Tensor) -> Tensor:
        """From x_t at the first step of ``denoise_chain`` to step 0: x_s = sqrt(a_s) x' + sqrt(1 - a_s) e'."""
        for t, s in zip(self.denoise_chain, [*self.denoise_chain[1:], 0], strict=True):
            now = self.times(t, noisy)
            guess = self.clean(noisy, now)
            eps = (noisy - self.signal(now) * guess) / self.spread(now)  # what is no part of x' is noise
            noisy = self.noised(guess, self.times(s, noisy), eps)
        return noisy

    def posterior(self, x: Tensor, noisy: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, C, H, W) and variance (B, 1, 1, 1) of q(x_s | x_t, x_0 = x) for s < t (Ho et al., eq. 6, 7)."""
        signal_t, signal_s, square_t, square_s = (
            self.signal(t),
            self.signal(s),
            self.spread(t) ** 2,
            self.spread(s) ** 2,
        )
        kept = torch.exp(self.log_snr[t] - self.log_snr[s])[:, None, None, None]  # SNR(t) / SNR(s)
        mean = signal_s * (1 - kept) * x + signal_t / signal_s * square_s / square_t * noisy
        return mean, square_s * (1 - kept)

    def variational_bound(self, x: Tensor, eps: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """The bound in nats and the mean error of the noise: x (B, C, H, W), eps (steps + 1, C, H, W) -> (B,) twice."""
        end = self.times(self.timesteps, x)
        square = self.spread(end) ** 2
        bound = 0.5 * ((self.signal(end) * x).square() + square - 1 - square.log()).flatten(1).sum(1)
        first = self.times(1, x)
        bound = bound - self.pixels(self.noised(x, first, eps[-1]), first).log_probability(x).flatten(1).sum(1)
        share = (self.timesteps - 1) / self.bound_steps  # steps that each of the visited ones stands for
        errors = torch.zeros_like(bound)
        for step, drawn in zip(self.spaced(offset, self.bound_steps), eps[:-1], strict=True):
            now = step.expand(len(x))
            error = (x - self.clean(self.noised(x, now, drawn), now)).square().flatten(1).sum(1)
            bound = bound + share * self.gain(now) * error
            errors = errors + self.log_snr[now].exp() * error / self.bound_steps
        return bound, errors

    def sample(self, noise: Tensor) -> Tensor:
        noisy = noise[:, 0]  # x_T
        for i, t in enumerate(self.sample_chain):
            now = self.times(t, noisy)
            guess = self.clean(noisy, now)
            if i + 1 == len(self.sample_chain):
                return (guess + 1) / 2
            mean, variance = self.posterior(guess, noisy, now, self.times(self.sample_chain[i + 1], noisy))
            noisy = mean + variance.sqrt() * noise[:, i + 1]
        raise AssertionError("a chain has at least one step")


def evenly(first: int, count: int) -> list[int]:
    """At most ``count`` steps from ``first`` down, evenly spaced, the next of which would be 0."""
    steps = [round(first * (count - i) / count) for i in range(count)]
    return sorted({step for step in steps if step > 0} or {1}, reverse=True)
