"""Versions and aliases of models in MLflow's registry."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.config import UsageError
from benchmark.detect.choosing import best_images
from benchmark.say import one_line
from benchmark.tracking.client import connect, pages, public, refuse, tracking_uri
from benchmark.tracking.patience import patience, within

IMAGES = "evaluate_on"  # tag of a model, and of a cell's run
TYPED = {"normal_class": "class"}  # tags that are typed under another name


@dataclass(frozen=True)
class Registered:
    """A version of a registered model."""

    name: str
    version: str
    alias: str
    of: str  # which cell it is
    auroc: float | None
    images: str  # that the AUROC is of: test, validation or synthetic
    left_out: int  # models whose AUROC is of other images
    store: str  # address of the store, without a password


def register(
    uri: str | None, output_dir: Path, experiment: str, name: str, alias: str, only: dict[str, str]
) -> Registered:
    """Register the model of the largest AUROC among those of an experiment, and let ``alias`` name that version.

    Only models whose cells were judged on one kind of images are compared, held-out ones where there are such.

    ``only`` are tags that it has to have: model, dataset, normal_class, seed, fingerprint. A model that is registered
    under this name already is not registered twice. Raises ``UsageError`` where there is none, where models of several
    data sets or classes would be compared, and for what MLflow does not take.
    """
    from mlflow.exceptions import MlflowException

    address = tracking_uri(uri, output_dir)
    if address.startswith("sqlite:///") and not Path(address.removeprefix("sqlite:///")).exists():
        raise UsageError(f"there is no MLflow store {address}. Type output_dir=<where runs are>, or uri=<its address>")
    refuse(address, "type uri=<another store>")
    client = connect(address)

    def do() -> Registered:
        best, images, left_out = _best(client, experiment, only)
        version = _version(client, name, best)
        client.set_registered_model_alias(name, alias, version)
        tags = best.tags
        of = f"{tags['model']} {tags['dataset']} {tags['normal_class']} seed {tags['seed']}"
        return Registered(name, str(version), alias, of, _auroc(best), images, left_out, public(address))

    try:
        return within(4 * patience(), do)
    except MlflowException as error:
        raise UsageError(f"MLflow at {public(address)} does not register {name}: {one_line(error)}") from error


def _best(client: Any, experiment: str, only: dict[str, str]) -> tuple[Any, str, int]:
    """The best model, the images that its cell was judged on, and how many models of others are left out."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        known = ", ".join(one.name for one in pages(client.search_experiments))
        raise UsageError(f"experiment={experiment} is not in MLflow. There is: {known}")
    models = client.search_logged_models([found.experiment_id], max_results=1000)
    able = [
        one
        for one in models
        if str(getattr(one.status, "value", one.status)) == "READY" and "fingerprint" in one.tags
        if all(one.tags.get(key) == value for key, value in only.items())
    ]
    if not able:
        narrowed = "".join(f" {TYPED.get(key, key)}={value}" for key, value in only.items())
        raise UsageError(
            f"experiment={experiment}{narrowed} has no model in MLflow. Models are logged by tracking.models=best or "
            "all; the same command again with it logs those of finished cells"
        )
    for key in ("dataset", "normal_class"):
        typed = TYPED.get(key, key)
        if len(values := sorted({one.tags[key] for one in able})) > 1:
            raise UsageError(
                f"experiment={experiment} has models of several: {typed}={', '.join(values)}, whose AUROC say nothing "
                f"of each other. Type for example: {typed}={values[0]}"
            )
    judged: dict[str, list[Any]] = {}
    for one in able:
        judged.setdefault(_images_of(client, one), []).append(one)
    measured = {kind for kind, models in judged.items() if any(_auroc(one) is not None for one in models)}
    images = best_images(measured or judged)
    assert images is not None
    compared = judged[images]
    best = max(compared, key=lambda one: -1.0 if (auroc := _auroc(one)) is None else auroc)
    return best, images, len(able) - len(compared)


def _images_of(client: Any, model: Any) -> str:
    """What the cell of a model was judged on: models of before do not say it, but the runs of their cells do."""
    from mlflow.exceptions import MlflowException

    tags = model.tags
    if IMAGES not in tags and model.source_run_id:
        with suppress(MlflowException):  # the run was deleted for good
            tags = client.get_run(model.source_run_id).data.tags
    return tags.get(IMAGES, "test")


def _auroc(model: Any) -> float | None:
    return next((metric.value for metric in model.metrics or () if metric.key == "auroc"), None)


def _version(client: Any, name: str, model: Any) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="Detectors of benchmark: score, p-value and flag of images.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.model_id == model.model_id or version.source == model.artifact_location:
            return version.version
    source, tags = model.artifact_location, dict(model.tags)  # models:/ID is looked up in the store of the process
    return client.create_model_version(name, source, model.source_run_id, tags, model_id=model.model_id).version
