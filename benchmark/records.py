"""The folder of a cell: written whole or not at all, read by tracking and report.

The layout is described in README.md ("What a cell leaves behind"). Arrays are stored as ``.npz`` without pickles,
weights as a ``state_dict`` that loads with ``weights_only=True``.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

STATUS_FILE = "status.json"
STATES = ("done", "failed", "diverged", "skipped")


class RecordError(Exception):
    """A stored record cannot be read; the message names the file and what to do."""


@dataclass(frozen=True)
class Record:
    """One cell's folder, opened for reading. Arrays are read when asked for."""

    path: Path
    status: dict[str, Any]
    metrics: dict[str, float]

    @property
    def state(self) -> str:
        return self.status["state"]

    @property
    def axes(self) -> dict[str, Any]:
        return self.status["axes"]

    @property
    def fingerprint(self) -> str:
        return self.status["fingerprint"]

    @property
    def config(self) -> dict[str, Any]:
        from omegaconf import OmegaConf

        return OmegaConf.to_container(OmegaConf.load(self.path / "config.yaml"))

    def environment(self) -> dict[str, Any]:
        return _read_json(self.path / "environment.json")

    def scores(self) -> dict[str, np.ndarray]:
        return _read_arrays(self.path / "scores.npz")

    def images(self) -> dict[str, np.ndarray] | None:
        return _read_arrays(self.path / "images.npz") if (self.path / "images.npz").exists() else None

    def latent(self) -> dict[str, np.ndarray] | None:
        return _read_arrays(self.path / "latent.npz") if (self.path / "latent.npz").exists() else None

    def history(self) -> pd.DataFrame | None:
        import pandas as pd

        path = self.path / "history.csv"
        return pd.read_csv(path) if path.exists() else None


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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    temporary.mkdir()
    try:
        (temporary / "config.yaml").write_text(config_yaml, encoding="utf-8")
        _write_json(temporary / "metrics.json", dict(metrics))
        _write_json(temporary / "environment.json", dict(environment))
        for stem, content in (arrays or {}).items():
            np.savez_compressed(temporary / f"{stem}.npz", allow_pickle=False, **content)
        if history:
            import pandas as pd

            pd.DataFrame(history).to_csv(temporary / "history.csv", index=False)
        if weights is not None:
            import torch

            buffer = io.BytesIO()  # torch's own writer does not say why the system refuses a file
            torch.save(dict(weights), buffer)
            (temporary / "weights.pt").write_bytes(buffer.getbuffer())
        if traceback is not None:
            (temporary / "traceback.txt").write_text(traceback, encoding="utf-8")
        _write_json(temporary / STATUS_FILE, dict(status))
        for file in temporary.iterdir():
            _sync(file)
        _sync(temporary)
        _swap(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(path.parent)
    return path


def read_record(path: str | Path) -> Record:
    """Open the record at ``path``.

    Raises ``RecordError`` if its status or metrics are missing or not readable.
    """
    path = Path(path)
    status = _read_json(path / STATUS_FILE)
    if missing := {"state", "axes", "fingerprint"} - status.keys():
        raise RecordError(
            f"{path / STATUS_FILE} lacks {', '.join(sorted(missing))}; delete {path} and run the cell again"
        )
    if status["state"] not in STATES:
        raise RecordError(f"{path / STATUS_FILE}: state is {status['state']!r}, allowed: {', '.join(STATES)}")
    return Record(path=path, status=status, metrics=_read_json(path / "metrics.json"))


def write_job(output_dir: Path, experiment_name: str, job: Mapping[str, Any]) -> Path:
    """Write which cells belong to a job of an experiment, atomically, so that a report knows what is missing."""
    path = Path(output_dir) / "experiments" / experiment_name / f"{job['job']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        _write_json(temporary, dict(job))
        _sync(temporary)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return path


def read_jobs(output_dir: str | Path, experiment_name: str) -> list[dict[str, Any]]:
    """Every job of an experiment, oldest first; an empty list if it has none."""
    folder = Path(output_dir) / "experiments" / experiment_name
    jobs = [_read_json(path) for path in folder.glob("*.json")]
    return sorted(jobs, key=lambda job: (str(job.get("started", "")), job["job"]))


def read_experiment(output_dir: str | Path, experiment_name: str) -> list[dict[str, Any]]:
    """The cells of an experiment, from all its jobs in order, each fingerprint once."""
    cells: dict[str, dict[str, Any]] = {}
    for job in read_jobs(output_dir, experiment_name):
        for cell in job["cells"]:
            cells.setdefault(cell["fingerprint"], cell)
    return list(cells.values())


def means(records: Sequence[Record]) -> dict[str, float]:
    """Metrics of a job: means over its cells that are done, and their number."""
    done = [record.metrics for record in records if record.state == "done"]
    keys = [key for key in ("auroc", "average_precision", "fpr95") if done and all(key in metrics for metrics in done)]
    found = {f"mean/{key}": sum(metrics[key] for metrics in done) / len(done) for key in keys}
    return found | {"cells_done": float(len(done))}


def _swap(temporary: Path, path: Path) -> None:
    if path.exists():
        old = path.parent / f".{path.name}.{uuid.uuid4().hex}.old"
        os.rename(path, old)
        os.rename(temporary, path)
        shutil.rmtree(old)
    else:
        os.rename(temporary, path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=False, allow_nan=True) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing; delete {path.parent} and run the cell again") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} is not valid JSON ({error}); delete {path.parent} and run the cell again") from error


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, KeyError) as error:
        raise RecordError(f"{path} cannot be read ({error}); delete {path.parent} and run the cell again") from error
