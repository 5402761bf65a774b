"""The page ``explorer.html``: scenes of contested images, of each data set and class, in one file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.config import UsageError
from benchmark.data.files import data_dir
from benchmark.data.images import ImageData, load_images
from benchmark.report.explorer.tiles import COLUMNS, picture, reconstructed
from benchmark.report.explorer.verdicts import ALPHA, Verdict, contested, verdicts
from benchmark.store.experiments import PlannedCell
from benchmark.store.files import RecordError
from benchmark.store.foreign import refuse_dataset
from benchmark.store.records import Record

TEMPLATE = Path(__file__).with_name("explorer.html")


@dataclass(frozen=True)
class Shown:
    """A finished cell of a scene."""

    label: str
    record: Record
    verdicts: list[Verdict]


def build_explorer(experiment: str, cells: Sequence[PlannedCell]) -> str:
    """The page as text, of every data set, split and class in which two verdicts can be compared; first seed alone.

    Images come from the prepared data, reconstructions from the weights. Raises ``UsageError`` where the data are not
    there.
    """
    scenes = [scene for members in _scenes(cells) if (scene := _scene(members)) is not None]
    said = {"experiment": experiment, "alpha": ALPHA, "columns": COLUMNS, "scenes": scenes}
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace("/*DATA*/null", text)


def _scenes(cells: Sequence[PlannedCell]) -> Iterator[list[Shown]]:
    """The finished cells that are tested on the same images, each column once."""
    found: dict[tuple[Any, ...], dict[str, Shown]] = {}
    for cell in sorted(cells, key=lambda cell: cell.axes.seed):
        if cell.state != "done" or cell.record is None:
            continue
        axes = cell.axes
        members = found.setdefault((axes.dataset, axes.split, axes.evaluate_on, axes.normal_class), {})
        if cell.label not in members:
            members[cell.label] = Shown(cell.label, cell.record, verdicts(cell.label, cell.record))
    return iter([list(members.values()) for members in found.values()])


def _scene(members: list[Shown]) -> dict[str, Any] | None:
    """What the page is told of a scene; None where nothing can be compared."""
    first = members[0].record.scores()
    members = [shown for shown in members if np.array_equal(shown.record.scores()["index"], first["index"])]
    said = [verdict for shown in members for verdict in shown.verdicts]
    rows = contested(said, first["label"])
    if not len(rows):
        return None
    axes, config = members[0].record.axes, members[0].record.config()
    refuse_dataset(config["dataset"])
    data = _images(json.dumps(config["dataset"], sort_keys=True), config.get("data_dir"))
    source = data.test_images if axes.evaluate_on == "test" else data.train_images
    images = source[torch.from_numpy(first["index"][rows])]
    known = len(data.class_names)
    return {
        "dataset": axes.dataset,
        "split": axes.split,
        "images": axes.evaluate_on,
        "class": axes.normal_class_name,
        "evaluated": len(first["index"]),
        "index": first["index"][rows].tolist(),
        "label": first["label"][rows].tolist(),
        "shows": [data.class_names[k % known] for k in first["target"][rows].tolist()],
        "picture": picture(images),
        "models": {shown.label: _reconstruction(shown, images) for shown in members},
        "verdicts": [
            {
                "model": verdict.label,
                "rule": verdict.rule,
                "scores": [float(f"{score:.4g}") for score in verdict.scores[rows]],
                "p": [round(float(p), 6) for p in verdict.p[rows]],
            }
            for verdict in said
        ],
    }


def _reconstruction(shown: Shown, images: torch.Tensor) -> str | None:
    """The picture of a cell's reconstructions; None if it has none, or its weights cannot be read."""
    try:
        made = reconstructed(shown.record, shown.record.config(), images)
    except (RecordError, RuntimeError, UsageError):  # without weights, or those of other code
        return None
    return None if made is None else picture(made)


@cache
def _images(dataset: str, folder: str | None) -> ImageData:
    from omegaconf import OmegaConf

    return load_images(OmegaConf.create(json.loads(dataset)), data_dir(folder))
