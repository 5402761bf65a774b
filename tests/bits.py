"""``python -m tests.bits MODEL ...``: SHA-256 of the scores of tiny trained cells, for comparison between processes."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmark.data import load_dataset_config
from benchmark.data.images import load_images
from benchmark.engine.fleet import Fleet
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train, train_in_company
from benchmark.models.base import Model
from tests.tiny_models import build

KINDS: Mapping[str, dict[str, Any]] = {
    "ae": {},
    "conv ae": {"network": "conv"},
    "vae": {},
    "aae": {},
    "anogan": {"hidden": [64, 32]},
    "diffusion": {},
    "pca": {},
    "gmm": {},
}  # what is asked for: keywords of the tiny model
SETTINGS = Settings(epochs=2, batch_size=32, epoch_size=96)


def digits(tmp: Any = "") -> Tensor:
    """scikit-learn's digits as uint8 (N, 1, 28, 28)."""
    return load_images(load_dataset_config("digits"), tmp).train_images


def trained_scores(
    models: Sequence[Model], images: Tensor, rows: Sequence[Tensor], test: Tensor, settings: Settings, first: int = 0
) -> list[dict[str, Tensor]]:
    """Train models as one program, with seeds that count from ``first``, and score the rows ``test``."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as every program on a CPU has
    try:
        return _trained_scores(models, images, rows, test, settings, [first + i for i in range(len(models))])
    finally:
        torch.set_num_threads(before)


def _trained_scores(
    models: Sequence[Model],
    images: Tensor,
    rows: Sequence[Tensor],
    test: Tensor,
    settings: Settings,
    cells: Sequence[int],
) -> list[dict[str, Tensor]]:
    fleet = Fleet(models)
    stacked = fleet.model.vmappable and not any(isinstance(m, torch.nn.Conv2d) for m in fleet.model.modules())
    members = [Member(index, 100 + cell, 200 + cell) for index, cell in zip(rows, cells, strict=True)]
    (train_in_company if stacked else train)(fleet, images, members, settings)
    found = []
    for i, cell in enumerate(cells):  # one by one, as on any CPU
        found += score_images(fleet.subset([i]), images, [View(test, 300 + cell)], Scoring(50))
    return [dict(scored.scores) for scored in found]


def digest(scores: Mapping[str, Tensor]) -> str:
    """SHA-256 of the bits of scores, by name."""
    content = hashlib.sha256()
    for name, values in sorted(scores.items()):
        content.update(name.encode() + values.contiguous().numpy().tobytes())
    return content.hexdigest()


def digests(kinds: Sequence[str]) -> dict[str, str]:
    """Of one cell of each kind."""
    images = digits()
    return {
        kind: digest(
            trained_scores(
                [build(kind.split()[-1], 0, **KINDS[kind])],
                images,
                [torch.arange(200)],
                torch.arange(300, 400),
                SETTINGS,
            )[0]
        )
        for kind in kinds
    }


if __name__ == "__main__":
    print(json.dumps(digests(sys.argv[1:] or list(KINDS))))
