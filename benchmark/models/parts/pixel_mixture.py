"""What a pixel may be, given its noisy value and the network's view of the rest: black, white or some grey."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import log, pi, sqrt

import torch
from torch import Tensor

PARTS = 4  # numbers that describe a pixel: log odds of black and of white against grey, mean and log variance of grey
HALF_LEVEL = 1 / 255  # half the distance of two of the 256 grey levels in -1..1


@dataclass(frozen=True)
class PixelMixture:
    """Black (-1), white (1) or N(centre, variance), pixel by pixel: each (B, C, H, W)."""

    log_black: Tensor
    log_white: Tensor
    log_grey: Tensor
    centre: Tensor
    variance: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> PixelMixture:
        """The mixture that numbers (B, PARTS * C, H, W), each of any size, describe."""
        black, white, centre, log_variance = numbers.chunk(PARTS, dim=1)
        logs = torch.stack([black, white, torch.zeros_like(black)]).log_softmax(0)
        return cls(logs[0], logs[1], logs[2], centre.tanh(), log_variance.clamp(-12, 4).exp())

    def given(self, noisy: Tensor, signal: Tensor, spread: Tensor) -> PixelMixture:
        """Bayes' rule: the mixture after noisy = signal * pixel + spread * eps, eps ~ N(0, 1), was seen."""
        square = spread.square()
        total = signal.square() * self.variance + square
        logs = torch.stack(
            [
                self.log_black + log_density(noisy + signal, square),
                self.log_white + log_density(noisy - signal, square),
                self.log_grey + log_density(noisy - signal * self.centre, total),
            ]
        ).log_softmax(0)
        centre = (square * self.centre + signal * self.variance * noisy) / total
        return PixelMixture(logs[0], logs[1], logs[2], centre, self.variance * square / total)

    def rows(self, begin: int) -> PixelMixture:
        """That of the images from ``begin`` on."""
        return PixelMixture(*(getattr(self, part.name)[begin:] for part in fields(self)))

    def mean(self) -> Tensor:
        return self.log_white.exp() - self.log_black.exp() + self.log_grey.exp() * self.centre

    def log_probability(self, x: Tensor) -> Tensor:
        """Log probability of each pixel of x, grey levels in -1..1.

        Of N(centre, variance) a grey level has the mass of the 2 / 255 around it; black and white have the tails.
        """
        scale = self.variance.sqrt()
        black, white = x < HALF_LEVEL - 1, x > 1 - HALF_LEVEL
        upper = ((x + HALF_LEVEL - self.centre) / scale).masked_fill(white, torch.inf)
        lower = ((x - HALF_LEVEL - self.centre) / scale).masked_fill(black, -torch.inf)
        flip = lower > 0  # in the upper tail the mass is taken from the other side, where it is no 1 - 1
        upper, lower = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)
        high, low = log_normal_below(upper), log_normal_below(lower)
        grey = self.log_grey + high + torch.log1p(-(low - high).exp().clamp(max=1 - 1e-7))
        end = torch.where(black, self.log_black, self.log_white)
        return torch.where(black | white, torch.logaddexp(grey, end), grey)


def log_density(difference: Tensor, variance: Tensor) -> Tensor:
    """Log density of N(0, variance)."""
    return -0.5 * (difference.square() / variance + variance.log() + log(2 * pi))


def log_normal_below(x: Tensor) -> Tensor:
    """log P(Z <= x) of Z ~ N(0, 1), exact in the lower tail (torch's ``log_ndtr`` has no rule for ``vmap``)."""
    tail = x.clamp(max=0.0)
    below = torch.special.erfcx(-tail / sqrt(2)).log() - log(2) - 0.5 * tail.clamp(min=-1e18).square()
    return torch.where(x < 0, below, torch.special.ndtr(x.clamp(min=0.0)).log())  # of no 0, whose gradient is nan
