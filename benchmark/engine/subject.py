"""The model that the checks of ``contract.py`` are made on, trained on a few images, and how they refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from benchmark.data.images import ImageData
from benchmark.engine.fleet import Fleet
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Settings, Training
from benchmark.engine.train import Member, train, train_in_company
from benchmark.models.base import Model

MEMBERS = ((0, 1), (3, 2), (7, 5), (5, 3))  # normal class and seed of a fleet's cells
BATCH, EPOCH, EPOCHS = 32, 120, 3  # images of a batch and of an epoch, and epochs
SHOWN = 60  # images that are scored


class Broken(AssertionError):
    """A check that a model does not pass; the message says why."""


@dataclass(frozen=True)
class Subject:
    """A model under test: how one is built from a seed, and the images it is trained on."""

    build: Callable[[int], Model]
    data: ImageData
    convolutions: bool = False  # stacked ones round otherwise
    brief: bool = False  # two steps on eight images each, twelve are scored: for large images
    device: str = "cpu"  # where it is trained and scored

    @property
    def members(self) -> list[tuple[int, int]]:
        """Normal class and seed of three cells."""
        return [(label % len(self.data.class_names), seed) for label, seed in MEMBERS]

    @cached_property
    def first(self) -> tuple[Fleet, Training]:
        """The first cell, trained for three epochs, or for one if in brief, and what became of it. It is shared."""
        fleet, (training,) = self.trained(self.members[:1], 1 if self.brief else EPOCHS)
        return fleet, training

    @property
    def fleet(self) -> Fleet:
        return self.first[0]

    @property
    def images(self) -> Tensor:
        return self.data.test_images[: 12 if self.brief else SHOWN].to(self.device)

    def trained(
        self, members: Sequence[tuple[int, int]], epochs: int = EPOCHS, images: Tensor | None = None, **how: Any
    ) -> tuple[Fleet, list[Training]]:
        """A fleet of cells trained on their classes, and what became of them."""
        fleet = Fleet([self.build(seed) for _, seed in members], self.device)
        batch, epoch = (8, 16) if self.brief else (BATCH, EPOCH)
        rows = [(self.data.train_labels == label).nonzero().flatten()[:epoch] for label, _ in members]
        company = how.pop("in_company", False)
        settings = Settings(epochs, batch, **{"epoch_size": epoch, **how})
        shown = (self.data.train_images if images is None else images).to(self.device)
        cells = [Member(index, seed, seed + 100) for index, (_, seed) in zip(rows, members, strict=True)]
        return fleet, (train_in_company if company else train)(fleet, shown, cells, settings)

    def scores(
        self, fleet: Fleet, images: Tensor, batch: int = 256, index: Tensor | None = None, precision: str = "fp32"
    ) -> list[dict[str, Tensor]]:
        chosen = torch.arange(len(images)) if index is None else index
        found = score_images(fleet, images.to(self.device), [View(chosen, 11)] * fleet.size, Scoring(batch, precision))
        return [dict(cell.scores) for cell in found]


def require(holds: bool, why: str) -> None:
    if not holds:
        raise Broken(why)


def require_same(first: dict[str, Tensor], second: dict[str, Tensor], why: str) -> None:
    require(first.keys() == second.keys(), "there are other values than before")
    for name, values in first.items():
        require(torch.equal(values, second[name]), f"{name} {why}")


def require_near(first: dict[str, Tensor], second: dict[str, Tensor], why: str) -> None:
    for name, values in first.items():
        require(torch.allclose(values, second[name], rtol=2e-3, atol=2e-3), f"{name} {why}")
