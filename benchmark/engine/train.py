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
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from threading import Event

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.func import grad_and_value

from benchmark import instructions
from benchmark.engine.adam import Adam
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.state import Moment, Snapshot
from benchmark.models.base import Model, Phase


class Interrupted(Exception):
    """The training was asked to stop before its end."""


@dataclass(frozen=True)
class Settings:
    """How long and how precisely a fleet is trained."""

    epochs: int
    batch_size: int
    epoch_size: int  # steps an epoch times the batch size, see the module's text
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


def train(
    fleet: Fleet,
    images: Tensor,
    indices: Sequence[Tensor],
    order_seeds: Sequence[int],
    noise_seeds: Sequence[int],
    settings: Settings,
    on_epoch: Callable[[int, list[Training]], None] = lambda epoch, trainings: None,
    stop: Event | None = None,
    in_company: bool = False,
    labels: Sequence[Tensor] | None = None,
    resumed: Sequence[Snapshot] = (),
    keep: Callable[[Moment], None] | None = None,
) -> list[Training]:
    """Train every cell of ``fleet`` in place on its own images.

    ``images`` is uint8 (N, C, H, W) on the fleet's device; ``indices[i]`` are the rows that cell i trains on, and
    ``labels[i]`` their classes as far as its model is told them, -1 elsewhere. Batch order and noise of cell i come
    from its own two seeds alone. A cell whose loss is no longer finite is marked as diverged with the epoch and phase;
    the others go on. Raises ``Interrupted`` once ``stop`` is set.

    With ``resumed``, one snapshot of each cell after the same epoch, the training goes on from there. ``keep`` is
    called at the end of every epoch with all that there is to take snapshots of.

    With ``in_company`` a lone cell trains beside a copy of itself: on a CPU stacked products of two and more cells
    round alike whatever their number, the product of one does not, so a cell's numbers are the same bit for bit in
    every fleet.
    """
    if in_company and fleet.size == 1 and fleet.model.phases:
        pair = fleet.subset([0, 0])
        start = time.perf_counter()
        twins = train(
            pair,
            images,
            [*indices, *indices],
            [*order_seeds, *order_seeds],
            [*noise_seeds, *noise_seeds],
            settings,
            lambda epoch, trainings: on_epoch(epoch, trainings[:1]),
            stop,
            labels=None if labels is None else [*labels, *labels],
            resumed=[*resumed, *resumed],
            keep=keep,
        )
        for name, stack in {**fleet.parameters, **fleet.buffers}.items():
            stack.copy_({**pair.parameters, **pair.buffers}[name][:1])
        twins[0].seconds = time.perf_counter() - start
        return twins[:1]
    trainings = [Training() for _ in range(fleet.size)]
    phases = fleet.model.phases
    start = time.perf_counter()
    if not phases:
        for cell, index in enumerate(indices):
            _from_images(fleet, cell, "fit", to_pixels(images[index.to(images.device)]), noise_seeds[cell])
            trainings[cell].images = len(index)
    else:
        if not resumed and type(fleet.model).initialise is not Model.initialise:
            for cell, index in enumerate(indices):
                _from_images(fleet, cell, "initialise", to_pixels(images[index.to(images.device)]), noise_seeds[cell])
        arguments = fleet, images, indices, order_seeds, noise_seeds, settings, trainings, on_epoch, stop, labels
        _train_in_steps(*arguments, resumed, keep)
    for training in trainings:
        training.seconds = (time.perf_counter() - start) / fleet.size
    return trainings


def _from_images(fleet: Fleet, cell: int, method: str, images: Tensor, seed: int) -> None:
    """Call ``fit`` or ``initialise`` of one cell's model with its training images and keep what came of it."""
    stacks = {**fleet.parameters, **fleet.buffers}
    fleet.model.load_state_dict({name: stacks[name][cell] for name in fleet.model.state_dict()})
    with threadpool_limits(1):  # cells are fitted side by side, a thread each
        getattr(fleet.model, method)(images, seed)
    for name, value in fleet.model.state_dict().items():
        if fleet.size == 1:  # a fit may have given a buffer its size
            own = fleet.parameters if name in fleet.parameters else fleet.buffers
            own[name] = value.detach().unsqueeze(0).clone()
        else:
            stacks[name][cell].copy_(value)


