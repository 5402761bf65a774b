"""The engine: trains one fleet. It knows nothing of MLflow, Hydra, or any particular model.

An epoch is a number of training steps, the same for every cell of a data set: the mean size of the training set over
the data set's normal classes, divided by the batch size. A step is one update of every phase that takes part; a phase
with ``repeats`` makes so many of them, each on a batch of its own, and the others see the first of these batches. So
models make equally many steps in an epoch whatever their repeats: a GAN whose critic is updated more often has as many
updates of its generator, and its epoch costs more batches. Batches are drawn, and counted, only as far as a phase of
the epoch uses them.

Each cell draws its batches from a stream of permutations of its own images, one permutation after the other, so every
batch is full and none is dropped or padded. Cells of unequal size thus make equally many updates at the same learning
rates, alone or beside others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.state import Batches, Interrupted, Moment, Settings, Snapshot, Training
from benchmark.engine.update import Update
from benchmark.models.base import Model, Phase
from benchmark.models.parts.schedule import half_cosine


@dataclass(frozen=True)
class Member:
    """What one cell of a fleet is trained on, and from where."""

    index: Tensor  # (N,): the rows of the images that are its own
    order_seed: int  # of its batches
    noise_seed: int
    classes: Tensor | None = None  # (N,): those of its images, -1 where its model is not told; None: of none
    snapshot: Snapshot | None = None  # to go on from: of all members after the same epoch, or of none


@dataclass(frozen=True)
class Watch:
    """Who looks on at the end of every epoch, and who may end the training."""

    on_epoch: Callable[[int, list[Training]], None] = lambda epoch, trainings: None
    keep: Callable[[Moment], None] | None = None  # is shown all that there is to take snapshots of
    stop: Event | None = None  # once it is set, the training raises ``Interrupted``


UNWATCHED = Watch()


def train(
    fleet: Fleet, images: Tensor, members: Sequence[Member], settings: Settings, watch: Watch = UNWATCHED
) -> list[Training]:
    """Train every cell of ``fleet`` in place, each as its member says.

    ``images`` is uint8 (N, C, H, W) on the fleet's device. Batch order and noise of a cell come from its own two seeds
    alone. A cell whose loss is no longer finite is marked as diverged with the epoch and phase; the others go on.
    """
    start = time.perf_counter()
    if fleet.model.phases:
        trainings = _train_in_epochs(fleet, images, members, settings, watch)
    else:
        trainings = [_fit(fleet, cell, images, member) for cell, member in enumerate(members)]
    for training in trainings:
        training.seconds = (time.perf_counter() - start) / fleet.size
    return trainings


def train_in_company(
    fleet: Fleet, images: Tensor, members: Sequence[Member], settings: Settings, watch: Watch = UNWATCHED
) -> list[Training]:
    """As ``train``, but a lone cell trains beside a copy of itself.

    On a CPU stacked products of two and more cells round alike whatever their number, the product of one does not. So
    a cell's numbers are the same bit for bit in every fleet.
    """
    if fleet.size > 1 or not fleet.model.phases:
        return train(fleet, images, members, settings, watch)
    start = time.perf_counter()
    (member,), pair = members, fleet.subset([0, 0])
    of_one = replace(watch, on_epoch=lambda epoch, trainings: watch.on_epoch(epoch, trainings[:1]))
    training, _ = train(pair, images, [member, member], settings, of_one)
    for name, both in pair.stacks.items():
        fleet.stacks[name].copy_(both[:1])
    training.seconds = time.perf_counter() - start
    return [training]


def _fit(fleet: Fleet, cell: int, images: Tensor, member: Member) -> Training:
    """Of a model without phases: one call."""
    with threadpool_limits(1):  # cells are fitted side by side, a thread each
        _from_images(fleet, cell, "fit", images, member)
    return Training(images=len(member.index))


def _train_in_epochs(
    fleet: Fleet, images: Tensor, members: Sequence[Member], settings: Settings, watch: Watch
) -> list[Training]:
    fresh = all(member.snapshot is None for member in members)
    if fresh and type(fleet.model).initialise is not Model.initialise:
        for cell, member in enumerate(members):
            _from_images(fleet, cell, "initialise", images, member)
    run = Run(fleet, images, members, settings)
    for epoch in range(run.behind + 1, settings.epochs + 1):
        run.epoch(epoch, watch.stop)
        watch.on_epoch(epoch, run.trainings)
        if watch.keep is not None:
            watch.keep(run.moment)
        if all(training.diverged is not None for training in run.trainings):
            break
    return run.trainings


def _from_images(fleet: Fleet, cell: int, method: str, images: Tensor, member: Member) -> None:
    """Call ``fit`` or ``initialise`` of one cell's model with its training images and keep what came of it."""
    stacks = fleet.stacks
    fleet.model.load_state_dict({name: stacks[name][cell] for name in fleet.model.state_dict()})
    getattr(fleet.model, method)(to_pixels(images[member.index.to(images.device)]), member.noise_seed)
    for name, value in fleet.model.state_dict().items():
        if fleet.size == 1:  # a fit may have given a buffer its size
            own = fleet.parameters if name in fleet.parameters else fleet.buffers
            own[name] = value.detach().unsqueeze(0).clone()
        else:
            stacks[name][cell].copy_(value)


