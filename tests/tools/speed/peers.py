"""Five of PyOD's detectors beside ours on the very same images, AUROC and seconds: a part of ``make bench``.

    python -m tests.tools.speed.peers dataset=mnist,fashion_mnist classes=0,1,2 epochs=20 results_dir=results/speed

Both are fitted to the training images that a cell has (those kept for calibration are not among them) and score its
test images, one class after the other, in one run on one thread. Ours are as shipped but for ``epochs``. PyOD's are as
shipped too (so its networks standardise pixels and have rates of their own), but for the epochs, for widths, batches,
trees and neighbours, which are ours, and for dropout and batch normalisation, which are off. Needs the
``bench`` extra (PyOD) and prepared data. Writes ``peers.csv``, a row a cell, and ``peers.md``, the means.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from benchmark.engine.fleet import Fleet
from benchmark.engine.metrics import auroc
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.train import Member, train, train_in_company
from benchmark.models import constructor
from benchmark.models.refusals import shipped_keywords
from benchmark.sweep.compose import compose_jobs
from benchmark.sweep.fleets import lay_out_fleets
from benchmark.sweep.job import Job, lay_out_job
from benchmark.sweep.steps import build_model
from tests.tools.speed import rivals

Settings = Mapping[str, Any]  # of our model


def auto_encoder(ours: Settings, seed: int) -> Any:
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(
        hidden_neuron_list=[*ours["hidden"], ours["latent"]],
        batch_norm=False,
        dropout_rate=0.0,
        epoch_num=ours["epochs"],
        batch_size=ours["batch_size"],
        device=torch.device("cpu"),
        random_state=seed,
        verbose=0,
    )


def variational(ours: Settings, seed: int) -> Any:
    from pyod.models.vae import VAE

    return VAE(
        encoder_neuron_list=list(ours["hidden"]),
        decoder_neuron_list=list(reversed(ours["hidden"])),
        latent_dim=ours["latent"],
        batch_norm=False,
        dropout_rate=0.0,
        epoch_num=ours["epochs"],
        batch_size=ours["batch_size"],
        device=torch.device("cpu"),
        random_state=seed,
        verbose=0,
    )


def deep_svdd(ours: Settings, seed: int) -> Any:
    """Ours is convolutional as shipped; this one has the widths of our dense one."""
    from pyod.models.deep_svdd import DeepSVDD

    return DeepSVDD(
        n_features=784,
        hidden_neurons=[*ours["hidden"], ours["latent"]],
        dropout_rate=0.0,
        epochs=ours["epochs"],
        batch_size=ours["batch_size"],
        random_state=seed,
        verbose=0,
    )


def neighbours(ours: Settings, seed: int) -> Any:
    from pyod.models.knn import KNN

    return KNN(n_neighbors=ours["neighbours"])


def forest(ours: Settings, seed: int) -> Any:
    from pyod.models.iforest import IForest

    return IForest(n_estimators=ours["trees"], random_state=seed)


PEERS: Mapping[str, tuple[str, Callable[[Settings, int], Any]]] = {  # our model -> PyOD's name for it, and the detector
    "ae": ("AutoEncoder", auto_encoder),
    "vae": ("VAE", variational),
    "deep_svdd": ("DeepSVDD", deep_svdd),
    "knn": ("KNN", neighbours),
    "iforest": ("IForest", forest),
}
DEFAULTS = {
    "dataset": "mnist,fashion_mnist",
    "classes": "0,1,2,3,4,5,6,7,8,9",
    "epochs": "20",
    "models": ",".join(PEERS),
    "results_dir": "results/speed",
}


def laid_out(model: str, dataset: str, normal_class: str, epochs: int) -> Job:
    """The job of one cell of our model."""
    length = [f"model.epochs={epochs}"] if "epochs" in shipped_keywords(model) else []
    arguments = [f"model={model}", f"dataset={dataset}", f"split.normal_class={normal_class}", "device=cpu", *length]
    return lay_out_job(compose_jobs(arguments)[0].config)


def run_ours(job: Job) -> tuple[float, float, float]:
    """AUROC, seconds of training and seconds of scoring of our model."""
    (cell,) = job.cells
    fleet = Fleet([build_model(job, cell)])
    member = Member(cell.split.train_index, cell.stream("order"), cell.stream("noise"))
    stacked = lay_out_fleets(fleet.model, "cpu", 1).strategy == "vmap"
    start = time.perf_counter()
    (train_in_company if stacked else train)(fleet, job.images["train"], [member], job.settings)
    middle = time.perf_counter()
    view = View(cell.split.eval_index, cell.stream("score"))
    (found,) = score_images(fleet, job.images["test"], [view], Scoring(500), ("scores",))
    scores = found.scores[fleet.model.headline].numpy()
    end = time.perf_counter()
    return auroc(cell.split.eval_label.numpy(), scores), middle - start, end - middle


def run_theirs(job: Job, build: Callable[[Settings, int], Any]) -> tuple[float, float, float]:
    """AUROC, seconds of ``fit`` (which scores the training images too) and of scoring of PyOD's detector."""
    (cell,) = job.cells
    detector = build(settings_of(job), cell.axes.seed)
    training, test = (
        rivals.flat(job.images[part][index])
        for part, index in (("train", cell.split.train_index), ("test", cell.split.eval_index))
    )
    start = time.perf_counter()
    detector.fit(training)
    middle = time.perf_counter()
    scores = np.asarray(detector.decision_function(test))
    end = time.perf_counter()
    return auroc(cell.split.eval_label.numpy(), scores), middle - start, end - middle


