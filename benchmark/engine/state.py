"""What a training is told and what it holds between two epochs: taken out of one fleet, put into another.

A cell's snapshot has its parameters and buffers, the state of every phase's Adam, what is left of its permutation of
images, the state of both its generators, and its history. The rest of an epoch follows from the settings, so a cell
goes on from a snapshot with the numbers that it would have had without the interruption, whatever cells train beside
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmark.engine.fleet import Fleet
from benchmark.engine.memory import Peak

ADAM = ("step", "exp_avg", "exp_avg_sq")


class Interrupted(Exception):
    """The training or scoring was asked to stop before its end."""


@dataclass(frozen=True)
class Settings:
    """How long and how precisely a fleet is trained."""

    epochs: int
    batch_size: int
    epoch_size: int  # steps an epoch times the batch size: images of a data set's normal class, on average
    precision: str = "fp32"  # fp32 | tf32 | bf16
    compile: bool = False  # the gradients by torch.compile

    @property
    def steps_per_epoch(self) -> int:
        return max(1, round(self.epoch_size / self.batch_size))


@dataclass
class Training:
    """What became of one cell: a row of means an epoch, and why it ended early, if it did."""

    history: list[dict[str, float]] = field(default_factory=list)
    diverged: str | None = None
    seconds: float = 0.0
    steps: int = 0  # training steps made
    images: int = 0  # training images that a phase was shown, once for each batch they were in
    peak: Peak | None = None  # of memory, of all that was trained with it


class Batches:
    """A cell's endless stream of indices: permutations of its own images from its own generator."""

    def __init__(self, index: Tensor, seed: int) -> None:
        self.index, self.generator = index, torch.Generator().manual_seed(seed)
        self.rest = index[:0]

    def take(self, count: int) -> Tensor:
        """The next ``count`` indices."""
        while len(self.rest) < count:
            order = torch.randperm(len(self.index), generator=self.generator)
            self.rest = torch.cat([self.rest, self.index[order]])
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken


@dataclass(frozen=True)
class Snapshot:
    """One cell between two epochs; all tensors on the CPU, without an axis of cells."""

    epoch: int  # epochs behind it
    tensors: Mapping[str, Tensor]
    history: Sequence[Mapping[str, float]]
    steps: int
    images: int
    seconds: float = 0.0  # of training up to here


class Misfit(Exception):
    """A snapshot is not one of the model that it is to be put into."""

    def __init__(self, cell: int, reason: str) -> None:
        super().__init__(reason)
        self.cell = cell  # its place in the fleet


@dataclass(frozen=True)
class Moment:
    """Everything that changes in the course of a training, by reference."""

    fleet: Fleet
    optimizers: Mapping[str, tuple[Mapping[str, Tensor], torch.optim.Optimizer]]  # phase -> its stacks, their Adam
    batches: Sequence[Batches]
    noise: Sequence[torch.Generator]
    trainings: Sequence[Training]

    def snapshot(self, cell: int) -> Snapshot:
        """The state of one cell, copied."""
        training = self.trainings[cell]
        own = {name: _own(stack, cell) for name, stack in self._stacks()}
        own["batches/rest"] = self.batches[cell].rest.clone()
        own["batches/generator"] = self.batches[cell].generator.get_state()
        own["noise/generator"] = self.noise[cell].get_state()
        epoch = len(training.history)
        return Snapshot(epoch, own, [dict(row) for row in training.history], training.steps, training.images)

    def restore(self, snapshots: Sequence[Snapshot]) -> int:
        """Put every cell where its snapshot was taken, all after the same epoch, which is returned.

        Raises ``Misfit`` for a snapshot that is not one of these models.
        """
        (epoch,) = {snapshot.epoch for snapshot in snapshots}
        self._make_optimizer_states(snapshots[0])
        self._compare(snapshots)
        for name, stack in self._stacks():
            if stack.ndim == 0:  # Adam's count of steps, the same for all
                stack.copy_(snapshots[0].tensors[name])
                continue
            for cell, snapshot in enumerate(snapshots):
                stack[cell].copy_(snapshot.tensors[name])
        for cell, snapshot in enumerate(snapshots):
            try:
                self._restore_rest(cell, snapshot)
            except (KeyError, RuntimeError, TypeError, ValueError) as error:
                raise Misfit(cell, f"{type(error).__name__}: {error}") from error
        return epoch

    def _restore_rest(self, cell: int, snapshot: Snapshot) -> None:
        self.batches[cell].rest = snapshot.tensors["batches/rest"].clone()
        self.batches[cell].generator.set_state(snapshot.tensors["batches/generator"])
        self.noise[cell].set_state(snapshot.tensors["noise/generator"])
        training = self.trainings[cell]
        training.history = [dict(row) for row in snapshot.history]
        training.steps, training.images = snapshot.steps, snapshot.images

    def _compare(self, snapshots: Sequence[Snapshot]) -> None:
        for name, stack in self._stacks():
            shape = stack.shape if stack.ndim == 0 else stack.shape[1:]
            for cell, snapshot in enumerate(snapshots):
                tensor = snapshot.tensors.get(name)
                if not isinstance(tensor, Tensor):
                    raise Misfit(cell, f"it lacks {name}")
                if tensor.shape != shape or tensor.dtype != stack.dtype:
                    found, expected = (f"{tuple(one)}" for one in (tensor.shape, shape))
                    raise Misfit(cell, f"{name} is {found} of {tensor.dtype}, the model's {expected} of {stack.dtype}")

    def _stacks(self) -> list[tuple[str, Tensor]]:
        """Name and stack (cells, ...) of all that a cell owns a row of; a phase that has not begun has none."""
        found = [(f"model/{name}", stack) for name, stack in self.fleet.stacks.items()]
        for phase, (own, optimizer) in self.optimizers.items():
            for name, parameter in own.items():
                state = optimizer.state.get(parameter, {})
                found += [(f"adam/{phase}/{name}/{key}", state[key]) for key in ADAM if key in state]
        return found

    def _make_optimizer_states(self, snapshot: Snapshot) -> None:
        """Empty states for the phases that had begun: Adam makes its own at the first step."""
        for phase, (own, optimizer) in self.optimizers.items():
            for name, parameter in own.items():
                if f"adam/{phase}/{name}/step" in snapshot.tensors:
                    steps = torch.zeros((), dtype=torch.float32, device=parameter.device)
                    moments = {key: torch.zeros_like(parameter) for key in ADAM[1:]}
                    optimizer.state[parameter] = {"step": steps, **moments}


def _own(stack: Tensor, cell: int) -> Tensor:
    return (stack if stack.ndim == 0 else stack[cell]).detach().cpu().clone()