def _train_in_steps(
    fleet: Fleet,
    images: Tensor,
    indices: Sequence[Tensor],
    order_seeds: Sequence[int],
    noise_seeds: Sequence[int],
    settings: Settings,
    trainings: list[Training],
    on_epoch: Callable[[int, list[Training]], None],
    stop: Event | None,
    labels: Sequence[Tensor] | None,
    resumed: Sequence[Snapshot],
    keep: Callable[[Moment], None] | None,
) -> None:
    phases = fleet.model.phases
    fleet.model.train()
    steps = settings.steps_per_epoch
    updates = {phase.name: _Update(fleet, phase, settings) for phase in phases}
    told = None if labels is None else _class_of_row(len(images), indices, labels).to(images.device)
    batches = [Batches(index, seed) for index, seed in zip(indices, order_seeds, strict=True)]
    generators = [torch.Generator().manual_seed(seed) for seed in noise_seeds]
    optimizers = {name: (update.adam.held, update.adam.optimizer) for name, update in updates.items()}
    moment = Moment(fleet, optimizers, batches, generators, trainings)
    behind = moment.restore(resumed) if resumed else 0
    for epoch in range(behind + 1, settings.epochs + 1):
        active = [phase for phase in phases if epoch in phase.epochs(settings.epochs)]
        repeats = max((phase.repeats for phase in active), default=0)
        rows = torch.stack([b.take(steps * repeats * settings.batch_size) for b in batches]).to(images.device)
        rows = rows.view(fleet.size, steps, repeats, settings.batch_size)
        noise = {phase.name: _draw(phase, steps, settings.batch_size, generators, fleet.device) for phase in active}
        classes = None if told is None else told.gather(1, rows.flatten(1)).view(rows.shape)
        totals: dict[str, dict[str, Tensor]] = {phase.name: {} for phase in active}
        for step in range(steps):
            if stop is not None and stop.is_set():
                raise Interrupted(f"stopped in epoch {epoch}")
            pixels = to_pixels(images[rows[:, step]])  # (cells, repeats, B, C, H, W)
            for phase in active:
                own, total = phase.epochs(settings.epochs), totals[phase.name]
                done = ((epoch - own[0]) * steps + step) / (len(own) * steps)
                rate = 0.5 * (1 + math.cos(math.pi * done)) if fleet.model.schedule == "cosine" else 1.0
                for repeat in range(phase.repeats):
                    drawn = {name: values[:, step, repeat] for name, values in noise[phase.name].items()}
                    if classes is not None:
                        drawn["label"] = classes[:, step, repeat]
                    for name, value in updates[phase.name](pixels[:, repeat], drawn, rate).items():
                        total[name] = total[name] + value if name in total else value
        _close_epoch(epoch, steps, active, totals, trainings)
        for training in trainings:
            training.steps += steps
            training.images += steps * repeats * settings.batch_size
        on_epoch(epoch, trainings)
        if keep is not None:
            keep(moment)
        if all(training.diverged is not None for training in trainings):
            return


class _Update:
    """One phase's update of all cells: gradients of the phase's own parameters, then a step of Adam."""

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
        self.keep = torch.clone if settings.compile else torch.Tensor.detach

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
        """Update on images (cells, B, C, H, W); returns the quantities to log, each (cells,)."""
        others = {name: value for name, value in self.fleet.parameters.items() if name not in self.own}
        gradients, (loss, logged) = self.gradients(self.own, others, self.fleet.buffers, images, noise)
        self.adam.step(gradients, rate)
        if self.phase.clip is not None:
            for parameter in self.own.values():
                parameter.clamp_(-self.phase.clip, self.phase.clip)
        return {name: self.keep(value) for name, value in {**logged, "": loss}.items()}


def allow_tf32(precision: str) -> None:
    """Let CUDA round the factors of products and convolutions to tf32, or not: cuDNN does so unless it is told."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Products in bf16 where the precision asks for it; sums, losses and parameters stay in fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def _class_of_row(count: int, indices: Sequence[Tensor], labels: Sequence[Tensor]) -> Tensor:
    """The class of every row that a cell is told of, -1 for the others: int64 (cells, count)."""
    table = torch.full((len(indices), count), -1)
    for row, index, known in zip(table, indices, labels, strict=True):
        row[index] = known
    return table


def _draw(
    phase: Phase, steps: int, batch_size: int, generators: list[torch.Generator], device: torch.device
) -> dict[str, Tensor]:
    """An epoch's noise of every cell, each from its own generator: (cells, steps, repeats, B, *shape)."""
    return {
        name: torch.stack([spec.draw(steps, phase.repeats, batch_size, generator=g) for g in generators]).to(device)
        for name, spec in phase.noise.items()
    }


def _close_epoch(
    epoch: int,
    steps: int,
    phases: Sequence[Phase],
    totals: dict[str, dict[str, Tensor]],
    trainings: list[Training],
) -> None:
    """Append the epoch's means to every cell's history, and mark the cells whose loss is not finite."""
    rows: list[dict[str, float]] = [{"epoch": epoch, "step": epoch * steps} for _ in trainings]
    for phase in phases:
        for name, values in totals[phase.name].items():
            means = (values / (steps * phase.repeats)).tolist()
            for cell, mean in enumerate(means):
                if name:
                    rows[cell][f"train/{name}"] = mean
                elif not math.isfinite(mean) and trainings[cell].diverged is None:
                    trainings[cell].diverged = f"loss of phase {phase.name!r} is {mean} in epoch {epoch}"
    for training, row in zip(trainings, rows, strict=True):
        training.history.append(row)
