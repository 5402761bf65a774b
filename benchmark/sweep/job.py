"""Jobs: a fleet laid out and ready to run, and what was planned written down before anything is trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from benchmark.cells import Axes, Cell, fingerprint
from benchmark.config import CONF_DIR, UsageError, seeds
from benchmark.data.classes import resolve_classes
from benchmark.data.files import data_dir
from benchmark.data.images import ImageData, load_images
from benchmark.data.splits import make_split
from benchmark.engine.device import resolve_device
from benchmark.engine.state import Settings
from benchmark.models import constructor, model_class
from benchmark.say import one_line
from benchmark.store.checkpoints import Checkpoints
from benchmark.store.environment import git_revision
from benchmark.store.experiments import write_job
from benchmark.store.format import Entry, PlannedJob
from benchmark.store.leases import lock


@dataclass(frozen=True)
class Job:
    """A fleet ready to run: its cells, data and settings."""

    config: Any
    cells: Sequence[Cell]
    data: ImageData
    device: str
    precision: str
    settings: Settings
    command: str
    overrides: Sequence[str]
    cores: int | None  # that its programs may use; None: all

    @cached_property
    def images(self) -> Mapping[str, torch.Tensor]:
        """The official splits, on the device. A plan needs none of them there."""
        return {"train": self.data.train_images.to(self.device), "test": self.data.test_images.to(self.device)}

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """Those of its cells in training."""
        return Checkpoints(self.output_dir, self.config.trainer.checkpoint_seconds)

    @property
    def output_dir(self) -> Path:
        return Path(self.config.output_dir)

    def describe(self, started: str) -> PlannedJob:
        """The job's file in ``output_dir/experiments``."""
        plain = OmegaConf.to_container(self.config, resolve=True)
        digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
        return PlannedJob(
            job=digest[:16],
            started=started,
            command=self.command,
            overrides=tuple(self.overrides),
            git_revision=git_revision(),
            config_hash=digest,
            cells=tuple(map(Entry.of, self.cells)),
        )

    def write_plan(self) -> PlannedJob:
        """Write which cells this job has, so that a report knows what is missing; returns what was written."""
        description = self.describe(now())
        with lock(self.output_dir):
            write_job(self.output_dir, self.config.experiment_name, description)
        return description


def prepare_job(
    config: Any,
    command: str = "",
    overrides: Sequence[str] = (),
    device: tuple[str, str] | None = None,
    cores: int | None = None,
) -> Job:
    """Load the data and lay out the cells. Raises ``UsageError`` if data or device are missing; changes nothing.

    ``device`` is the device and precision; None: those that the configuration stands for on this machine.
    """
    device, precision = resolve_device(config.device, config.precision) if device is None else device
    data = load_images(config.dataset, data_dir(config.data_dir))
    _refuse_model(config.model, data)
    model_settings = {**{name: k.default for name, k in constructor(config.model.name).items()}, **config.model}
    epochs = config.trainer.epochs if config.trainer.epochs is not None else model_settings.get("epochs", 0)
    batch_size = (
        config.trainer.batch_size if config.trainer.batch_size is not None else model_settings.get("batch_size", 1)
    )
    changes, cells = variant(config), []
    for normal_class in resolve_classes(config.split.normal_class, data.class_names):
        for seed in seeds(config):
            cells.append(_lay_out(config, data, normal_class, seed, epochs, batch_size, device, precision, changes))
    return Job(
        config=config,
        cells=cells,
        data=data,
        device=device,
        precision=precision,
        settings=Settings(epochs, batch_size, cells[0].split.nominal_train_size, precision, config.trainer.compile),
        command=command,
        overrides=overrides,
        cores=cores,
    )


def _refuse_model(model: Any, data: ImageData) -> None:
    """Raise ``UsageError`` if the model cannot be built for these images: for what depends on several keywords."""
    arguments = {name: value for name, value in OmegaConf.to_container(model, resolve=True).items() if name != "name"}
    try:
        with torch.random.fork_rng(devices=[]):
            model_class(model.name)(data.image_shape, **arguments)
    except Exception as error:
        shape = " x ".join(map(str, data.image_shape))
        raise UsageError(
            f"model={model.name} cannot be built for images of {shape}: {one_line(error)}. "
            f"What its keywords mean: conf/model/{model.name}.yaml"
        ) from error


def _lay_out(
    config: Any,
    data: ImageData,
    normal_class: int,
    seed: int,
    epochs: int,
    batch_size: int,
    device: str,
    precision: str,
    changes: str,
) -> Cell:
    split = make_split(data, config.split, normal_class, seed)
    resolved = OmegaConf.to_container(config, resolve=True)
    resolved["split"]["normal_class"], resolved["seed"] = normal_class, seed
    resolved["trainer"] |= {"epochs": epochs, "batch_size": batch_size}
    resolved |= {"device": device, "precision": precision}
    axes = Axes(
        model=config.model.name,
        dataset=config.dataset.name,
        split=config.split.name,
        normal_class=normal_class,
        normal_class_name=data.class_names[normal_class],
        seed=seed,
        evaluate_on=config.split.evaluate_on,
    )
    digest = fingerprint(resolved, data.version, split, device.split(":")[0], precision)
    return Cell(axes, changes, resolved, digest, split)


def variant(config: Any) -> str:
    """What differs from the model and split as shipped, in words such as ``latent=2``; "" if nothing does."""
    shipped = OmegaConf.load(CONF_DIR / "model" / f"{config.model.name}.yaml")
    plain = OmegaConf.to_container(config.model, resolve=True)
    changes = [f"{key}={_short(value)}" for key, value in plain.items() if value != shipped.get(key)]
    for section, key, default in (
        ("trainer", "epochs", None),
        ("trainer", "batch_size", None),
        ("split", "train_fraction", 1.0),
        ("split", "contamination", 0.0),
        ("split", "calibration_share", 0.1),
    ):
        if config[section][key] != default:
            changes.append(f"{key}={config[section][key]}")
    if config.precision not in ("auto", "fp32"):
        changes.append(f"precision={config.precision}")
    return " ".join(changes)


def _short(value: Any) -> str:
    return "[" + ",".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


def now() -> str:
    """The time as it stands in records: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
