"""One phase's update of all cells: gradients of the phase's own parameters, then a step of Adam."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import grad_and_value

from benchmark import instructions
from benchmark.engine.adam import Adam
from benchmark.engine.device import autocast
from benchmark.engine.fleet import Fleet
from benchmark.engine.state import Settings
from benchmark.models.base import Phase


class Update:
    """Called once for every batch; it changes the fleet's parameters and buffers in place."""

    def __init__(self, fleet: Fleet, phase: Phase, settings: Settings) -> None:
        self.fleet, self.phase, self.precision = fleet, phase, settings.precision
        self.own = {
            name: value for name, value in fleet.parameters.items() if name.split(".")[0] in phase.modules
        }  # name -> (cells, *shape)
        self.adam = Adam(self.own, phase)
        self.gradients = fleet.over_cells(grad_and_value(self._loss, has_aux=True))
        if settings.compile:  # on a GPU as a captured graph, whose results the next step overwrites
            on_gpu = fleet.device.type == "cuda"
            # a length of vectors is part of the name under which compiled code is cached, the pinned capability is not
            options = {"cpp.simdlen": 256} if instructions.in_force() == instructions.PINNED and not on_gpu else None
            mode = "reduce-overhead" if on_gpu else None
            self.gradients = torch.compile(self.gradients, mode=mode, options=options, dynamic=False)
        self.apart = torch.clone if settings.compile else torch.Tensor.detach

    def _loss(
        self,
        own: dict[str, Tensor],
        others: dict[str, Tensor],
        buffers: dict[str, Tensor],
        images: Tensor,
        noise: dict[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with autocast(self.fleet.device, self.precision):
            return self.fleet.call("loss", {**others, **own}, buffers, self.phase.name, images, noise)

    def __call__(self, images: Tensor, noise: dict[str, Tensor], rate: float) -> dict[str, Tensor]:
        """Update on images (cells, B, C, H, W); returns what is logged, each (cells,), and the loss under ""."""
        others = {name: value for name, value in self.fleet.parameters.items() if name not in self.own}
        gradients, (loss, logged) = self.gradients(self.own, others, self.fleet.buffers, images, noise)
        self.adam.step(gradients, rate)
        if self.phase.clip is not None:
            for parameter in self.own.values():
                parameter.clamp_(-self.phase.clip, self.phase.clip)
        return {name: self.apart(value) for name, value in {**logged, "": loss}.items()}
