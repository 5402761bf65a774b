"""Every formula against another program or its definition, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist, mahalanobis
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from torch import Tensor

from benchmark.config import UsageError
from benchmark.models.base import RECONSTRUCTION_SCORES, reconstruction_scores
from benchmark.rules import load_rule
from benchmark.rules.base import Seen, as_seen, missing, stacked
from benchmark.rules.parts.filters import filtered, gaussian, mirrored

CLOSE = {"rtol": 2e-5, "atol": 1e-6}


def made_up(draw: torch.Generator, count: int, dimensions: int = 5) -> Seen:
    """Images of two channels, 15 x 13 pixels, with reconstructions near them and correlated codes."""
    images = torch.rand(count, 2, 15, 13, generator=draw)
    near = (images + 0.3 * torch.randn(images.shape, generator=draw)).clamp(0, 1)
    mix = torch.tril(torch.ones(dimensions, dimensions)) * torch.arange(1, dimensions + 1)
    code = torch.randn(count, dimensions, generator=draw) @ mix + 3
    return Seen(images, {"reconstruction": near, "code": code, "scores": {"kl": code[:, 0], "headline": code[:, 1]}})


@pytest.fixture
def reference(draw: torch.Generator) -> Seen:
    return made_up(draw, 60)


@pytest.fixture
def calibration(draw: torch.Generator) -> Seen:
    return made_up(draw, 40)


@pytest.fixture
def seen(draw: torch.Generator) -> Seen:
    return made_up(draw, 9)


def scores(name: str, seen: Seen, reference: Seen, calibration: Seen, **changes: object) -> np.ndarray:
    rule = load_rule(name, **changes)
    return rule.score(*seen, rule.fit(reference, calibration)).numpy()


def exactly(seen: Seen) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, reconstructions and codes in float64."""
    return tuple(t.double().numpy() for t in (seen.images, seen.said["reconstruction"], seen.said["code"]))


@pytest.mark.parametrize(
    ("name", "score"),
    list(zip(("squared", "absolute", "cosine", "bernoulli"), RECONSTRUCTION_SCORES, strict=True)),
)
def test_distances_are_those_that_models_report(name: str, score: str, seen: Seen) -> None:
    ours = load_rule(name).score(*seen, {})
    assert torch.equal(ours, reconstruction_scores(seen.images, seen.said["reconstruction"])[score])


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 5.0])
def test_the_filter_is_that_of_scipy(sigma: float, draw: torch.Generator) -> None:
    """Where the filter is wider than the image too (sigma 5: 20 pixels to each side)."""
    images = torch.rand(3, 1, 12, 9, generator=draw, dtype=torch.float64)
    radius = int(4 * sigma + 0.5)
    ours = filtered(mirrored(images, radius), gaussian(sigma, radius))
    theirs = gaussian_filter(images.numpy(), (0, 0, sigma, sigma))
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_smoothed_distances(sigma: float, seen: Seen, reference: Seen, calibration: Seen) -> None:
    x, y, _ = exactly(seen)
    smooth_x, smooth_y = (gaussian_filter(t, (0, 0, sigma, sigma)).reshape(len(t), -1) for t in (x, y))
    squared = ((smooth_x - smooth_y) ** 2).sum(1)
    norms = np.linalg.norm(smooth_x, axis=1) * np.linalg.norm(smooth_y, axis=1)
    found = scores("smoothed", seen, reference, calibration, sigma=sigma)
    np.testing.assert_allclose(found, squared, **CLOSE)
    found = scores("smoothed_cosine", seen, reference, calibration, sigma=sigma)
    np.testing.assert_allclose(found, 1 - (smooth_x * smooth_y).sum(1) / norms, rtol=1e-4, atol=1e-6)


def test_with_hardly_a_filter_smoothed_is_squared(seen: Seen, reference: Seen, calibration: Seen) -> None:
    plain, narrow = (
        scores(name, seen, reference, calibration, **changes)
        for name, changes in (("squared", {}), ("smoothed", {"sigma": 0.1}))
    )
    np.testing.assert_allclose(narrow, plain, rtol=1e-6)


def test_standardised(seen: Seen, reference: Seen, calibration: Seen) -> None:
    reference.images[:, 0, :4] = 0.25  # pixels that never vary
    reference.images[:, 0, 4] = 0.25 + 0.01 * reference.images[:, 0, 4]  # and that hardly do
    sd = reference.images.double().numpy().std(0)
    assert (sd < 0.05).any()
    assert (sd > 0.05).any()
    x, y, _ = exactly(seen)
    expected = (((x - y) / np.maximum(sd, 0.05)) ** 2).reshape(len(x), -1).sum(1)
    np.testing.assert_allclose(scores("standardised", seen, reference, calibration, floor=0.05), expected, **CLOSE)


