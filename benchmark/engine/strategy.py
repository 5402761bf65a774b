"""Whether cells of a model train one by one or as one fleet, which a cell's bits depend on."""

from __future__ import annotations

import torch
from torch import nn

from benchmark.models.base import Model


def strategy_of(model: Model, device: str, asked: str = "auto") -> str:
    """``loop``: cell by cell, or ``vmap``: the cells of a fleet as one, where ``asked`` (auto | loop | vmap) leaves it.

    On a CPU models with convolutions train one by one: stacked convolutions become grouped ones, which are slower.
    """
    if not model.vmappable or not model.phases:
        return "loop"
    if asked != "auto":
        return asked
    return "loop" if torch.device(device).type == "cpu" and _has_convolutions(model) else "vmap"


def _has_convolutions(model: Model) -> bool:
    return any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in model.modules())
