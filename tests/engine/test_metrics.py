"""Metrics against scikit-learn and torch.distributions, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score, roc_curve

from benchmark.engine import metrics


@pytest.fixture(params=["distinct", "ties"])
def sample(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    labels = (draw.random(500) < 0.7).astype(np.uint8)
    scores = draw.normal(size=500) + labels
    return labels, np.round(scores, 1) if request.param == "ties" else scores


def test_auroc_and_average_precision_are_scikit_learns(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    assert metrics.auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert metrics.average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))


def test_auroc_is_the_share_of_rightly_ordered_pairs(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    gap = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    assert metrics.auroc(labels, scores) == pytest.approx(np.mean((gap > 0) + 0.5 * (gap == 0)))
    assert metrics.auroc(labels, -scores) == pytest.approx(1 - metrics.auroc(labels, scores))


def test_the_standard_error_is_delongs(sample: tuple[np.ndarray, np.ndarray]) -> None:
    """Against the placements of every pair, with ties; and it is the spread of AUROC over samples of images."""
    labels, scores = sample
    scores = scores.round(1)
    gap = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    won = (gap > 0) + 0.5 * (gap == 0)
    v1, v0 = won.mean(1), won.mean(0)
    expected = np.sqrt(v1.var(ddof=1) / len(v1) + v0.var(ddof=1) / len(v0))
    assert metrics.delong_se(labels, scores) == pytest.approx(expected, rel=1e-12)
    draw, found, errors = np.random.default_rng(1), [], []
    labels = np.repeat([0, 1], [80, 120])
    for _ in range(400):
        scores = draw.normal(size=200) + labels
        found.append(metrics.auroc(labels, scores))
        errors.append(metrics.delong_se(labels, scores))
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.1)
    assert np.isnan(metrics.delong_se(np.array([0, 1, 1]), np.array([0.1, 0.2, 0.3])))


def test_fpr95_is_read_off_the_roc_curve(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert metrics.fpr_at_tpr(labels, scores) == pytest.approx(fpr[tpr >= 0.95].min())


def test_threshold_metrics_are_scikit_learns(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    found = metrics.at_threshold(labels, scores, 0.5)
    precision, recall, f1, _ = precision_recall_fscore_support(labels, scores > 0.5, average="binary")
    false_alarms = np.mean(scores[labels == 0] > 0.5)
    assert 0 < false_alarms < 1
    assert found == pytest.approx(
        {"precision": precision, "recall": recall, "f1": f1, "false_alarm_rate": false_alarms}
    )
    assert set(metrics.at_threshold(labels, scores, np.inf).values()) == {0.0}


@pytest.mark.parametrize("count", [19, 100, 599])
def test_the_conformal_threshold_flags_new_images_with_exactly_the_probability_it_promises(count: int) -> None:
    """Of exchangeable scores without ties, P(new > threshold) = 1 - k / (n + 1), k the threshold's rank."""
    rank = -(-19 * (count + 1) // 20)  # ceil(0.95 (n + 1)) in whole numbers
    draw = np.random.default_rng(0).normal(size=(4000, count + 1))
    flagged = np.mean([row[-1] > metrics.conformal_threshold(row[:-1]) for row in draw])
    assert metrics.conformal_threshold(np.arange(1, count + 1)) == rank
    expected = 1 - rank / (count + 1)
    assert expected < 0.05 + 1e-12
    assert abs(flagged - expected) < 4 * np.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 0], [1.0, 2.0], "both normal"),
        ([0, 1], [1.0, np.nan], "1 of 2 scores are not finite"),
        ([0, 1], [1.0], "one shape"),
    ],
)
def test_scores_that_mean_nothing_are_refused(labels: list[int], scores: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.auroc(np.array(labels), np.array(scores))
