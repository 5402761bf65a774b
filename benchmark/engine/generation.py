"""Generated images, judged by a classifier of the training split: which modes they reach, how near their features are.

The Frechet distance here is on this project's own small classifier, one for each data set. It is no FID (Heusel et al.
2017, arXiv:1706.08500), whose features are Inception's, and compares with nothing but itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmark.cells import Cell
from benchmark.data.files import data_dir
from benchmark.data.images import ImageData
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.judge import Classifier, classifier_of
from benchmark.engine.pictures import generated_images
from benchmark.engine.score import Scored
from benchmark.models.parts.rows import evenly_spaced

GENERATION_SAMPLES = 2000  # generated images that are judged, and real ones beside them
MODE_SHARE = 0.01  # share of the samples from which on a class counts as reached


def judge_samples(
    fleet: Fleet, cells: Sequence[Cell], data: ImageData, found: Sequence[Scored]
) -> list[dict[str, float]]:
    """What the classifier says of each cell's generated images; nothing where that is not asked for, or takes minutes.

    Nor where all training images are of one class, whose classifier tells nothing. ``found`` is what the cells' models
    say of the evaluated images.
    """
    if not cells[0].config["trainer"]["generation_metrics"] or fleet.model.samples_slowly:
        return [{} for _ in cells]
    if len(data.train_labels.unique()) < 2:
        return [{} for _ in cells]
    return [_judge(fleet, i, cell, data, found[i].code) for i, cell in enumerate(cells)]


def _judge(fleet: Fleet, place: int, cell: Cell, data: ImageData, code: Tensor | None) -> dict[str, float]:
    seed, decode = cell.stream("generation"), fleet.decoder(place)
    generated = generated_images(fleet.model, code, GENERATION_SAMPLES, seed, decode)
    if generated is None:
        return {}
    normal = cell.split.train_index[cell.split.train_label == 0]
    return generation_metrics(generated, data, normal, classifier_of(data, data_dir(cell.config["data_dir"])))


def generation_metrics(
    generated: Tensor, data: ImageData, normal_index: Tensor, classifier: Classifier
) -> dict[str, float]:
    """Coverage of the normal classes by generated images (N, C, H, W) in [0, 1], and their Frechet distance.

    ``normal_index`` are the normal training images; their classes are the modes. For scale, the distance is also taken
    between two halves of real images, as many as were generated where there are that many.
    """
    found, features = classifier.judge(generated)
    labels = data.train_labels[normal_index]
    modes = labels.unique()
    shares = torch.bincount(found, minlength=len(data.class_names)).double() / len(found)
    real_shares = torch.bincount(labels, minlength=len(data.class_names)).double() / len(labels)
    count = min(GENERATION_SAMPLES, len(normal_index) // 2)
    rows = evenly_spaced(normal_index, 2 * count)
    _, real = classifier.judge(to_pixels(data.train_images[rows]))
    reference = fit_gaussian(real[::2])
    return {
        "generation/modes": float(len(modes)),
        "generation/modes_hit": float((shares[modes] >= MODE_SHARE).sum()),
        "generation/mode_entropy": entropy(shares[modes]),
        "generation/mode_entropy_real": entropy(real_shares[modes]),
        "generation/share_other": float(1 - shares[modes].sum()),
        **{f"generation/share_{int(mode)}": float(shares[mode]) for mode in modes},
        "generation/frechet_classifier": frechet_distance(fit_gaussian(features), reference),
        "generation/frechet_classifier_real": frechet_distance(fit_gaussian(real[1::2]), reference),
        **({} if math.isnan(classifier.accuracy) else {"generation/classifier_accuracy": classifier.accuracy}),
    }


def entropy(shares: Tensor) -> float:
    """Entropy in nats of shares, brought to a sum of 1 first; 0 if all are 0.

    >>> round(entropy(torch.tensor([2.0, 2.0])), 4)
    0.6931
    """
    total = float(shares.sum())
    return float(torch.special.entr(shares.double() / total).sum()) if total > 0 else 0.0


def fit_gaussian(features: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean (F,) and covariance (F, F) of features (N, F), in float64."""
    values = features.double().numpy()
    return values.mean(0), np.cov(values, rowvar=False)


def frechet_distance(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    """Frechet (2-Wasserstein) distance, squared, of two Gaussians (mean, covariance).

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^(1/2) S2 S1^(1/2))^(1/2)) (Dowson & Landau 1982).
    """
    (mean, covariance), (other_mean, other_covariance) = one, other
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
    crossed = np.linalg.eigvalsh(root @ other_covariance @ root).clip(min=0)
    squared = np.square(mean - other_mean).sum()
    return float(squared + np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(crossed).sum())
