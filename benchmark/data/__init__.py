"""Data sets: where their files come from, their images in memory, and their splits."""

from __future__ import annotations

from typing import Any

from benchmark.config import CONF_DIR, DatasetConfig, UsageError


def dataset_names() -> list[str]:
    """Names of the data sets that have a configuration."""
    return sorted(path.stem for path in (CONF_DIR / "dataset").glob("*.yaml"))


def load_dataset_config(name: str) -> Any:
    """The configuration of a data set, typed as ``DatasetConfig``. Raises ``UsageError`` for an unknown name."""
    from omegaconf import OmegaConf

    if name not in dataset_names():
        raise UsageError(f"dataset={name}: there is no such dataset. There is: {', '.join(dataset_names())}")
    return OmegaConf.merge(OmegaConf.structured(DatasetConfig), OmegaConf.load(CONF_DIR / "dataset" / f"{name}.yaml"))
