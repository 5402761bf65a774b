"""Take planned cells out of the files of their jobs, and where it is asked delete what was kept of them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.config import is_plain_name
from benchmark.data.writing import remove
from benchmark.store.checkpoints import checkpoint_path
from benchmark.store.experiments import PlannedCell, experiments, read_jobs, write_job
from benchmark.store.files import RecordError
from benchmark.store.leases import lease_path, lock, read_lease


@dataclass(frozen=True)
class Selection:
    """What is to be forgotten: cells, and of which jobs."""

    cells: list[PlannedCell]
    jobs: frozenset[str]  # IDs of the jobs that give them up
    kept: int = 0  # of these cells, or earlier configurations of them, that other jobs plan as well

    @property
    def fingerprints(self) -> set[str]:
        return {cell.fingerprint for cell in self.cells}


@dataclass
class Forgotten:
    """What became of a selection."""

    cells: int = 0  # entries taken out of jobs
    jobs: int = 0  # of which no cell was left: their files are gone
    folders: int = 0  # of records, deleted
    runs: int = 0  # in MLflow, marked
    kept: list[str] = field(default_factory=list)  # folders that were to be deleted and were not, with why


def forget(output_dir: str | Path, experiment: str, selection: Selection, records: bool = False) -> Forgotten:
    """Take the selected cells out of their jobs; with ``records`` delete their folders, leases and checkpoints too.

    Folders go first: after an interruption the same command goes on.
    """
    output_dir, result = Path(output_dir), Forgotten()
    with lock(output_dir):
        jobs = [job for job in read_jobs(output_dir, experiment) if job.job in selection.jobs]
        files = {job.job: _job_file(output_dir, experiment, job.job) for job in jobs}
        if records:
            _delete_records(output_dir, experiment, selection, result)
        for job in jobs:
            left = tuple(entry for entry in job.cells if entry.fingerprint not in selection.fingerprints)
            result.cells += len(job.cells) - len(left)
            if not left:
                files[job.job].unlink()
                result.jobs += 1
            elif len(left) < len(job.cells):  # a job of before there were numbers stays one
                write_job(output_dir, experiment, replace(job, number=job.number or 0, cells=left))
        with contextlib.suppress(OSError):  # of an experiment without jobs nothing is left
            (output_dir / "experiments" / experiment).rmdir()
    return result


def _job_file(output_dir: Path, experiment: str, job: str) -> Path:
    path = output_dir / "experiments" / experiment / f"{job}.json"
    if not is_plain_name(job) or not path.is_file():
        raise RecordError(f"job {job!r} does not stand in a file of this name in {path.parent}; delete its file")
    return path


def _delete_records(output_dir: Path, experiment: str, selection: Selection, result: Forgotten) -> None:
    wanted = set()  # folders of cells that stay planned
    for other in {*experiments(output_dir), experiment}:
        for job in read_jobs(output_dir, other):
            gone = selection.fingerprints if other == experiment and job.job in selection.jobs else set()
            wanted |= {output_dir / entry.path for entry in job.cells if entry.fingerprint not in gone}
    for folder, cell in {cell.folder: cell for cell in selection.cells}.items():
        lease = read_lease(folder)
        if folder in wanted:
            result.kept.append(f"{folder}: another job or experiment plans it")
        elif lease is not None and lease.is_alive:
            result.kept.append(f"{folder}: {lease.holder} trains it")
        elif not folder.name.endswith(f"-{cell.fingerprint[:12]}"):
            result.kept.append(f"{folder}: this is not the name of a cell's folder")
        else:
            if folder.is_symlink() or folder.exists():
                remove(folder)
                result.folders += 1
            lease_path(folder).unlink(missing_ok=True)
            checkpoint_path(output_dir, folder).unlink(missing_ok=True)
