"""Jobs: the cells of a Hydra job, laid out, and what was planned written down before anything is trained."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import OmegaConf

from benchmark.cells import Axes, Cell, fingerprint
from benchmark.chosen import worded
from benchmark.config import CONF_DIR, UsageError
from benchmark.data import is_own
from benchmark.data.classes import class_setting, resolve_classes
from benchmark.data.files import data_dir
from benchmark.data.folder import complete
from benchmark.data.images import ImageData, load_images
from benchmark.data.splits import make_split, trainable_classes
from benchmark.engine.device import resolve_device
from benchmark.engine.state import Settings
from benchmark.models import constructor, model_class, model_names
from benchmark.models.keywords import AUTO, network_for
from benchmark.models.refusals import NETWORK, arguments_of, chooses_network, refuse_built
from benchmark.report.committed import report_of
from benchmark.report.parts import RETRY, TRAIN, published_in
from benchmark.rules import build_rule, labelled, rule_code, shipped
from benchmark.say import one_line
from benchmark.store.checkpoints import Checkpoints
from benchmark.store.environment import git_revision
from benchmark.store.experiments import write_job
from benchmark.store.finished import finished_record
from benchmark.store.format import Entry, PlannedJob
from benchmark.store.leases import lock
from benchmark.store.records import STATUS_FILE
from benchmark.sweep.check import seeds

if TYPE_CHECKING:
    from benchmark.rules.base import Rule


@dataclass(frozen=True)
class Job:
    """The cells of a Hydra job, ready to run: with their data and settings."""

    config: Any
    cells: Sequence[Cell]
    data: ImageData
    device: str
    precision: str
    settings: Settings
    command: str
    overrides: Sequence[str]
    cores: int | None  # that its fleets may use; None: all

    @cached_property
    def images(self) -> Mapping[str, torch.Tensor]:
        """The official splits, on the device. Laying out needs none of them there."""
        return {"train": self.data.train_images.to(self.device), "test": self.data.test_images.to(self.device)}

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """Those of its cells in training."""
        return Checkpoints(self.output_dir, self.config.trainer.checkpoint_seconds)

    @cached_property
    def rules(self) -> Mapping[str, dict[str, Any]]:
        """The rules that judge each cell besides its model's own headline: name -> configuration and code."""
        return ruling(self.config)

    @cached_property
    def published(self) -> frozenset[str]:
        """Fingerprints of those of its cells that are left to the published report; none unless that is asked for.

        Not those that are finished here, nor with ``published=retry`` those that were tried here. It is decided before
        any of its cells is trained.
        """
        config = self.config
        if config.published == TRAIN:
            return frozenset()
        folder, name = report_of(config.experiment_name), config.experiment_name
        found = published_in(folder, name, self.cells, self.rules, config.chosen_rule)
        return frozenset(
            cell.fingerprint for cell in self.cells if cell.fingerprint in found and not self._is_own(cell)
        )

    def _is_own(self, cell: Cell) -> bool:
        """Whether a cell that is published counts as it is here, or is to be tried here once more."""
        if self.config.published == RETRY and self.has_record(cell):
            return True
        return self.config.resume and finished_record(self.output_dir, cell) is not None

    def has_record(self, cell: Cell) -> bool:
        """Whether a cell was tried here, whatever became of it."""
        return (self.output_dir / cell.path / STATUS_FILE).exists()

    def rules_built(self, names: Iterable[str]) -> dict[str, Rule]:
        """Some of its rules, ready to judge."""
        return {name: build_rule(self.rules[name]["config"]) for name in names}

    @property
    def output_dir(self) -> Path:
        return Path(self.config.output_dir)

    @property
    def title(self) -> str:
        """What it trains, in words."""
        return f"{self.config.model.name} on {self.config.dataset.name}, {self.config.split.name}"

    def describe(self, started: str) -> PlannedJob:
        """The job's file in ``output_dir/experiments``."""
        digest = hashlib.sha256(json.dumps(as_stored(self.config), sort_keys=True).encode()).hexdigest()
        return PlannedJob(
            job=digest[:16],
            started=started,
            command=self.command,
            overrides=tuple(self.overrides),
            git_revision=git_revision(),
            config_hash=digest,
            published=self.config.published,
            version=2,
            rules={name: rule["config"] for name, rule in self.rules.items()},
            chosen_rule=self.config.chosen_rule,
            cells=tuple(map(Entry.of, self.cells)),
        )

    def write(self) -> PlannedJob:
        """Write which cells this job has, so that a report knows what is missing; returns what was written."""
        description = self.describe(now())
        with lock(self.output_dir):
            write_job(self.output_dir, self.config.experiment_name, description)
        return description


