"""The command line: ``python -m benchmark [-m] [key=value ...]``.

Everything that a command would run is composed and checked before any of it starts; what is refused is said in one
line and ends with exit code 2. A sweep in which a cell is not done ends with exit code 1.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from typing import Any

from benchmark.config import CONF_DIR, UsageError, register_schemas


class Unwritable(Exception):
    """The output directory takes no more files; shown in one line, exit code 1."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic products on CUDA
    debug = any(a == "debug=true" for a in arguments)
    try:
        if not any(a in ("--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i") for a in arguments):
            planned = _check(arguments)
            _recover({job.config.output_dir for job in planned})
            if len(planned) > 1:
                _plan(planned, _command(arguments))
        return _launch(arguments)
    except (UsageError, Unwritable) as error:
        if debug:
            raise
        print(f"benchmark: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("\nbenchmark: stopped. Finished cells are kept; the same command goes on from there.", file=sys.stderr)
        return 130


def _check(arguments: list[str]) -> list[Any]:
    """Refuse what cannot run: configuration first, then classes and data, devices last (they need torch).

    Returns the composed jobs.
    """
    from benchmark.compose import compose_jobs
    from benchmark.config import resolve_device
    from benchmark.data.classes import resolve_classes
    from benchmark.tracking import tracking_uri

    jobs = compose_jobs(arguments)
    configs = [job.config for job in jobs]
    for config in configs:
        resolve_classes(config.split.normal_class, config.dataset.classes)
    for config in {(c.dataset.name, c.data_dir): c for c in configs}.values():
        _check_data(config)
    for device, precision in {(config.device, config.precision) for config in configs}:
        if device not in ("auto", "cpu"):
            resolve_device(device, precision)
    for config in configs:
        _check_headline(config.model)
        _check_folder(config.output_dir)
        if config.tracking.enabled:
            tracking_uri(config.tracking.uri, config.output_dir)
    return jobs


def _recover(output_dirs: set[str]) -> None:
    """Put right what a killed process left behind."""
    from benchmark.leftovers import recover

    for output_dir in output_dirs:
        try:
            recovery = recover(output_dir)
        except OSError as error:
            print(f"warning: leftovers in {output_dir} cannot be put right ({error})", file=sys.stderr)
            continue
        if recovery.restored or recovery.removed:
            print(f"An earlier run was killed: {recovery} in {output_dir}.", file=sys.stderr)


def _plan(jobs: list[Any], command: str) -> None:
    """Write down every cell of a sweep before the first is trained: a report on half a sweep shows what is missing."""
    from benchmark.jobs import prepare_job

    for job in jobs:
        planned = prepare_job(job.config, command, job.overrides)
        try:
            planned.write_plan()
        except OSError as error:
            where = f"output_dir={job.config.output_dir}"
            raise Unwritable(
                f"{where} cannot be written ({error}). Make room there, or type output_dir=<a folder>"
            ) from error


def _command(arguments: list[str]) -> str:
    return "python -m benchmark " + shlex.join(arguments)


def _check_data(config: Any) -> None:
    from benchmark.data.cache import data_dir
    from benchmark.data.files import refuse_faults

    folder = data_dir(config.data_dir)
    if config.dataset.sha256:
        refuse_faults(config.dataset, folder)
    elif config.dataset.torchvision_class is not None:
        from benchmark.data.images import load_images

        load_images(config.dataset, folder)


def _check_headline(model: Any) -> None:
    from benchmark.models import constructor, model_class

    if model.headline != constructor(model.name)["headline"].default:  # what is shipped needs no look at the class
        scores = model_class(model.name).score_names
        if model.headline not in scores:
            raise UsageError(
                f"model.headline={model.headline} is not a score of model {model.name}; it has: {', '.join(scores)}"
            )


def _check_folder(output_dir: str) -> None:
    try:
        os.makedirs(output_dir, exist_ok=True)
        if not os.access(output_dir, os.W_OK):
            raise PermissionError(13, "no permission to write")
    except OSError as error:
        raise UsageError(
            f"output_dir={output_dir} cannot be written ({error.strerror}). Type output_dir=<a folder>"
        ) from error


def _launch(arguments: list[str]) -> int:
    import hydra

    register_schemas()
    session = Session(_command(arguments))
    app = hydra.main(version_base="1.3", config_path=str(CONF_DIR.resolve()), config_name="config")(session.run)
    before, sys.argv = sys.argv, ["benchmark", *arguments]
    try:
        app()
    finally:
        sys.argv = before
        session.close()
    return session.summarise()


class Session:
    """One command: its jobs share the progress display, the tracker and the summary at the end."""

    def __init__(self, command: str) -> None:
        self.command, self.start = command, time.perf_counter()
        self.results: list[Any] = []
        self.trackers: dict[tuple[str, ...], Any] = {}

    def run(self, config: Any) -> None:
        """One Hydra job."""
        import torch
        from hydra.core.hydra_config import HydraConfig

        from benchmark.jobs import prepare_job
        from benchmark.progress import Progress
        from benchmark.runner import run_job

        torch.use_deterministic_algorithms(config.deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = False
        job = prepare_job(config, self.command, list(HydraConfig.get().overrides.task))
        title = f"{config.model.name} on {config.dataset.name}, {config.split.name}"
        tracker = self._tracker(config)
        with Progress(len(job.cells), title) as progress:
            self.results.append(run_job(job, tracker, progress))

    def _tracker(self, config: Any) -> Any:
        if not config.tracking.enabled:
            return None
        from benchmark.tracking import Tracker

        key = (str(config.tracking.uri), config.output_dir, config.experiment_name)
        if key not in self.trackers:
            self.trackers[key] = Tracker.open(config.tracking, config.output_dir, config.experiment_name)
        return self.trackers[key]

    def close(self) -> None:
        for tracker in self.trackers.values():
            if tracker is not None:  # MLflow could not be used
                tracker.close()

    def summarise(self) -> int:
        """Print what became of every cell that is not done, and return the exit code."""
        from benchmark.runner import elapsed

        records = [record for result in self.results for record in result.records]
        if not self.results:
            return 0
        done = [record for record in records if record.state == "done"]
        busy = {name: holder for result in self.results for name, holder in result.busy.items()}
        total = len(records) + len(busy)
        resumed = sum(result.resumed for result in self.results)
        before = f" ({resumed} of them finished before)" if resumed else ""
        print(f"{len(done)} of {total} cells done{before} in {elapsed(self.start)}.")
        for record in records:
            if record.state != "done":
                axes = record.axes
                where = f"{axes['model']} {axes['dataset']} {axes['normal_class']} seed {axes['seed']}"
                print(f"  {record.state}: {where}: {record.status['reason']} ({record.path})")
        for name, holder in busy.items():
            print(f"  running: {name}: {holder} trains it; the same command later counts it")
        return 0 if len(done) == total else 1


if __name__ == "__main__":
    sys.exit(main())
