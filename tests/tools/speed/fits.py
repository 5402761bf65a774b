"""Memory of a model that is fitted to all images at once: ``python -m tests.tools.speed.fits MODEL [N]``.

Fits it to N (3000) images of noise of 3 x 64 x 64 pixels and prints its peak as bytes a pixel, on which
``benchmark/sweep/foresee.py`` refuses what memory has no room for. Run it in a process for each model and N; with few
images the libraries' own memory counts for much.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmark.engine.build import build_model  # isort: skip

import torch
from omegaconf import OmegaConf

from benchmark.config import CONF_DIR
from benchmark.engine.fleet import Fleet
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train

SHAPE = 3, 64, 64


def main(name: str, count: int) -> None:
    torch.set_num_threads(1)
    config = dict(OmegaConf.to_container(OmegaConf.load(CONF_DIR / "model" / f"{name}.yaml")))  # type: ignore[arg-type]
    images = torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    fleet = Fleet([build_model(config, SHAPE, 1, 64)], "cpu")
    before = _bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    train(fleet, images, [Member(torch.arange(count), 1, 2)], Settings(1, 64, 64, "fp32", False))
    peak = _bytes("VmHWM") - before
    print(f"{name}, {count} images: {peak / 2**20:,.0f} MiB, {peak / images.numel():.1f} bytes a pixel")


def _bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3000)
