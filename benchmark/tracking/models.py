"""A finished cell as a model of MLflow: one that can be registered, served and taken elsewhere.

A model holds the folder of its cell, and with it weights, calibration scores and threshold; the code that loads it (the
rooms of this package up to ``detect``, and the package of a model class of somebody else's); pinned requirements, a
signature and an example. Nothing in it is pickled. MLflow's own ``log_model`` would set the tracking address of the
whole process, and find the requirements by importing everything in a process of its own.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.code_hash import is_ours
from benchmark.config import CONF_DIR
from benchmark.engine.committee import NAME as COMMITTEE
from benchmark.store.finished import code_fault
from benchmark.store.foreign import refuse_model
from benchmark.store.records import Record
from benchmark.targets import module_file
from benchmark.tracking.patience import heard
from benchmark.tracking.texts import SCORES

NAME = "detector"  # of every model; what it is of stands in its tags
ROOMS = ("data", "models", "rules", "engine", "store", "detect")  # whose code a model takes along
CONFIGURATIONS = ("config.yaml", "model", "rule")  # of conf/
PACKAGES = (  # what that code imports
    *("hydra-core", "omegaconf", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "pillow"),
    *("threadpoolctl", "filelock", "psutil", "joblib", "PyYAML", "rich", "mlflow", "pyarrow", "jinja2"),
)
PACKAGE = Path(__file__).parents[1]


def chosen(records: Sequence[Record], which: str) -> list[Record]:
    """The cells of a job that get a model: with ``best`` the one of the largest AUROC, else the first one."""
    if which == "off":
        return []
    able = [record for record in records if record.state == "done" and record.written and _is_loadable(record)]
    if which == "all" or not able:
        return able
    return [max(able, key=lambda record: record.metrics.get("auroc", -1.0))]


def _is_loadable(record: Record) -> bool:
    """Whether a detector can be made of a done cell: of a committee, and of other code than is here, none can."""
    return record.axes.model != COMMITTEE and code_fault(record) is None


def log_model(client: Any, experiment_id: str, run_id: str, record: Record) -> str:
    """Log the model of a done cell with the cell's run; returns its id. Errors are the caller's."""
    from mlflow.entities import LoggedModelOutput, Metric

    axes = record.axes
    keys = ("model", "dataset", "split", "normal_class", "seed", "evaluate_on")
    tags = {key: str(getattr(axes, key)) for key in keys}
    tags |= {"fingerprint": record.fingerprint, "normal_class_name": axes.normal_class_name}
    made = client.create_logged_model(experiment_id, NAME, run_id, tags, model_type="anomaly detector")
    heard()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = save_model(record, Path(folder), made.artifact_location, run_id, made.model_id)
            heard()
            client.log_model_artifacts(made.model_id, str(path))
        heard()
        client.log_outputs(run_id, [LoggedModelOutput(made.model_id, 0)])
        now = int(time.time() * 1000)
        metrics = [
            Metric(key, record.metrics[key], now, 0, model_id=made.model_id, run_id=run_id)
            for key in SCORES
            if key in record.metrics
        ]
        client.log_batch(run_id, metrics=metrics)
        client.finalize_logged_model(made.model_id, "READY")
    except Exception:
        client.finalize_logged_model(made.model_id, "FAILED")
        raise
    return made.model_id


def save_model(record: Record, folder: Path, location: str = "", run_id: str = "", model_id: str = "") -> Path:
    """Write the model of a done cell, as MLflow has models, below an empty ``folder``."""
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    from benchmark.detect.loading import alpha_of

    config, metrics, axes = record.config(), record.metrics, record.axes
    refuse_model(record, config)
    alpha = alpha_of(config)
    calibration = (record.calibration() or {}).get("index", ())
    images = example(record, config)
    metadata = {
        "model": axes.model,
        "dataset": axes.dataset,
        "normal_class": f"{axes.normal_class} {axes.normal_class_name}".strip(),
        "score": record.status.headline,
        "alpha": alpha,
        "threshold": metrics.get("threshold"),
        "calibration_images": len(calibration),
        "fingerprint": record.fingerprint,
    }
    identity = {"artifact_path": location, "run_id": run_id, "model_uuid": model_id, "model_id": model_id}
    model = Model(**(identity if model_id else {}), metadata=metadata)
    signature = signature_of(*images.shape[1:], alpha)
    path = folder / "model"
    save_model(
        path=str(path),
        python_model=str(Path(__file__).with_name("served.py")),
        artifacts={"cell": str(record.path.absolute())},
        code_paths=[str(staged) for staged in stage_code(folder / "code", config["model"])],
        pip_requirements=requirements(),
        signature=signature,
        input_example={signature.inputs.input_names()[0]: images},
        mlflow_model=model,
    )
    flavor = model.flavors["python_function"]  # MLflow notes where it found both, on this machine
    flavor["artifacts"]["cell"]["uri"] = flavor["artifacts"]["cell"]["path"]
    flavor["model_code_path"] = Path(flavor["model_code_path"]).name
    model.save(str(path / "MLmodel"))
    return path


def signature_of(channels: int, height: int, width: int, alpha: float) -> Any:
    """What goes in and what comes out.

    MLflow knows one shape and one type of a tensor, and refuses others with the whole request in its words. So the
    input is of any, its name says which, and ``served`` refuses what is none of them.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    either = f" or (N, {height}, {width})" if channels == 1 else ""
    name = f"images (N, {channels}, {height}, {width}){either}: whole numbers from 0 to 255, or floats from 0 to 1"
    outputs = [ColSpec("double", "score"), ColSpec("double", "p_value"), ColSpec("boolean", "flagged")]
    return ModelSignature(
        Schema([TensorSpec(np.dtype(object), (-1,), name)]),
        Schema(outputs),
        ParamSchema([ParamSpec("alpha", DataType.double, alpha)]),
    )


