"""Splits: which images are trained on, which are tested, and which of these are anomalies.

Everything random here is drawn from seeds of data set, split, normal class and seed, never of the model, so all models
of a table see the same images.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.config import UsageError
from benchmark.data import synthetic
from benchmark.data.images import ImageData
from benchmark.seeds import derive_seed

SPLIT_VERSION = 2
VALIDATION_SHARE = 0.2  # of the normal training images, held out by evaluate_on=validation and synthetic
VALIDATION_ANOMALIES = 3000  # anomalous training images at most that evaluate_on=validation uses
HELD_OUT = ("validation", synthetic.NAME)  # values of evaluate_on
NAMES = ("one_vs_rest", "leave_one_out")


@dataclass(frozen=True)
class Split:
    """Rows of a data set: training (of the official training split) and evaluation (of ``eval_source``)."""

    train_index: Tensor  # int64 (N,)
    train_label: Tensor  # uint8 (N,), 1 = anomalous (contamination)
    calibration_index: Tensor  # int64 (C,), of the official training split too, kept from training: thresholds
    eval_source: str  # "test", "train" for evaluate_on=validation, "synthetic": made from rows of the training split
    eval_index: Tensor  # int64 (M,)
    eval_label: Tensor  # uint8 (M,), 1 = anomalous
    eval_target: Tensor  # int64 (M,), class labels; of another kind as in ``ImageData.other_kinds``
    nominal_train_size: int  # mean size of the training set over all normal classes: an epoch's length
    version: int
    hash: str  # SHA-256 of version, source, rows and labels
    classes: int | None = None  # how many classes can be the normal one (the one left out); None: all of them
    eval_seed: int | None = None  # from which synthetic images are made


def make_split(data: ImageData, config: Any, normal_class: int, seed: int) -> Split:
    """The split of one cell. ``config`` is a ``SplitConfig``; ``normal_class`` is the class left out in leave_one_out.

    Where there are no anomalous images to evaluate the normal ones are evaluated alone, and there may be none of them
    either. Raises ``UsageError`` if the split has no training images, if it has anomalous images to evaluate and no
    normal ones, and if ``test_limit`` leaves one kind of them.
    """
    if config.name not in NAMES:
        raise UsageError(f"split.name={config.name} is not allowed; it must be one of {', '.join(NAMES)}")
    axes = (data.name, config.name, normal_class, seed)
    normal, anomalous = _by_label(data, data.train_labels, config.name, normal_class)
    if config.evaluate_on in HELD_OUT:
        order = normal[_permutation(len(normal), "validation", *axes)]
        held = round(VALIDATION_SHARE * len(normal))
        normal = order[held:]
        others = anomalous[_permutation(len(anomalous), "validation-anomalies", *axes)]
        used = others[:VALIDATION_ANOMALIES]
        spare = others[VALIDATION_ANOMALIES:]  # contamination never takes an evaluated image
        source, index = "train", torch.cat([order[:held], used])
        label = torch.cat([torch.zeros(held), torch.ones(len(used))]).byte()
    else:
        source, spare = "test", anomalous
        good, bad = _by_label(data, data.test_labels, config.name, normal_class)
        index, order = torch.cat([good, bad]).sort()
        label = (order >= len(good)).byte()
    if config.evaluate_on == synthetic.NAME:  # trained on the very images of validation, judged by made anomalies
        source, (index, label, target) = synthetic.NAME, _synthetic_rows(index[label == 0], data, axes)
    else:
        target = data.labels(source)[index]
    has_anomalies = bool(label.any())  # not so in a folder of good images
    if config.test_limit is not None:
        keep = _stratified(target, config.test_limit, data.name)
        index, label, target = index[keep], label[keep], target[keep]
    train, train_label = _training_rows(normal, spare, config, axes)
    train, train_label, calibration = _keep_calibration(train, train_label, config.calibration_share, axes)
    if len(train) == 0 or (has_anomalies and not 0 < int(label.sum()) < len(label)):
        raise UsageError(
            f"{config.name} with class {normal_class} of {data.name} leaves {len(train)} training images and "
            f"{int(label.sum())} anomalous of {len(label)} evaluated ones; at least one of each is needed"
        )
    made = [target, torch.tensor(synthetic.VERSION)] if source == synthetic.NAME else []
    return Split(
        train_index=train,
        train_label=train_label,
        calibration_index=calibration,
        eval_source=source,
        eval_index=index,
        eval_label=label,
        eval_target=target,
        nominal_train_size=_nominal_size(data, config),
        version=SPLIT_VERSION,
        hash=_hash(source, train, train_label, calibration, index, label, *made),
        eval_seed=derive_seed(synthetic.NAME, synthetic.VERSION, *axes) if made else None,
        classes=_count_unless_all(data, config.name),
    )


def trainable_classes(data: ImageData, name: str) -> list[int]:
    """The classes that the split ``name`` can have: those of which training images are left to be the normal ones.

    In one_vs_rest that is not a class of defects, of which there are test images only; in leave_one_out it is every
    class whose others have training images.
    """
    counts = _train_counts(data)
    left = counts if name == "one_vs_rest" else counts.sum() - counts
    return np.flatnonzero(left).tolist()


def _count_unless_all(data: ImageData, name: str) -> int | None:
    count = len(trainable_classes(data, name))
    return count if count < len(data.class_names) else None


def _train_counts(data: ImageData) -> np.ndarray:
    """How many training images each class has, those of other kinds left out: int64 (classes,)."""
    count = len(data.class_names)
    return np.bincount(data.train_labels.numpy(), minlength=count)[:count]


def told_classes(split: Split, labels: Tensor, share: float, seed: int) -> Tensor:
    """The class of each training image as far as a model is told: int64 (N,), -1 for the others.

    Told are round(share * normal images) normal ones, drawn from ``seed``; contamination never is.
    """
    normal = (split.train_label == 0).nonzero().flatten()
    chosen = normal[torch.randperm(len(normal), generator=torch.Generator().manual_seed(seed))]
    chosen = chosen[: round(share * len(normal))]
    told = torch.full((len(split.train_index),), -1)
    told[chosen] = labels[split.train_index[chosen]]
    return told


def copies_kept(images: Tensor, split: Split) -> int:
    """How many calibration images have all pixels of one that is trained on: these score too low to calibrate.

    ``images`` are those of the training split, uint8 (N, C, H, W).
    """
    kept = [sha256(images[row].numpy().tobytes()).digest() for row in split.calibration_index.tolist()]
    trained = {sha256(images[row].numpy().tobytes()).digest() for row in split.train_index.tolist()} if kept else set()
    return sum(one in trained for one in kept)


def kept_apart(count: int, share: float, *axes: Any) -> tuple[Tensor, Tensor]:
    """Of ``count`` normal images the rows to train on and those kept to calibrate, as ``make_split`` keeps them.

    ``axes`` are data set, split, normal class and seed.
    """
    label = torch.zeros(count, dtype=torch.uint8)
    rows, _, kept = _keep_calibration(torch.arange(count), label, share, axes)
    return rows, kept


def _by_label(data: ImageData, labels: Tensor, name: str, normal_class: int) -> tuple[Tensor, Tensor]:
    """Rows of normal and of anomalous images.

    Images of another kind (``ImageData.other_kinds``) are anomalies of their class: they count where it is normal.
    """
    count, values = len(data.class_names), labels.numpy()  # in one thread: torch's wait for one another on a busy CPU
    chosen, usual = values == normal_class, values < count
    other_kind = ~usual & ((values % count == normal_class) == (name == "one_vs_rest"))
    normal = chosen if name == "one_vs_rest" else ~chosen & usual
    return torch.from_numpy(np.flatnonzero(normal)), torch.from_numpy(np.flatnonzero((usual & ~normal) | other_kind))


def _synthetic_rows(held: Tensor, data: ImageData, axes: tuple[Any, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, labels and targets of the held-out normal images, and of those that anomalies are made from, by kind.

    Every kind is made from as many, all of them but for ``VALIDATION_ANOMALIES``: index (M,), label (M,), target (M,).
    Raises ``UsageError`` if none are held out.
    """
    if len(held) == 0:
        raise UsageError(
            f"split.evaluate_on={synthetic.NAME} makes anomalies from a fifth of the normal training images, and "
            f"{data.name} has fewer than three for class {axes[2]} ({axes[1]})"
        )
    each, classes = min(len(held), VALIDATION_ANOMALIES // len(synthetic.KINDS)), len(data.class_names)
    chosen = [held[_permutation(len(held), kind, *axes)[:each]] for kind in synthetic.KINDS]
    index = torch.cat([held, *chosen])
    kind = torch.cat([torch.zeros(len(held)), torch.arange(1, len(chosen) + 1).repeat_interleave(each)]).long()
    return index, (kind > 0).byte(), data.train_labels[index] + kind * classes


def _training_rows(normal: Tensor, spare: Tensor, config: Any, axes: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
    """Normal rows, thinned to ``train_fraction``, and anomalous ones so that their share is ``contamination``."""
    if config.train_fraction < 1:
        count = max(1, round(config.train_fraction * len(normal)))
        normal = normal[_permutation(len(normal), "fraction", *axes)[:count]]
    count = round(len(normal) * config.contamination / (1 - config.contamination))
    if count > len(spare):
        raise UsageError(
            f"split.contamination={config.contamination} needs {count} anomalous training images, "
            f"there are {len(spare)}. Type a smaller split.contamination or split.train_fraction"
        )
    mixed = spare[_permutation(len(spare), "contamination", *axes)[:count]]
    rows, order = torch.cat([normal, mixed]).sort()
    return rows, (order >= len(normal)).byte()


def _keep_calibration(
    rows: Tensor, label: Tensor, share: float, axes: tuple[Any, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows to train on, their labels, and the rows kept from training: drawn whatever their label.

    Where a training set is contaminated its calibration images are too: nobody who has such data could tell.
    """
    kept = torch.zeros(len(rows), dtype=torch.bool)
    kept[_permutation(len(rows), "calibration", *axes)[: round(share * len(rows))]] = True
    return rows[~kept], label[~kept], rows[kept]


def _nominal_size(data: ImageData, config: Any) -> int:
    counts, classes = _train_counts(data), trainable_classes(data, config.name)
    each = counts if config.name == "one_vs_rest" else counts.sum() - counts
    normal = int(each[classes].sum())  # over all classes that can be the normal one (the one left out)
    size = normal / len(classes) * config.train_fraction / (1 - config.contamination) * (1 - config.calibration_share)
    return max(1, round(size * (1 - VALIDATION_SHARE) if config.evaluate_on in HELD_OUT else size))


def _stratified(targets: Tensor, limit: int, dataset: str) -> Tensor:
    """Rows of at most ``limit`` images, each class by its share; a function of data set and labels alone."""
    if limit >= len(targets):
        return torch.arange(len(targets))
    order = _permutation(len(targets), "test_limit", dataset)
    ranked = order[targets[order].argsort(stable=True)]  # by class, random within
    picks = (torch.arange(limit, dtype=torch.float64) + 0.5) * len(targets) / limit
    return ranked[picks.long()].sort().values


def _permutation(count: int, *axes: Any) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(derive_seed("split", *axes)))


def _hash(source: str, *tensors: Tensor) -> str:
    digest = sha256(f"{SPLIT_VERSION} {source}".encode())
    for tensor in tensors:
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
