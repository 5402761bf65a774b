"""The models side by side: the same two images for all of them, each reconstruction at its place."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.report.figures.reconstructions import COLUMNS, reconstructions_figure
from benchmark.report.frame import build_frame
from benchmark.report.statistics import groups
from benchmark.store.experiments import collect
from benchmark.store.records import read_record
from tests.faults.helpers import run_here

NORMAL, ANOMALOUS = 100, 200  # grey levels of the images; a model's reconstruction is darker by 8 times its number


def figure_of(records, entries, index):
    """The figure of records whose images are plain; ``index`` are the places of the first four in the split."""
    for number, entry in enumerate(entries):
        path = records.output_dir / entry["path"] / "images.npz"
        kept = dict(np.load(path))
        grey = np.repeat(np.array([NORMAL, NORMAL, ANOMALOUS, ANOMALOUS] * 2, np.uint8), 28 * 28).reshape(8, 28, 28)
        kept |= {"index": np.array([*index[number], 90, 91, 92, 93]), "input": grey}
        kept |= {"reconstruction": grey - 8 * number}
        path.unlink()
        np.savez(path, **kept)
        records.rewrite(path, extra=np.zeros(1))
    cells = collect(records.output_dir, records.experiment).cells
    (group,) = groups(build_frame(cells))
    return reconstructions_figure(group, cells)


def jobs(records, *models):
    return records.job(*({"model": model, "k": 0, "auroc": 0.9, "arrays": True} for model in models))


def test_every_model_shows_the_first_images_that_all_have_and_what_it_got_wrong(records):
    figure = figure_of(records, jobs(records, "pca", "ae", "vae"), [(1, 2, 3, 4), (2, 1, 4, 5), (2, 7, 8, 4)])
    (axis,) = figure.axes
    canvas = np.asarray(axis.images[0].get_array())
    assert [text.get_text() for text in axis.texts] == ["pca", "ae", "vae"]
    assert [tick.get_text() for tick in axis.get_yticklabels()] == [
        "normal image", "residual", "anomalous image", "residual",
    ]  # fmt: skip
    rows = [int(y - 14) for y in axis.get_yticks()]
    columns = [i * 32 for i in range(4)]  # the image, then three models
    seen = [[int(canvas[y + 5, x + 5, 0]) for x in columns] for y in (rows[0], rows[2])]
    for grey, shown in zip((NORMAL, ANOMALOUS), seen, strict=True):
        assert shown == [grey // 8 * 8, *((grey - 8 * number) // 8 * 8 for number in range(3))]
    residual = [canvas[rows[1] + 5, x + 5].sum() for x in columns]
    assert residual[0] == 3 * 255  # nothing stands below the image itself
    assert residual[1] < residual[2] < residual[3]


def test_more_models_than_fit_stand_in_two_rows(records):
    names = ["pca", "ae", "vae", "aae", "anogan", "mean_image", "lstm_ae", "conv_lstm_ae", "cond_aae", "fanogan"]
    entries = jobs(records, *names, "diffusion")
    figure = figure_of(records, entries, [(1, 2, 3, 4)] * 11)
    places = [text.get_position() for text in figure.axes[0].texts]
    assert len({x for x, _ in places}) == COLUMNS == 10
    assert len({y for _, y in places}) == 2
    assert len(figure.axes[0].get_yticks()) == 8


@pytest.mark.parametrize("index", [[(1, 2, 3, 4), (5, 6, 3, 4)], [(1, 2, 3, 4), (1, 2, 7, 8)]])
def test_without_an_image_that_all_have_there_is_no_figure(records, index):
    assert figure_of(records, jobs(records, "pca", "ae"), index) is None


def test_one_model_is_not_beside_another(records):
    assert figure_of(records, jobs(records, "pca"), [(1, 2, 3, 4)]) is None


def test_every_model_is_asked_for_the_same_random_images(tmp_path):
    options = ["-m", "model=mean_image,pca", "dataset=digits", "split.normal_class=3", "tracking=off"]
    done = run_here(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert "\nCells: outputs/cells, a folder each\nNext: python -m benchmark.report " in done.stdout  # of two models
    found = [read_record(path.parent).images() for path in (tmp_path / "outputs" / "cells").rglob("status.json")]
    assert len(found) == 2
    for kind in ("normal", "anomalous"):
        one, other = (images["index"][images["group"] == kind] for images in found)
        assert one.tolist() == other.tolist()
        assert len(set(one.tolist())) == len(one)
