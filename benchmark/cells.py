"""Cells: their axes, seeds and fingerprints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import instructions
from benchmark.code_hash import cell_code, is_ours
from benchmark.config import is_plain_name
from benchmark.seeds import derive_seed

if TYPE_CHECKING:
    from benchmark.data.splits import Split

NUMERICS_VERSION = 2  # raise it when the same configuration gives other numbers than before

# keywords that models were given after their first records, with the values at which they change nothing
CAME_LATER: Mapping[str, Mapping[str, Any]] = {"anogan": {"search_prior": 0.0}}


@dataclass(frozen=True, kw_only=True)
class Axes:
    """What tells the cells of an experiment apart, as it stands in records."""

    model: str
    dataset: str
    split: str
    normal_class: int
    normal_class_name: str = field(default="", compare=False)
    seed: int
    evaluate_on: str = "test"

    def stream(self, purpose: str) -> int:
        """Seed of one of the streams of random numbers: init, order, noise, labels or score."""
        return derive_seed(purpose, self.model, self.dataset, self.split, self.normal_class, self.seed)


@dataclass(frozen=True)
class Cell:
    """One model x data set x split x seed with its resolved configuration."""

    axes: Axes
    variant: str  # what differs from the model as shipped, "" if nothing
    config: Mapping[str, Any]  # resolved, with one normal class and one seed
    fingerprint: str
    split: Split

    @property
    def name(self) -> str:
        """A readable name: ``vae mnist 3 seed 0``."""
        axes = self.axes
        parts = [axes.model, axes.dataset, str(axes.normal_class), f"seed {axes.seed}", self.variant]
        return " ".join(part for part in parts if part)

    @property
    def path(self) -> Path:
        """The cell's folder, relative to the output directory."""
        return cell_path(self.axes, self.fingerprint)

    @property
    def code(self) -> str:
        """The model's code, as a record names it."""
        return cell_code(self.axes.model, self.config["model"]["_target_"])

    def stream(self, purpose: str) -> int:
        """Seed of one of the cell's streams of random numbers."""
        return self.axes.stream(purpose)


def cell_path(axes: Axes, fingerprint: str) -> Path:
    """The folder of a cell, relative to the output directory."""
    folders = [axes.dataset, axes.split, axes.model]
    if not all(map(is_plain_name, folders)):
        raise ValueError(f"{folders} are no names of folders")
    return Path("cells", *folders, f"class{axes.normal_class}-seed{axes.seed}-{fingerprint[:12]}")


def fingerprint(config: Mapping[str, Any], data_version: str, split: Split, device: str, precision: str) -> str:
    """SHA-256 of everything that can change a cell's numbers, as 64 hexadecimal digits.

    Of the configuration that is: model, data set, split, training length, seed and determinism. How cells are
    grouped and batched for speed, where records go and what is shown are not part of it.
    """
    dataset = {key: config["dataset"][key] for key in ("name", "torchvision_class", "options", "image_size")}
    if config["dataset"].get("keep_aspect"):  # of images of one's own; absent where it is off, as in the first records
        dataset["keep_aspect"] = True  # the pixels are in ``data``; but a cell reads new images as it was told to
    content = {
        "numerics": NUMERICS_VERSION,
        "model": _hashed_model(config["model"]),
        "dataset": dataset,
        "data": data_version,
        "split": config["split"],
        "split_version": split.version,
        "split_hash": split.hash,
        "epochs": config["trainer"]["epochs"],
        "batch_size": config["trainer"]["batch_size"],
        "seed": config["seed"],
        "device": device,
        "precision": precision,
        "deterministic": config["deterministic"],
    }
    if config["trainer"].get("generation_metrics", False):  # absent where it is off: it came after the first records
        content["generation_metrics"] = True
    if config["trainer"].get("compile"):
        content["compile"] = True  # rounds otherwise
    if device == "cpu" and instructions.in_force() == instructions.MACHINE:
        content["instructions"] = instructions.MACHINE  # of every processor its own
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _hashed_model(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model's configuration, with the path of its class where that is not the one of our package of this name.

    A keyword that came after the first records is left out where it is off.
    """
    ours = is_ours(model["name"], model.get("_target_", f"benchmark.models.{model['name']}."))
    off = {**CAME_LATER.get(model["name"], {}), "_target_": model.get("_target_")} if ours else {}
    return {key: value for key, value in model.items() if key not in off or value != off[key]}
