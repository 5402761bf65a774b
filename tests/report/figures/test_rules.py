"""The figure of models and rules: what is where, what is ringed, and that all of it lies inside."""

from __future__ import annotations

from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from benchmark.models import model_names
from benchmark.report.build import build_report
from benchmark.report.crossing import RULES
from benchmark.report.figures.draw import draw_figures
from benchmark.report.figures.rules import CHOSEN_NAME, MARKERS, REACH_NAME, markers, rules_figure
from benchmark.report.figures.style import DPI, STYLE, palette
from benchmark.report.frame import build_frame
from benchmark.report.statistics import MARK, groups
from benchmark.report.tables.table import RULES_SECTION
from benchmark.store.experiments import collect


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context(STYLE):
        yield


def write(records, model, own, rules, **more):
    cells = [
        {"model": model, "k": k, "auroc": value, "classes": len(own), "metrics": {
            f"auroc/rule_{rule}": values[k] for rule, values in rules.items() if values[k] is not None
        }, "arrays": True} | more
        for k, value in enumerate(own)
    ]  # fmt: skip
    records.job(*cells)


@pytest.fixture
def crossed(records):
    write(records, "pca", [0.8, 0.6], {"squared": [0.8, 0.6], "cosine": [0.9, 0.8]}, chosen_rule="cosine")
    write(records, "ae", [0.6, 0.6], {"squared": [0.9, 0.8], "cosine": [0.7, None]}, chosen_rule="squared")
    write(records, "vae", [0.9, 0.8], {"squared": [0.9, 0.7], "cosine": [0.95, 0.85]}, chosen_rule="own")
    return records


def drawn(records):
    return groups(build_frame(collect(records.output_dir, records.experiment).cells))


def points(axis):
    """Name in the legend -> [(AUROC, row)], of marks; the rings without names under ``ring``, lines left out."""
    found = {}
    for marks in axis.collections:
        if hasattr(marks, "get_sizes") and len(marks.get_offsets()):
            ring = not len(marks.get_facecolor())
            name = marks.get_label()
            name = "ring" if ring else name if not name.startswith("_") else "above"
            found.setdefault(name, []).extend((round(x, 6), round(y)) for x, y in marks.get_offsets())
    return found


def test_marks_stand_at_means_in_the_row_of_their_rule_and_the_chosen_one_is_ringed(crossed):
    figure = rules_figure(drawn(crossed))
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["own score", "squared", "cosine"]
    found = points(axis)
    assert found["pca"] == [(0.7, 0), (0.7, 1), (0.85, 2)]
    assert found[f"ae\N{NO-BREAK SPACE}{MARK}"] == [(0.6, 0), (0.85, 1)]  # a part of the classes is no mean
    assert found["vae"] == [(0.85, 0), (0.8, 1), (0.9, 2)]
    assert found["ring"] == found["above"] == [(0.85, 2), (0.85, 1), (0.85, 0)]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["pca", f"ae\N{NO-BREAK SPACE}{MARK}", "vae", CHOSEN_NAME, REACH_NAME]
    assert axis.get_title() == "MNIST\nmedian range 0.125 over rules, 0.075 over models"


def test_the_axis_says_over_how_many_classes_the_means_are(records):
    cells = {"auroc": 0.8, "metrics": {"auroc/rule_squared": 0.7}, "classes": 10}
    records.job(*({"model": model, "k": k} | cells for model, k in (("pca", 0), ("pca", 3), ("ae", 3))))
    (axis,) = rules_figure(drawn(records)).axes
    assert axis.get_xlabel() == "AUROC, mean over 2 of 10 classes (logit scale)"
    assert points(axis) == {"pca": [(0.8, 0), (0.7, 1)]}  # the AE lacks a class that was planned


def test_no_rules_no_figure(records):
    records.job({"model": "ae", "k": 0, "auroc": 0.9, "chosen_rule": "own"})
    assert rules_figure(drawn(records)) is None


def test_data_sets_stand_side_by_side_with_the_rules_of_both(crossed):
    write(crossed, "gan", [0.3, 0.5], {"ssim": [0.999999, 1.0]}, dataset="fashion_mnist")
    figure = rules_figure(drawn(crossed))
    first, second = figure.axes
    assert [text.get_text() for text in first.get_yticklabels()] == ["own score", "squared", "cosine", "ssim"]
    assert second.get_title() == "Fashion-MNIST"  # one model and one rule have no range
    assert points(second)["gan"] == [(0.4, 0), (0.9995, 3)]  # AUROC 1 has a place on the axis
    low, high = second.get_xlim()
    assert 0 < low < 0.4 < 0.9995 < high < 1


