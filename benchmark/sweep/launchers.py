"""Launchers: where a sweep's jobs run, and what of a machine each of them may use.

Hydra's own launcher runs the jobs one after the other in the process that was started. The others (``conf/launcher``)
run them at once in worker processes, on this machine or on others. What a worker is told stands here: the device that
was planned, its share of the cores, and, where several GPUs can be seen, which of them is its own.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

from benchmark.config import UsageError
from benchmark.engine.device import available_cores, check_device, resolve_device, resolve_precision

BASIC = "basic"
EXTRAS = {
    "joblib": "joblib",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
    "ray": "ray",
}  # launchers that are packages of their own, and the extra of this project that installs them


@dataclass(frozen=True)
class Launcher:
    """One of Hydra's launchers as it is configured for a command."""

    name: str = BASIC  # basic | joblib | submitit_local | submitit_slurm | ray
    settings: Mapping[str, Any] = field(default_factory=dict)  # hydra.launcher
    jobs: int = 1  # of the command

    @property
    def is_basic(self) -> bool:
        return self.name == BASIC

    @property
    def is_elsewhere(self) -> bool:
        """Whether jobs run on other machines than the one where the command is typed."""
        if self.name == "ray":
            return self._ray("init", "address") is not None or os.environ.get("RAY_ADDRESS", "") != ""
        return self.name == "submitit_slurm"

    def cores(self) -> int:
        """Cores of this machine that one job may use; asked where it runs."""
        there = available_cores()
        if self.name == "joblib":
            at_once = int(self.settings["n_jobs"])
            return _share(there, min(self.jobs, at_once if at_once > 0 else max(1, there + 1 + at_once)))
        if self.name == "ray":
            return max(1, int(self._ray("remote", "num_cpus") or 1))
        if self.name.startswith("submitit"):
            given = self.settings.get("cpus_per_task")
            if given is not None:
                return int(given)
            return _share(there, self.jobs) if self.name == "submitit_local" else there
        return there

    def resolve(self, device: str, precision: str) -> tuple[str, str]:
        """The device and precision of every job, wherever it runs; asked where the command is typed.

        Raises ``UsageError`` if no worker would have that device. Cells are planned with it: fingerprints name it.
        """
        if self.is_elsewhere:
            if device == "auto":
                raise UsageError(
                    f"device=auto is not allowed with the launcher {self.name}: the jobs run on other machines than "
                    "this one. Say what those have: device=cuda or device=cpu"
                )
            check_device(device)
            return device, resolve_precision(precision)
        chosen = resolve_device(device, precision)
        if chosen[0].startswith("cuda") and (key := self._hides_gpus()) is not None:
            raise UsageError(
                f"device={device}: the launcher {self.name} shows a job no GPU unless it is told how many. "
                f"Type {key}=1, or device=cpu"
            )
        return chosen

    def check_folder(self, output_dir: str) -> None:
        """Raises ``UsageError`` if workers would write somewhere else than planned."""
        if self.is_elsewhere and self.name == "ray" and not Path(output_dir).is_absolute():
            raise UsageError(
                f"output_dir={output_dir} is not allowed with Ray on several machines: it must be an absolute path "
                "that all of them share. Type for example: output_dir=/shared/outputs"
            )

    def gpus(self) -> list[str]:
        """GPUs of this machine to deal out to workers, as CUDA_VISIBLE_DEVICES names them.

        Asked where the command is typed; SLURM, Ray and submitit deal out GPUs themselves.
        """
        if self.name != "joblib":
            return []
        if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
            return [name for name in named.split(",") if name != ""]
        import torch

        return [str(i) for i in range(torch.cuda.device_count())]

    def _hides_gpus(self) -> str | None:
        """The setting without which jobs see no GPU, if it is not made."""
        if self.name == "submitit_local" and not self.settings.get("gpus_per_node"):
            return "hydra.launcher.gpus_per_node"
        if self.name == "ray" and not self._ray("remote", "num_gpus"):
            return "hydra.launcher.ray.remote.num_gpus"
        return None

    def _ray(self, section: str, key: str) -> Any:
        return self.settings["ray"][section].get(key)


class Logs(Callback):
    """Says where jobs write that do not write here."""

    def on_multirun_start(self, config: Any, **others: Any) -> None:
        print(f"What the jobs print goes to {config.hydra.sweep.dir}/.submitit", file=sys.stderr, flush=True)


def deal_gpu(gpus: Sequence[str], job: int) -> None:
    """Let this worker see one of several GPUs from now on: workers get them in turn."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = gpus if gpus else visible  # submitit_local shows every job the same ones
    if len(names) < 2:
        return
    import torch

    if not torch.cuda.is_initialized():  # a worker that trains its second job keeps its GPU
        os.environ["CUDA_VISIBLE_DEVICES"] = names[_number(job) % len(names)]


def _number(job: int) -> int:
    """Which worker this is, counted from 0: joblib's processes say it, others run one job."""
    from multiprocessing import current_process

    found = re.fullmatch(r"LokyProcess-(\d+)", current_process().name)
    return int(found[1]) - 1 if found else job


def _share(cores: int, at_once: int) -> int:
    return max(1, cores // max(1, at_once))
