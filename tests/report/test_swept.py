"""Settings that were swept: which are found, with which numbers, and how they are shown."""

import math

import pytest

from benchmark.report.figures.draw import draw_figures
from benchmark.report.figures.sensitivity import sensitivity_figure
from benchmark.report.measures.swept import as_shipped, swept
from benchmark.report.statistics import groups, t_interval
from benchmark.report.tables.sections import build_tables
from benchmark.report.tables.sensitivity import sensitivity_tables
from benchmark.report.tables.table import SWEPT_SECTION


def write(records, model, variants, classes=(0, 1), seeds=(0,), **more):
    """AUROC 0.5 + class / 10 + seed / 100 + the number of the variant / 50."""
    for i, variant in enumerate(variants):
        records.job(
            *(
                {"model": model, "variant": variant, "k": k, "seed": s, "auroc": 0.5 + k / 10 + s / 100 + i / 50} | more
                for k in classes
                for s in seeds
            )
        )


def test_a_setting_with_three_numbers_is_found_and_the_shipped_one_is_known(records, frame_of):
    write(records, "ae", ["train_fraction=0.01", "train_fraction=0.1", ""])
    write(records, "vae", ["train_fraction=0.01", ""])  # two are no sweep
    (found,) = swept(groups(frame_of()))
    assert found.setting == "train_fraction"
    (line,) = found.series
    assert line.label == "ae"
    assert [(point.value, round(point.mean, 4)) for point in line.points] == [(0.01, 0.55), (0.1, 0.57), (1.0, 0.59)]


def test_components_of_pca_stand_with_the_codes_of_others_and_defaults_are_those_of_the_yaml(records, frame_of):
    assert (as_shipped("ae", "latent"), as_shipped("pca", "latent"), as_shipped("nobody", "latent")) == (16, 32, None)
    assert as_shipped("ae", "hidden") is None  # a list
    write(records, "ae", ["latent=2", "", "latent=64"])
    write(records, "pca", ["components=2", "components=8", ""])
    (found,) = swept(groups(frame_of()))
    assert {line.label: [point.value for point in line.points] for line in found.series} == {
        "ae": [2, 16, 64],
        "pca": [2, 8, 32],
    }


def test_other_settings_of_a_model_make_lines_of_their_own(records, frame_of):
    write(records, "ae", [f"{loss}contamination={c}" for loss in ("", "loss=l1 ") for c in (0.01, 0.05, 0.1)])
    (found,) = swept(groups(frame_of()))
    assert [line.label for line in found.series] == ["ae", "ae (loss=l1)"]


def test_intervals_are_over_seeds_or_over_images_by_hand(records, frame_of):
    write(records, "ae", ["epochs=1", "epochs=5", "epochs=60"], seeds=(0, 1, 2))
    write(records, "vae", ["epochs=1", "epochs=5", "epochs=60"], metrics={"auroc_se": 0.03})
    (found,) = swept(groups(frame_of()))
    ae, vae = (line.points[0] for line in found.series)
    assert (ae.low, ae.high) == pytest.approx(t_interval([0.55, 0.56, 0.57]))
    assert ae.seeds == 3
    assert (vae.low, vae.high) == pytest.approx(
        (0.55 - 1.959964 * 0.03 / math.sqrt(2), 0.55 + 1.959964 * 0.03 / math.sqrt(2))
    )


def test_table_and_figure_show_numbers_in_order_and_no_mean_that_lacks_a_class(records, frame_of):
    for dataset in ("mnist", "fashion_mnist"):
        write(records, "ae", ["train_fraction=0.1", "train_fraction=0.01", ""], dataset=dataset)
    write(records, "vae", ["train_fraction=0.01", "train_fraction=0.1"])
    write(records, "vae", [""], classes=(0,))
    tables = sensitivity_tables(groups(frame_of()))
    assert [table.key for table in tables] == [
        "sensitivity_train_fraction_mnist_one_vs_rest",
        "sensitivity_train_fraction_fashion_mnist_one_vs_rest",
    ]
    assert [row[0].text for row in tables[0].rows] == ["0.01", "0.1", "1"]
    assert tables[0].columns == ["train_fraction", "ae", "vae"]
    assert tables[0].rows[2][2].text == "0.500 (1/2)"
    figure = sensitivity_figure(swept(groups(frame_of())))
    first, second = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["MNIST", "Fashion-MNIST"]
    assert first.get_xscale() == "log"
    lines = [line for line in first.lines if len(line.get_xdata()) > 1 and line.get_linestyle() != "None"]
    assert [list(map(float, line.get_xdata())) for line in lines] == [[0.01, 0.1, 1.0], [0.01, 0.1]]
    assert [float(y) for y in lines[0].get_ydata()] == pytest.approx([0.57, 0.55, 0.59])
    assert "share of the training images" in second.get_xlabel()


def test_the_figures_of_swept_settings_are_drawn_alone(records, frame_of, tmp_path):
    write(records, "ae", ["train_fraction=0.1", "train_fraction=0.01", ""])
    plates = draw_figures([], groups(frame_of()), tmp_path, False, SWEPT_SECTION)
    assert [(plate.key, plate.section) for plate in plates] == [
        ("sensitivity_train_fraction_one_vs_rest", SWEPT_SECTION)
    ]
    assert [path.name for path in tmp_path.glob("*.png")] == ["sensitivity_train_fraction_one_vs_rest.png"]
    assert SWEPT_SECTION in build_tables(frame_of())
