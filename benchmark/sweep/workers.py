"""Jobs in worker processes: what a worker is sent, and what it does with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.engine.device import resolve_device
from benchmark.store.processes import end_with_parent
from benchmark.sweep.launchers import Launcher, deal_gpu

if TYPE_CHECKING:
    from benchmark.sweep.job import Job
    from benchmark.sweep.run import JobResult


@dataclass(frozen=True)
class Luggage:
    """What a worker is sent: no connection, and nothing that grows with the sweep."""

    launcher: Launcher
    devices: Mapping[tuple[str, str], tuple[str, str]]  # device and precision as configured -> as planned
    gpus: Sequence[str]  # to deal out to workers
    command: str
    tracking_off: frozenset[tuple[str, ...]]  # stores of MLflow that cannot be used

    def run(self, config: Any) -> None:
        """One Hydra job, in a worker. What became of its cells is in their folders."""
        from hydra.core.hydra_config import HydraConfig

        from benchmark.sweep.job import lay_out_job
        from benchmark.tracking.background import BackgroundTracker
        from benchmark.tracking.tracker import Tracker

        hydra = HydraConfig.get()
        deal_gpu(self.gpus, int(hydra.job.num))
        if self.launcher.name == "joblib":
            end_with_parent()
        device = resolve_device(*self.devices[config.device, config.precision])
        job = lay_out_job(config, self.command, list(hydra.overrides.task), device, self.launcher.cores())
        if not config.tracking.enabled or store_of(config) in self.tracking_off:
            do_job(job, None, is_worker=True)
            return
        open_it = partial(Tracker.open, config.tracking, config.output_dir, config.experiment_name)
        tracker = BackgroundTracker(open_it, config.tracking.history_seconds)
        try:
            do_job(job, tracker, is_worker=True)
        except BaseException:
            tracker.close(give_up=True)
            raise
        tracker.close()


def do_job(job: Job, tracker: Any, is_worker: bool = False) -> JobResult:
    """Run a job and show how it gets on."""
    from rich.console import Console

    from benchmark.sweep.progress import Progress
    from benchmark.sweep.run import run_job

    console = Console(stderr=True, force_terminal=False) if is_worker else Console(stderr=True)
    with Progress(len(job.cells), job.title, console) as progress:
        return run_job(job, tracker, progress)


def store_of(config: Any) -> tuple[str, ...]:
    """What tells one place in MLflow from another."""
    return str(config.tracking.uri), config.output_dir, config.experiment_name
