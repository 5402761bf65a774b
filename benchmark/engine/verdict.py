"""What the scores of a cell are worth, from arrays alone: of a model, and of a committee that has none.

N evaluated images, C calibration images; labels are 1 for anomalous images, a larger score is more anomalous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.engine import metrics

ALPHA = 0.05  # share of new normal images that the threshold may flag


@dataclass(frozen=True)
class Images:
    """The evaluated images of a cell."""

    index: np.ndarray  # int64 (N,), of the official split
    label: np.ndarray  # uint8 (N,), 1 = anomalous
    target: np.ndarray  # int64 (N,), class labels

    @property
    def has_anomalies(self) -> bool:
        """Whether there is anything to be found: without, no AUROC is recorded, nor what is made of anomalies."""
        return bool(self.label.any())

    def arrays(self, scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What ``scores.npz`` holds of them: ``scores`` are by name, each (N,)."""
        label = self.label.astype(np.uint8)
        return {"index": self.index, "label": label, "target": self.target, **score_arrays(scores)}

    def counts(self, n_train: int) -> dict[str, float]:
        """How many images there are, of ``n_train`` that were trained on."""
        found = {"n_train": n_train, "n_test": len(self.label), "n_test_anomalous": self.label.sum()}
        return {name: float(value) for name, value in found.items()}

    def quality(self, scores: Mapping[str, np.ndarray], headline: str) -> dict[str, float]:
        """How well the scores, by name and each (N,), tell anomalous images from normal ones; {} without anomalies."""
        if not self.has_anomalies:
            return {}
        values = scores[headline]
        return {
            "auroc": metrics.auroc(self.label, values),
            "auroc_se": metrics.delong_se(self.label, values),
            "average_precision": metrics.average_precision(self.label, values),
            "fpr95": metrics.fpr_at_tpr(self.label, values),
            **{f"auroc/{name}": metrics.auroc(self.label, values) for name, values in scores.items()},
        }

    def at_threshold(self, scores: np.ndarray, calibration: np.ndarray | None) -> dict[str, float]:
        """What the conformal threshold does; without enough calibration images there is none, and nothing is said.

        ``scores`` (N,) and ``calibration`` (C,) are headline scores. Without anomalies it is the false alarms alone.
        """
        if calibration is None:
            return {"n_calibration": 0.0}
        result = {"n_calibration": float(len(calibration))}
        threshold = metrics.conformal_threshold(calibration, ALPHA)
        if threshold is None:
            return result
        found = metrics.at_threshold(self.label, scores, threshold)
        if not self.has_anomalies:
            found = {"false_alarm_rate": found["false_alarm_rate"]} if len(self.label) else {}
        return result | {"threshold": threshold, **found}

    def against_kinds(self, scores: np.ndarray, classes: int, other_kinds: Sequence[str]) -> dict[str, float]:
        """AUROC of the headline scores (N,) against each kind of anomaly alone, where the data set has several."""
        if not other_kinds:
            return {}
        kind, result = self.target // classes, {}
        for number, name in enumerate(("other class", *other_kinds)):
            chosen = (self.label == 0) | (kind == number)
            if self.label[chosen].any():
                key = f"against/auroc_{name.replace(' ', '_')}"
                result[key] = metrics.auroc(self.label[chosen], scores[chosen])
        return result


def score_arrays(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scores by name, each (N,), as a record's arrays."""
    return {f"score/{name}": values.astype(np.float32) for name, values in scores.items()}
