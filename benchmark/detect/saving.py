"""A fitted detector as the record of a cell, and the parameters with which a cell is a detector.

The record has what a cell's has, but for what comes of evaluated images: there were none. Its configuration has an
entry ``detector`` with what a cell has no place for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.cells import NUMERICS_VERSION
from benchmark.code_hash import cell_code, is_ours
from benchmark.config import UsageError
from benchmark.detect.fitting import Plan
from benchmark.detect.loading import SAVED, STATE, Loaded
from benchmark.detect.scorer import Scorer
from benchmark.engine.metrics import conformal_threshold
from benchmark.engine.verdict import ALPHA, score_arrays
from benchmark.models.refusals import arguments_of
from benchmark.rules import rule_code, shipped
from benchmark.say import one_line
from benchmark.store.environment import environment
from benchmark.store.files import RecordError
from benchmark.store.format import Status
from benchmark.store.records import Content, Record, read_record, write_record

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Kept:
    """What is kept of a fitted detector."""

    plan: Plan
    scorer: Scorer
    calibration: np.ndarray  # anomaly scores (n,)
    shape: tuple[int, int, int]  # C, H, W
    levels: tuple[float, float] | None  # numbers that stand for black and white
    keep_aspect: bool
    alpha: float
    history: Sequence[Mapping[str, float]]  # a row an epoch


def parameters(loaded: Loaded) -> dict[str, Any]:
    """The parameters of ``Detector`` that a cell was trained with, as far as it says them."""
    record, config = loaded.record, loaded.config
    axes, model, trainer = record.axes, config["model"], config["trainer"]
    keywords = arguments_of(model)
    keywords |= {key: trainer[key] for key in ("epochs", "batch_size") if key in keywords}
    found = {
        "model": model["name"] if is_ours(model["name"], model["_target_"]) else model["_target_"],
        "rule": loaded.rule,
        "seed": axes.seed,
        "calibration_share": config["split"]["calibration_share"],
        "image_shape": loaded.shape,
        "keep_aspect": bool(config["dataset"].get("keep_aspect", False)),
        "device": str(loaded.scorer.fleet.device),  # that of the cell may not be here
        "precision": loaded.scorer.precision,
        "steps_per_epoch": _steps_per_epoch(record),
        "names": (axes.model, axes.dataset, axes.split, axes.normal_class),
        "alpha": ALPHA,
    }
    if SAVED in config:
        saved = config[SAVED]
        found |= {"alpha": saved["alpha"], "pixel_range": loaded.levels, "keep_aspect": saved["keep_aspect"]}
    return {**keywords, **found}


def _steps_per_epoch(record: Record) -> int | None:
    steps, epochs = (record.metrics.get(key, 0) for key in ("steps", "epochs"))
    return round(steps / epochs) if steps and epochs else None


def save(kept: Kept, path: Path) -> Path:
    """Write a fitted detector as a record. Raises ``UsageError`` where something else lies at ``path``, or none can."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())) and not _is_saved(path):
        raise UsageError(f"{path} exists and is no saved detector: it is left as it is. Name another folder")
    plan, scorer = kept.plan, kept.scorer
    weights, headline = scorer.fleet.state(0), scorer.fleet.model.headline
    config = _config(kept)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    status = Status(
        state="done",
        fingerprint=_fingerprint(config, weights),
        code=cell_code(plan.model["name"], plan.model["_target_"]),
        numerics=NUMERICS_VERSION,
        axes=plan.axes,
        headline=headline,
        chosen_rule=plan.rule,
        started=now,
        finished=now,
    )
    scores = kept.calibration.astype(np.float32)
    index = {"index": np.arange(len(scores))}
    arrays = {"calibration": index if plan.rule else {**index, **score_arrays({headline: scores})}}
    rules = {}
    if plan.rule is not None:
        name, settings = plan.rule, shipped(plan.rule)
        rules[name] = {"config": settings, "code": rule_code(settings)}
        state = {f"{STATE}/{name}/{key}": value.cpu().numpy() for key, value in scorer.state.items()}
        arrays["rules"] = {f"calibration/{name}": scores, **state}
    content = Content(
        config=_yaml(config),
        environment=environment(str(scorer.fleet.device), scorer.precision),
        metrics=_metrics(kept),
        arrays=arrays,
        history=kept.history,
        weights=weights,
        rules=rules,
    )
    try:
        return write_record(path, status, content)
    except (OSError, ValueError) as error:  # the latter for a name that no file can have
        why = getattr(error, "strerror", None) or one_line(error)
        raise UsageError(f"{path}: the detector cannot be saved there ({why.lower()}). Name another folder") from error


def _is_saved(path: Path) -> bool:
    """Whether a folder is a detector that was saved; the record of a cell, which has more in it, is none."""
    try:
        return SAVED in read_record(path).config()
    except (RecordError, OSError):
        return False


def _config(kept: Kept) -> dict[str, Any]:
    plan, scorer = kept.plan, kept.scorer
    axes = plan.axes
    levels = kept.levels
    return {
        "model": dict(plan.model),
        "dataset": {"name": axes.dataset, "image_size": kept.shape[1]},
        "split": {"name": axes.split, "normal_class": axes.normal_class, "calibration_share": plan.calibration_share},
        "trainer": {
            "epochs": plan.model.get("epochs", 0),
            "batch_size": scorer.fleet.model.batch_size,
            "score_batch_size": scorer.batch_size,
        },
        "seed": axes.seed,
        "device": plan.device,
        "precision": plan.precision,
        SAVED: {
            "alpha": float(kept.alpha),
            "rule": plan.rule,
            "image_shape": list(kept.shape),
            "pixel_range": None if levels is None else list(levels),
            "keep_aspect": kept.keep_aspect,
        },
    }


def _metrics(kept: Kept) -> dict[str, float]:
    epochs, steps = len(kept.history), kept.history[-1]["step"] if kept.history else 0
    found = {"n_test": 0.0, "n_test_anomalous": 0.0, "n_calibration": float(len(kept.calibration))}
    found |= {"epochs": float(epochs), "steps": float(steps)}
    threshold = conformal_threshold(kept.calibration, kept.alpha)
    return found | ({} if threshold is None else {"threshold": threshold})


def _fingerprint(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _yaml(config: Mapping[str, Any]) -> str:
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))
