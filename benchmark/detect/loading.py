"""A finished cell as a detector: its model from ``config.yaml`` and ``weights.pt``, and how its normal images score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.cells import NUMERICS_VERSION
from benchmark.config import UsageError
from benchmark.data.files import data_dir
from benchmark.data.images import load_images
from benchmark.data.splits import make_split
from benchmark.detect.fitting import Plan
from benchmark.detect.ruling import calibration_scores, needs_images, under_rule
from benchmark.detect.scorer import Scorer
from benchmark.engine.build import build_model
from benchmark.engine.committee import NAME as COMMITTEE
from benchmark.engine.device import resolve_device
from benchmark.engine.fleet import Fleet
from benchmark.engine.verdict import ALPHA
from benchmark.rules import build_rule, rule_code, shipped
from benchmark.say import one_line, shown
from benchmark.store.files import RecordError
from benchmark.store.finished import code_fault
from benchmark.store.foreign import refuse_dataset, refuse_model, refuse_rule
from benchmark.store.records import STATUS_FILE, Record, read_record

SAVED = "detector"  # entry of the configuration of a detector that was saved
CHOSEN = "chosen"  # as a rule: the one that the record names as chosen
STATE = "state"  # arrays state/RULE/KEY in rules.npz: what a rule knows of normal images, of a detector saved under it


@dataclass(frozen=True)
class Loaded:
    """A cell, ready to score."""

    record: Record
    config: Mapping[str, Any]
    scorer: Scorer
    shape: tuple[int, int, int]  # C, H, W of its images
    calibration: np.ndarray  # float64 (n,), n = 0 where no image was kept from training
    rule: str | None
    levels: tuple[float, float] | None  # numbers that stand for black and white, where a saved detector has them
    plan: Plan


def load_cell(path: str | Path, rule: str | None = None, device: str | None = None) -> Loaded:
    """Open a finished cell. Raises ``UsageError`` in one line for a folder that holds none.

    ``rule`` is a rule's name, ``chosen``, or None for the model's own headline. ``device`` as in a command; None: the
    one that the cell was trained on where it is here, else the CPU.
    """
    record = open_record(Path(path))
    try:
        config = record.config()
        refuse_model(record, config)
        shape = image_shape(record, config)
        name = _rule_name(record, config, rule)
        scorer = _own_scorer(record, config, shape, device)
        calibration = _own_calibration(record)
        if name is not None:
            scorer, calibration = _ruled(record, config, scorer, name, torch.zeros(0, *shape, dtype=torch.uint8))
        levels = config.get(SAVED, {}).get("pixel_range")
        plan = Plan(
            config["model"],
            record.axes,
            name,
            config["split"]["calibration_share"],
            device=str(scorer.fleet.device),
            precision=scorer.precision,
            score_batch_size=scorer.batch_size,
        )
        return Loaded(record, config, scorer, shape, calibration, name, None if levels is None else tuple(levels), plan)
    except UsageError:
        raise
    except (RecordError, OSError) as error:
        raise unreadable(record.path, error) from error
    except KeyError as error:
        raise UsageError(f"{path}: its configuration is of another version, it lacks {one_line(error)}") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise UsageError(
            f"{path}: its config.yaml cannot be what trained it ({type(error).__name__}: {one_line(error)}). Train it "
            "again, or name another cell"
        ) from error


def alpha_of(config: Mapping[str, Any]) -> float:
    """At which ``alpha`` images are flagged where nobody says another: a saved detector's own, of a cell the usual one.

    Raises ``UsageError`` for what is none.
    """
    alpha = config.get(SAVED, {}).get("alpha", ALPHA)
    if not isinstance(alpha, float) or not 0 < alpha < 1:
        raise UsageError(
            f"alpha={one_line(alpha)} in the configuration of this detector is none: it must be above 0 and below 1. "
            "Save it again"
        )
    return alpha


def open_record(path: Path) -> Record:
    """The record of a finished cell of the code as it is now. Raises ``UsageError`` where there is none."""
    example = "Type for example: cell=outputs/cells/mnist/one_vs_rest/vae/class3-seed0-<12 digits>"
    if not (path / STATUS_FILE).is_file():
        what = "is no folder of a cell" if path.is_dir() else "does not exist"
        raise UsageError(f"cell={path} {what}: there is no {STATUS_FILE} in it. {example}")
    try:
        record = read_record(path)
    except (RecordError, OSError) as error:
        raise unreadable(path, error) from error
    if record.state != "done":
        reason = shown(record.status.reason or "")
        raise UsageError(f"cell={path} is {record.state} and scores nothing: {reason}. Train it again, or name another")
    if record.axes.model == COMMITTEE:
        raise UsageError(f"cell={path} is a committee, which has no weights of its own. Name the cell of a member")
    fault = "its numerics are of another version" if record.status.numerics != NUMERICS_VERSION else code_fault(record)
    if fault is not None:
        raise UsageError(
            f"cell={path} was made by other code than is here ({fault}): its thresholds would not hold. Train it "
            "again: the command that trained it does so"
        )
    return record


def unreadable(path: Path, error: Exception) -> UsageError:
    """What is said of a cell of which a file is gone, damaged, or another than was written."""
    return UsageError(f"cell={path} cannot be read: {one_line(error, 1000)}")


def _own_scorer(record: Record, config: Mapping[str, Any], shape: tuple[int, int, int], device: str | None) -> Scorer:
    weights = record.weights()
    model = build_model(config["model"], shape, record.axes.stream("init"), config["trainer"]["batch_size"])
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        shown = " x ".join(map(str, shape))
        raise UsageError(
            f"cell={record.path}: its weights do not fit its model for images of {shown} ({one_line(error)})"
        ) from error
    where, precision = _device(config, device)
    size = _count(record, config["trainer"]["score_batch_size"], "score_batch_size")
    return Scorer(Fleet([model], where), record.axes.stream("score"), size, precision)


def _device(config: Mapping[str, Any], asked: str | None) -> tuple[str, str]:
    if asked is not None:
        return resolve_device(asked, config["precision"])
    try:
        return resolve_device(config["device"], config["precision"])
    except UsageError:
        return "cpu", "fp32" if config["precision"] == "tf32" else config["precision"]


def image_shape(record: Record, config: Mapping[str, Any]) -> tuple[int, int, int]:
    """C, H, W of the images that a cell was trained on, from its contact sheet, which has all their pixels."""
    if SAVED in config:
        channels, height, width = (_count(record, size, "image_shape") for size in config[SAVED]["image_shape"])
        return channels, height, width
    dataset = config["dataset"]
    size = _count(record, (dataset.get("options") or {}).get("canvas", dataset["image_size"]), "image_size")
    sheet = record.images()
    if sheet is None:
        raise UsageError(f"cell={record.path} has no images.npz, which says what images it is for. Train it again")
    return _count(record, prod(sheet["input"].shape[1:]) // size**2, "image_size"), size, size


def _count(record: Record, value: Any, key: str) -> int:
    """A whole number above zero of a configuration."""
    if type(value) is not int or value < 1:
        raise UsageError(
            f"cell={record.path}: {key}={one_line(value)} in its config.yaml cannot be what trained it: it must be a "
            "whole number above 0 that fits its images. Train it again, or name another cell"
        )
    return value


def _own_calibration(record: Record) -> np.ndarray:
    kept = record.calibration() or {}  # None in a record from before there were any
    return _numbers(record, kept.get(f"score/{record.status.headline}", np.zeros(0)), "calibration.npz")


def _numbers(record: Record, scores: np.ndarray, file: str) -> np.ndarray:
    """Calibration scores as float64 (n,); of what is no number nothing can be said of an image."""
    if scores.dtype.kind not in "fiu" or scores.ndim != 1 or not np.isfinite(scores).all():
        raise UsageError(
            f"cell={record.path}: the calibration scores in its {file} are not all numbers, so that no p-value holds. "
            "Train it again, or name another cell"
        )
    return scores.astype(np.float64)


# under a rule


def _rule_name(record: Record, config: Mapping[str, Any], rule: str | None) -> str | None:
    if rule is None and SAVED in config:
        return config[SAVED]["rule"]
    if rule != CHOSEN:
        return rule
    if record.status.chosen_rule is None:
        raise UsageError(f"rule=chosen: no rule was chosen for {record.axes.model} on {record.axes.dataset}. Name one")
    return record.status.chosen_rule


def _ruled(
    record: Record, config: Mapping[str, Any], own: Scorer, name: str, nothing: Tensor
) -> tuple[Scorer, np.ndarray]:
    """The scorer under a rule and the calibration scores, from the record where it has both, else from the images."""
    entry = record.rules().get(name)
    settings = shipped(name) if entry is None else entry["config"]
    if entry is not None:
        refuse_rule(record, settings, entry["code"], rule_code(settings))
    rule, known = build_rule(settings), record.rule_scores()
    same = entry is not None and entry["code"] == rule_code(settings)
    if same and (scores := known.get(f"calibration/{name}")) is not None:
        kept = _numbers(record, scores, "rules.npz")
        prefix = f"{STATE}/{name}/"
        state = {key.removeprefix(prefix): torch.from_numpy(known[key]) for key in known if key.startswith(prefix)}
        if state:
            moved = {key: value.to(own.fleet.device) for key, value in state.items()}
            return Scorer(own.fleet, own.seed, own.batch_size, own.precision, rule, moved), kept
        if not needs_images(rule):
            return under_rule(own, settings, nothing, nothing), kept
    reference, calibration = _images(record, config, name)
    scorer = under_rule(own, settings, reference, calibration)
    return scorer, calibration_scores(scorer, calibration)


def _images(record: Record, config: Mapping[str, Any], rule: str) -> tuple[Tensor, Tensor]:
    """The images that the cell was trained on, and those kept from it: uint8 (N, C, H, W)."""
    from omegaconf import OmegaConf

    from benchmark.config import Config

    if SAVED in config:
        own = config[SAVED]["rule"] or "the model's own score"
        raise UsageError(f"rule={rule}: this detector was fitted for {own}. Fit it again with rule={rule!r}")
    why = f"rule={rule} has to be shown the normal images of the cell"
    try:
        refuse_dataset(config["dataset"])
        typed = OmegaConf.merge(OmegaConf.structured(Config), {"dataset": config["dataset"], "split": config["split"]})
        data = load_images(typed.dataset, data_dir(config.get("data_dir")))
        split = make_split(data, typed.split, record.axes.normal_class, record.axes.seed)
    except UsageError as error:
        raise UsageError(f"{why}, which cannot be read: {one_line(error, 1000)}") from error
    if data.version != record.status.data_version or split.hash != record.status.split.get("hash"):
        raise UsageError(f"{why}, which are others now. Train it again: the command that trained it does so")
    return data.train_images[split.train_index], data.train_images[split.calibration_index]
