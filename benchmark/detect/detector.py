"""``Detector``: an anomaly detector as scikit-learn has them, trained and scored by the engine of the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin

from benchmark.detect.arrays import as_images
from benchmark.detect.conformal import flagged, p_values
from benchmark.detect.loading import load_cell
from benchmark.detect.scorer import Scorer


class Detector(OutlierMixin, BaseEstimator):
    def __init__(self, model: str = "ae", *, rule: str | None = None, alpha: float = 0.05, **keywords: Any) -> None:
        self.model, self.rule, self.alpha = model, rule, alpha
        self._keywords = keywords

    def anomaly_scores(self, images: Any) -> np.ndarray:
        """Scores of images, larger = more anomalous: float64 (N,)."""
        return self.scorer_.scores(as_images(images, self.image_shape)).astype(np.float64)

    def score_samples(self, images: Any) -> np.ndarray:
        """Scores of images, larger = more normal, as scikit-learn has them: float64 (N,)."""
        return -self.anomaly_scores(images)

    def p_values(self, images: Any) -> np.ndarray:
        """(1 + number of calibration images that score at least as high) / (n + 1) for each image: float64 (N,)."""
        return p_values(self.anomaly_scores(images), self.calibration_scores)

    def flag(self, images: Any, alpha: float | None = None) -> np.ndarray:
        """Whether each image's p-value is at most ``alpha``: bool (N,)."""
        return flagged(self.anomaly_scores(images), self.calibration_scores, self.alpha if alpha is None else alpha)

    @property
    def calibration_scores(self) -> np.ndarray:
        """Anomaly scores of the calibration images: float64 (n,)."""
        return self.calibration_scores_

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self.model

    scorer_: Scorer
    calibration_scores_: np.ndarray
    image_shape: tuple[int, int, int] | None = None


def load_detector(path: str | Path, rule: str | None = None, device: str | None = None) -> Detector:
    """The detector of a finished cell, ready to score.

    ``rule`` is a rule's name, ``chosen`` for the one that the record names as chosen, or None for the model's own
    headline. ``device`` as in a command; None: the one that the cell was trained on where it is here, else the CPU.
    Raises ``UsageError`` in one line for a folder that holds no finished cell.
    """
    loaded = load_cell(path, rule, device)
    detector = Detector(loaded.config["model"]["name"], rule=loaded.rule)
    detector.scorer_, detector.calibration_scores_ = loaded.scorer, loaded.calibration
    channels, height, width = loaded.shape
    detector.image_shape = channels, height, width
    return detector
