"""What a command may not ask for: refused in one line, before anything is run or written.

Configurations first, then classes and data, devices last: the first refusals come at once, without loading torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from benchmark import instructions
from benchmark.config import LONGEST, UsageError, is_plain_name, refusal
from benchmark.data.classes import (
    ANOMALOUS,
    NORMAL,
    class_setting,
    is_old,
    refuse_ambiguous,
    refuse_names,
    resolve_classes,
)
from benchmark.models.refusals import is_shipped, refuse_model
from benchmark.rules import refuse_rules
from benchmark.say import warn

if TYPE_CHECKING:
    from benchmark.sweep.launchers import Launcher

CHOICES = {
    "precision": ("auto", "fp32", "tf32", "bf16"),
    "trainer.strategy": ("auto", "loop", "vmap"),
    "split.evaluate_on": ("test", "validation", "synthetic"),
    "tracking.models": ("best", "all", "off"),
    "published": ("train", "skip", "retry"),
}
COUNTS = (
    *("trainer.epochs", "trainer.batch_size", "trainer.workers", "trainer.score_batch_size"),
    *("split.test_limit", "dataset.image_size"),
)  # whole numbers of at least 1, or null
NUMBERS: dict[str, tuple[Callable[[float], bool], str, str]] = {
    "split.train_fraction": (lambda x: 0 < x <= 1, "a number above 0 and at most 1", "0.5"),
    "split.contamination": (lambda x: 0 <= x <= 0.5, "a number from 0 to 0.5", "0.05"),
    "split.calibration_share": (lambda x: 0 <= x <= 0.5, "a number from 0 (no thresholds) to 0.5", "0.1"),
    "trainer.checkpoint_seconds": (
        lambda x: 0 <= x < float("inf"),
        "a number of seconds of at least 0, or null for no checkpoints",
        "60",
    ),
    "tracking.history_seconds": (
        lambda x: 0 <= x < float("inf"),
        "a number of seconds of at least 0, or null to send a cell's history when it is done",
        "10",
    ),
}  # key -> whether a number is allowed, what is, an example
NAMES = {"experiment_name": "latent", "dataset.name": "mnist", "split.name": "one_vs_rest"}  # folders -> an example
SEEDS = 2**32  # seeds are below


def check_jobs(configs: list[Any], launcher: Launcher, recorded: bool = False) -> None:
    """Raise ``UsageError`` for the first thing that would keep one of these jobs from running as ``launcher`` does.

    ``recorded``: they are of records, where a class is always its index, and a number cannot be meant as a name.
    """
    from benchmark.tracking.client import refuse, tracking_uri

    for config in configs:
        key, classes = class_setting(config.split)
        if not recorded:
            refuse_ambiguous(classes, config.dataset.classes, key)
        resolve_classes(classes, config.dataset.classes, key)
    _warn_of_old_key(configs)
    for config in {(c.dataset.name, c.data_dir): c for c in configs}.values():
        _check_data(config)
    for device, precision in {(config.device, config.precision) for config in configs}:
        if device not in ("auto", "cpu") or precision == "tf32" or not launcher.is_basic:
            launcher.resolve(device, precision)
    for config in configs:
        _check_headline(config.model)
        launcher.check_folder(config.output_dir)
        _check_folder(config.output_dir)
    for uri in {tracking_uri(c.tracking.uri, c.output_dir) for c in configs if c.tracking.enabled}:
        refuse(uri)


def _warn_of_old_key(configs: list[Any]) -> None:
    if any(is_old(config.split) for config in configs):
        warn(
            f"{NORMAL} is read as {ANOMALOUS} by split=leave_one_out, which leaves that class out. Type {ANOMALOUS}=..."
        )


def _check_data(config: Any) -> None:
    from benchmark.data.files import data_dir, refuse_faults

    folder = data_dir(config.data_dir)
    if config.dataset.sha256:
        refuse_faults(config.dataset, folder)
    elif config.dataset.torchvision_class is not None:
        from benchmark.data.images import load_images

        load_images(config.dataset, folder)


def _check_headline(model: Any) -> None:
    from benchmark.models import model_class

    if is_shipped(model):  # it needs no look at the class
        return
    scores = model_class(model._target_).score_names
    if model.headline not in scores:
        raise UsageError(
            f"model.headline={model.headline} is not a score of model {model.name}; it has: {', '.join(scores)}"
        )


def _check_folder(output_dir: str) -> None:
    try:
        os.makedirs(output_dir, exist_ok=True)
        if not os.access(output_dir, os.W_OK):
            raise PermissionError(13, "no permission to write")
    except OSError as error:
        raise UsageError(
            f"output_dir={output_dir} cannot be written ({error.strerror}). Type output_dir=<a folder>"
        ) from error


def validate(config: Any) -> None:
    """Refuse values that have the right type but make no sense, before any work.

    ``config`` is a composed ``Config``. Raises ``UsageError`` with one line: what, why, what is allowed, what to type.
    """
    from omegaconf import OmegaConf

    if (wrong := instructions.fault()) is not None:
        raise UsageError(wrong)
    refuse_model(config.model)
    _validate_labels(config.model, len(config.dataset.classes))
    refuse_rules(OmegaConf.to_container(config.rules, resolve=True), config.chosen_rule)
    for key, choices in CHOICES.items():
        if (value := _get(config, key)) not in choices:
            raise UsageError(refusal(key, value, "one of " + ", ".join(choices), f"{key}={choices[0]}"))
    for key in COUNTS:
        if (value := _get(config, key)) is not None and value < 1:
            raise UsageError(refusal(key, value, "a whole number of at least 1", f"{key}=10"))
    for key, (is_allowed, allowed, example) in NUMBERS.items():
        if (value := _get(config, key)) is not None and not is_allowed(value):
            raise UsageError(refusal(key, value, allowed, f"{key}={example}"))
    for key, example in NAMES.items():
        name = _get(config, key)
        if not is_plain_name(name):
            allowed = f"a name for a folder, without / and not beginning with a dot, of at most {LONGEST} bytes"
            raise UsageError(refusal(key, repr((name or "")[:40]), allowed, f"{key}={example}"))
    refuse_names(_class_names(config.dataset))
    seeds(config)


def seeds(config: Any) -> list[int]:
    """The seeds of a configuration, always a list. Raises ``UsageError`` if one is no whole number >= 0."""
    values = list(config.seed) if not isinstance(config.seed, int | str | float | bool | None) else [config.seed]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise UsageError(refusal("seed", value, "a whole number of at least 0, or a list of them", "seed=[0,1,2]"))
        if value >= SEEDS:
            raise UsageError(f"seed is too large: it must be below 2**32 = {SEEDS}. Type for example: seed=[0,1,2]")
    if len(set(values)) != len(values) or not values:
        raise UsageError(refusal("seed", values, "different seeds, at least one", "seed=[0,1,2]"))
    return values


def _class_names(dataset: Any) -> list[str]:
    """Names of classes and other kinds as they are written, so that ``???`` is one too."""
    from omegaconf import OmegaConf

    plain = (OmegaConf.to_container(each, resolve=True) for each in (dataset.classes, dataset.other_kinds))
    return [str(name) for names in plain for name in names]


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
