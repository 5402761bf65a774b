"""A committee's formula against plain arithmetic."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from benchmark.engine.committee import combine


def test_it_is_the_mean_of_z_scores_on_calibration_images() -> None:
    draw = np.random.default_rng(0)
    scores = [draw.normal(5, 3, 40).astype(np.float32), draw.gamma(2, 100, 40).astype(np.float32)]
    calibration = [draw.normal(1, 2, 7).astype(np.float32), draw.gamma(2, 50, 7).astype(np.float32)]
    found = combine(scores, calibration)
    means = [statistics.fmean(map(float, values)) for values in calibration]
    sds = [statistics.stdev(map(float, values)) for values in calibration]  # N - 1
    for images, said in ((scores, found.scores), (calibration, found.calibration)):
        expected = [
            sum((float(of[i]) - mean) / sd for of, mean, sd in zip(images, means, sds, strict=True)) / 2
            for i in range(len(said))
        ]
        np.testing.assert_allclose(said, expected, rtol=1e-6)
        assert said.dtype == np.float32
    np.testing.assert_allclose(found.mean, means)
    np.testing.assert_allclose(found.sd, sds)


def test_the_scale_and_the_place_of_a_member_make_no_difference() -> None:
    draw = np.random.default_rng(1)
    scores, calibration = draw.normal(size=(3, 30)), draw.normal(size=(3, 12))
    moved = combine([1000 * scores[0] - 7, scores[1], scores[2]], [1000 * calibration[0] - 7, *calibration[1:]])
    np.testing.assert_allclose(moved.scores, combine(scores, calibration).scores, rtol=1e-5, atol=1e-6)


def test_a_member_that_says_the_same_of_all_calibration_images_is_divided_by_one() -> None:
    found = combine([np.array([1.0, 3.0]), np.array([0.0, 0.0])], [np.array([2.0, 2.0]), np.array([-1.0, 1.0])])
    assert found.scores.tolist() == [-0.5, 0.5]
    assert found.sd[0] == 1


def test_one_calibration_image_has_no_deviation() -> None:
    with pytest.raises(ValueError, match="needs 2 calibration images or more, got 1"):
        combine([np.ones(3), np.ones(3)], [np.ones(1), np.ones(1)])
