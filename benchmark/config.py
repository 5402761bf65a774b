"""Typed schemas of everything Hydra composes, and how a bad value is refused in one line.

The shapes of ``conf/`` stand here; a model's own keys are those of its constructor (``benchmark/models``).
Nothing in this module imports torch, so that ``--help`` and a refused configuration answer at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from benchmark import instructions

CONF_DIR = next(
    path
    for path in (Path(__file__).parent / "conf", Path(__file__).parent.parent / "conf")
    if (path / "config.yaml").exists()
)


class UsageError(Exception):
    """A configuration or input that is refused before any work: shown in one line, exit code 2."""


@dataclass
class SourceConfig:
    """One place the raw files of a data set come from."""

    kind: str = MISSING  # torchvision: its mirrors | url: a web folder | npm: a package | debian: a package
    url: str | None = None  # for url: the folder that holds the files, plain or as .gz
    package: str | None = None  # name of the package, for npm and debian
    version: str | None = None  # its version, for npm


@dataclass
class DatasetConfig:
    """A labelled image data set with an official training and test split."""

    name: str = MISSING
    torchvision_class: str | None = None  # class in torchvision.datasets; null for scikit-learn's digits
    options: dict[str, Any] = field(default_factory=dict)  # further constructor arguments, e.g. split: letters
    raw_dir: str | None = None  # folder of the raw files below the data directory, as torchvision lays it out
    sha256: dict[str, str] = field(default_factory=dict)  # file name -> SHA-256 of the raw (unzipped) file
    sources: list[SourceConfig] = field(default_factory=list)  # tried in this order
    classes: list[str] = field(default_factory=list)  # class names in label order
    image_size: int = 28  # images of another size are resized to this square
    made_from: str | None = None  # data set whose raw files these are; its images are made into sequences
    other_kinds: list[str] = field(default_factory=list)  # anomalies of a class itself: label = class + n x classes


@dataclass
class SplitConfig:
    """Which images are trained on and which are tested."""

    name: str = MISSING  # one_vs_rest | leave_one_out
    normal_class: Any = "all"  # all | index | name | list of these; leave_one_out: the class left out
    train_fraction: float = 1.0  # share of the normal training images that is used
    contamination: float = 0.0  # share of anomalous images among the training images
    calibration_share: float = 0.1  # of the training images, kept from training to set thresholds
    evaluate_on: str = "test"  # test | validation (held-out training images only, to choose hyper-parameters)
    test_limit: int | None = None  # evaluate on this many images (stratified by class); null: all of them


@dataclass
class TrainerConfig:
    """How a fleet is trained and scored; nothing here belongs to one model."""

    epochs: int | None = None  # null: the model's own
    batch_size: int | None = None  # null: the model's own
    strategy: str = "auto"  # loop: cell by cell | vmap: many cells as one program | auto
    workers: int | None = None  # programs at once; null: one a core on a CPU, else one
    score_batch_size: int = 500  # images scored at once
    compile: bool = False  # compile the gradients with torch.compile (on a GPU as captured graphs)
    generation_metrics: bool = False  # judge generated images with a classifier of the training split
    checkpoint_seconds: float | None = 60.0  # training between two checkpoints of a cell; null or 0: none


@dataclass
class TrackingConfig:
    """Where MLflow records the runs."""

    enabled: bool = True
    uri: str | None = None  # null: MLFLOW_TRACKING_URI, else SQLite in output_dir
    figures: bool = True  # draw and log a figure for every cell


@dataclass
class Config:
    """One Hydra job: one fleet, the cells of one model, data set and split."""

    model: Any = MISSING  # the constructor's arguments, and `name`
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    seed: Any = 0  # a seed, or a list of seeds
    device: str = "auto"  # auto | cpu | cuda | cuda:N | mps
    precision: str = "auto"  # auto | fp32 | tf32 | bf16
    deterministic: bool = True  # ask torch for deterministic algorithms
    resume: bool = True  # skip cells that are finished with the same fingerprint
    experiment_name: str = "default"  # MLflow experiment and name of the report
    output_dir: str = "outputs"  # cell folders, experiments and the embedded MLflow store
    data_dir: str | None = None  # null: BENCHMARK_DATA, else a folder in the user's cache
    debug: bool = False  # show tracebacks


CHOICES = {
    "precision": ("auto", "fp32", "tf32", "bf16"),
    "trainer.strategy": ("auto", "loop", "vmap"),
    "split.evaluate_on": ("test", "validation"),
}


NAMES = {"experiment_name": "latent", "dataset.name": "mnist", "split.name": "one_vs_rest"}  # folders -> an example
LONGEST = 100  # bytes of a name that becomes a folder
SEEDS = 2**32  # seeds are below


def is_plain_name(name: str) -> bool:
    """Whether a folder can have this name, and nothing but a folder: no path, nothing hidden, nothing unprintable."""
    plain = bool(name) and not name.startswith(".") and all(c not in "/\\" and c.isprintable() for c in name)
    return plain and len(name.encode(errors="replace")) <= LONGEST


def register_schemas() -> None:
    """Tell Hydra the types of everything in ``conf/``."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="schema", node=Config)