def mean_ssim(x: np.ndarray, y: np.ndarray, width: int, sigma: float) -> float:
    """Wang et al. 2004, equations 13 to 16, window by window, of two images (H, W)."""
    axis = np.arange(width) - width // 2
    weights = np.exp(-0.5 * (axis[:, None] ** 2 + axis[None] ** 2) / sigma**2)
    weights /= weights.sum()
    a, b = (sliding_window_view(t, (width, width)) for t in (x, y))  # (windows, windows, width, width)
    mean_a, mean_b = ((weights * t).sum((2, 3)) for t in (a, b))
    away_a, away_b = a - mean_a[..., None, None], b - mean_b[..., None, None]
    var_a, var_b, cov = ((weights * s * t).sum((2, 3)) for s, t in ((away_a,) * 2, (away_b,) * 2, (away_a, away_b)))
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luminance * (2 * cov + c2) / (var_a + var_b + c2)).mean())


@pytest.mark.parametrize(("window", "sigma"), [(11, 1.5), (7, 2.0)])
def test_ssim(window: int, sigma: float, seen: Seen, reference: Seen, calibration: Seen) -> None:
    x, y, _ = exactly(seen)
    expected = [1 - np.mean([mean_ssim(x[i, c], y[i, c], window, sigma) for c in range(2)]) for i in range(len(x))]
    found = scores("ssim", seen, reference, calibration, window=window, sigma=sigma)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_ssim_of_an_image_with_itself_and_with_its_negative(seen: Seen) -> None:
    rule = load_rule("ssim")
    equal = rule.score(seen.images, {"reconstruction": seen.images}, {})
    negative = rule.score(seen.images, {"reconstruction": 1 - seen.images}, {})
    assert equal.abs().max() < 1e-6
    assert negative.min() > 1.5


def test_mahalanobis_is_that_of_scipy(seen: Seen, reference: Seen, calibration: Seen) -> None:
    known, new = exactly(reference)[2], exactly(seen)[2]
    inverse = np.linalg.inv(np.cov(known.T, bias=True))
    expected = [mahalanobis(code, known.mean(0), inverse) for code in new]
    np.testing.assert_allclose(scores("mahalanobis", seen, reference, calibration, ridge=0.0), expected, rtol=1e-4)


def test_mahalanobis_bears_a_dimension_that_is_the_same_for_all(seen: Seen, reference: Seen, calibration: Seen) -> None:
    reference.said["code"][:, 2] = 1.0
    found = scores("mahalanobis", seen, reference, calibration)
    assert np.isfinite(found).all()
    assert found.min() > 100  # where it is not, the new codes are far away


def test_code_neighbours_are_those_of_scikit_learn(seen: Seen, reference: Seen, calibration: Seen) -> None:
    known, new = exactly(reference)[2], exactly(seen)[2]
    expected = NearestNeighbors(n_neighbors=3).fit(known).kneighbors(new)[0].mean(1)
    found = scores("code_neighbours", seen, reference, calibration, neighbours=3)
    np.testing.assert_allclose(found, expected, **CLOSE)
    few = NearestNeighbors(n_neighbors=3).fit(known[[0, 19, 39, 59]]).kneighbors(new)[0].mean(1)
    found = scores("code_neighbours", seen, reference, calibration, neighbours=3, most=4)
    np.testing.assert_allclose(found, few, **CLOSE)


@pytest.mark.parametrize("count", [4, 5])
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_relative_error(count: int, weight: float, seen: Seen, reference: Seen, calibration: Seen) -> None:
    """Its local outlier factor is scikit-learn's; the median of an even number lies between two."""
    (x, y, code), (known_x, known_y, known) = exactly(seen), exactly(reference)
    errors, known_errors = (((a - b) ** 2).mean((1, 2, 3)) / known_x.var() for a, b in ((x, y), (known_x, known_y)))
    order = cdist(code, known).argsort(1)[:, :count]
    lof = -LocalOutlierFactor(n_neighbors=count, novelty=True).fit(known).score_samples(code)
    expected = errors - np.median(known_errors[order], axis=1) + weight * lof
    found = scores("relative_error", seen, reference, calibration, neighbours=count, density_weight=weight)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_own_is_the_score_of_that_name(seen: Seen, reference: Seen, calibration: Seen) -> None:
    np.testing.assert_array_equal(scores("own", seen, reference, calibration), seen.said["scores"]["headline"])
    found = scores("own", seen, reference, calibration, score="kl")
    np.testing.assert_array_equal(found, seen.said["scores"]["kl"])


