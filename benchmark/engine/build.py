"""A model built from its configuration, with the first weights that its own seed gives it."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch

from benchmark.models import model_class
from benchmark.models.refusals import arguments_of

if TYPE_CHECKING:
    from benchmark.models.base import Model

_LOCK = Lock()  # torch's global generator is seeded while a model is built


def build_model(settings: Mapping[str, Any], image_shape: tuple[int, int, int], seed: int, batch_size: int) -> Model:
    """The model of a configuration (``_target_`` and the constructor's keywords) for images of ``image_shape``.

    Its first weights depend on ``seed`` alone. ``batch_size`` is that of the training, which ``trainer.batch_size`` may
    have changed.
    """
    with _LOCK, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(settings["_target_"])(image_shape, **arguments_of(settings))
    model.batch_size = batch_size
    return model
