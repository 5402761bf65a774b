"""Accuracy beside cost, and what seeds explain of the models' own scores."""

import numpy as np
import pytest

from benchmark.report.figures.costs import pareto_figure
from benchmark.report.measures.costs import costs
from benchmark.report.statistics import groups
from benchmark.report.tables.costs import cost_table
from benchmark.report.tables.variance import seeds_table
from benchmark.report.variance import analyse


def write(records, model, auroc, train, score, classes=(0, 1), **more):
    seconds = {"metrics": {"train_seconds": train, "score_seconds": score, "parameters": 1000.0}}
    records.job(*({"model": model, "k": k, "auroc": auroc} | seconds | more for k in classes))


def test_the_line_is_of_those_that_no_other_beats_in_both(records, frame_of):
    write(records, "pca", 0.90, 1.0, 0.5)
    write(records, "mean_image", 0.80, 2.0, 0.5)  # dearer and worse than pca
    write(records, "ae", 0.95, 3.0, 1.0)
    write(records, "vae", 0.95, 3.0, 2.0)  # as good, dearer
    write(records, "aae", 0.97, 9.0, 1.0)
    write(records, "knn", 0.99, 1.0, 1.0, classes=(0,))  # lacks a class
    (group,) = groups(frame_of())
    found = costs(group)
    assert [(cost.label, cost.seconds, cost.best) for cost in found] == [
        ("pca", 1.5, True),
        ("mean_image", 2.5, False),
        ("ae", 4.0, True),
        ("vae", 5.0, False),
        ("aae", 10.0, True),
    ]
    table = cost_table(group)
    assert [row[0].text.split(" ")[0] for row in table.rows] == ["pca", "mean_image", "ae", "vae", "aae"]
    assert [row[1].bold for row in table.rows] == [True, False, True, False, True]
    axis = pareto_figure(group).axes[0]
    line = max(axis.lines, key=lambda line: len(line.get_xdata()))
    assert [list(map(float, part)) for part in (line.get_xdata(), line.get_ydata())] == [
        [1.5, 4, 10],
        [0.9, 0.95, 0.97],
    ]


def test_memory_stands_beside_seconds_where_it_was_recorded(records, frame_of):
    write(records, "pca", 0.90, 1.0, 0.5)
    write(records, "mean_image", 0.80, 2.0, 0.5)
    (group,) = groups(frame_of())
    assert len(cost_table(group).columns) == 6
    for k, (mib, cells) in enumerate([(30.0, 5.0), (10.0, 10.0)]):
        metrics = {"train_seconds": 3.0, "score_seconds": 1.0, "peak_memory_mib": mib, "peak_memory_cells": cells}
        records.job({"model": "ae", "k": k, "auroc": 0.95, "metrics": metrics})
    table = cost_table(groups(frame_of())[0])
    assert table.columns[-2:] == ["peak memory (MiB)", "of cells"]
    assert [[entry.text for entry in row[-3:]] for row in table.rows] == [
        ["1,000", "", ""],
        ["1,000", "", ""],
        ["", "20.00", "7.5"],
    ]
    assert [len(row) for row in table.rows] == [len(table.columns)] * 3
    assert "Blank: not recorded" in table.notes[-1]


def test_cells_without_seconds_have_no_cost(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9}, {"model": "vae", "k": 0, "auroc": 0.9})
    (group,) = groups(frame_of())
    assert costs(group) == []
    assert cost_table(group) is None
    assert pareto_figure(group) is None


def test_a_committee_costs_what_its_members_cost_now(records, frame_of):
    """Not what they did when they voted: they may have been run again. Without a member's column it has no cost."""
    write(records, "pca", 0.90, 1.0, 0.5)
    write(records, "ae", 0.95, 3.0, 1.0)
    write(records, "committee", 0.97, 500.0, 500.0)
    frame = frame_of()
    frame.loc[frame["model"] == "committee", "variant"] = "members=[ae,ae:smoothed,pca]"
    (group,) = groups(frame)
    found = costs(group)
    assert [(cost.train, cost.score) for cost in found] == [(1.0, 0.5), (3.0, 1.0), (4.0, 1.5)]
    assert (found[-1].auroc, found[-1].best) == (0.97, True)
    frame.loc[frame["model"] == "committee", "variant"] = "members=[ae,vae]"
    assert [cost.label for cost in costs(groups(frame)[0])] == ["pca", "ae"]


def test_what_a_seed_explains_is_that_of_the_analysis_of_all_three(records, frame_of):
    values = np.random.default_rng(0).uniform(0.6, 0.99, (2, 3, 4))
    cells = [
        {"model": model, "k": k, "seed": s, "auroc": float(values[i, k, s]), "classes": 3}
        for i, model in enumerate(("pca", "ae"))
        for k in range(3)
        for s in range(4)
    ]
    records.job(*cells, {"model": "vae", "k": 0, "auroc": 0.9}, {"model": "histogram", "k": 0, "auroc": 0.9})
    table = seeds_table(groups(frame_of())[0])
    pairs = (("model", "class"), ("model", "seed"), ("class", "seed"))
    expected = {source.name: source for source in analyse(values, ("model", "class", "seed"), pairs)}
    rows = {row[0].text: [entry.text for entry in row[1:3]] for row in table.rows}
    assert rows == {name: [str(s.freedom), f"{100 * s.share:.1f}%"] for name, s in expected.items()}
    assert rows["residual"][0] == "6"
    assert "2 models (pca, ae), 3 classes and 4 seeds" in table.notes[0]


def test_one_seed_explains_nothing(records, frame_of):
    records.job(*({"model": m, "k": k, "auroc": 0.9 - k / 10} for m in ("pca", "ae") for k in range(3)))
    assert seeds_table(groups(frame_of())[0]) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_dz_by_hand(sign):
    from benchmark.report.tables.paired import standardised

    assert standardised(sign * np.array([0.1, 0.3])) == pytest.approx(sign * 0.2 / np.sqrt(0.02))
    assert standardised(sign * np.array([0.1, 0.1])) == sign * np.inf