def test_a_committee_is_the_mean_of_z_scores_on_calibration_images(
    seen: Seen, reference: Seen, calibration: Seen
) -> None:
    members = ["absolute", "mahalanobis", "ssim"]
    expected = np.zeros(len(seen.images))
    for name in members:
        new, known = (scores(name, s, reference, calibration).astype(float) for s in (seen, calibration))
        expected += (new - known.mean()) / known.std(ddof=1) / 3
    found = scores("committee", seen, reference, calibration, members=members)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    itself = scores("committee", calibration, reference, calibration, members=members)
    assert abs(itself.mean()) < 1e-5


def test_a_committee_of_committees(seen: Seen, reference: Seen, calibration: Seen) -> None:
    inner, outer = (scores("mahalanobis_added", s, reference, calibration) for s in (seen, calibration))
    cosine, known = (scores("cosine", s, reference, calibration) for s in (seen, calibration))
    expected = (inner / outer.std(ddof=1) + (cosine - known.mean()) / known.std(ddof=1)) / 2
    found = scores("committee", seen, reference, calibration, members=["mahalanobis_added", "cosine"])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_a_member_that_says_the_same_of_all_images_counts_for_nothing(
    seen: Seen, reference: Seen, calibration: Seen
) -> None:
    for each in (seen, calibration):
        each.said["scores"]["headline"] = torch.full((len(each.images),), 0.1)
    found = scores("committee", seen, reference, calibration, members=["squared", "own"])
    alone, known = (scores("squared", s, reference, calibration) for s in (seen, calibration))
    np.testing.assert_allclose(found, (alone - known.mean()) / known.std(ddof=1) / 2, rtol=1e-4, atol=1e-5)


def test_what_a_rule_lacks_is_named(seen: Seen) -> None:
    assert missing(load_rule("relative_error"), {"scores": {}}) == ("reconstruction", "code")
    assert missing(load_rule("own", score="total"), seen.said) == ("scores:total",)
    assert missing(load_rule("mahalanobis_added"), {"reconstruction": Tensor()}) == ("code",)


def test_states_of_unequal_length_are_filled_up_with_points_far_away() -> None:
    first, second = (
        {"codes": torch.zeros(3, 2), "sd": torch.tensor(1.0)},
        {
            "codes": torch.ones(1, 2),
            "sd": torch.tensor(2.0),
        },
    )
    both = stacked([first, second])
    assert both["sd"].tolist() == [1, 2]
    assert both["codes"][1, 0].tolist() == [1, 1]
    assert torch.isinf(both["codes"][1, 1:]).all()


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("squared", {"distance": "cubed"}, "one of squared, absolute, bernoulli, cosine"),
        ("smoothed", {"distance": "absolute"}, "one of squared, cosine"),
        ("smoothed", {"sigma": 0.0}, "above 0"),
        ("standardised", {"floor": 0.0}, "above 0"),
        ("ssim", {"window": 10}, "odd"),
        ("mahalanobis", {"ridge": -1.0}, "at least 0"),
        ("code_neighbours", {"neighbours": 0}, "at least 1"),
        ("relative_error", {"density_weight": float("nan")}, "at least 0"),
        ("committee", {"members": ["squared"]}, "two different rules"),
        ("committee", {"members": ["squared", "squared"]}, "two different rules"),
    ],
)
def test_values_that_cannot_be_are_refused(name: str, changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_rule(name, **changes)


def test_names_that_are_not_there_are_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"no such rule\. There is: absolute, bernoulli"):
        load_rule("cubed")
    with pytest.raises(UsageError, match=r"has no such key\. It has: distance, sigma"):
        load_rule("smoothed", sigmas=2)
    with pytest.raises(UsageError, match="no such rule"):
        load_rule("committee", members=["squared", "cubed"])


def test_too_few_or_too_small_images_are_refused(reference: Seen, calibration: Seen, seen: Seen) -> None:
    nothing = Seen(calibration.images[:0], calibration.said)
    with pytest.raises(ValueError, match=r"split.calibration_share=0\.1"):
        load_rule("committee", members=["squared", "cosine"]).fit(reference, nothing)
    for name in ("code_neighbours", "relative_error"):
        with pytest.raises(ValueError, match=r"type neighbours=8 or fewer"):
            load_rule(name, neighbours=9).fit(seen, calibration)
    with pytest.raises(ValueError, match="does not fit into images of 15 x 13"):
        load_rule("ssim", window=15).fit(reference, calibration)


def test_what_a_model_says_in_low_precision_is_judged_in_float32() -> None:
    images = torch.zeros(3, 1, 12, 12)
    said = {"scores": {"kl": torch.ones(3).bfloat16()}, "reconstruction": torch.full((3, 1, 12, 12), 0.5).bfloat16()}
    seen = as_seen(images, said, "kl")
    assert torch.equal(load_rule("own").score(*seen, {}), torch.ones(3))
    assert torch.equal(load_rule("squared").score(*seen, {}), torch.full((3,), 36.0))
