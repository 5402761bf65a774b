"""Instruction sets: pinned before numpy and torch load, so that a run on a CPU does not depend on the processor's.

Libraries choose their kernels by what the processor can do, and each kernel rounds in its own way. On x86-64 with AVX2
all of them are held to AVX2, whatever the environment says, by variables that they read when they load:

- ``ATEN_CPU_CAPABILITY``: torch's own kernels, among them which elements of small layers pass through a kernel's
  vector path and which through its tail;
- ``MKL_CBWR``: MKL's matrix products, exp, tanh and linear algebra in torch;
- ``ONEDNN_MAX_CPU_ISA``: oneDNN's convolutions and GELU in torch;
- ``OPENBLAS_CORETYPE``: products and decompositions of numpy and scipy, behind scikit-learn;
- ``NPY_DISABLE_CPU_FEATURES``: numpy's exp, log and pow, and the order in which it sorts equal values; set only where
  the processor has AVX-512.

So processors of one vendor have the same bits, whatever their generation. Intel and AMD do not: MKL takes other kernels
on AMD's, for batched products and exp among others, and none of its settings makes them equal
(``results/speed/README.md`` has by how much numbers differ).

The environment variable ``BENCHMARK_INSTRUCTIONS`` is the switch; a key of the configuration would come too late.
``pinned`` is the default. ``machine`` leaves all of these as they are: every library takes the fastest instructions
that it knows, among them AVX-512 and the matrix units that ``precision=bf16`` needs. Cells that run so on a CPU have
fingerprints of their own. On a processor that is not x86-64 with AVX2 nothing is pinned, which counts as ``machine``.

Imported by ``benchmark`` itself before anything else, so nothing slow is imported here.
"""

from __future__ import annotations

import os
import platform
import sys
import warnings
from functools import cache
from itertools import takewhile

VARIABLE = "BENCHMARK_INSTRUCTIONS"
PINNED, MACHINE = "pinned", "machine"
LIBRARIES = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
NUMPY = "NPY_DISABLE_CPU_FEATURES"
NUMPY_GROUPS = {
    "avx512f": "AVX512F",
    "avx512cd": "AVX512CD",
    "avx512dq": "AVX512_SKX",
    "avx512_vnni": "AVX512_CLX",
    "avx512ifma": "AVX512_CNL",
    "avx512_vbmi2": "AVX512_ICL",
    "avx512_fp16": "AVX512_SPR",
}  # a flag of the processor -> numpy's name of the group of instructions that it stands for
NUMPY_V4 = ("AVX512_ICL", "AVX512_SPR")  # those that numpy 2.4 still knows; the others are X86_V4 there


def pin() -> None:
    """Pin the instruction sets of libraries that load from now on, and of all processes that this one starts."""
    wanted = pins()
    came_late = any(name in sys.modules for name in ("numpy", "torch"))
    changes = {name: value for name, value in wanted.items() if os.environ.get(name) != value}
    os.environ.update(changes)
    if changes and came_late:
        _late.append(True)
        warnings.warn(
            "benchmark was imported after numpy or torch: their instruction sets may not be pinned, and scores may "
            "differ from those of other processors in their last digits. Import benchmark first",
            stacklevel=3,
        )


def pins() -> dict[str, str]:
    """The variables that this process runs with: {} if nothing is to be pinned or can be."""
    if in_force() == MACHINE:
        return {}
    features = _numpy_features()
    return {**LIBRARIES, **({NUMPY: " ".join(features)} if features else {})}


def in_force() -> str:
    """``pinned`` or ``machine``: what the bits of a run on this machine's CPU depend on."""
    return PINNED if _chosen() != MACHINE and "avx2" in processor_flags() else MACHINE


def fault() -> str | None:
    """What is wrong with the switch, in one line; None if nothing is."""
    chosen = _chosen()
    if chosen in (PINNED, MACHINE):
        return None
    return (
        f"the environment variable {VARIABLE}={chosen} is not allowed: it says which instructions libraries may use on "
        f"a CPU. Allowed: {PINNED} (the same on every processor) or {MACHINE} (the fastest). Type: unset {VARIABLE}"
    )


def state() -> dict[str, object]:
    """How it stands, for ``environment.json``."""
    return {"instructions": in_force(), "pinned": pins(), "pinned_too_late": bool(_late)}


def processor_flags() -> frozenset[str]:
    """What the processor can do, as Linux names it; empty where that is not said or the processor is another kind."""
    return frozenset(_processor().get("flags", "").split()) if platform.machine() == "x86_64" else frozenset()


def vendor() -> str:
    """Who made the processor, as Linux says it: GenuineIntel, AuthenticAMD or another; "unknown" elsewhere."""
    return _processor().get("vendor_id", "unknown")


@cache
def _processor() -> dict[str, str]:
    """What Linux says of the first core."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            first = takewhile(str.strip, lines)
            return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first)}
    except OSError:
        return {}


_late: list[bool] = []  # not empty: libraries were loaded before they were told


def _chosen() -> str:
    return os.environ.get(VARIABLE, "") or PINNED


def _numpy_features() -> list[str]:
    """The groups of AVX-512 instructions that this processor and the installed numpy know, in numpy's words."""
    groups = [group for flag, group in NUMPY_GROUPS.items() if flag in processor_flags()]
    if not groups:
        return []
    from importlib.metadata import version

    if tuple(int(part) for part in version("numpy").split(".")[:2]) < (2, 4):
        return groups
    return ["X86_V4", *(group for group in groups if group in NUMPY_V4)]
