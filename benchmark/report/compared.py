"""The cells of a model on a data set, as settings by rules: what choices and their trust are made of.

Only what was evaluated on held-out training images, and under one condition, can be compared.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from benchmark.config import UsageError
from benchmark.data.synthetic import NAME as SYNTHETIC
from benchmark.models import model_names
from benchmark.models.refusals import shipped_keywords
from benchmark.report.crossing import OWN, metric_of
from benchmark.rules import is_floor, rule_names

if TYPE_CHECKING:
    import pandas as pd

CONDITIONS = ("train_fraction", "contamination", "calibration_share", "precision")  # of a variant, no settings
Cells = dict[tuple[int, int], float]  # (class, seed) -> AUROC


@dataclass(frozen=True)
class Compared:
    """The cells of a model on a data set."""

    conditions: tuple[str, ...]
    values: Mapping[str, Mapping[str, Cells]]  # setting -> rule -> its cells
    diverged: Sequence[str]  # settings of which a cell has

    @property
    def choosable(self) -> list[str]:
        return [setting for setting in sorted(self.values) if setting not in self.diverged]

    def shared(self, settings: Sequence[str]) -> set[tuple[int, int]]:
        """The classes and seeds that all these settings have."""
        return set.intersection(*(set(self.values[one][OWN]) for one in settings)) if settings else set()

    def mean(self, setting: str, rule: str, shared: set[tuple[int, int]]) -> float:
        """Mean over the classes, each the mean over its seeds; NaN where a cell is not there."""
        cells = self.values.get(setting, {}).get(rule, {})
        if not shared or not shared <= set(cells):
            return math.nan
        classes = sorted({number for number, _ in shared})
        return fmean(fmean(cells[key] for key in sorted(shared) if key[0] == number) for number in classes)


def refuse_mixed(frame: pd.DataFrame) -> bool:
    """Whether the cells are on synthetic anomalies. Raises ``UsageError`` for any on test images, and for a mixture."""
    on = Counter(frame["evaluate_on"])
    if tested := len(frame) - on["validation"] - on[SYNTHETIC]:
        raise UsageError(
            f"{tested} of the {len(frame)} cells are evaluated on test images, which choose nothing. Compare settings "
            "in an experiment of its own, with: python -m benchmark -m split.evaluate_on=validation chosen=none ..."
        )
    if len(on) > 1:
        raise UsageError(
            f"{on['validation']} of the {len(frame)} cells are evaluated on real anomalies, {on[SYNTHETIC]} on "
            "synthetic ones: one choice is made on one kind. Give each an experiment_name of its own"
        )
    return on[SYNTHETIC] > 0


def compared_of(model: str, dataset: str, frame: pd.DataFrame) -> Compared:
    """What is done, as settings by rules. Raises ``UsageError`` if not all settings have the same conditions."""
    there = [rule for rule in (OWN, *rule_names()) if metric_of(rule) in frame]
    columns = {metric_of(rule): rule for rule in there if not is_floor(rule)}
    known = shipped_keywords(model) if model in model_names() else None
    values: dict[str, dict[str, Cells]] = {}
    conditions: dict[tuple[str, ...], str] = {}
    diverged: set[str] = set()
    parts = {variant: _parted(variant, known) for variant in set(frame["variant"])}
    for row in frame.to_dict("records"):
        setting, condition = parts[row["variant"]]
        conditions.setdefault(condition, setting)
        rules = values.setdefault(setting, {OWN: {}})
        if row["state"] == "diverged":
            diverged.add(setting)
        if row["state"] != "done":
            continue
        for column, rule in columns.items():
            if not math.isnan(row[column]):
                rules.setdefault(rule, {})[int(row["normal_class"]), int(row["seed"])] = float(row[column])
    if len(conditions) > 1:
        first, second, *_ = (" ".join(condition) or "none of these" for condition in conditions)
        raise UsageError(
            f"{model} on {dataset}: cells were compared under several conditions ({first}; {second}), which are no "
            "settings. Compare all settings under one, in an experiment of its own"
        )
    return Compared(next(iter(conditions), ()), values, sorted(diverged))


def _idle(key: str, known: Sequence[str]) -> bool:
    """Whether a setting of the trainer is of no use to a model with these keywords: PCA has no epochs."""
    return key in ("epochs", "batch_size") and key not in known


def _parted(variant: str, known: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
    """The settings of the model in a cell's variant, and the conditions under which it was trained.

    ``known`` are the model's keywords, None for a model that is not of this package. A length of training that was
    typed for a model which has none changes nothing, and is neither.
    """
    parts = [part for part in variant.split() if known is None or not _idle(part.partition("=")[0], known)]
    keys = [part.partition("=")[0] for part in parts]
    own = [key not in CONDITIONS and (known is None or key in known) for key in keys]
    settings = [part for part, is_own in zip(parts, own, strict=True) if is_own]
    return " ".join(settings), tuple(part for part, is_own in zip(parts, own, strict=True) if not is_own)
