"""What a small model says of digits: the material that every rule is tried on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmark.data import load_dataset_config
from benchmark.data.images import load_images
from benchmark.engine.fleet import to_pixels
from benchmark.models.base import Model
from benchmark.rules.base import Seen, as_seen
from tests.tiny_models import build


@dataclass
class World:
    """A model fitted to one class of digits: what it says of images trained on, kept from training, and others."""

    model: Model
    reference: Seen
    calibration: Seen
    images: Tensor  # (B, C, H, W), normal ones not trained on
    others: Tensor  # (B, C, H, W), ones

    def see(self, images: Tensor) -> Seen:
        return see(self.model, images)


def see(model: Model, images: Tensor) -> Seen:
    return as_seen(images, model.assess(images, {}), model.headline)


def world_of(label: int) -> World:
    data = load_images(load_dataset_config("digits"), Path())
    rows = (data.train_labels == label).nonzero().flatten()
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]  # not in the order of writers
    images = to_pixels(data.train_images[rows])
    others = to_pixels(data.train_images[data.train_labels == 1][:18])
    model = build("pca")
    model.fit(images[:70], 0)
    return World(model, see(model, images[:70]), see(model, images[70:95]), images[95:113], others)


@pytest.fixture(scope="session")
def worlds() -> list[World]:
    """Of two classes, with different numbers of images trained on."""
    first, second = world_of(0), world_of(3)
    shorter = Seen(second.reference.images[:60], {k: _first(v, 60) for k, v in second.reference.said.items()})
    return [first, World(second.model, shorter, second.calibration, second.images, second.others)]


def _first(value: object, count: int) -> object:
    return {k: v[:count] for k, v in value.items()} if isinstance(value, dict) else value[:count]


@pytest.fixture
def world(worlds: list[World]) -> World:
    return worlds[0]


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)
