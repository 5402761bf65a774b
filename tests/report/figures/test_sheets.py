"""The contact sheet: every image at its place, with its score."""

from __future__ import annotations

from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from benchmark.report.figures.draw import cells_of
from benchmark.report.figures.sheets import labelled, sheet_figure, shown_classes
from benchmark.report.figures.style import DPI, STYLE
from benchmark.report.frame import build_frame
from benchmark.report.statistics import groups
from benchmark.store.experiments import collect


def sheet_of(records):
    cells = collect(records.output_dir, records.experiment).cells
    (group,) = groups(build_frame(cells))
    chosen = cells_of(group, cells)
    return sheet_figure(group, chosen), chosen


def test_every_tile_lies_where_its_group_row_and_class_say(records):
    records.job(*({"model": "ae", "k": k, "auroc": 0.9, "arrays": True, "name": f"class {k}"} for k in (0, 1)))
    figure, cells = sheet_of(records)
    (axis,) = figure.axes
    canvas = axis.images[0].get_array()
    assert canvas.shape == (2 * (15 + 3 * 30), 4 * 3 * 30 + 3 * 10, 3)  # 2 classes, 4 groups of 3, tiles of 28 + 2
    images = cells[1].record.images()
    for g in range(4):
        for i in range(2):  # each group has two images; the place of the third stays white
            top, left = 105 + 15, (3 * g + i) * 30 + 10 * g
            shown = canvas[top + 1 : top + 29, left + 1 : left + 29, 0]
            np.testing.assert_array_equal(shown, images["input"][2 * g + i] // 8 * 8)
            shown = canvas[top + 31 : top + 59, left + 1 : left + 29, 0]
            np.testing.assert_array_equal(shown, images["reconstruction"][2 * g + i] // 8 * 8)
        assert (canvas[:, (3 * g + 2) * 30 + 10 * g :][:, :30] == 255).all()
    texts = [text.get_text() for text in axis.texts]
    assert texts[9:17] == [f"{score:.3g}" for score in images["score"]]  # after the first class's eight and its name
    assert (texts[8], texts[17]) == ("0\nclass 0", "1\nclass 1")
    assert [label.get_text() for label in axis.get_yticklabels()] == ["input", "recon.", "residual"] * 2


def test_of_many_classes_the_hardest_the_middle_and_the_easiest_are_shown(records):
    """Of all models together: the same for each."""
    for model, worse in (("ae", 0.0), ("pca", 0.04)):
        records.job(
            *(
                {"model": model, "k": k, "auroc": auroc - (worse if k == 3 else 0), "arrays": True}
                for k, auroc in enumerate((0.97, 0.99, 0.91, 0.92, 0.93))
            )
        )
    cells = collect(records.output_dir, records.experiment).cells
    (group,) = groups(build_frame(cells))
    assert shown_classes(group) == [1, 3, 4]  # mean AUROC 0.99, 0.90 and 0.93
    figure = sheet_figure(group, [cell for cell in cells if cell.axes.model == "ae"])
    assert figure.axes[0].images[0].get_array().shape[0] == 3 * (15 + 3 * 30)


ONE_CLASS_SVM = [0.000257, 0.000268, 0.000267, 0.00028, 0.00028, 0.000281, 0.000263, 0.000269]
WIDE = {
    "one-class SVM": ONE_CLASS_SVM,
    "kde": [-1234.5, 67.9, -98765.4, 1234567.8, 0.0, -0.5, 3.0, 2.0],
    "tiny": [-1.23456e-10, 9.87654e-12, -5e-5, 1e-4, 0.0, 2e-7, -3e-9, 4e-6],
}


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("side", [28, 8])
def test_scores_of_neighbours_do_not_run_into_each_other(records, name, side):
    (entry,) = records.job({"model": "ocsvm", "k": 0, "auroc": 0.9, "arrays": True})
    path = records.output_dir / entry["path"] / "images.npz"
    old = dict(np.load(path))
    old |= {key: old[key][:, :side, :side] for key in ("input", "reconstruction")}
    path.unlink()
    np.savez(path, **(old | {"score": np.array(WIDE[name])}))
    records.rewrite(path, extra=np.zeros(1))
    with matplotlib.rc_context(STYLE):
        figure, _ = sheet_of(records)
        figure.set_dpi(DPI)
        figure.draw_without_rendering()
    (axis,) = figure.axes
    boxes = [text.get_window_extent() for text in axis.texts[:8]]
    assert all(left.x1 + 1 < right.x0 for left, right in pairwise(boxes))
    size = axis.texts[0].get_fontsize()
    assert size == 7 if side == 28 else size > 2


def test_the_scores_of_a_class_have_one_form_and_the_digits_that_tell_them_apart():
    room = 30 * 2  # pixels
    assert labelled(ONE_CLASS_SVM[:4], room)[0] == ["2.57e-4", "2.68e-4", "2.67e-4", "2.80e-4"]
    assert labelled([0.123456, 12.3456, 123.4], room)[0] == ["0.123", "12.3", "123"]
    assert labelled([float("nan"), -1.2345e-10], room)[0] == ["nan", "-1.2e-10"]


def test_a_model_without_reconstructions_shows_inputs_alone_and_one_without_images_nothing(records):
    (entry, _) = records.job(
        {"model": "kde", "k": 0, "auroc": 0.9, "arrays": True}, {"model": "kde", "k": 1, "auroc": 0.9}
    )
    path = records.output_dir / entry["path"] / "images.npz"
    old = {name: array for name, array in np.load(path).items() if name != "reconstruction"}
    path.unlink()
    np.savez(path, **old)
    records.rewrite(path, extra=np.zeros(1))
    figure, _ = sheet_of(records)
    assert figure.axes[0].images[0].get_array().shape == (15 + 30, 390, 3)
    records.job({"model": "kde", "k": 0, "auroc": 0.9, "version": 2})
    assert sheet_of(records)[0] is None
