"""A small U-Net over noisy images: two resolutions, residual blocks, the time added to each block."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.models.parts.networks import ImageShape

PATCH = 2  # pixels along each side that the first layer folds into channels
TIME = 64  # numbers that describe the time


class UNet(nn.Module):
    """Noisy images (B, C, H, W) and times (B,) in 0..1 -> ``outputs`` numbers for each pixel (B, outputs, H, W).

    2 x 2 pixels are folded into channels; then ``blocks`` residual blocks of ``channels[0]`` at H/2 x W/2, as many and
    one more of ``channels[1]`` at H/4 x W/4, and as many again at H/2 x W/2, which also see the first ones'
    result. ``place``, what a pixel's numbers are wherever nothing else is known, is learnt and added.
    """

    def __init__(self, image_shape: ImageShape, channels: Sequence[int], blocks: int, outputs: int) -> None:
        super().__init__()
        colours, height, width = image_shape
        if height % (2 * PATCH) or width % (2 * PATCH):
            raise ValueError(
                f"the U-Net needs height and width that 4 divides, got {height} x {width}; type dataset.image_size=28"
            )
        if len(channels) != 2:
            raise ValueError(f"channels must be two widths, got {list(channels)}; type model.channels=[24,48]")
        wide, deep = channels
        self.time = nn.Sequential(nn.Linear(TIME, TIME), nn.SiLU(), nn.Linear(TIME, TIME), nn.SiLU())
        self.enter = nn.Conv2d(colours * PATCH**2, wide, 3, padding=1)
        self.down = nn.ModuleList(Block(wide, wide) for _ in range(blocks))
        self.shrink = nn.Conv2d(wide, deep, 3, stride=2, padding=1)
        self.middle = nn.ModuleList(Block(deep, deep) for _ in range(blocks + 1))
        self.grow = nn.Conv2d(deep, wide, 3, padding=1)
        self.up = nn.ModuleList(Block(2 * wide if i == 0 else wide, wide) for i in range(blocks))
        self.leave = nn.Sequential(_norm(wide), nn.SiLU(), nn.Conv2d(wide, outputs * PATCH**2, 3, padding=1))
        self.place = nn.Parameter(torch.zeros(outputs, height, width))

    def forward(self, images: Tensor, time: Tensor) -> Tensor:
        t = self.time(waves(time))  # (B, TIME)
        x = self.enter(F.pixel_unshuffle(images, PATCH))
        for block in self.down:
            x = block(x, t)
        first = x
        x = self.shrink(x)
        for block in self.middle:
            x = block(x, t)
        x = self.grow(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        x = torch.cat([x, first], dim=1)
        for block in self.up:
            x = block(x, t)
        return F.pixel_shuffle(self.leave(x), PATCH) + self.place


class Block(nn.Module):
    """Residual block: two 3 x 3 convolutions after group normalisation and SiLU, the time added between them."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(fan_in), nn.SiLU(), nn.Conv2d(fan_in, fan_out, 3, padding=1))
        self.time = nn.Linear(TIME, fan_out)
        self.second = nn.Sequential(_norm(fan_out), nn.SiLU(), nn.Conv2d(fan_out, fan_out, 3, padding=1))
        self.short = nn.Conv2d(fan_in, fan_out, 1) if fan_in != fan_out else nn.Identity()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.short(x) + self.second(self.first(x) + self.time(t)[:, :, None, None])


def waves(time: Tensor) -> Tensor:
    """Times (B,) in 0..1 as sines and cosines of 1000 t at TIME / 2 frequencies from 1 down to 1e-4: (B, TIME)."""
    steps = torch.arange(TIME // 2, device=time.device, dtype=time.dtype)
    angles = 1000 * time.unsqueeze(1) * (-log(1e4) * steps / (TIME // 2)).exp()
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(gcd(8, width), width)
