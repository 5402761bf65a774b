"""Which generative anomaly detector to trust: one runner, one protocol, one report."""

import sys
from typing import Any

from benchmark.early import end_in_one_line
from benchmark.instructions import pin

__version__ = "0.1.0"
__all__ = ["Detector", "load_detector"]

if sys.argv[:1] == ["-m"]:  # so Python has it while it looks for the module of python -m
    end_in_one_line()
pin()  # before anything imports numpy or torch


def __getattr__(name: str) -> Any:
    """``Detector`` and ``load_detector`` once they are asked for: they import torch, commands begin without it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from benchmark.detect import detector

    return getattr(detector, name)