@dataclass(frozen=True)
class Layout:
    """What all cells of a job have."""

    config: Any
    data: ImageData
    device: str
    precision: str

    @property
    def epochs(self) -> int:
        return self._setting("epochs", 0)

    @property
    def batch_size(self) -> int:
        return self._setting("batch_size", 1)

    def cells(self) -> list[Cell]:
        """A cell for each class and seed."""
        key, classes = class_setting(self.config.split)
        chosen = resolve_classes(
            classes, self.data.class_names, key, trainable_classes(self.data, self.config.split.name)
        )
        changes = variant(self.config, self.data.image_shape)
        return [self._cell(number, seed, changes) for number in chosen for seed in seeds(self.config)]

    def _cell(self, number: int, seed: int, changes: str) -> Cell:
        """The cell of one seed and one class: the normal one, or the one left out, as the split has it."""
        config = self.config
        split = make_split(self.data, config.split, number, seed)
        resolved = as_stored(config)
        resolved["split"]["normal_class"], resolved["seed"] = number, seed
        resolved["trainer"] |= {"epochs": self.epochs, "batch_size": self.batch_size}
        resolved |= {"device": self.device, "precision": self.precision}
        axes = Axes(
            model=config.model.name,
            dataset=config.dataset.name,
            split=config.split.name,
            normal_class=number,
            normal_class_name=self.data.class_names[number],
            seed=seed,
            evaluate_on=config.split.evaluate_on,
        )
        digest = fingerprint(resolved, self.data.version, split, self.device.split(":")[0], self.precision)
        return Cell(axes, changes, resolved, digest, split)

    def _setting(self, name: str, default: int) -> int:
        """The trainer's setting, else the model's own, else that of its constructor."""
        if (typed := self.config.trainer[name]) is not None:
            return typed
        keywords = constructor(self.config.model._target_)
        return self.config.model.get(name, keywords[name].default if name in keywords else default)


def lay_out_job(
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
    if is_own(config.dataset):  # of a worker, which composes it once more
        complete(config.dataset, data_dir(config.data_dir))
    data = load_images(config.dataset, data_dir(config.data_dir))
    config = _with_network(config, data)
    layout = Layout(config, data, device, precision)
    _refuse_model(layout)
    cells = layout.cells()
    size = cells[0].split.nominal_train_size
    return Job(
        config=config,
        cells=cells,
        data=data,
        device=device,
        precision=precision,
        settings=Settings(layout.epochs, layout.batch_size, size, precision, config.trainer.compile),
        command=command,
        overrides=overrides,
        cores=cores,
    )


def _with_network(config: Any, data: ImageData) -> Any:
    """The configuration with the network that "auto" stands for on these images, as records and fingerprints have it.

    A network that was typed, or written by a preset or a choice, stays; so does that of a record.
    """
    if config.model.get(NETWORK) != AUTO or not chooses_network(constructor(config.model._target_)):
        return config
    config = copy.deepcopy(config)
    config.model[NETWORK] = network_for(data.image_shape)
    return config


def as_stored(config: Any) -> dict[str, Any]:
    """The configuration as records and jobs hold it: whatever it says in leave_one_out, under ``normal_class``.

    So records of before ``split.anomalous_class`` go on to count, and fingerprints stay what they were. Whether
    published cells are skipped is no part of it: a job is the same either way.
    """
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    _, classes = class_setting(config.split)
    plain["split"]["normal_class"] = OmegaConf.to_container(classes) if OmegaConf.is_config(classes) else classes
    del plain["split"]["anomalous_class"], plain["published"]
    return plain


def _refuse_model(layout: Layout) -> None:
    """Raise ``UsageError`` if the model cannot be built for these images, or trained with such batches."""
    model, data = layout.config.model, layout.data
    arguments = arguments_of(OmegaConf.to_container(model, resolve=True))
    try:
        with torch.random.fork_rng(devices=[]):
            built = model_class(model._target_)(data.image_shape, **arguments)
        refuse_built(built)
    except Exception as error:
        shape = " x ".join(map(str, data.image_shape))
        raise UsageError(
            f"model={model.name} cannot be built for images of {shape}: {one_line(error)}. "
            f"What its keywords mean: conf/model/{model.name}.yaml"
        ) from error
    if layout.batch_size == 1 and any(isinstance(module, torch.nn.BatchNorm1d) for module in built.modules()):
        key = "trainer.batch_size" if layout.config.trainer.batch_size is not None else "model.batch_size"
        raise UsageError(
            f"{key}=1 is not allowed: model {model.name} normalises over the images of a batch, so it must be at "
            f"least 2. Type for example: {key}=64"
        )


def ruling(config: Any) -> dict[str, dict[str, Any]]:
    """The rules of a configuration, its chosen one among them: name -> configuration and code."""
    chosen = {} if config.chosen_rule is None else {config.chosen_rule: shipped(config.chosen_rule)}
    rules: dict[str, Any] = OmegaConf.to_container(config.rules, resolve=True)  # type: ignore[assignment]
    found = {**labelled(rules), **chosen}
    return {name: {"config": rule, "code": rule_code(rule)} for name, rule in sorted(found.items())}


def variant(config: Any, image_shape: tuple[int, int, int] | None = None) -> str:
    """What differs from the model and split as shipped, in words such as ``latent=2``; "" if nothing does.

    As shipped is as in the model's YAML: what was chosen for a data set (``conf/chosen``) is named too, so that a cell
    is called the same whatever is chosen later. A network is named where it is not the one that ``auto`` stands for on
    images of ``image_shape``.
    """
    defaults = {key: _listed(keyword.default) for key, keyword in constructor(config.model._target_).items()}
    plain = arguments_of(OmegaConf.to_container(config.model, resolve=True))
    if image_shape is not None and _leaves_it_to_images(config.model.name):
        defaults[NETWORK] = network_for(image_shape)
    plain = {key: value for key, value in plain.items() if (key, value) != (NETWORK, AUTO)}  # not laid out yet
    changes = [f"{key}={worded(value)}" for key, value in plain.items() if value != defaults[key]]
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


@cache
def _leaves_it_to_images(model: str) -> bool:
    """Whether the YAML of one of our models says ``network: auto``."""
    return model in model_names() and OmegaConf.load(CONF_DIR / "model" / f"{model}.yaml").get(NETWORK) == AUTO


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def now() -> str:
    """The time as it stands in records: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
