"""The folder of a cell: written whole or not at all, read by tracking and report.

The layout is described in README.md ("What a cell leaves behind"). Arrays are stored as ``.npz`` without pickles,
weights as a ``state_dict`` that loads with ``weights_only=True``. ``status.json`` names every other file with its size
and SHA-256, and its own. A file that is missing or cut off, or a text that was edited, is noticed when the record is
opened; other arrays and weights when they are read.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.data.files import sha256_of
from benchmark.data.writing import replacing
from benchmark.say import one_line
from benchmark.store.files import (
    DAMAGED,
    DIGEST,
    RecordError,
    digest_of,
    fault_of,
    other,
    read_json,
    write_json,
)
from benchmark.store.format import OLD_STATES, check_arrays, check_job, check_metrics, check_status

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

STATUS_FILE = "status.json"
NUMBER = "number"  # first entry of a job's file: what orders the jobs of an experiment
WEIGHTS_FILE = "weights.pt"


def _cell_again(path: Path) -> str:
    return f"delete {path.parent} and run the cell again"


@dataclass(frozen=True)
class Record:
    """One cell's folder, opened for reading. Arrays are read when asked for."""

    path: Path
    status: dict[str, Any]
    metrics: dict[str, float]

    @property
    def state(self) -> str:
        return OLD_STATES.get(self.status["state"], self.status["state"])

    @property
    def axes(self) -> dict[str, Any]:
        return self.status["axes"]

    @property
    def fingerprint(self) -> str:
        return self.status["fingerprint"]

    @property
    def config(self) -> dict[str, Any]:
        import yaml
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        path = self.path / "config.yaml"
        try:
            content = OmegaConf.to_container(OmegaConf.load(path))
            if not isinstance(content, dict):
                raise ValueError("it holds no configuration")
            return content
        except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
            raise _unreadable(path, error) from error

    def environment(self) -> dict[str, Any]:
        path = self.path / "environment.json"
        return read_json(path, _cell_again(path))

    def scores(self) -> dict[str, np.ndarray]:
        return self._arrays("scores")

    def calibration(self) -> dict[str, np.ndarray] | None:
        """Scores of the calibration images; None in a record from before there were any."""
        return self._arrays("calibration") if (self.path / "calibration.npz").exists() else None

    def images(self) -> dict[str, np.ndarray] | None:
        return self._arrays("images") if (self.path / "images.npz").exists() else None

    def latent(self) -> dict[str, np.ndarray] | None:
        return self._arrays("latent") if (self.path / "latent.npz").exists() else None

    def mark_damaged(self, why: str) -> None:
        """Note that a file is not the one that was written: from now on the record cannot be opened."""
        (self.path / DAMAGED).write_text(f"{why}\n", encoding="utf-8")

    def verify(self) -> None:
        """Raises ``RecordError`` if a file is not the one that was written."""
        for name in self.status.get("files", {}):
            try:
                self._compare(self.path / name)
            except (OSError, ValueError) as error:
                raise _unreadable(self.path / name, error) from error

    def _compare(self, path: Path) -> None:
        written = self.status.get("files", {}).get(path.name)
        if written is not None and (found := sha256_of(path)) != written["sha256"]:
            raise other(found, written)

    def _arrays(self, stem: str) -> dict[str, np.ndarray]:
        path = self.path / f"{stem}.npz"
        try:
            self._compare(path)
            arrays = _read_arrays(path)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise _unreadable(path, error) from error
        if problem := check_arrays(stem, arrays, self.status.get("headline")):
            raise _unreadable(path, ValueError(problem))
        return arrays

    def history(self) -> pd.DataFrame | None:
        import pandas as pd

        path = self.path / "history.csv"
        try:
            return pd.read_csv(path) if path.exists() else None
        except ValueError as error:  # pandas' own errors are of this kind
            raise _unreadable(path, error) from error

    def weights(self) -> dict[str, Tensor]:
        """The ``state_dict``, for ``load_state_dict`` of the model that ``config`` describes.

        Nothing in the file is executed. Raises ``RecordError`` if it is not the file that was written.
        """
        import torch

        path = self.path / WEIGHTS_FILE
        try:
            self._compare(path)
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch names a damaged file in many ways
            raise _unreadable(path, error) from error


