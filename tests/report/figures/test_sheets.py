"""The contact sheet: every image at its place, with its score."""

from __future__ import annotations

import numpy as np

from benchmark.report.figures.draw import cells_of
from benchmark.report.figures.sheets import sheet_figure
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
