"""The one directory that data sets are kept in."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "BENCHMARK_DATA"


def data_dir(setting: str | None = None) -> Path:
    """The setting ``data_dir`` if given, else the variable BENCHMARK_DATA, else a folder in the user's cache."""
    if setting is not None:
        return Path(setting).expanduser().absolute()
    if os.environ.get(VARIABLE, "") != "":
        return Path(os.environ[VARIABLE]).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if cache != "" else Path.home() / ".cache") / "generative-anomaly-benchmark"
