"""The figures of generated images: models side by side, and style by class."""

from __future__ import annotations

import numpy as np

from benchmark.report.figures.samples import SHOWN, samples_figure, style_figures
from benchmark.report.frame import build_frame
from benchmark.report.statistics import groups
from benchmark.store.experiments import collect
from benchmark.store.records import read_record


def test_every_model_that_generates_has_a_row_below_real_images(records):
    entries = records.job(
        {"model": "vae", "k": 0, "auroc": 0.9, "arrays": True},
        {"model": "vae", "k": 1, "auroc": 0.9, "arrays": True},
        {"model": "gan", "k": 1, "auroc": 0.9, "arrays": True},
        {"model": "ae", "k": 1, "auroc": 0.9, "arrays": True},
    )
    for value, entry in enumerate(entries[:3], start=10):
        path = records.output_dir / entry["path"] / "images.npz"
        records.rewrite(path, samples=np.full((20, 28, 28), value, np.uint8))
    cells = collect(records.output_dir, records.experiment).cells
    (group,) = groups(build_frame(cells))
    figure = samples_figure(group, cells)
    (axis,) = figure.axes
    assert "normal class: 1" in axis.get_title()
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["real", "vae", "gan"]
    shown = np.asarray(axis.images[0].get_array())
    assert shown.shape == (3 * 28, SHOWN * 28)
    assert set(shown[28:56].ravel()) == {11}
    assert set(shown[56:].ravel()) == {12}


def test_of_several_seeds_the_first_is_shown_in_the_first_class_that_most_models_have(records):
    entries = records.job(
        *({"model": "vae", "k": k, "seed": seed, "auroc": 0.9, "arrays": True} for k in (0, 1) for seed in (0, 1))
    )
    for value, entry in enumerate(entries, start=10):
        path = records.output_dir / entry["path"] / "images.npz"
        records.rewrite(path, samples=np.full((20, 28, 28), value, np.uint8))
    cells = collect(records.output_dir, records.experiment).cells
    (group,) = groups(build_frame(cells))
    (axis,) = samples_figure(group, cells).axes
    assert axis.get_title() == "normal class: 0"
    assert set(np.asarray(axis.images[0].get_array())[28:].ravel()) == {10}


def test_without_samples_there_is_no_figure(records):
    records.job({"model": "ae", "k": 0, "auroc": 0.9, "arrays": True})
    cells = collect(records.output_dir, records.experiment).cells
    (group,) = groups(build_frame(cells))
    assert samples_figure(group, cells) is None


def test_the_grid_shows_every_style_in_every_class(records):
    (entry,) = records.job({"model": "cond_aae", "k": 1, "auroc": 0.9, "arrays": True, "split": "leave_one_out"})
    path = records.output_dir / entry["path"] / "images.npz"
    records.rewrite(path, styles=np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1) * np.ones((1, 1, 4, 5), np.uint8))
    assert "styles" in read_record(path.parent).images()
    cells = collect(records.output_dir, records.experiment).cells
    (group,) = groups(build_frame(cells))
    ((name, title, caption, figure),) = style_figures(group, cells)
    assert (name, title) == ("styles_cond-aae", "Style and class of cond_aae")
    assert "class 1 was left out" in caption
    shown = figure.axes[0].images[0].get_array()
    assert shown.shape == (8, 15)
    assert shown[::4, ::5].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_models_without_styles_have_no_such_figure(records):
    records.job({"model": "ae", "k": 0, "auroc": 0.9, "arrays": True})
    cells = collect(records.output_dir, records.experiment).cells
    (group,) = groups(build_frame(cells))
    assert list(style_figures(group, cells)) == []
