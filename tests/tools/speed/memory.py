"""Memory that a piece of work needs at most, in MiB: of the process on a CPU (Linux), of torch's allocator on CUDA."""

from __future__ import annotations

import re
from pathlib import Path

import torch

MIB = 2**20


def start(device: str) -> float:
    """Forget earlier peaks; returns what is held now."""
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / MIB
    Path("/proc/self/clear_refs").write_text("5")  # the kernel's way to begin a new peak
    return _status("VmRSS")


def peak(device: str) -> float:
    """The most that was held since ``start``."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated() / MIB
    return _status("VmHWM")


def _status(name: str) -> float:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) / 1024
