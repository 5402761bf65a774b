"""How far a choice on synthetic anomalies can be trusted, against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from benchmark.config import UsageError
from benchmark.report.measures.trust import rank_correlation, trust
from benchmark.report.tables.choice import trust_table

VALUES = {  # model, setting, rule -> synthetic and real AUROC on mnist, real on fashion_mnist
    ("ae", "", "own"): (0.70, 0.80, 0.71),
    ("ae", "", "cosine"): (0.60, 0.90, 0.72),
    ("ae", "latent=2", "own"): (0.80, 0.70, 0.74),
    ("ae", "latent=2", "cosine"): (0.65, 0.95, 0.73),
    ("pca", "", "own"): (0.50, 0.75, 0.60),
    ("pca", "", "cosine"): (0.90, 0.85, 0.61),
}


def cell(key: tuple[str, str], dataset: str, k: int, on: str, auroc: float, cosine: float) -> dict[str, Any]:
    axes = {"model": key[0], "variant": key[1], "dataset": dataset, "k": k, "evaluate_on": on}
    return {**axes, "auroc": auroc, "metrics": {"auroc/rule_cosine": cosine}}


@pytest.fixture
def frames(records, frame_of) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells of classes 0 and 1, whose means are ``VALUES``."""
    for place, (dataset, on) in enumerate(
        [("mnist", "synthetic"), ("mnist", "validation"), ("fashion_mnist", "validation")]
    ):
        for key in dict.fromkeys(key[:2] for key in VALUES):
            own, cosine = (VALUES[*key, rule][place] for rule in ("own", "cosine"))
            both = [cell(key, dataset, k, on, own + k / 50 - 0.01, cosine + 0.01 - k / 50) for k in (0, 1)]
            alone = [cell(key, dataset, 2, on, 0.1, 0.1)] if on == "validation" else []  # a class without a partner
            records.job(*both, *alone)
    frame = frame_of()
    is_made = frame["evaluate_on"] == "synthetic"
    return frame[is_made], frame[~is_made]


def test_regret_is_the_largest_real_auroc_less_that_of_what_was_chosen(frames):
    found, lines = trust(*frames)
    assert lines == []
    assert [(one.dataset, one.model) for one in found] == [("mnist", ""), ("mnist", "pca"), ("mnist", "ae")]
    every, pca, ae = found
    assert every.chosen == ("pca", "", "cosine")
    assert (every.compared, every.classes) == (6, (0, 1))
    assert every.best == pytest.approx(0.95)
    mean = sum(real for _, real, _ in VALUES.values()) / 6
    shipped = (0.80 + 0.75) / 2
    assert every.regrets == pytest.approx(
        {"real": 0.95 - 0.85, "other": 0.95 - 0.70, "shipped": 0.95 - shipped, "random": 0.95 - mean}
    )
    assert ae.chosen == ("ae", "latent=2", "own")
    assert ae.regrets == pytest.approx(
        {"real": 0.95 - 0.70, "other": 0.95 - 0.70, "shipped": 0.95 - 0.80, "random": 0.95 - 3.35 / 4}
    )
    assert ae.beaten == 0  # it is the worst of four
    assert every.beaten == sum(real < 0.85 for _, real, _ in VALUES.values()) / 6
    assert pca.regrets == pytest.approx({"real": 0.0, "other": 0.0, "shipped": 0.10, "random": 0.05})


def test_rank_correlations_over_all_over_rules_and_over_settings(frames):
    every, _, ae = trust(*frames)[0]
    synthetic, real = zip(*((one, two) for one, two, _ in VALUES.values()), strict=True)
    assert every.rank_correlation == rank_correlation(synthetic, real)
    assert ae.rank_correlation == pytest.approx(-0.8)  # ranks 3 1 4 2 and 2 3 1 4
    assert math.isnan(ae.over_rules), "two rules: a rank correlation of two says nothing"


def test_a_rank_correlation_shares_ranks_and_needs_three():
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 25]) == pytest.approx(0.8)
    assert rank_correlation([1, 1, 2], [3, 3, 9]) == 1
    assert math.isnan(rank_correlation([1, 2], [1, 2]))
    assert math.isnan(rank_correlation([1, 2, 3], [5, 5, 5]))


def test_only_one_thing_varies_within_a_group(records, frame_of):
    """Rules order themselves alike within each setting, and the settings under each rule the other way round."""
    rules = {"own": 0.0, "cosine": 0.1, "smoothed": 0.2}
    for on, sign in (("synthetic", 1), ("validation", -1)):
        for n in range(3):
            aurocs = {rule: 0.5 + more + sign * n / 50 for rule, more in rules.items()}
            metrics = {f"auroc/rule_{name}": aurocs[name] for name in ("cosine", "smoothed")}
            axes = {"model": "ae", "variant": f"latent={n}", "dataset": "mnist", "k": 0, "evaluate_on": on}
            records.job({**axes, "auroc": aurocs["own"], "metrics": metrics})
    frame = frame_of()
    is_made = frame["evaluate_on"] == "synthetic"
    (found,), _ = trust(frame[is_made], frame[~is_made])
    assert (found.over_rules, found.over_settings) == (1, -1)
    assert 0 < found.rank_correlation < 1


def test_test_images_and_others_settings_judge_no_choice(frames):
    synthetic, real = frames
    with pytest.raises(UsageError, match="evaluated on test images, which choose nothing"):
        trust(synthetic, real.assign(evaluate_on="test"))
    with pytest.raises(UsageError, match=r"must be cells on real anomalies \(split.evaluate_on=validation\)"):
        trust(synthetic, synthetic)
    with pytest.raises(UsageError, match="against= has no cells of the same models, settings and classes"):
        trust(synthetic, real.assign(model="vae"))


def test_cells_that_were_trained_otherwise_are_left_out(frames):
    synthetic, real = frames
    is_pca = (real["model"] == "pca") & (real["dataset"] == "mnist")
    found, lines = trust(synthetic, real.assign(variant=real["variant"].mask(is_pca, "train_fraction=0.5")))
    assert [(one.model, one.compared) for one in found] == [("ae", 4)]
    assert lines == ["pca on mnist is left out: its cells on real anomalies were compared under other conditions"]


def test_the_table_has_a_row_for_each(frames):
    table = trust_table(trust(*frames)[0])
    rows = [[entry.text for entry in row] for row in table.rows]
    assert rows[0][:4] == ["MNIST", "all", "pca, as in its YAML, cosine", "6"]
    assert rows[0][7:] == [
        "0.9500",
        "0.1000",
        "0.2500",
        "0.1750",
        "0.1250",
        f"{sum(r < 0.85 for _, r, _ in VALUES.values()) / 6:.0%}",
    ]
    assert rows[2][:3] == ["MNIST", "ae", "latent=2, own"]
    assert "(classes 0, 1)" in table.notes[0]
