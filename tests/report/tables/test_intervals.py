"""Intervals over images, by hand."""

import math

from benchmark.report.statistics import groups
from benchmark.report.tables.intervals import interval_table, interval_text


def test_an_interval_by_hand():
    # logit(0.8) = log 4; se of the logit 0.04 / (0.8 * 0.2) = 0.25, half width 1.959964 * 0.25 = 0.489991
    low, high = (4 * math.exp(sign * 0.489991) / (1 + 4 * math.exp(sign * 0.489991)) for sign in (-1, 1))
    assert interval_text([0.8], [0.04]) == f"0.800 [{low:.3f}, {high:.3f}]" == "0.800 [0.710, 0.867]"


def test_several_seeds_have_their_mean_and_the_root_mean_square_of_their_errors():
    assert interval_text([0.7, 0.9], [0.03, 0.05]) == interval_text([0.8], [math.sqrt((0.0009 + 0.0025) / 2)])


def test_it_never_leaves_what_an_auroc_can_be():
    assert interval_text([1.0], [0.0]) == "1.000 [1.000, 1.000]"
    assert interval_text([0.999], [0.01]).endswith(", 1.000]")
    assert interval_text([0.001], [0.01]).startswith("0.001 [0.000, ")


def test_a_cell_without_a_standard_error_is_a_dash_and_old_records_have_no_table(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.8}, {"model": "ae", "k": 1, "auroc": 0.9})
    assert interval_table(groups(frame_of())[0]) is None
    records.job({"model": "vae", "k": 0, "auroc": 0.8, "metrics": {"auroc_se": 0.04}})
    table = interval_table(groups(frame_of())[0])
    assert [[entry.text for entry in row] for row in table.rows] == [
        ["0", "—", "0.800 [0.710, 0.867]"],
        ["1", "—", "—"],
    ]
