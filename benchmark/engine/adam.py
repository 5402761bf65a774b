"""Adam over stacked parameters, with the same bits for a cell whatever the number of cells in its stack."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from benchmark.models.base import Phase

VECTOR = 16  # numbers in the widest vector of a processor: AVX-512, fp32


class Adam:
    """One phase's Adam: torch's fused one.

    On a CPU that one updates a stack in vectors, and what is left at the stack's end number by number, which rounds
    otherwise. There it holds every cell's part of a stack padded to whole vectors, so that nothing is left; a stack
    whose parts are whole vectors, as all large ones are, is updated where it lies.
    """

    def __init__(self, own: Mapping[str, Tensor], phase: Phase) -> None:
        self.own, self.rate = own, phase.learning_rate  # name -> (cells, *shape)
        self.held = {name: _padded(stack) for name, stack in own.items()}  # what torch's Adam sees, (cells, ...)
        self.optimizer = torch.optim.Adam(
            list(self.held.values()),
            lr=phase.learning_rate,
            betas=phase.betas,
            weight_decay=phase.weight_decay,
            fused=all(stack.device.type in ("cpu", "cuda") for stack in own.values()),
        )

    def step(self, gradients: Mapping[str, Tensor], rate: float) -> None:
        """Update the stacks in place, at ``rate`` times the phase's learning rate."""
        padded = [name for name, held in self.held.items() if held is not self.own[name]]
        for name in padded:
            self.held[name].copy_(_padded(self.own[name]))
        for name, held in self.held.items():
            gradient = gradients[name].contiguous()  # fused Adam on a CPU takes the layout for granted
            held.grad = _padded(gradient) if name in padded else gradient
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * rate
        self.optimizer.step()
        for name in padded:
            stack = self.own[name]
            stack.copy_(self.held[name][:, : stack[0].numel()].view(stack.shape))


def _padded(stack: Tensor) -> Tensor:
    """(cells, *shape) on a CPU -> (cells, whole vectors), zeros behind; the stack itself if there is nothing to add."""
    lacking = -stack[0].numel() % VECTOR
    return (
        nn.functional.pad(stack.reshape(len(stack), -1), (0, lacking))
        if lacking and stack.device.type == "cpu"
        else stack
    )
