"""Typed schemas of everything Hydra composes, and the error with which a bad value is refused in one line.

The shapes of ``conf/`` stand here; a model's own keys are those of its constructor (``benchmark/models``).
Nothing in this module imports torch, so that ``--help`` and a refused configuration answer at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

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

    name: str | None = MISSING  # null: that of the folder at `path`
    torchvision_class: str | None = None  # class in torchvision.datasets
    _target_: str | None = None  # instead: a function that returns images and labels (docs/your_own.md)
    options: dict[str, Any] = field(default_factory=dict)  # further constructor arguments, e.g. split: letters
    raw_dir: str | None = None  # folder of the raw files below the data directory, as torchvision lays it out
    sha256: dict[str, str] = field(default_factory=dict)  # file name -> SHA-256 of the raw (unzipped) file
    sources: list[SourceConfig] = field(default_factory=list)  # tried in this order
    classes: list[str] = field(default_factory=list)  # class names in label order
    image_size: int = 28  # images of another size are resized to this square
    made_from: str | None = None  # data set whose raw files these are; its images are made into sequences
    other_kinds: list[str] = field(default_factory=list)  # anomalies of a class itself: label = class + n x classes
    path: str | None = None  # images of one's own: a folder, a CSV or an .npz file (docs/own_images.md); below: of it
    channels: int | None = None  # 1 (grey) | 3 (RGB) | null: as the files have it
    keep_aspect: bool = False  # fit images into the square instead of stretching them to it
    on_bad: str = "stop"  # stop: bad images are listed and nothing is trained | skip: they are left out and named
    skipped: list[str] = field(default_factory=list)  # found, not typed: what was left out, and why
    content: str | None = None  # found, not typed: SHA-256 of the images and labels


@dataclass
class SplitConfig:
    """Which images are trained on and which are tested."""

    name: str = MISSING  # one_vs_rest | leave_one_out
    normal_class: Any = None  # one_vs_rest: the class trained on: all | index | name | list of these
    anomalous_class: Any = None  # leave_one_out: the class left out: all | index | name | list of these
    train_fraction: float = 1.0  # share of the normal training images that is used
    contamination: float = 0.0  # share of anomalous images among the training images
    calibration_share: float = 0.1  # of the training images, kept from training to set thresholds
    evaluate_on: str = "test"  # test | validation, synthetic (held-out training images only, to choose by)
    test_limit: int | None = None  # evaluate on this many images (stratified by class); null: all of them


@dataclass
class TrainerConfig:
    """How the cells of a job are trained and scored; nothing here belongs to one model."""

    epochs: int | None = None  # null: the model's own
    batch_size: int | None = None  # null: the model's own
    strategy: str = "auto"  # loop: cell by cell | vmap: many cells as one fleet | auto
    workers: int | None = None  # fleets at once; null: one a core on a CPU, else one
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
    models: str = "best"  # which cells of a job get a model: best (by AUROC, else the first) | all | off
    history_seconds: float | None = 10.0  # at least, between two looks at a cell in training; null: none before its end


@dataclass
class Config:
    """One Hydra job: the cells of one model, data set and split."""

    model: Any = MISSING  # the constructor's arguments, `name` and `_target_`
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    rules: dict[str, Any] = field(default_factory=dict)  # further rules that judge each cell, chosen by rule=NAME
    chosen_rule: str | None = None  # the one that was chosen for this model and data set; judges each cell too
    seed: Any = 0  # a seed, or a list of seeds
    device: str = "auto"  # auto | cpu | cuda | cuda:N | mps
    precision: str = "auto"  # auto | fp32 | tf32 | bf16
    deterministic: bool = True  # ask torch for deterministic algorithms
    resume: bool = True  # skip cells that are finished with the same fingerprint
    published: str = "train"  # cells that results/EXPERIMENT has done: train | skip | retry
    experiment_name: str = "default"  # MLflow experiment and name of the report
    output_dir: str = "outputs"  # cell folders, experiments and the embedded MLflow store
    data_dir: str | None = None  # null: BENCHMARK_DATA, else a folder in the user's cache
    debug: bool = False  # show tracebacks


LONGEST = 100  # bytes of a name that becomes a folder


def is_plain_name(name: str) -> bool:
    """Whether a folder can have this name, and nothing but a folder: no path, nothing hidden, nothing unprintable."""
    plain = bool(name) and not name.startswith(".") and all(c not in "/\\" and c.isprintable() for c in name)
    return plain and len(name.encode(errors="replace")) <= LONGEST


def refusal(key: str, value: Any, allowed: str, example: str) -> str:
    """One line for a value that is refused: what it must be, and what to type."""
    return f"{key}={value} is not allowed: it must be {allowed}. Type for example: {example}"
