"""The folder of a cell: written whole or not at all, read by tracking and report.

The layout is described in docs/records.md. Arrays are stored as ``.npz`` without pickles,
weights as a ``state_dict`` that loads with ``weights_only=True``. ``status.json`` names every other file with its size
and SHA-256, and its own. A file that is missing or cut off, or a text that was edited, is noticed when the record is
opened; other arrays and weights when they are read.
"""

from __future__ import annotations

import io
import shutil
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.cells import Axes
from benchmark.data.files import sha256_of
from benchmark.data.writing import replacing
from benchmark.say import one_line
from benchmark.store.files import DAMAGED, DIGEST, RecordError, digest_of, fault_of, other, read_json, write_json
from benchmark.store.format import Status, Written, check_arrays, read_metrics, read_status

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

STATUS_FILE = "status.json"
WEIGHTS_FILE = "weights.pt"
RULE = "auroc/rule_"  # the metric of a rule begins so
RULES_FILE = "rules.json"  # of each rule that judged the cell: config, code, and the reason if it does not apply


@dataclass(frozen=True)
class Content:
    """What a cell's folder holds besides its status."""

    config: str  # as YAML
    environment: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)  # by the stem of their file
    history: Sequence[Mapping[str, float]] = ()  # a row an epoch
    weights: Mapping[str, Tensor] | None = None
    traceback: str | None = None
    rules: Mapping[str, Any] = field(default_factory=dict)  # by their names: see ``RULES_FILE``


@dataclass(frozen=True)
class Record:
    """One cell's folder, opened for reading. What is a method reads a file when it is called."""

    path: Path
    status: Status
    metrics: Mapping[str, float]
    written: bool = True  # False: it could not be, and what lies in its folder is another or nothing
    under: frozenset[str] | None = None  # the rules that are read of it; None: all that judged it

    @property
    def state(self) -> str:
        return self.status.state

    @property
    def axes(self) -> Axes:
        return self.status.axes

    @property
    def fingerprint(self) -> str:
        return self.status.fingerprint

    def narrowed(self, rules: Collection[str], chosen: str | None) -> Record:
        """The record as if only ``rules`` had judged it, with ``chosen`` as the chosen one if it did."""
        metrics = {key: value for key, value in self.metrics.items() if not _of_other_rule(key, rules)}
        noted = chosen if chosen == self.status.chosen_rule or f"{RULE}{chosen}" in metrics else None
        return replace(self, metrics=metrics, status=replace(self.status, chosen_rule=noted), under=frozenset(rules))

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

    def rules(self) -> dict[str, Any]:
        """The rules that judged it, by their names; none in a record from before there were any."""
        path = self.path / RULES_FILE
        found = read_json(path, _cell_again(path)) if path.name in self.status.files else {}
        return {name: entry for name, entry in found.items() if self.under is None or name in self.under}

    def rule_scores(self) -> dict[str, np.ndarray]:
        """``score/NAME`` and ``calibration/NAME`` of each rule that applies, for the images of ``scores`` and so on."""
        found = self._arrays("rules") if "rules.npz" in self.status.files else {}
        return {key: array for key, array in found.items() if self.under is None or key.split("/")[-1] in self.under}

    def images(self) -> dict[str, np.ndarray] | None:
        return self._arrays("images") if (self.path / "images.npz").exists() else None

    def latent(self) -> dict[str, np.ndarray] | None:
        return self._arrays("latent") if (self.path / "latent.npz").exists() else None

    def mark_damaged(self, why: str) -> None:
        """Note that a file is not the one that was written: from now on the record cannot be opened."""
        (self.path / DAMAGED).write_text(f"{why}\n", encoding="utf-8")

    def verify(self) -> None:
        """Raises ``RecordError`` if a file is not the one that was written."""
        for name in self.status.files:
            try:
                self._compare(self.path / name)
            except (OSError, ValueError) as error:
                raise _unreadable(self.path / name, error) from error

    def _compare(self, path: Path) -> None:
        written = self.status.files.get(path.name)
        if written is not None and (found := sha256_of(path)) != written.sha256:
            raise other(found, written)

    def _arrays(self, stem: str) -> dict[str, np.ndarray]:
        path = self.path / f"{stem}.npz"
        try:
            self._compare(path)
            arrays = _read_arrays(path)
            check_arrays(stem, arrays, self.status.headline)
            return arrays
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise _unreadable(path, error) from error

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
            found = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(found, Mapping) or not all(
                isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in found.items()
            ):
                raise ValueError("it holds no weights by name")
            return found
        except Exception as error:  # torch names a damaged file in many ways
            raise _unreadable(path, error) from error


def _of_other_rule(metric: str, rules: Collection[str]) -> bool:
    return metric.startswith(RULE) and metric.removeprefix(RULE) not in rules


