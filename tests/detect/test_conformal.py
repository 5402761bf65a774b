"""p-values are split conformal ones: they agree with the threshold of the benchmark, and say what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.detect.conformal import flagged, needed, p_values
from benchmark.detect.drift import Drift
from benchmark.engine.metrics import conformal_threshold


@pytest.mark.parametrize("count", [1, 9, 19, 20, 99, 100, 137])
@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.95])
def test_p_values_and_the_threshold_flag_the_same_images(count: int, alpha: float) -> None:
    draw = np.random.default_rng(count)
    calibration = draw.integers(0, 30, count).astype(np.float64)  # many ties
    scores = np.arange(-1.0, 32.0, 0.5)
    by_count = np.array([(1 + np.sum(calibration >= score)) / (count + 1) for score in scores])
    assert p_values(scores, calibration) == pytest.approx(by_count, abs=1e-15)
    by_p = by_count <= alpha + 1e-12
    assert flagged(scores, calibration, alpha).tolist() == by_p.tolist()
    threshold = conformal_threshold(calibration, alpha)
    assert (threshold is None) == (count < needed(alpha)) == (not by_p.any())
    if threshold is not None:
        assert (scores > threshold).tolist() == by_p.tolist()


def test_alphas_at_the_ends_flag_all_and_none() -> None:
    calibration = np.arange(30.0)
    for alpha in (1 - 1e-11, np.nextafter(1, 0)):
        assert flagged(np.array([-5.0, 99.0]), calibration, alpha).all()
    assert not flagged(np.array([99.0]), calibration, 5e-324).any()
    assert needed(5e-324) == needed(1e-300) == 10**12


def test_normal_images_are_flagged_at_most_as_often_as_promised() -> None:
    draw = np.random.default_rng(0)
    shares = [flagged(draw.normal(size=1000), draw.normal(size=50), 0.1).mean() for _ in range(300)]
    assert np.mean(shares) == pytest.approx(5 / 51, abs=0.01)  # floor(0.1 * 51) / 51


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    low, high = Drift(10, 100, 0.05, 200).interval  # as R's binom.test(10, 100)
    assert (low, high) == pytest.approx((0.04900469, 0.17622260), abs=1e-7)
    assert Drift(0, 20, 0.05, 200).interval == pytest.approx((0, 1 - 0.025 ** (1 / 20)))
    assert Drift(20, 20, 0.05, 200).interval == pytest.approx((0.025 ** (1 / 20), 1))


def test_drift_is_told_from_chance() -> None:
    draw = np.random.default_rng(1)
    verdicts = []
    for _ in range(200):
        calibration = draw.normal(size=60)  # few: thresholds differ more than a binomial knows of
        found = flagged(draw.normal(size=500), calibration, 0.05)
        verdicts.append(Drift(int(found.sum()), 500, 0.05, 60).verdict)
    assert verdicts.count("as many") / 200 == pytest.approx(0.95, abs=0.04)
    calibration = draw.normal(size=500)
    moved = flagged(draw.normal(size=500) + 1, calibration, 0.05)
    assert Drift(int(moved.sum()), 500, 0.05, 500).verdict == "more"
    assert Drift(0, 500, 0.05, 500).verdict == "fewer"
    assert Drift(25, 500, 0.05, 499).line.startswith(
        "Flagged 25 of 500, 5.0% (95% interval 3.3% to 7.3%). Of normal images 5.0% are expected, from 2.6% to 8.0% of "
        "so many with 499 calibration images. That is as many as of normal images alone"
    )
