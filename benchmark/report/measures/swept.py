"""Settings of which an experiment has several numbers: what each model reaches under each, from the rows alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.config import CONF_DIR
from benchmark.report.statistics import Group, t_interval
from benchmark.store.experiments import column_label

if TYPE_CHECKING:
    import pandas as pd

LEAST = 3  # numbers of one setting from which on it was swept
NAMES = {"components": "latent"}  # setting of one model -> what it is called with others
DEFAULTS = {"train_fraction": 1.0, "contamination": 0.0, "calibration_share": 0.1}  # of splits: in no variant
TITLES = {
    "train_fraction": "share of the training images",
    "contamination": "share of anomalous images among the training images",
    "latent": "numbers in the code",
    "epochs": "passes over the training images",
}


@dataclass(frozen=True)
class Point:
    """Cells of one column."""

    value: float  # of the setting
    mean: float  # AUROC, over classes and seeds
    low: float  # 95% interval; NaN where there is nothing to take it from
    high: float
    classes: int  # that have a value
    seeds: int  # with every class


@dataclass(frozen=True)
class Series:
    """A model, and whatever else its columns have in common."""

    label: str
    points: tuple[Point, ...]  # by the value of the setting


@dataclass(frozen=True)
class Swept:
    """A setting in one group."""

    setting: str
    group: Group
    series: tuple[Series, ...]

    @property
    def title(self) -> str:
        return TITLES.get(self.setting, self.setting.replace("_", " "))

    @property
    def values(self) -> list[float]:
        return sorted({point.value for one in self.series for point in one.points})


def swept(groups: Sequence[Group]) -> list[Swept]:
    """Every setting of which a model has LEAST numbers or more, group by group.

    A cell whose variant does not name the setting has the number that its model has as shipped.
    """
    return [found for group in groups for found in _of_group(group)]


def _of_group(group: Group) -> Iterator[Swept]:
    columns = list(dict.fromkeys(zip(group.frame["model"], group.frame["variant"], strict=True)))
    typed = {column: settings(column[1]) for column in columns}
    for setting in dict.fromkeys(NAMES.get(key, key) for found in typed.values() for key in found):
        lines: dict[str, dict[float, tuple[str, str]]] = {}
        for (model, variant), found in typed.items():
            key = next((key for key in found if NAMES.get(key, key) == setting), None)
            value = found[key] if key is not None else as_shipped(model, setting)
            if value is not None:
                rest = " ".join(word for word in variant.split() if key is None or not word.startswith(f"{key}="))
                lines.setdefault(column_label(model, rest, group.shared), {})[value] = (model, variant)
        series = [
            Series(label, tuple(_point(group, value, *line[value]) for value in sorted(line)))
            for label, line in lines.items()
            if len(line) >= LEAST
        ]
        if series:
            yield Swept(setting, group, tuple(series))


def settings(variant: str) -> dict[str, float]:
    """The settings of a variant that are numbers.

    >>> settings("latent=8 hidden=[256,128] train_fraction=0.1 objective=l1")
    {'latent': 8.0, 'train_fraction': 0.1}
    """
    found = {}
    for word in variant.split():
        key, _, text = word.partition("=")
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            found[key] = value
    return found


def as_shipped(model: str, setting: str) -> float | None:
    """The number that a setting has where no variant names it; None where that is not known."""
    if setting in DEFAULTS:
        return DEFAULTS[setting]
    own = _yaml(model)
    key = next((key for key in own if NAMES.get(key, key) == setting), setting)
    value = own.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@cache
def _yaml(model: str) -> Mapping[str, Any]:
    import yaml

    path = CONF_DIR / "model" / f"{model}.yaml"
    content = (
        yaml.safe_load(path.read_text(encoding="utf-8")) if path.name[:-5].isidentifier() and path.exists() else {}
    )
    return content if isinstance(content, dict) else {}


def _point(group: Group, value: float, model: str, variant: str) -> Point:
    """Mean over classes, with an interval: over seeds where there are several, else over evaluated images.

    The latter is that of a mean of independent classes, by DeLong's standard errors.
    """
    frame = group.frame[(group.frame["model"] == model) & (group.frame["variant"] == variant)]
    frame = frame[frame["auroc"].notna()]
    if not len(frame):
        return Point(value, math.nan, math.nan, math.nan, 0, 0)
    by_class = frame.groupby("normal_class")["auroc"].mean()
    whole = [part for _, part in frame.groupby("seed") if len(part) == len(group.classes)]
    low, high = t_interval([float(part["auroc"].mean()) for part in whole])
    if len(whole) < 2:
        low, high = _over_images(frame, float(by_class.mean()))
    return Point(value, float(by_class.mean()), max(low, 0.0), min(high, 1.0), len(by_class), len(whole))


def _over_images(frame: pd.DataFrame, mean: float) -> tuple[float, float]:
    if "auroc_se" not in frame or frame["auroc_se"].isna().any():
        return math.nan, math.nan
    half = 1.959964 * float(np.sqrt(np.square(frame["auroc_se"].to_numpy(float)).sum())) / len(frame)
    return mean - half, mean + half
