"""Figures: marks of floors, legends that fit, labels apart, and the map of codes beside N(0, I)."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from benchmark.engine.prior import PRIOR_RADIUS
from benchmark.report.build import build_report
from benchmark.report.figures import curves, gallery, labels
from benchmark.report.figures.draw import _draw_part, cells_of, noted, save, with_palette
from benchmark.report.figures.latent import CIRCLE, NEAR, latent_figure
from benchmark.report.figures.style import DPI, LINES, STYLE, in_lines, new_figure, palette
from benchmark.report.frame import build_frame
from benchmark.report.statistics import groups
from benchmark.store.experiments import collect

LONG = [
    "closeness=16", "conditional=True", "objective=minimax log_gradients=True", "unrolled_steps=3",
    "objective=wasserstein_clipping discriminator_steps=2", "objective=wasserstein_penalty discriminator_steps=2",
]  # fmt: skip


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context(STYLE):
        yield


def only_group(records):
    cells = collect(records.output_dir, records.experiment).cells
    (group,) = groups(build_frame(cells))
    return group, cells_of(group, cells)


def drawn(figure):
    """The figure laid out, and the box of its legend, in inches."""
    figure.set_dpi(DPI)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    return box.x0 / DPI, box.x1 / DPI, box.y0 / DPI, box.y1 / DPI


@pytest.mark.parametrize("classes", [1, 6])
def test_a_legend_of_long_names_lies_inside_its_figure_and_above_the_panels(records, classes):
    for model in ("anogan", "gan"):
        for variant in ("", *LONG):
            cell = {"model": model, "variant": variant, "auroc": 0.5, "classes": classes, "arrays": True}
            records.job(*({**cell, "k": k} for k in range(classes)))
    group, cells = only_group(records)
    figure = curves.roc_by_class(group, cells)
    left, right, low, high = drawn(figure)
    assert 0 <= left < right <= figure.get_figwidth()
    assert high <= figure.get_figheight()
    assert all(low > axis.get_window_extent().y1 / DPI for axis in figure.axes)
    names = [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]
    assert sorted(names) == sorted(group.labels)
    assert min(axis.get_window_extent().width for axis in figure.axes) / DPI > 1.5  # room for the curves is left


def test_legend_columns_follow_the_width_of_the_names():
    assert labels.legend_room(["ae", "vae", "pca"], 11.6)[2] == 3
    name = "a name of forty letters, as settings are"
    width, _, columns = labels.legend_room([name] * 8, 11.6)
    entry = labels.HANDLE + labels.width_of(name)
    assert width == 11.6
    assert columns * entry <= 11.4 < (columns + 1) * entry
    assert labels.legend_room([name], 2.8)[0] > 2.8  # the figure grows rather than cuts it


def test_variants_of_a_model_differ_in_line(records):
    names = ["gan", *(f"gan ({variant})" for variant in LONG)]
    assert len({str(line) for _, line in palette(names).values()}) == len(names) <= len(LINES)
    many = [f"model{i}" for i in range(17)]
    assert len({str(look) for look in palette(many).values()}) == len(many)


def test_columns_below_a_floor_are_marked_in_every_figure_and_the_caption_says_so(records, tmp_path):
    for model, auroc in (("pca", 0.9), ("ae", 0.5), ("vae", 0.95)):
        entries = records.job(*({"model": model, "k": k, "auroc": auroc, "arrays": True} for k in (0, 1)))
        for entry in entries:
            images = np.zeros((20, 28, 28), np.uint8)
            path = records.output_dir / entry["path"] / "images.npz"
            line = np.zeros((2, 28, 28), np.uint8)
            records.rewrite(path, samples=images, interpolation=line, interpolation_ends=line)
    group, cells = only_group(records)
    found = {
        f.key.removesuffix("_mnist_one_vs_rest"): f
        for part in gallery.PARTS
        for f in _draw_part(part, group, cells, tmp_path, pdf=False)
    }
    assert found["sheet_ae"].title == "Contact sheet of ae ▽, MNIST, one_vs_rest"
    assert found["sheet_vae"].title == "Contact sheet of vae, MNIST, one_vs_rest"
    marked = {key for key, figure in found.items() if "▽ below a floor (pca)" in figure.caption}
    assert marked == found.keys() - {"sheet_vae", "sheet_pca", "reconstructions"}  # the last ranks nothing
    assert {"heatmap", "roc", "roc_classes", "scores", "training", "samples", "latent", "interpolation"} <= marked


def test_settings_of_all_columns_stand_in_titles_alone_be_it_one_column(records, tmp_path):
    records.job({"model": "ae", "k": 0, "auroc": 0.9, "variant": "latent=2", "arrays": True})
    group, cells = only_group(records)
    assert (group.labels, group.shared) == (["ae"], ("latent=2",))
    assert [cell.label for cell in cells] == ["ae"]
    assert curves.heat_map(group).axes[0].get_yticklabels()[0].get_text() == "ae"
    report = build_report("small", records.output_dir, tmp_path / "r", figures=False)
    (table, *_), *_ = report.sections.values()
    assert table.title == "AUROC, MNIST, one_vs_rest, latent=2"
    assert table.columns == ["normal class", "ae"]


def test_labels_are_pushed_apart_and_no_further():
    rng = np.random.default_rng(0)
    for points in (np.zeros((10, 2)), rng.normal(size=(10, 2)) * 0.1, np.array([[0.0, 0.0], [0.5, 0.0]])):
        moved = labels.apart(points, 1.0)
        far = np.linalg.norm(moved[:, None] - moved[None], axis=-1) + 9 * np.eye(len(points))
        assert far.min() > 0.99
        assert np.abs(moved.mean(0) - points.mean(0)).max() < 0.01  # as much to one side as to the other
        assert np.linalg.norm(moved - points, axis=1).max() < 2.2
    alone = np.array([[0.0, 0.0], [3.0, 0.0]])
    np.testing.assert_allclose(labels.apart(alone, 1.0), alone, atol=0.002)


def latent_cells(records, spread, prior=True):
    """An AE whose codes lie ``spread`` times as far out as a VAE's, nine classes and a tenth left out."""
    rng = np.random.default_rng(0)
    entries = records.job(
        *({"model": m, "k": 4, "auroc": 0.9, "arrays": True, "split": "leave_one_out"} for m in ("ae", "vae"))
    )
    for entry, scale in zip(entries, (spread, 1.0), strict=True):
        path = records.output_dir / entry["path"] / "latent.npz"
        old = dict(np.load(path))
        more = {"codes": scale * rng.normal(size=(50, 2)).astype(np.float32)}
        if prior:
            more["prior_axis"] = np.linspace(-PRIOR_RADIUS, PRIOR_RADIUS, 15).astype(np.float32)
            more["prior_grid"] = old["grid"][::-1]
        path.unlink()
        np.savez(path, **(old | more))
        records.rewrite(path, extra=np.zeros(1))
    return only_group(records)


