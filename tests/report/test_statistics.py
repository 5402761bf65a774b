"""Statistics against scipy, closed forms and numbers worked out by hand."""

import math

import pytest
from scipy import stats

from benchmark.report.statistics import average_ranks, class_mean, groups, t_interval


def grid(records, **columns):
    """Write cells of each model: values by class."""
    records.job(
        *({"model": m, "k": k, "auroc": v, "classes": len(vs)} for m, vs in columns.items() for k, v in enumerate(vs))
    )


def test_t_interval_is_scipys():
    values = [0.91, 0.95, 0.99, 0.90]
    expected = stats.t.interval(0.95, 3, loc=stats.tmean(values), scale=stats.sem(values))
    assert t_interval(values) == pytest.approx(expected)
    assert all(math.isnan(v) for v in t_interval([0.9]))


def test_average_ranks_share_ties_and_leave_out_classes_that_a_model_lacks(records, frame_of):
    grid(records, ae=[0.9, 0.8, 0.5], vae=[0.9, 0.9, 0.9], pca=[0.7, 0.6])
    ranks, shared = average_ranks(groups(frame_of())[0])
    assert shared == 2
    assert ranks == {"pca": 3.0, "ae": 1.75, "vae": 1.25}


def test_means_over_classes_and_seeds_by_hand(records, frame_of):
    values = {(0, 0): 0.80, (0, 1): 0.90, (1, 0): 0.60, (1, 1): 0.80}  # (class, seed)
    records.job(*({"model": "ae", "k": k, "seed": s, "auroc": v} for (k, s), v in values.items()))
    mean = class_mean(groups(frame_of())[0], "auroc", "ae")
    assert mean.value == pytest.approx((0.85 + 0.70) / 2)
    assert mean.complete
    assert mean.seeds == 2
    assert mean.seed_sd == pytest.approx(math.sqrt(2 * 0.075**2))  # seed means 0.70 and 0.85, ddof = 1
    assert mean.class_sd == pytest.approx(math.sqrt(2 * 0.075**2))  # class values 0.85 and 0.70
    assert (mean.seed_low, mean.seed_high) == pytest.approx(t_interval([0.70, 0.85]))


def test_other_splits_and_validation_make_groups_of_their_own(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9})
    records.job({"model": "ae", "k": 0, "auroc": 0.8, "split": "leave_one_out"})
    records.job({"model": "ae", "k": 0, "auroc": 0.7, "evaluate_on": "validation"})
    kinds = [(g.split, g.evaluate_on, len(g.frame)) for g in groups(frame_of())]
    assert kinds == [("one_vs_rest", "test", 1), ("one_vs_rest", "validation", 1), ("leave_one_out", "test", 1)]