class Run:
    """A training in epochs: what each of them draws, updates and counts."""

    def __init__(self, fleet: Fleet, images: Tensor, members: Sequence[Member], settings: Settings) -> None:
        fleet.model.train()
        self.fleet, self.images, self.settings = fleet, images, settings
        self.trainings = [Training() for _ in members]
        self.updates = {phase.name: Update(fleet, phase, settings) for phase in fleet.model.phases}
        classes = _class_of_row(len(images), members)
        self.classes = None if classes is None else classes.to(images.device)  # (cells, N)
        self.batches = [Batches(member.index, member.order_seed) for member in members]
        self.generators = [torch.Generator().manual_seed(member.noise_seed) for member in members]
        optimizers = {name: (update.adam.held, update.adam.optimizer) for name, update in self.updates.items()}
        self.moment = Moment(fleet, optimizers, self.batches, self.generators, self.trainings)
        snapshots = [member.snapshot for member in members if member.snapshot is not None]
        if len(snapshots) not in (0, len(members)):
            raise ValueError(f"{len(snapshots)} of {len(members)} members have a snapshot: all of them go on, or none")
        self.behind = self.moment.restore(snapshots) if snapshots else 0  # epochs

    def epoch(self, epoch: int, stop: Event | None) -> None:
        """Make the steps of an epoch, counted from 1, and enter their means in every cell's history."""
        steps = self.settings.steps_per_epoch
        phases = [phase for phase in self.fleet.model.phases if epoch in phase.epochs(self.settings.epochs)]
        rows = self._draw_rows(max((phase.repeats for phase in phases), default=0))
        noise = {phase.name: self._draw_noise(phase, rows) for phase in phases}
        totals: dict[str, dict[str, Tensor]] = {phase.name: {} for phase in phases}
        for step in range(steps):
            if stop is not None and stop.is_set():
                raise Interrupted(f"stopped in epoch {epoch}")
            pixels = to_pixels(self.images[rows[:, step]])  # (cells, repeats, B, C, H, W)
            for phase in phases:
                drawn = {name: values[:, step] for name, values in noise[phase.name].items()}
                for logged in self.step(phase, pixels, drawn, self._rate(phase, epoch, step)):
                    totals[phase.name] = _added(totals[phase.name], logged)
        for training in self.trainings:
            training.steps += steps
            training.images += rows[0].numel()
        self._enter(epoch, phases, totals)

    def step(self, phase: Phase, pixels: Tensor, noise: Mapping[str, Tensor], rate: float) -> list[dict[str, Tensor]]:
        """A phase's updates of one step, each on a batch of its own; returns what each of them logs.

        ``pixels`` has shape (cells, repeats, B, C, H, W), each noise (cells, repeats, B, *its shape).
        """
        update = self.updates[phase.name]
        return [
            update(pixels[:, repeat], {name: values[:, repeat] for name, values in noise.items()}, rate)
            for repeat in range(phase.repeats)
        ]

    def _draw_rows(self, repeats: int) -> Tensor:
        """The images of an epoch: rows (cells, steps, repeats, B)."""
        shape = self.settings.steps_per_epoch, repeats, self.settings.batch_size
        rows = torch.stack([batches.take(math.prod(shape)) for batches in self.batches]).to(self.images.device)
        return rows.view(self.fleet.size, *shape)

    def _draw_noise(self, phase: Phase, rows: Tensor) -> dict[str, Tensor]:
        """A phase's noise of an epoch, each cell's from its own generator, and its images' classes, if it is told any.

        Each has shape (cells, steps, repeats, B, *its shape).
        """
        leading = len(rows[0]), phase.repeats, self.settings.batch_size
        noise = {
            name: torch.stack([spec.draw(*leading, generator=g) for g in self.generators]).to(self.fleet.device)
            for name, spec in phase.noise.items()
        }
        if self.classes is not None:
            noise["label"] = self.classes.gather(1, rows.flatten(1)).view(rows.shape)
        return noise

    def _rate(self, phase: Phase, epoch: int, step: int) -> float:
        """The share of its learning rate at which a phase is updated in a step, counted from 0 in every epoch."""
        if self.fleet.model.schedule != "cosine":
            return 1.0
        own, steps = phase.epochs(self.settings.epochs), self.settings.steps_per_epoch
        return half_cosine(((epoch - own[0]) * steps + step) / (len(own) * steps))

    def _enter(self, epoch: int, phases: Sequence[Phase], totals: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Append the epoch's means to every cell's history, and mark the cells whose loss is not finite."""
        steps = self.settings.steps_per_epoch
        for training in self.trainings:
            training.history.append({"epoch": epoch, "step": epoch * steps})
        for phase in phases:
            for name, total in totals[phase.name].items():
                means = (total / (steps * phase.repeats)).tolist()
                for training, mean in zip(self.trainings, means, strict=True):
                    if name:
                        training.history[-1][f"train/{name}"] = mean
                    elif not math.isfinite(mean) and training.diverged is None:
                        training.diverged = f"loss of phase {phase.name!r} is {mean} in epoch {epoch}"


def _added(totals: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Totals by name, with these values on top."""
    return {**totals, **{name: totals[name] + value if name in totals else value for name, value in values.items()}}


def _class_of_row(count: int, members: Sequence[Member]) -> Tensor | None:
    """The class of every image that a cell is told of, -1 for the others: int64 (cells, count); None if none is."""
    if all(member.classes is None for member in members):
        return None
    table = torch.full((len(members), count), -1)
    for row, member in zip(table, members, strict=True):
        if member.classes is not None:
            row[member.index] = member.classes
    return table
