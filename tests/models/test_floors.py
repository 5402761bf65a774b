"""The floors against their formulas: counts by hand, and distances from a mean that numpy takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.models.histogram import Histogram
from benchmark.models.mean_image import MeanImage

SHAPE = (1, 3, 5)


def images(count: int, seed: int = 0) -> Tensor:
    """Images of grey levels 0, 40 and 255, as shares of 255."""
    drawn = torch.randint(0, 3, (count, *SHAPE), generator=torch.Generator().manual_seed(seed))
    return torch.tensor([0.0, 40.0, 255.0])[drawn] / 255


def test_the_histogram_is_the_share_of_each_grey_level_with_the_smoothing_added() -> None:
    model, seen, other = Histogram(SHAPE, smoothing=0.5), images(30), images(4, seed=1)
    model.fit(seen, 0)
    found = model.assess(other, {})
    for image, nll, bits in zip(other, found["scores"]["negative_log_likelihood"], found["bits_per_dim"], strict=True):
        same = (seen.double() * 255).round() == (image.double() * 255).round()  # (N, C, H, W)
        expected = -np.log((same.sum(0).numpy() + 0.5) / (30 + 256 * 0.5)).sum()
        assert float(nll) == pytest.approx(expected, rel=1e-5)
        assert float(bits) == pytest.approx(expected / (15 * np.log(2)), rel=1e-5)


def test_the_probabilities_of_a_pixel_sum_to_one_before_and_after_the_fit() -> None:
    model = Histogram(SHAPE)
    for _ in range(2):
        torch.testing.assert_close(model.log_probability.double().exp().sum(0), torch.ones(15, dtype=torch.float64))
        model.fit(images(30), 0)


def test_samples_have_the_histograms_of_the_pixels() -> None:
    model, seen = Histogram(SHAPE, smoothing=1e-4), images(30)
    model.fit(seen, 0)
    sample = model.sample(torch.randn(20000, *model.sample_shape, generator=torch.Generator().manual_seed(0)))
    assert sample.shape == (20000, *SHAPE)
    for level in (0, 40, 255):
        share, wanted = ((x * 255).round().eq(level).double().mean(0) for x in (sample, seen))
        assert (share - wanted).abs().max() < 0.02  # 5.6 standard deviations of a share of a half


def test_the_distance_is_that_from_the_mean_image() -> None:
    model, seen, other = MeanImage(SHAPE), images(30), images(4, seed=1)
    model.fit(seen, 0)
    found = model.assess(other, {})
    mean = seen.numpy().astype(float).mean(0)
    np.testing.assert_allclose(found["reconstruction"][2], mean, atol=1e-7)
    expected = ((other.numpy() - mean) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(found["scores"]["reconstruction"], expected, rtol=1e-5)
