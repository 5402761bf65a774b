"""Tests of models each under its chosen rule: which values are compared, under which names, and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.engine.metrics import delong_se
from benchmark.report.build import build_report
from benchmark.report.measures.chosen import under_chosen
from benchmark.report.measures.ranks import rankings
from benchmark.report.statistics import groups
from benchmark.report.tables.intervals import interval_text
from benchmark.report.tables.paired import POOLED, comparisons, holm
from benchmark.report.tables.sections import build_tables, chosen_tables
from benchmark.store.records import add_rules, read_record

A = [0.90, 0.92, 0.94, 0.96, 0.98, 0.91, 0.95]
B = [0.91, 0.90, 0.90, 0.90, 0.90, 0.88, 0.80]
C = [0.50, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56]


def write(records, model, own, rule, values, dataset="mnist", chosen=None, **more):
    """Cells of a model with its own score, judged by a rule that was chosen for it (or ``chosen``, or none: "")."""
    metrics = [{"auroc/rule_" + rule: value} if rule != "own" else {} for value in values]
    more |= {"classes": len(own), "dataset": dataset, "chosen_rule": rule if chosen is None else chosen or None}
    records.job(*({"model": model, "k": k, "auroc": v, "metrics": metrics[k]} | more for k, v in enumerate(own)))


@pytest.fixture
def chosen(records, frame_of):
    """Two data sets with a choice of settings and rule each, a floor and a model without one."""
    write(records, "pca", C, "cosine", A)
    write(records, "ae", C, "ssim", B, variant="latent=2")
    write(records, "vae", B, "own", B)
    write(records, "pca", C, "ssim", B, "fashion_mnist", variant="components=3")
    write(records, "ae", C, "cosine", A, "fashion_mnist")
    write(records, "vae", C, "cosine", B, "fashion_mnist")
    for dataset in ("mnist", "fashion_mnist"):
        write(records, "knn", A, "cosine", A, dataset, chosen="")
        write(records, "histogram", C, "cosine", A, dataset, chosen="")
    return groups(frame_of())


def test_each_column_has_the_values_of_the_rule_that_was_chosen_for_it(chosen):
    found = {(c.dataset, c.first, c.second): c for c in comparisons(under_chosen(chosen).groups)}
    names = [("pca", "ae"), ("pca", "vae"), ("ae", "vae")]
    values = {"mnist": {"pca": A, "ae": B, "vae": B}, "fashion_mnist": {"pca": B, "ae": A, "vae": B}}
    values[POOLED] = {name: values["mnist"][name] + values["fashion_mnist"][name] for name in ("pca", "ae", "vae")}
    equal = {("mnist", "ae", "vae"), ("fashion_mnist", "pca", "vae")}
    assert set(found) == {(dataset, *pair) for dataset in values for pair in names} - equal
    for dataset, columns in values.items():
        mine = {pair: found[dataset, *pair] for pair in names if (dataset, *pair) in found}
        for (first, second), one in mine.items():
            gap = [round(a - b, 12) for a, b in zip(columns[first], columns[second], strict=True)]
            assert one.p == pytest.approx(stats.wilcoxon([g for g in gap if g]).pvalue)
            assert one.difference == pytest.approx(sum(gap) / len(gap))
        assert [one.p_holm for one in mine.values()] == pytest.approx(holm([one.p for one in mine.values()]))


def test_ranks_are_those_of_chosen_rules(chosen):
    found = {
        one.dataset: dict(zip(one.labels, one.ranks, strict=True)) for one in rankings(under_chosen(chosen).groups)
    }
    by_hand = stats.rankdata([[-a, -b, -b] for a, b in zip(A, B, strict=True)], axis=1).mean(0)
    assert found["mnist"] == pytest.approx(dict(zip(("pca", "ae", "vae"), by_hand, strict=True)))
    assert found["fashion_mnist"]["ae"] == pytest.approx(by_hand[0])


def test_the_tables_stand_beside_those_of_own_scores_and_say_what_was_chosen(chosen, frame_of):
    tables = {table.key: table for table in build_tables(frame_of())["Tests between models"]}
    both = [
        f"{kind}_one_vs_rest_{where}" for kind in ("tests", "ranks") for where in ("mnist", "fashion_mnist", POOLED)
    ]
    of_chosen = [key.replace("_", "_chosen_", 1) for key in both]
    assert {*of_chosen, "tests_one_vs_rest_mnist", "tests_one_vs_rest_fashion_mnist"} <= set(tables)
    table = tables["tests_chosen_one_vs_rest_mnist"]
    assert table.title == "Paired Wilcoxon signed-rank tests of AUROC under chosen rules, one_vs_rest, MNIST"
    assert [row[0].text for row in table.rows] == ["pca – ae", "pca – vae"]
    told = (
        "MNIST: pca cosine, ae ssim (latent=2), vae own; Fashion-MNIST: pca ssim (components=3), ae cosine, vae cosine."
    )
    assert told in table.notes[0]
    own = [row[0].text for row in tables["tests_one_vs_rest_mnist"].rows]
    assert "ae (latent=2) ▽ – knn" in own or "ae (latent=2) – knn" in own


def test_without_a_choice_there_are_no_such_tables(records, frame_of):
    write(records, "pca", C, "cosine", A, chosen="")
    write(records, "ae", C, "cosine", B, chosen="")
    assert chosen_tables(groups(frame_of())) == []


def test_columns_of_one_model_keep_their_names(records, frame_of):
    write(records, "ae", C, "cosine", A)
    write(records, "ae", C, "cosine", B, variant="latent=2")
    (group,) = under_chosen(groups(frame_of())).groups
    assert group.labels == ["ae", "ae (latent=2)"]


def test_intervals_under_chosen_rules_are_delongs_of_the_recorded_scores(records, tmp_path):
    """Of two cells with scores, one under a rule and one under its own; the third has a choice and no scores."""
    entries = records.job(
        {
            "model": "ae",
            "k": 0,
            "auroc": 0.7,
            "arrays": True,
            "chosen_rule": "ssim",
            "metrics": {"auroc/rule_ssim": 0.8},
        },
        {"model": "pca", "k": 0, "auroc": 0.7, "arrays": True, "chosen_rule": "own"},
        {"model": "vae", "k": 0, "auroc": 0.7, "chosen_rule": "own"},
    )
    record = read_record(records.output_dir / entries[0]["path"])
    scores = np.random.default_rng(3).normal(size=50).astype(np.float32)
    rules = {"ssim": {"code": "a" * 64, "config": {"name": "ssim"}}}
    add_rules(record, rules, {"auroc/rule_ssim": 0.8}, {"score/ssim": scores})
    report = build_report("small", records.output_dir, results_dir=tmp_path / "r", figures=False)
    own = read_record(records.output_dir / entries[1]["path"]).scores()
    labels = own["label"]
    errors = [delong_se(labels, scores), delong_se(labels, own["score/reconstruction"])]
    found = dict(zip(report.frame["model"], report.frame["chosen_auroc_se"], strict=True))
    assert [found["ae"], found["pca"]] == errors
    assert np.isnan(found["vae"])
    tables = {table.key: table for table in report.sections["Tests between models"]}
    table = tables["intervals_chosen_mnist_one_vs_rest"]
    assert table.title == "AUROC with 95% intervals over images under chosen rules, MNIST, one_vs_rest"
    (row,) = [dict(zip(table.columns, (entry.text for entry in row), strict=True)) for row in table.rows]
    assert [row["ae"], row["pca"]] == [interval_text([0.8], errors[:1]), interval_text([0.7], errors[1:])]
    assert row["vae"] == "—"
