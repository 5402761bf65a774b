"""Paired tests between columns against scipy and by hand."""

import pytest
from scipy import stats

from benchmark.report.statistics import groups, t_interval
from benchmark.report.tables.auroc import scores_table
from benchmark.report.tables.comparison import comparison_tables
from benchmark.report.tables.paired import POOLED, comparisons, holm, least_p, signed_rank, without_shared_seeds

A = [0.90, 0.92, 0.94, 0.96, 0.98, 0.91, 0.95]
B = [0.91, 0.90, 0.90, 0.90, 0.90, 0.88, 0.80]  # A - B: -.01 .02 .04 .06 .08 .03 .15
C = [0.50, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56]


def write(records, dataset="mnist", seed=0, **columns):
    for model, values in columns.items():
        classes = {"classes": len(values), "dataset": dataset, "seed": seed}
        records.job(*({"model": model, "k": k, "auroc": v} | classes for k, v in enumerate(values)))


def table_of(frame):
    (table,) = comparison_tables(groups(frame))
    return table


def test_holm_by_hand():
    # sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 -> 0.02, 0.03, 0.06, max(0.06, 0.04)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_each_data_set_has_its_own_tests_beside_the_pooled_one(records, frame_of):
    write(records, "mnist", ae=A, vae=B, pca=C)
    write(records, "fashion_mnist", ae=B, vae=A, pca=C)
    found = {(t.dataset, t.first, t.second): t for t in comparisons(groups(frame_of()))}
    assert len(found) == 9
    columns = {"mnist": {"ae": A, "vae": B, "pca": C}, "fashion_mnist": {"ae": B, "vae": A, "pca": C}}
    columns[POOLED] = {name: columns["mnist"][name] + columns["fashion_mnist"][name] for name in ("ae", "vae", "pca")}
    for (dataset, first, second), test in found.items():
        x, y = columns[dataset][first], columns[dataset][second]
        gap = [round(a - b, 12) for a, b in zip(x, y, strict=True)]
        assert test.n == len(x)
        assert test.difference == pytest.approx(sum(gap) / len(gap))
        assert (test.low, test.high) == pytest.approx(t_interval(gap))
        assert test.wins == sum(value > 0 for value in gap)
    for dataset in columns:
        raw = {pair: test.p for (name, *pair), test in found.items() if name == dataset for pair in [tuple(pair)]}
        adjusted = dict(zip(raw, holm(list(raw.values())), strict=True))  # within one data set
        assert {pair: found[(dataset, *pair)].p_holm for pair in raw} == pytest.approx(adjusted)
    assert found["mnist", "ae", "vae"].p == pytest.approx(stats.wilcoxon(A, B).pvalue)
    assert found["mnist", "ae", "vae"].effect == -found["fashion_mnist", "ae", "vae"].effect  # they disagree
    assert abs(found[POOLED, "ae", "vae"].effect) < 1e-9


def test_one_data_set_is_not_pooled(records, frame_of):
    write(records, ae=A, vae=B)
    assert [t.dataset for t in comparisons(groups(frame_of()))] == ["mnist"]


def test_rank_biserial_by_hand(records, frame_of):
    write(records, ae=A, vae=B)
    (test,) = comparisons(groups(frame_of()))
    assert test.effect == pytest.approx((27 - 1) / 28)  # the one loss has the smallest difference, rank 1 of 7


def test_ties_share_ranks_and_are_left_out_where_the_difference_is_zero():
    p, effect = signed_rank_of([0.0, 0.25, 0.25, -0.5, 0.75, 1.0, 1.25, 1.5])
    # ranks without the zero: 1.5, 1.5, 3, 4, 5, 6, 7
    assert effect == pytest.approx((28 - 2 * 3) / 28)
    assert p == pytest.approx(stats.wilcoxon([0.25, 0.25, -0.5, 0.75, 1.0, 1.25, 1.5]).pvalue)


def signed_rank_of(values):
    import numpy as np

    return signed_rank(np.array(values))


@pytest.mark.parametrize(("ties", "tested"), [(1, True), (2, False)])
def test_six_pairs_must_be_left_without_ties(records, frame_of, ties, tested):
    write(records, ae=[0.5] * 7, vae=[0.5] * ties + [0.6, 0.61, 0.62, 0.63, 0.64, 0.65][: 7 - ties])
    found = comparisons(groups(frame_of()))
    assert [(t.n, t.ties) for t in found] == ([(7, 1)] if tested else [])


def test_equal_columns_are_not_tested(records, frame_of):
    write(records, ae=[0.9] * 8, vae=[0.9] * 8)
    assert comparisons(groups(frame_of())) == []


def test_only_seeds_that_both_columns_have_count(records, frame_of):
    write(records, seed=0, ae=A, vae=B)
    write(records, seed=1, ae=[0.1] * 7)
    (test,) = comparisons(groups(frame_of()))
    assert test.restricted
    assert test.seeds == 1
    assert test.difference == pytest.approx((sum(A) - sum(B)) / 7)  # seed 1 would have made the AE worse
    assert any("On shared seeds alone" in note and "ae – vae" in note for note in table_of(frame_of()).notes)


def test_columns_without_a_shared_seed_are_named_and_not_compared(records, frame_of):
    write(records, seed=0, ae=A, pca=C)
    write(records, seed=1, vae=B)
    frame = frame_of()
    assert [(t.first, t.second) for t in comparisons(groups(frame))] == [("pca", "ae")]
    assert without_shared_seeds(groups(frame)) == [("pca", "vae"), ("ae", "vae")]
    assert "Not compared, as they share no seed: pca – vae, ae – vae." in table_of(frame).notes


def test_the_verdict_names_the_larger_column_or_that_they_are_not_separated(records, frame_of):
    write(records, ae=A, vae=[a + (0.01, -0.02)[i % 2] for i, a in enumerate(A)], pca=C)
    frame = frame_of()
    verdicts = {(t.first, t.second): (t.verdict, round(t.p_holm, 4)) for t in comparisons(groups(frame))}
    assert verdicts["pca", "ae"] == ("ae larger", 0.0469)  # 2 / 2^7, the smallest of three
    assert verdicts["ae", "vae"][0] == "not separated"
    rows = {row[0].text: [entry.text for entry in row] for row in table_of(frame).rows}
    assert rows["pca – ae"][-2:] == ["0.0469", "ae larger"]
    assert rows["pca – ae"][5:7] == ["0/7", "-1.00"]


def test_trivial_floors_are_not_compared_and_what_cannot_be_separated_is_said(records, frame_of):
    """Seven columns over six classes: 21 pairs at least, the least p is 2 / 64 each, far above 0.05 corrected."""
    columns = ("mean_image", "histogram", "pca", "ae", "vae", "aae", "anogan")
    for i, model in enumerate(columns):
        records.job(*({"model": model, "k": k, "auroc": 0.5 + 0.05 * i + 0.001 * k, "classes": 6} for k in range(6)))
    found = comparisons(groups(frame_of()))
    assert len(found) == 10  # of the five columns that are no trivial floor
    assert {c.first for c in found} | {c.second for c in found} == set(columns) - {"mean_image", "histogram"}
    assert least_p(found) == pytest.approx(10 * 2 / 64)
    assert all(c.verdict == "not separated" for c in found)
    (table,) = comparison_tables(groups(frame_of()))
    assert any("no corrected p can be below 0.31" in note for note in table.notes)


def test_the_standard_error_is_no_score(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9, "metrics": {"auroc_se": 0.01}})
    assert [row[0].text for row in scores_table(groups(frame_of())[0]).rows] == ["reconstruction"]
