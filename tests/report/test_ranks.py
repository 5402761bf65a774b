"""Average ranks: Friedman against scipy, the critical difference against Demsar's tables, who takes part."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmark.report.figures.critical import critical_figure
from benchmark.report.measures.ranks import critical_difference, ranking, rankings
from benchmark.report.statistics import groups
from benchmark.report.tables.paired import POOLED
from benchmark.report.tables.ranks import rank_tables

SCOPE = ("one_vs_rest", "test", "mnist")


def write(records, dataset="mnist", seed=0, **columns):
    for model, values in columns.items():
        more = {"classes": len(values), "dataset": dataset, "seed": seed}
        records.job(*({"model": model, "k": k, "auroc": v} | more for k, v in enumerate(values) if v is not None))


def test_friedman_is_scipys_with_ties_too():
    draw = np.random.default_rng(0)
    for digits in (9, 1):  # without ties, and with many
        values = np.round(draw.uniform(0.5, 1, (10, 5)) + np.array([0, 0.1, 0, 0, 0.05]), digits)
        found = ranking(SCOPE, list("abcde"), values)
        expected = stats.friedmanchisquare(*values.T)
        assert (found.chi2, found.p) == pytest.approx((expected.statistic, expected.pvalue))
        assert found.f == pytest.approx(9 * found.chi2 / (10 * 4 - found.chi2))
        assert found.p_f == pytest.approx(stats.f.sf(found.f, 4, 36))
        assert list(found.ranks) == sorted(stats.rankdata(-values, axis=1).mean(0))


def test_friedman_by_demsars_example():
    """Demsar 2006, section 3.2.2: four classifiers on 14 data sets, average ranks 3.143, 2.000, 2.893, 1.964."""
    values = np.array([
        [.763, .768, .771, .798], [.599, .591, .590, .569], [.954, .971, .968, .967], [.628, .661, .654, .657],
        [.882, .888, .886, .898], [.936, .931, .916, .931], [.661, .668, .609, .685], [.583, .583, .563, .625],
        [.775, .838, .866, .875], [1.0, 1.0, 1.0, 1.0], [.940, .962, .965, .962], [.619, .666, .614, .669],
        [.972, .981, .9751, .975], [.957, .978, .946, .970],
    ])  # fmt: skip
    found = ranking(SCOPE, ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"], values)
    assert found.labels == ("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")
    assert found.ranks == pytest.approx((1.964, 2.0, 2.893, 3.143), abs=5e-4)
    assert found.difference == pytest.approx(1.25, abs=0.005)


def test_the_critical_difference_is_demsars():
    for k, q in ((2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)):  # table 5 (a)
        assert critical_difference(k, 6) == pytest.approx(q * math.sqrt(k * (k + 1) / 36), rel=5e-4)


def test_bars_join_what_is_not_separated_and_none_lies_within_another():
    values = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]] * 12)
    found = ranking(SCOPE, list("abcdef"), values)
    assert found.f == math.inf
    assert 2 < found.difference < 3
    assert found.bars == [(0, 2), (1, 3), (2, 4), (3, 5)]
    assert found.alike(0) == ["b", "c"]
    assert found.alike(2) == ["a", "b", "d", "e"]


def test_floors_and_columns_that_lack_a_class_are_left_out_and_seeds_are_shared(records, frame_of):
    better = [0.9, 0.8, 0.7, 0.6, 0.95, 0.85]
    write(records, ae=better, vae=[v - 0.1 for v in better], pca=[v - 0.2 for v in better], mean_image=[0.99] * 6)
    write(records, knn=[0.99] * 5 + [None])
    write(records, seed=1, ae=[0.1] * 6)  # no other has this seed
    (found,) = rankings(groups(frame_of()))
    assert found.labels == ("ae", "vae", "pca")
    assert found.ranks == (1, 2, 3)
    assert found.left_out == ("knn",)
    (table,) = rank_tables(groups(frame_of()))
    assert any("Not ranked, as they lack a class: knn." in note for note in table.notes)


def test_data_sets_are_ranked_apart_and_pooled_and_few_classes_are_not(records, frame_of):
    for dataset in ("mnist", "fashion_mnist"):
        write(records, dataset, ae=[0.9, 0.8, 0.7], vae=[0.8, 0.7, 0.6], pca=[0.7, 0.6, 0.5])
    (found,) = rankings(groups(frame_of()))
    assert (found.dataset, found.n) == (POOLED, 6)
    write(records, "digits", ae=[0.9, 0.8], vae=[0.8, 0.7])
    assert rankings(groups(frame_of())) == []  # pca lacks digits, and two are left


def test_the_diagram_names_every_column_and_draws_the_bars(records, frame_of):
    better = [0.9, 0.8, 0.7, 0.6, 0.95, 0.85]
    write(records, **{name: [v - i / 50 for v in better] for i, name in enumerate(("ae", "vae", "aae", "pca", "knn"))})
    (found,) = rankings(groups(frame_of()))
    figure = critical_figure([found], {"knn": "knn !"})
    texts = [text.get_text().strip() for text in figure.axes[0].texts]
    assert {"ae  1.00", "vae  2.00", "4.00  pca", "5.00  knn !"} <= set(texts)
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() == 3]
    assert [tuple(round(float(x)) for x in line.get_xdata()) for line in thick] == [
        (first + 1, last + 1) for first, last in found.bars
    ]
    assert critical_figure([], {}) is None
