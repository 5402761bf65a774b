"""Data sets: where their files come from, their images in memory, and their splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.config import CONF_DIR, DatasetConfig, UsageError

OWN_KEYS = ("channels", "keep_aspect", "on_bad", "skipped", "content")  # of data sets with a path


def dataset_names(own: str | Path | None = None) -> list[str]:
    """Names of the data sets that have a configuration, here or in the folder ``own`` of somebody else's."""
    return sorted(_configurations(own))


def load_dataset_config(name: str, own: str | Path | None = None) -> Any:
    """The configuration of a data set, typed as ``DatasetConfig``. Raises ``UsageError`` for an unknown name."""
    from omegaconf import OmegaConf

    there = _configurations(own)
    if name not in there:
        raise UsageError(f"dataset={name}: there is no such dataset. There is: {', '.join(sorted(there))}")
    return OmegaConf.merge(OmegaConf.structured(DatasetConfig), OmegaConf.load(there[name]))


def is_own(dataset: Any) -> bool:
    """Whether a data set's images are files at a path that is typed (``data/folder.py``)."""
    return dataset.get("path") is not None


def refuse_own_keys(dataset: Any) -> None:
    """Raise ``UsageError`` for a setting of one's own images where a data set of another kind would pass over it."""
    if is_own(dataset):
        if dataset.torchvision_class is not None or dataset._target_ is not None:
            raise UsageError(f"dataset.path is not of {dataset.name}. Type: dataset=folder dataset.path={dataset.path}")
        return
    plain = DatasetConfig()
    for key in OWN_KEYS:
        if key in dataset and dataset[key] != getattr(plain, key):
            raise UsageError(
                f"dataset.{key} is for images of your own alone. Leave it out, or type: dataset=folder dataset.path=..."
            )


def _configurations(own: str | Path | None) -> dict[str, Path]:
    folders = [Path(folder, "dataset") for folder in (CONF_DIR, own) if folder is not None]
    return {path.stem: path for folder in folders for path in folder.glob("*.yaml")}