def circles(axis):
    return [line for line in axis.lines if line.get_color() == CIRCLE]


def test_the_circle_holds_95_percent_of_the_prior():
    draws = np.random.default_rng(0).normal(size=(100_000, 2))
    assert np.mean(np.linalg.norm(draws, axis=1) < PRIOR_RADIUS) == pytest.approx(0.95, abs=0.003)


def test_all_maps_have_one_range_with_the_circle_and_the_middle_is_shown_where_it_is_small(records):
    figure = latent_figure(*latent_cells(records, spread=20))
    figure.draw_without_rendering()
    panels = np.array(figure.axes).reshape(5, 2)  # all codes, near N(0, I), its square, own range, interpolation
    for row in panels[:3]:
        assert row[0].get_xlim() == row[1].get_xlim()
        assert row[0].get_ylim() == row[1].get_ylim()
    assert panels[0, 0].get_xlim()[1] > 20
    assert panels[1, 0].get_xlim() == (-NEAR, NEAR)
    assert panels[3, 0].get_xlim() != panels[2, 0].get_xlim()
    for axis in panels[:4].flat:
        ((x, y),) = [line.get_data() for line in circles(axis)]
        np.testing.assert_allclose(np.hypot(x, y), PRIOR_RADIUS)
    for axis in panels[:2].flat:
        box = axis.get_window_extent()
        assert box.width == pytest.approx(box.height)  # a circle is round
    names = [[text.get_text() for text in axis.texts] for axis in panels[:2, 1]]
    assert names == [[], ["0", "1"]]  # the VAE's classes are named where they can be told apart