def settings_of(job: Job) -> dict[str, Any]:
    """Our model's keywords in a job."""
    model = job.config.model
    return {key: model[key] for key in constructor(model["name"])}


def compared(model: str, dataset: str, normal_class: str, epochs: int) -> dict[str, Any]:
    """A row: one cell of ours and of PyOD's."""
    job = laid_out(model, dataset, normal_class, epochs)
    name, build = PEERS[model]
    row: dict[str, Any] = {
        "dataset": dataset,
        "normal_class": job.cells[0].axes.normal_class,
        "model": model,
        "pyod": name,
    }
    for side, (value, fitting, scoring) in (("ours", run_ours(job)), ("pyod", run_theirs(job, build))):
        row |= {f"{side}_auroc": value, f"{side}_train_seconds": fitting, f"{side}_score_seconds": scoring}
    return row


def as_text(frame: pd.DataFrame, epochs: int) -> str:
    """The table of means, Markdown."""
    from importlib.metadata import version

    columns = ("data set", "model", "PyOD's", "n", "AUROC", "PyOD", "difference", "PyOD ahead on", "training, s",
               "PyOD", "scoring, s", "PyOD")  # fmt: skip
    lines = [
        f"# PyOD {version('pyod')} beside our models, {epochs} epochs\n",
        "Means over n normal classes, and on how many of them PyOD has the larger AUROC. Seconds of a cell on one "
        "thread. What is equal and what is not: `tests/tools/speed/peers.py`.\n",
        "| " + " | ".join(columns) + " |",
        "| --- | --- | --- |" + " ---: |" * (len(columns) - 3),
    ]
    for (dataset, model), part in frame.groupby(["dataset", "model"], sort=False):
        mean = part.mean(numeric_only=True)
        ahead = int((part["pyod_auroc"] > part["ours_auroc"]).sum())
        seconds = [f"{mean[f'{side}_{kind}_seconds']:.2f}" for kind in ("train", "score") for side in ("ours", "pyod")]
        lines.append(
            f"| {dataset} | {model} | {part['pyod'].iloc[0]} | {len(part)} | {mean['ours_auroc']:.4f} | "
            f"{mean['pyod_auroc']:.4f} | {mean['ours_auroc'] - mean['pyod_auroc']:+.4f} | {ahead} | "
            + " | ".join(seconds)
            + " |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    given = {**DEFAULTS, **dict(a.split("=", 1) for a in (sys.argv[1:] if arguments is None else arguments))}
    chosen, epochs, folder = given["models"].split(","), int(given["epochs"]), Path(given["results_dir"])
    if unknown := [key for key in given if key not in DEFAULTS] + [model for model in chosen if model not in PEERS]:
        sys.exit(f"{unknown[0]} is no argument and no model here. There is: {', '.join([*DEFAULTS, *PEERS])}")
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rows, text = [], folder / "peers.md"
    with threadpool_limits(1):
        for dataset, label, model in product(given["dataset"].split(","), given["classes"].split(","), chosen):
            rows.append(compared(model, dataset, label, epochs))
            ours, theirs = rows[-1]["ours_auroc"], rows[-1]["pyod_auroc"]
            print(f"{dataset} {label} {model}: {ours:.4f}, PyOD {theirs:.4f}", file=sys.stderr, flush=True)
            frame = pd.DataFrame(rows)  # written after every cell: what is there stays if the rest is given up
            frame.to_csv(folder / "peers.csv", index=False, float_format="%.6g", lineterminator="\n")
            text.write_text(as_text(frame, epochs), encoding="utf-8")
    print(text.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
