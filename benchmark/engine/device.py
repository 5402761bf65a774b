"""What a program computes on: the device that ``auto`` stands for, the cores of a CPU, and how products are rounded.

Torch is imported inside the functions, so that a refused device answers at once.
"""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config import UsageError, refusal

if TYPE_CHECKING:
    import torch

CGROUPS = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"  # versions 2 and 1
DEVICES = "auto, cpu, cuda, cuda:N or mps"


def resolve_device(setting: str, precision: str) -> tuple[str, str]:
    """The device and precision that ``auto`` stands for here.

    Raises ``UsageError`` if the device is not there, or has no tf32. ``precision=auto`` is fp32: bf16 leaves
    the mean AUROC where it is (``results/precision``), but has not been timed on a processor with units for it.
    """
    check_device(setting)
    chosen = setting
    if setting != "cpu":
        import torch

        cuda, mps = torch.cuda.device_count(), torch.backends.mps.is_available()
        if setting == "auto":
            chosen = "cuda" if cuda > 0 else "mps" if mps else "cpu"
        number = int(setting.split(":")[1]) if ":" in setting else 0
        if (setting.startswith("cuda") and number >= cuda) or (setting == "mps" and not mps):
            there = [f"cuda:{i}" for i in range(cuda)] + ["mps"] * mps + ["cpu"]
            raise UsageError(
                f"device={setting} is not on this machine; there is: {', '.join(there)}. Type: device=auto"
            )
    if precision == "tf32" and not chosen.startswith("cuda"):
        raise UsageError(f"precision=tf32 is of CUDA devices, not of {chosen}. Type: precision=fp32, or device=cuda")
    return chosen, resolve_precision(precision)


def resolve_precision(precision: str) -> str:
    """The precision that ``auto`` stands for, on every device."""
    return "fp32" if precision == "auto" else precision


def check_device(setting: str) -> None:
    """Raises ``UsageError`` if this names no device at all."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", setting):
        raise UsageError(refusal("device", setting, DEVICES, "device=auto"))


def memory() -> float:
    """Bytes of memory that this process may fill: fewer than the machine has, where a container's quota says so.

    Infinite where nobody says how many there are.
    """
    try:
        found = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        found = float("inf")
    for path in CGROUPS:
        try:
            found = min(found, float(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return found


def available_cores() -> int:
    """Cores that this process may use: fewer than the machine has, where a scheduler or a container's quota says so."""
    from joblib import cpu_count

    return max(1, cpu_count())


def allow_tf32(precision: str) -> None:
    """Let CUDA round the factors of products and convolutions to tf32, or not: cuDNN does so unless it is told."""
    import torch

    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Products in bf16 where the precision asks for it; sums, losses and parameters stay in fp32."""
    import torch

    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
