"""What was chosen for a model on a data set, its settings and its rule: ``conf/chosen/DATASET_MODEL.yaml``.

Hydra lays it over ``conf/model/MODEL.yaml``; ``chosen=none`` leaves it out. ``benchmark.select`` writes it, from cells
of another data set: ``CHOSEN_ON``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.config import CONF_DIR

GROUP = "chosen"
NONE = "none"  # the option that chooses nothing
CHOSEN_ON = {"mnist": "fashion_mnist", "fashion_mnist": "mnist"}  # data set -> the one on which its choices are made


@dataclass(frozen=True)
class Chosen:
    """What stands in a file of ``conf/chosen``, nothing if there is none."""

    settings: dict[str, Any] = field(default_factory=dict)  # of the model, those that differ from its own YAML
    rule: str | None = None

    @property
    def worded(self) -> set[str]:
        """The settings as in the name of a cell that has them: ``latent=24``."""
        return {f"{key}={worded(value)}" for key, value in self.settings.items()}


def worded(value: Any) -> str:
    """A setting's value as in the name of a cell, without a space.

    >>> worded([256, 128])
    '[256,128]'
    """
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def chosen_path(dataset: str, model: str) -> Path:
    """Where the choice for a model on a data set stands."""
    return CONF_DIR / GROUP / f"{dataset}_{model}.yaml"


def read_chosen(dataset: str, model: str) -> Chosen:
    """The choice for a model on a data set."""
    from omegaconf import OmegaConf

    path = chosen_path(dataset, model)
    if dataset not in CHOSEN_ON or not path.is_file():
        return Chosen()
    found: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(path))  # type: ignore[assignment]
    return Chosen(found.get("model", {}), found.get("chosen_rule"))


def choices_of(model: str) -> Iterator[Chosen]:
    """The choices for a model, on any data set."""
    return (read_chosen(dataset, model) for dataset in CHOSEN_ON)
