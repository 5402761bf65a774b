"""The folder of a cell: written whole or not at all, read by tracking and report.

The layout is described in README.md ("What a cell leaves behind"). Arrays are stored as ``.npz`` without pickles,
weights as a ``state_dict`` that loads with ``weights_only=True``. ``status.json`` names every other file with its size
and SHA-256: a file that is missing or cut off is noticed when the record is opened, other weights when they are loaded.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.data.files import sha256_of
from benchmark.schema import OLD_STATES, check_arrays, check_job, check_metrics, check_status
from benchmark.stopping import WRITES

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

STATUS_FILE = "status.json"
WEIGHTS_FILE = "weights.pt"


class RecordError(Exception):
    """A stored record cannot be read; the message names the file and what to do."""


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
        return _read_json(path, _cell_again(path))

    def scores(self) -> dict[str, np.ndarray]:
        return self._arrays("scores")

    def images(self) -> dict[str, np.ndarray] | None:
        return self._arrays("images") if (self.path / "images.npz").exists() else None

    def latent(self) -> dict[str, np.ndarray] | None:
        return self._arrays("latent") if (self.path / "latent.npz").exists() else None

    def verify(self) -> None:
        """Raises ``RecordError`` if a file is not the one that was written."""
        for name, written in self.status.get("files", {}).items():
            found = sha256_of(self.path / name)
            if found != written["sha256"]:
                raise _unreadable(self.path / name, _other(found, written))

    def _arrays(self, stem: str) -> dict[str, np.ndarray]:
        path = self.path / f"{stem}.npz"
        arrays = _read_arrays(path)
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
        written = self.status.get("files", {}).get(WEIGHTS_FILE)
        try:
            if written is not None and (found := sha256_of(path)) != written["sha256"]:
                raise _other(found, written)
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch names a damaged file in many ways
            raise _unreadable(path, error) from error


@WRITES.one()
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
            (temporary / WEIGHTS_FILE).write_bytes(buffer.getbuffer())
        if traceback is not None:
            (temporary / "traceback.txt").write_text(traceback, encoding="utf-8")
        files = {
            file.name: {"bytes": file.stat().st_size, "sha256": sha256_of(file)} for file in sorted(temporary.iterdir())
        }
        _write_json(temporary / STATUS_FILE, {**status, "files": files})
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

    Raises ``RecordError`` if its status or metrics are not readable, or if a file that was written is missing or cut
    off.
    """
    path = Path(path)
    file = path / STATUS_FILE
    status = _read_json(file, _cell_again(file))
    if problem := check_status(status):
        raise RecordError(f"{file}: {problem}; {_cell_again(file)}")
    for name, written in status.get("files", {}).items():
        if problem := _size_fault(path / name, written["bytes"]):
            raise RecordError(f"{path / name} {problem}; {_cell_again(file)}")
    file = path / "metrics.json"
    metrics = _read_json(file, _cell_again(file))
    if problem := check_metrics(metrics, status["state"]):
        raise RecordError(f"{file}: {problem}; {_cell_again(file)}")
    return Record(path=path, status=status, metrics=metrics)


@WRITES.one()
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
    jobs = []
    for path in folder.glob("*.json"):
        what_to_do = "delete it and type the command of the sweep again, which plans its cells anew"
        jobs.append(_read_json(path, what_to_do))
        if problem := check_job(jobs[-1]):
            raise RecordError(f"{path}: {problem}; {what_to_do}")
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


def _read_json(path: Path, what_to_do: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing; {what_to_do}") from error
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror}); {what_to_do}") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is not valid JSON ({error}); {what_to_do}") from error


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(path, error) from error


def _size_fault(path: Path, written: int) -> str | None:
    try:
        found = path.stat().st_size
    except OSError:
        return "is missing"
    return None if found == written else f"has {found:,} bytes, written were {written:,}"


def _other(found: str, written: Mapping[str, Any]) -> ValueError:
    return ValueError(f"its SHA-256 is {found[:16]}..., written was {written['sha256'][:16]}...")


def _unreadable(path: Path, error: Exception) -> RecordError:
    return RecordError(f"{path} cannot be read ({' '.join(str(error).split())[:200]}); {_cell_again(path)}")
