"""Tiny models for tests."""

from __future__ import annotations

import torch

from benchmark.models import constructor, model_class
from benchmark.models.base import Model

TINY = {
    "hidden": [48, 24],
    "discriminator_hidden": [32, 16],
    "channels": [4, 8],
    "latent": 4,
    "units": 16,
    "components": 8,
    "candidates": 32,
    "search_steps": 12,
    "batch_size": 32,
    "epochs": 3,
    "bins": 6,
    "trees": 20,
    "mixture_components": 2,
    "score_samples": 2,
    "learning_rate": 2e-3,
    "discriminator_learning_rate": 2e-3,
}  # keywords of tiny models, for the models that have them


def tiny(name: str, **changes: object) -> dict[str, object]:
    """Keywords of a tiny model ``name``."""
    keywords = constructor(name)
    return {key: value for key, value in {**TINY, **changes}.items() if key in keywords}


def build(name: str, seed: int = 0, image_shape: tuple[int, int, int] = (1, 28, 28), **changes: object) -> Model:
    """A tiny model with weights from ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_class(name)(image_shape, **tiny(name, **changes))