def write_record(
    path: Path,
    *,
    status: Mapping[str, Any],
    config_yaml: str,
    metrics: Mapping[str, float],
    environment: Mapping[str, Any],
    arrays: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    history: list[dict[str, float]] | None = None,
    weights: Mapping[str, Any] | None = None,
    traceback: str | None = None,
) -> Path:
    """Write a cell's folder under a temporary name beside ``path``, then rename it to ``path``.

    ``arrays`` maps a file's stem ("scores", "images", "latent") to its arrays. A folder that is already at ``path``
    is replaced in the same rename, so a reader sees the old record or the new one, never a mixture.
    """
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "config.yaml").write_text(config_yaml, encoding="utf-8")
        write_json(temporary / "metrics.json", dict(metrics))
        write_json(temporary / "environment.json", dict(environment))
        for stem, content in (arrays or {}).items():
            np.savez_compressed(temporary / f"{stem}.npz", allow_pickle=False, **content)
        if history:
            import pandas as pd

            pd.DataFrame(history).to_csv(temporary / "history.csv", index=False)
        if weights is not None:
            import torch

            buffer = io.BytesIO()  # torch's own writer does not say why the system refuses a file
            torch.save(dict(weights), buffer)
            (temporary / WEIGHTS_FILE).write_bytes(buffer.getbuffer())
        if traceback is not None:
            (temporary / "traceback.txt").write_text(traceback, encoding="utf-8")
        files = {
            file.name: {"bytes": file.stat().st_size, "sha256": sha256_of(file)} for file in sorted(temporary.iterdir())
        }
        complete = {**status, "files": files}
        write_json(temporary / STATUS_FILE, {**complete, DIGEST: digest_of(complete)})
    return path


def read_record(path: str | Path) -> Record:
    """Open the record at ``path``.

    Raises ``RecordError`` if its status or metrics are not readable, if a file that was written is missing or cut off,
    if a text is not the one that was written, or if another file was found to be damaged.
    """
    path = Path(path)
    file = path / STATUS_FILE
    status = read_json(file, _cell_again(file))
    if problem := check_status(status):
        raise RecordError(f"{file}: {problem}; {_cell_again(file)}")
    if DIGEST in status and digest_of(status) != status[DIGEST]:
        raise RecordError(f"{file} is not what was written; {_cell_again(file)}")
    for name, written in status.get("files", {}).items():
        if problem := fault_of(path / name, written):
            raise RecordError(f"{path / name} {problem}; {_cell_again(file)}")
    if (path / DAMAGED).exists():
        raise RecordError(f"{path} is damaged, as verify=true found ({DAMAGED} in it says where); {_cell_again(file)}")
    file = path / "metrics.json"
    metrics = read_json(file, _cell_again(file))
    if problem := check_metrics(metrics, status["state"]):
        raise RecordError(f"{file}: {problem}; {_cell_again(file)}")
    return Record(path=path, status=status, metrics=metrics)


def write_job(output_dir: Path, experiment_name: str, job: Mapping[str, Any]) -> Path:
    """Write which cells belong to a job of an experiment, atomically, so that a report knows what is missing.

    A job is given a number, above those of all jobs that are there: clocks differ, and are set back. Where several
    processes write at once, the caller holds the lock of the output directory.
    """
    path = Path(output_dir) / "experiments" / experiment_name / f"{job['job']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if NUMBER not in job:
        job = {NUMBER: 1 + max((_number(other) for other in path.parent.glob("*.json")), default=0), **job}
    with replacing(path) as temporary:
        write_json(temporary, dict(job))
    return path


def read_jobs(output_dir: str | Path, experiment_name: str) -> list[dict[str, Any]]:
    """Every job of an experiment, in the order of their numbers; an empty list if it has none.

    Jobs of before there were numbers come first, by the time at which they were started.
    """
    folder, jobs = Path(output_dir) / "experiments" / experiment_name, []
    try:
        paths = list(folder.glob("*.json"))
    except OSError as error:
        raise RecordError(f"{folder} cannot be read ({error.strerror}). Type output_dir=<a folder>") from error
    for path in paths:
        what_to_do = "delete it and type the command of the sweep again, which plans its cells anew"
        jobs.append(read_json(path, what_to_do))
        if problem := check_job(jobs[-1]):
            raise RecordError(f"{path}: {problem}; {what_to_do}")
    return sorted(jobs, key=lambda job: (job.get(NUMBER, 0), str(job.get("started", "")), job["job"]))


def _number(path: Path) -> int:
    """The number of a job, from its file's first line or two: the list of cells below may be long."""
    try:
        with path.open(encoding="utf-8") as file:
            found = re.match(rf'\{{\s*"{NUMBER}": (\d{{1,15}}),', file.read(64))
    except (OSError, ValueError):
        return 0
    return int(found[1]) if found else 0


def read_experiment(output_dir: str | Path, experiment_name: str) -> list[dict[str, Any]]:
    """The cells of an experiment, from all its jobs in order, each fingerprint once."""
    cells: dict[str, dict[str, Any]] = {}
    for job in read_jobs(output_dir, experiment_name):
        for cell in job["cells"]:
            cells.setdefault(cell["fingerprint"], cell)
    return list(cells.values())


def means(records: Sequence[Record]) -> dict[str, float]:
    """Metrics of a job, named as those of its cells: means over the cells that are done; and their number."""
    done = [record.metrics for record in records if record.state == "done"]
    keys = [key for key in ("auroc", "average_precision", "fpr95") if done and all(key in metrics for metrics in done)]
    found = {key: sum(metrics[key] for metrics in done) / len(done) for key in keys}
    return found | {"cells_done": float(len(done))}


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def _unreadable(path: Path, error: Exception) -> RecordError:
    return RecordError(f"{path} cannot be read ({one_line(error)}); {_cell_again(path)}")
