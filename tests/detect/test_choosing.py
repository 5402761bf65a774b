"""Which cell of an experiment scores new images: of those that were judged on one kind of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cells import Axes
from benchmark.detect.choosing import _best
from benchmark.store.experiments import PlannedCell
from benchmark.store.format import Status
from benchmark.store.records import Record


def cell(model: str, images: str, auroc: float) -> PlannedCell:
    axes = Axes(model=model, dataset="parts", split="one_vs_rest", normal_class=0, seed=0, evaluate_on=images)
    record = Record(Path(model), Status(state="done", fingerprint=model, axes=axes), {"auroc": auroc})
    return PlannedCell(axes, "", model, "done", "", record, Path(model))


@pytest.mark.parametrize(
    ("kinds", "chosen", "images"),
    [
        (("synthetic", "validation", "test"), "vae", "validation"),
        (("synthetic", "test", "test"), "pca", "synthetic"),
        (("test", "test", "synthetic"), "ae", "synthetic"),
    ],
)
def test_only_cells_judged_on_the_same_kind_of_images_are_compared(
    kinds: tuple[str, str, str], chosen: str, images: str
) -> None:
    cells = [cell("pca", kinds[0], 0.9), cell("vae", kinds[1], 0.7), cell("ae", kinds[2], 0.8)]
    folder, why = _best(cells, "experiment=mix")
    assert folder == Path(chosen)
    assert f" of 1 on {images} images. Left out, as AUROC on other images says nothing of these: " in why
    assert why.count("seed 0") == 3
    assert why.endswith(
        f"trained without the fifth of the images that was held out. To train it on all, type model={chosen} again "
        "without split.evaluate_on, under another experiment_name"
    )


def test_cells_on_test_images_were_trained_on_all() -> None:
    _, why = _best([cell("pca", "test", 0.9), cell("vae", "test", 0.7)], "experiment=all")
    assert "held out" not in why