def test_codes_near_the_prior_need_no_second_map_and_old_records_have_no_grid_of_its_square(records):
    assert len(latent_figure(*latent_cells(records, spread=1.5)).axes) == 8
    assert len(latent_figure(*latent_cells(records, spread=1.5, prior=False)).axes) == 6


def test_points_of_a_large_figure_keep_their_colours(tmp_path):
    rng = np.random.default_rng(0)
    figure = new_figure(8, 4)
    noise, points = figure.subplots(1, 2)
    noise.imshow(rng.integers(0, 256, (300, 300)), cmap="gray", aspect="auto")
    for i in range(10):
        points.scatter(*rng.normal(size=(2, 20)), color=f"C{i}", s=20, linewidths=0)
    save(figure, tmp_path / "drawn", pdf=False)
    with Image.open(tmp_path / "drawn.png") as image:
        assert image.mode == "P"
        shown = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0).astype(int)
    for i in range(10):
        wanted = np.array([int(to_hex(f"C{i}")[j : j + 2], 16) for j in (1, 3, 5)])
        assert np.abs(shown - wanted).sum(1).min() < 60, f"C{i}"


def test_a_small_figure_keeps_the_steps_of_a_scale_of_colours(tmp_path):
    """256 of the scale and the greys of letters: each is there to the eye, and the scale has no bands."""
    figure = new_figure(3, 3)
    figure.add_subplot().imshow(np.arange(256).reshape(16, 16), cmap="cividis", interpolation="nearest")
    save(figure, tmp_path / "drawn", pdf=True)
    with Image.open(tmp_path / "drawn.png") as image:
        assert image.mode == "P"
        shown = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0).astype(int)
    wanted = matplotlib.colormaps["cividis"](np.arange(256), bytes=True)[:, :3].astype(int)
    assert np.abs(wanted[:, None] - shown).max(2).min(1).max() <= 3
    assert (tmp_path / "drawn.pdf").read_bytes().startswith(b"%PDF")


def test_an_image_of_few_colours_keeps_each():
    pixels = np.random.default_rng(0).choice([0, 3, 90, 250], (20, 30, 3)).astype(np.uint8)
    drawn = with_palette(Image.fromarray(pixels), large=False)
    assert drawn.mode == "P"
    assert (np.asarray(drawn.convert("RGB")) == pixels).all()


def test_a_figure_without_marks_needs_no_note(records):
    records.job({"model": "ae", "k": 0, "auroc": 0.9, "arrays": True})
    group, _ = only_group(records)
    assert noted("Caption.", "Title", curves.heat_map(group), group) == "Caption."


def test_the_mark_stays_in_the_line_of_its_column():
    assert in_lines("anogan (closeness=16) ▽").split("\n")[-1].endswith("(closeness=16)\N{NO-BREAK SPACE}▽")
    members = in_lines("committee (members=[ae:smoothed,knn,pca:smoothed_cosine])").split("\n")
    assert members == ["committee", "(members=[ae:smoothed,", "knn,", "pca:smoothed_cosine])"]