def example(record: Record, config: Mapping[str, Any]) -> np.ndarray:
    """Two images that the cell can score, uint8 (2, C, H, W): normal ones, or one black and one white."""
    from benchmark.detect.loading import image_shape

    shape, sheet = image_shape(record, config), record.images()
    if sheet is not None and shape[0] == 1:
        return sheet["input"][:2].reshape(-1, *shape).astype(np.uint8)
    return np.stack([np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)])


def requirements() -> list[str]:
    """Versions of the packages here; of one that was built for a kind of machine (``2.11.0+cpu``), the release."""
    return [f"{package}=={version(package).partition('+')[0]}" for package in PACKAGES]


def stage_code(folder: Path, model: Mapping[str, Any]) -> list[Path]:
    """Copies of the packages that a model of this configuration is loaded with, without what it does not need."""
    ours = folder / "benchmark"
    for file in PACKAGE.glob("*.py"):
        _copy(file, ours / file.name)
    for room in ROOMS:
        _copy_all(PACKAGE / room, ours / room)
    for name in CONFIGURATIONS:
        _copy_all(CONF_DIR / name, ours / "conf" / name)
    theirs = None if is_ours(model["name"], model["_target_"]) else _top_of(model["_target_"])
    if theirs is None:
        return [ours]
    _copy_all(theirs, folder / theirs.name)
    return [ours, folder / theirs.name]


def _top_of(target: str) -> Path | None:
    """The folder or file of the package or module, not ours, that a dotted path begins with."""
    parts = target.split(".")[:-1]
    file = module_file(".".join(parts))
    if file is None or parts[0] == PACKAGE.name:
        return None
    top = file.parents[len(parts) - (file.name != "__init__.py")] / parts[0]
    return top if top.is_dir() else top.with_suffix(".py")


def _copy_all(source: Path, target: Path) -> None:
    """A file, or those of a folder that are code or configuration."""
    if source.is_file():
        _copy(source, target)
        return
    for file in source.rglob("*"):
        if file.suffix in (".py", ".yaml") and "__pycache__" not in file.parts:
            _copy(file, target / file.relative_to(source))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
