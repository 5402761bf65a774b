"""Train a model on somebody's images with the engine, as a command trains a cell.

A cell and a fit have the same bits on a CPU where these agree: the images and their order, the model and its settings,
epochs and batch size, ``calibration_share``, ``steps_per_epoch`` (a command takes it from the mean size of a data set's
classes), the names and the seed that random numbers are drawn from, precision, and ``trainer.strategy`` and
``trainer.compile`` as shipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.cells import Axes
from benchmark.config import UsageError
from benchmark.data.splits import SPLIT_VERSION, Split, kept_apart, told_classes
from benchmark.detect.ruling import calibration_scores, under_rule
from benchmark.detect.scorer import Scorer, as_the_engine
from benchmark.engine.build import build_model
from benchmark.engine.fleet import Fleet
from benchmark.engine.state import Settings, Training
from benchmark.engine.strategy import strategy_of
from benchmark.engine.train import Member, Watch, train, train_in_company
from benchmark.models import model_class
from benchmark.models.base import Model
from benchmark.models.refusals import refuse_built
from benchmark.rules import shipped
from benchmark.say import one_line


@dataclass(frozen=True)
class Plan:
    """How a detector is trained."""

    model: Mapping[str, Any]  # name, _target_ and the constructor's keywords
    axes: Axes  # what random numbers are drawn from
    rule: str | None = None
    calibration_share: float = 0.1
    steps_per_epoch: int | None = None  # None: as many as a pass over the training images has
    device: str = "cpu"
    precision: str = "fp32"
    score_batch_size: int = 500


@dataclass(frozen=True)
class Fitted:
    """A trained model, ready to score."""

    scorer: Scorer
    training: Training
    split: Split  # rows that were trained on, and those kept from it
    calibration: Any  # scores of the calibration images: float64 (n,)


def fit(plan: Plan, images: Tensor, on_epoch: Callable[[int, list[Training]], None] | None = None) -> Fitted:
    """Train on images uint8 (N, C, H, W), all of them taken for normal.

    Raises ``UsageError`` where the model cannot be built for them, cannot be fitted to so few, or diverges.
    """
    split = split_of(plan, len(images))
    channels, height, width = images.shape[1:]
    model = _built(plan, (channels, height, width))
    batch_size = plan.model.get("batch_size", model.batch_size)
    steps = plan.steps_per_epoch or max(1, round(len(split.train_index) / batch_size))
    settings = Settings(plan.model.get("epochs", model.epochs), batch_size, steps * batch_size, plan.precision)
    fleet = Fleet([model], plan.device)
    with as_the_engine(fleet.device, plan.precision):
        (training,) = _train(plan, fleet, images.to(plan.device), _member(plan, split, model), settings, on_epoch)
    if training.diverged is not None:
        raise UsageError(f"the training diverged: {training.diverged}. Try a smaller learning_rate or another seed")
    scorer = Scorer(fleet, plan.axes.stream("score"), plan.score_batch_size, plan.precision)
    known, kept = images[split.train_index], images[split.calibration_index]
    if plan.rule is not None:
        scorer = under_rule(scorer, shipped(plan.rule), known, kept)
    return Fitted(scorer, training, split, calibration_scores(scorer, kept))


def split_of(plan: Plan, count: int) -> Split:
    """Which of ``count`` images are trained on, and which are kept to calibrate: as a split keeps them."""
    axes = plan.axes
    names = axes.dataset, axes.split, axes.normal_class, axes.seed
    rows, kept = kept_apart(count, plan.calibration_share, *names)
    if len(rows) == 0:
        raise UsageError(f"calibration_share={plan.calibration_share} of {count} images leaves none to train on")
    nothing = rows[:0]
    label = torch.zeros(len(rows), dtype=torch.uint8)
    return Split(rows, label, kept, "train", nothing, label[:0], nothing, len(rows), SPLIT_VERSION, hash="")


def _built(plan: Plan, shape: tuple[int, int, int]) -> Model:
    name, size = plan.model["name"], plan.model.get("batch_size", 1)
    target = plan.model["_target_"]
    model_class(target)  # what cannot be imported is said in its own words
    try:
        built = build_model(plan.model, shape, plan.axes.stream("init"), size)
        refuse_built(built)
    except Exception as error:
        shown = " x ".join(map(str, shape))
        raise UsageError(f"model {name} cannot be built for images of {shown}: {one_line(error)}") from error
    if size == 1 and any(isinstance(module, nn.BatchNorm1d) for module in built.modules()) and built.phases:
        raise UsageError(f"batch_size=1: model {name} normalises over the images of a batch. Say batch_size=64")
    return built


def _member(plan: Plan, split: Split, model: Model) -> Member:
    told = None
    if model.label_share > 0:
        labels = torch.full((len(split.train_index) + len(split.calibration_index),), plan.axes.normal_class)
        told = told_classes(split, labels, model.label_share, plan.axes.stream("labels"))
    return Member(split.train_index, plan.axes.stream("order"), plan.axes.stream("noise"), told)


def _train(
    plan: Plan,
    fleet: Fleet,
    images: Tensor,
    member: Member,
    settings: Settings,
    on_epoch: Callable[[int, list[Training]], None] | None,
) -> list[Training]:
    watch = Watch() if on_epoch is None else Watch(on_epoch)
    together = fleet.device.type == "cpu" and strategy_of(fleet.model, plan.device) == "vmap"
    try:
        return (train_in_company if together else train)(fleet, images, [member], settings, watch)
    except ValueError as error:
        said = re.sub(r"\bmodel\.(\w+=)", r"\1", one_line(error, 1000))  # in Python a keyword is typed alone
        raise UsageError(f"model {plan.model['name']} cannot be fitted: {said}") from error