def write_record(path: Path, status: Status, content: Content) -> Path:
    """Write a cell's folder; one that is already at ``path`` is replaced by it.

    A reader sees the old record or the new one, never a mixture.
    """
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "config.yaml").write_text(content.config, encoding="utf-8")
        write_json(temporary / "metrics.json", dict(content.metrics))
        write_json(temporary / "environment.json", dict(content.environment))
        for stem, arrays in content.arrays.items():
            _write_arrays(temporary / f"{stem}.npz", arrays)
        if content.history:
            import pandas as pd

            pd.DataFrame(list(content.history)).to_csv(temporary / "history.csv", index=False)
        if content.weights is not None:
            import torch

            buffer = io.BytesIO()  # torch's own writer does not say why the system refuses a file
            torch.save(dict(content.weights), buffer)
            (temporary / WEIGHTS_FILE).write_bytes(buffer.getbuffer())
        if content.traceback is not None:
            (temporary / "traceback.txt").write_text(content.traceback, encoding="utf-8")
        if content.rules:
            write_json(temporary / RULES_FILE, dict(content.rules))
        files = {file.name: _written(file) for file in sorted(temporary.iterdir())}
        _write_status(temporary, replace(status, files=files))
    return path


def add_rules(
    record: Record, rules: Mapping[str, Any], metrics: Mapping[str, float], arrays: Mapping[str, np.ndarray]
) -> Record:
    """Write what further rules say of a cell that is done into its folder; returns the record as it is then.

    ``rules`` are entries of ``RULES_FILE``, ``arrays`` of ``rules.npz``; those of a rule that is there already are
    replaced. The other files stay what they were written as, damage included. Raises ``RecordError`` if what rules
    said before cannot be read.
    """
    again = [f"{RULE}{name}" for name in rules]
    kept = {key: value for key, value in record.metrics.items() if key not in again}
    before = {key: v for key, v in record.rule_scores().items() if key.partition("/")[2] not in rules}
    told = {**record.rules(), **rules}
    with replacing(record.path) as temporary:
        shutil.copytree(record.path, temporary)
        write_json(temporary / "metrics.json", {**kept, **metrics})
        write_json(temporary / RULES_FILE, told)
        changed = ["metrics.json", RULES_FILE]
        if both := {**before, **arrays}:
            _write_arrays(temporary / "rules.npz", both)
            changed.append("rules.npz")
        files = {**record.status.files, **{name: _written(temporary / name) for name in changed}}
        _write_status(temporary, replace(record.status, files=files))
    return read_record(record.path)


def _write_status(folder: Path, status: Status) -> None:
    content = asdict(status)
    write_json(folder / STATUS_FILE, {**content, DIGEST: digest_of(content)})


def _written(file: Path) -> Written:
    return Written(file.stat().st_size, sha256_of(file))


def read_record(path: str | Path) -> Record:
    """Open the record at ``path``.

    Raises ``RecordError`` if its status or metrics are not readable, if a file that was written is missing or cut off,
    if a text is not the one that was written, or if another file was found to be damaged.
    """
    path = Path(path)
    file = path / STATUS_FILE
    again = _cell_again(file)
    content = read_json(file, again)
    try:
        status = read_status(content)
    except ValueError as error:
        raise RecordError(f"{file}: {error}; {again}") from error
    if DIGEST in content and digest_of(content) != content[DIGEST]:
        raise RecordError(f"{file} is not what was written; {again}")
    for name, written in status.files.items():
        if problem := fault_of(path / name, written):
            raise RecordError(f"{path / name} {problem}; {again}")
    if (path / DAMAGED).exists():
        raise RecordError(f"{path} is damaged, as verify=true found ({DAMAGED} in it says where); {again}")
    file = path / "metrics.json"
    try:
        return Record(path, status, read_metrics(read_json(file, again), status.state))
    except ValueError as error:
        raise RecordError(f"{file}: {error}; {again}") from error


def auroc_text(metrics: Mapping[str, float]) -> str:
    """What the metrics of a cell that is done say first.

    >>> auroc_text({"auroc": 0.98765}), auroc_text({"n_test_anomalous": 0.0})
    ('AUROC 0.9877', 'no AUROC, as there were no anomalies to evaluate')
    """
    return f"AUROC {metrics['auroc']:.4f}" if "auroc" in metrics else "no AUROC, as there were no anomalies to evaluate"


def means(records: Sequence[Record]) -> dict[str, float]:
    """Metrics of a job, named as those of its cells: means over the cells that are done; and their number."""
    done = [record.metrics for record in records if record.state == "done"]
    keys = [key for key in ("auroc", "average_precision", "fpr95") if done and all(key in metrics for metrics in done)]
    found = {key: sum(metrics[key] for metrics in done) / len(done) for key in keys}
    return found | {"cells_done": float(len(done))}


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    import numpy as np  # here, as what became of cells is said without it

    np.savez_compressed(path, allow_pickle=False, **arrays)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def _unreadable(path: Path, error: Exception) -> RecordError:
    return RecordError(f"{path} cannot be read ({one_line(error)}); {_cell_again(path)}")


def _cell_again(path: Path) -> str:
    return f"delete {path.parent} and run the cell again"