@pytest.mark.parametrize("models", [2, 9])
def test_everything_lies_inside_and_apart_with_many_rules_and_models(records, models):
    rng = np.random.default_rng(0)
    names = ["pca", "ae", "vae", "aae", "anogan", "fanogan", "diffusion", "flow", "histogram"][:models]
    rules = [*RULES, "smoothed_cosine_2", "committee_of_four"]
    for dataset in ("mnist", "fashion_mnist"):
        for name in names:
            judged = {rule: rng.uniform(0.55, 0.99, 2).tolist() for rule in rules}
            write(records, name, [0.9, 0.8], judged, dataset=dataset, chosen_rule="ssim")
    figure = rules_figure(drawn(records))
    figure.set_dpi(DPI)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    boxes = [axis.title.get_window_extent() for axis in figure.axes]
    assert boxes[0].x1 < boxes[1].x0
    legend = figure.legends[0].get_window_extent()
    for box in (*boxes, legend, *(text.get_window_extent() for text in figure.axes[0].get_yticklabels())):
        assert 0 <= box.x0 < box.x1 <= width * DPI
        assert 0 <= box.y0 < box.y1 <= height * DPI
    assert all(legend.y0 > box.y1 for box in boxes)
    for axis in figure.axes:
        ticks = [text.get_window_extent() for text in axis.get_xticklabels()]
        assert len(ticks) >= 3
        assert all(a.x1 < b.x0 for a, b in pairwise(ticks))
        rows = [axis.transData.transform((0.9, row))[1] / DPI for row in range(len(rules) + 1)]
        assert abs(np.diff(rows)).min() > 0.25  # inches


def test_models_differ_by_mark_and_keep_it_whatever_else_is_shown():
    many = ["histogram", "mean_image", "pca", "ae", "ae (latent=2)", "vae", "aae", "anogan", *"abcd"]
    assert len(set(markers(many).values())) == len(many) < len(MARKERS)
    assert markers(["vae", "ae"]) == {name: markers(many)[name] for name in ("ae", "vae")}
    assert len(markers([f"model{i}" for i in range(30)])) == 30
    every = model_names()  # of the suite's own, colour and mark together tell any two apart
    assert len({(palette(every)[name][0], markers(every)[name]) for name in every}) == len(every)


def test_the_report_shows_the_figure_in_its_section_and_says_what_marks_mean(crossed, tmp_path):
    write(crossed, "ae", [0.9, 0.8], {"squared": [0.9, 0.8]}, dataset="fashion_mnist", split="leave_one_out")
    plates = draw_figures([], drawn(crossed), tmp_path, pdf=False)
    assert [(plate.key, plate.section) for plate in plates] == [
        ("rules_one_vs_rest", RULES_SECTION),
        ("rules_leave_one_out", RULES_SECTION),
    ]
    assert f"{MARK} below a floor (pca) in mean AUROC:" in plates[0].caption
    assert MARK not in plates[1].caption
    report = build_report("small", crossed.output_dir, tmp_path / "r", figures="rules")
    assert "figures/rules_one_vs_rest.png" in report.files
    page = (tmp_path / "r" / "report.html").read_text()
    answer, rest = page.split('<h2 id="section-0">')
    section = rest.split('<h2 id="section-1">')[0]
    assert section.startswith(RULES_SECTION)
    assert 'src="figures/rules_one_vs_rest.png"' in answer  # the page begins with one figure, shown once
    assert 'src="figures/rules_leave_one_out.png"' in section
    assert 'src="figures/rules_one_vs_rest.png"' not in rest


def test_the_figure_is_the_same_bytes_every_time(crossed, tmp_path):
    for name in ("a", "b"):
        draw_figures([], drawn(crossed), tmp_path / name, pdf=True)
    for kind in ("png", "pdf"):
        first, second = ((tmp_path / name / f"rules_one_vs_rest.{kind}").read_bytes() for name in ("a", "b"))
        assert first == second