def validate(config: Any) -> None:
    """Refuse values that have the right type but make no sense, before any work.

    ``config`` is a composed ``Config``. Raises ``UsageError`` with one line: what, why, what is allowed, what to type.
    """
    if (wrong := instructions.fault()) is not None:
        raise UsageError(wrong)
    _validate_model(config.model)
    _validate_labels(config.model, len(config.dataset.classes))
    for key, allowed in CHOICES.items():
        value = _get(config, key)
        if value not in allowed:
            raise UsageError(_refusal(key, value, "one of " + ", ".join(allowed), f"{key}={allowed[0]}"))
    for key in (
        "trainer.epochs",
        "trainer.batch_size",
        "trainer.workers",
        "trainer.score_batch_size",
        "split.test_limit",
        "dataset.image_size",
    ):
        value = _get(config, key)
        if value is not None and value < 1:
            raise UsageError(_refusal(key, value, "a whole number of at least 1", f"{key}=10"))
    if not 0 < config.split.train_fraction <= 1:
        allowed = "a number above 0 and at most 1"
        raise UsageError(
            _refusal("split.train_fraction", config.split.train_fraction, allowed, "split.train_fraction=0.5")
        )
    if not 0 <= config.split.contamination <= 0.5:
        allowed = "a number from 0 to 0.5"
        raise UsageError(
            _refusal("split.contamination", config.split.contamination, allowed, "split.contamination=0.05")
        )
    if not 0 <= config.split.calibration_share <= 0.5:
        allowed = "a number from 0 (no thresholds) to 0.5"
        raise UsageError(
            _refusal("split.calibration_share", config.split.calibration_share, allowed, "split.calibration_share=0.1")
        )
    for key, example in NAMES.items():
        name = _get(config, key)
        if not is_plain_name(name):
            allowed = f"a name for a folder, without / and not beginning with a dot, of at most {LONGEST} bytes"
            raise UsageError(_refusal(key, repr(name[:40]), allowed, f"{key}={example}"))
    _validate_classes([*config.dataset.classes, *config.dataset.other_kinds])
    seconds = config.trainer.checkpoint_seconds
    if seconds is not None and not 0 <= seconds < float("inf"):
        allowed = "a number of seconds of at least 0, or null for no checkpoints"
        raise UsageError(_refusal("trainer.checkpoint_seconds", seconds, allowed, "trainer.checkpoint_seconds=60"))
    seeds(config)


def seeds(config: Any) -> list[int]:
    """The seeds of a configuration, always a list. Raises ``UsageError`` if one is no whole number >= 0."""
    values = list(config.seed) if not isinstance(config.seed, int | str | float | bool | None) else [config.seed]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise UsageError(_refusal("seed", value, "a whole number of at least 0, or a list of them", "seed=[0,1,2]"))
        if value >= SEEDS:
            raise UsageError(f"seed is too large: it must be below 2**32 = {SEEDS}. Type for example: seed=[0,1,2]")
    if len(set(values)) != len(values) or not values:
        raise UsageError(_refusal("seed", values, "different seeds, at least one", "seed=[0,1,2]"))
    return values


def _validate_model(model: Any) -> None:
    from difflib import get_close_matches

    from benchmark.models import constructor, model_names

    name = model.get("name")
    if name not in model_names():
        raise UsageError(_refusal("model", name, "one of " + ", ".join(model_names()), "model=vae"))
    keywords = constructor(name)
    for key, value in model.items():
        if key == "name":
            continue
        if key not in keywords:
            near = get_close_matches(key, keywords, 1)
            hint = f"did you mean model.{near[0]}? " if near else ""
            raise UsageError(f"model.{key}: model {name} has no such key; {hint}It has: {', '.join(keywords)}")
        value = list(value) if type(value).__name__ == "ListConfig" else value
        allowed = keywords[key].describe() if not keywords[key].accepts(value) else _out_of_range(keywords[key], value)
        if allowed is not None:
            default = keywords[key].default
            example = "[" + ",".join(map(str, default)) + "]" if isinstance(default, tuple) else default
            raise UsageError(_refusal(f"model.{key}", value, allowed, f"model.{key}={example}"))
    if model.get("closeness", 0) > 0 and model.get("objective") == "wasserstein_penalty":
        raise UsageError(
            f"model.closeness={model.closeness} compares the images of a batch, wasserstein_penalty needs each judged "
            "on its own. Type: model.closeness=0, or another model.objective"
        )


def _validate_classes(classes: list[str]) -> None:
    """Class names stand in tables of every kind: none twice, none that a spreadsheet or a page would act upon."""
    for i, name in enumerate(classes):
        if name in classes[:i]:
            raise UsageError(f"dataset.classes names {name[:40]!r} twice: every class and kind needs a name of its own")
        if not name or name[0] in "=+-@" or any(c in "[]<>" or not c.isprintable() for c in name):
            allowed = "not empty, without = + - @ in front, and without brackets [ ] < > and control characters"
            raise UsageError(f"dataset.classes: {name[:40]!r} is not allowed: a class name must be {allowed}")


def _out_of_range(keyword: Any, value: Any) -> str | None:
    """What a number of a model may be, in words, if this one is not; None if it may."""
    from benchmark.ranges import RANGES

    found = RANGES.get(keyword.name)
    if found is None or found.accepts(value):
        return None
    several = isinstance(value, list)
    return found.describe(keyword.is_whole, several)


def _validate_labels(model: Any, count: int) -> None:
    """Of a model that is told classes: their number, which is the data set's."""
    told = "classes" in model and model.get("conditional", True)
    if told and model.classes != count:
        raise UsageError(
            f"model.classes={model.classes} is not allowed: the model is told the class of an image, and the data set "
            f"has {count} classes. Type: model.classes={count}"
        )


def _get(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


def _refusal(key: str, value: Any, allowed: str, example: str) -> str:
    return f"{key}={value} is not allowed: it must be {allowed}. Type for example: {example}"
