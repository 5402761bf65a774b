"""Cells held together: stacked parameters and buffers, and one way to call a model for one cell or for many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from benchmark.models.base import Model

Decoder = Callable[[str, Tensor], Tensor | None]  # a method and codes (B, D) -> images on the CPU, or None


class Fleet:
    """Models of one architecture with their parameters and buffers stacked along a leading axis of cells.

    ``call`` runs a method of the model for every cell at once (``torch.func.vmap``), or directly where there is
    only one cell; both compute the same function.
    """

    def __init__(self, models: Sequence[Model], device: torch.device | str = "cpu") -> None:
        if len(models) > 1 and not models[0].vmappable:
            raise ValueError(
                f"{type(models[0]).__name__} trains cell by cell: its fleets have one cell, not {len(models)}"
            )
        self.size = len(models)
        self.device = torch.device(device)
        self.parameters = {
            name: torch.stack([m.get_parameter(name).detach() for m in models]).to(device)
            for name, _ in models[0].named_parameters()
        }  # name -> (cells, *shape)
        self.buffers = {
            name: torch.stack([m.get_buffer(name) for m in models]).to(device) for name, _ in models[0].named_buffers()
        }
        self.model = deepcopy(models[0]).to(device)  # its layers; the numbers come from the stacks

    def call(self, method: str, parameters: dict[str, Tensor], buffers: dict[str, Tensor], *args: Any) -> Any:
        """``method`` of the model for one cell, as a pure function of parameters and buffers (no leading axis)."""
        return functional_call(self.model, (parameters, buffers), (method, *args))

    def over_cells(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, written for one cell, over arguments and results with a leading axis of cells."""
        if self.size > 1:
            return vmap(function, randomness="error")

        def for_one(*args: Any) -> Any:
            return tree_map(lambda t: t.unsqueeze(0), function(*tree_map(lambda t: t[0], args)))

        return for_one

    @property
    def stacks(self) -> dict[str, Tensor]:
        """Parameters and buffers: name -> (cells, *shape)."""
        return {**self.parameters, **self.buffers}

    def subset(self, cells: Sequence[int]) -> Fleet:
        """A fleet of some of the cells."""
        if list(cells) == list(range(self.size)):
            return self
        chosen = copy(self)
        chosen.size = len(cells)
        chosen.parameters = {name: stack[list(cells)] for name, stack in self.parameters.items()}
        chosen.buffers = {name: stack[list(cells)] for name, stack in self.buffers.items()}
        return chosen

    def state(self, cell: int) -> dict[str, Tensor]:
        """The ``state_dict`` of one cell, on the CPU."""
        stacks = self.stacks
        return {name: stacks[name][cell].detach().cpu().clone() for name in self.model.state_dict()}

    def decoder(self, cell: int) -> Decoder:
        """``decode``, ``sample`` or ``styles`` with one cell's weights."""
        parameters = {name: stack[cell] for name, stack in self.parameters.items()}
        buffers = {name: stack[cell] for name, stack in self.buffers.items()}

        def run(method: str, codes: Tensor) -> Tensor | None:
            with torch.no_grad():
                images = self.call(method, parameters, buffers, codes.to(self.device))
            return None if images is None else images.float().cpu()

        return run


def to_pixels(images: Tensor) -> Tensor:
    """uint8 images (*, C, H, W) in 0..255 -> float32 of the same shape in [0, 1]."""
    return images.float().div_(255)
