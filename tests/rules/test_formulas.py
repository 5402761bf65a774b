"""Every formula against another program or its definition, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter, prewitt
from scipy.spatial.distance import cdist, mahalanobis
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from torch import Tensor

from benchmark.config import UsageError
from benchmark.models.base import RECONSTRUCTION_SCORES, reconstruction_scores
from benchmark.rules import is_floor, load_rule, rule_names
from benchmark.rules.base import Seen, as_seen, missing, stacked
from benchmark.rules.parts.filters import filtered, gaussian, mirrored
from benchmark.rules.parts.gradients import gradients, halved
from benchmark.rules.parts.neighbours import nearest_whole, whole

ROUNDED = 2e-3  # of the features of neighbours
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


def edges(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prewitt's differences of images (B, C, H, W) along columns and along rows."""
    flat = x.reshape(-1, *x.shape[-2:])
    return tuple(np.stack([prewitt(t, axis, mode="nearest") for t in flat]).reshape(x.shape) / 3 for axis in (1, 0))


def means_of_four(x: np.ndarray) -> np.ndarray:
    """Of images (B, C, H, W), 2 x 2 pixels at a time; what is left over at the end of an odd side is dropped."""
    x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
    return x.reshape(*x.shape[:-2], x.shape[-2] // 2, 2, -1, 2).mean((-3, -1))


def test_gradients_are_those_of_scipy(draw: torch.Generator) -> None:
    images = torch.rand(3, 2, 7, 5, generator=draw, dtype=torch.float64)
    for ours, theirs in zip(gradients(images), edges(images.numpy()), strict=True):
        np.testing.assert_allclose(-ours.numpy(), theirs, atol=1e-12)
    np.testing.assert_allclose(halved(images).numpy(), means_of_four(images.numpy()), rtol=1e-12)


@pytest.mark.parametrize("sigma", [0.0, 1.0])
@pytest.mark.parametrize(("name", "of"), [("reconstruction_neighbours", "pixels"), ("gradient_neighbours", "gradient")])
def test_reconstruction_neighbours(
    name: str, of: str, sigma: float, seen: Seen, reference: Seen, calibration: Seen
) -> None:
    """Twice 1 less the cosine with the nearest reconstructions; the image's own reconstruction has no part in it."""

    def features(images: np.ndarray) -> np.ndarray:
        smooth = gaussian_filter(images, (0, 0, sigma, sigma))
        parts = [smooth] if of == "pixels" else edges(smooth)
        return np.concatenate([means_of_four(part).reshape(len(images), -1) for part in parts], 1)

    x, _, _ = exactly(seen)
    apart = cdist(features(x), features(exactly(reference)[1]), "cosine")
    expected = 2 * np.sort(apart, 1)[:, :3].mean(1)
    found = scores(name, seen, reference, calibration, sigma=sigma, neighbours=3)
    np.testing.assert_allclose(found, expected, atol=ROUNDED)
    expected = 2 * np.sort(apart[:, [0, 19, 39, 59]], 1)[:, :3].mean(1)
    found = scores(name, seen, reference, calibration, sigma=sigma, neighbours=3, most=4)
    np.testing.assert_allclose(found, expected, atol=ROUNDED)
    blind = Seen(seen.images, {**seen.said, "reconstruction": torch.zeros_like(seen.images)})
    again = scores(name, blind, reference, calibration, sigma=sigma, neighbours=3, most=4)
    np.testing.assert_array_equal(again, found)


def test_products_of_whole_vectors_have_the_same_bits_in_every_order(draw: torch.Generator) -> None:
    first, second = (torch.randn(40, 392, generator=draw) for _ in range(2))
    first, second = (whole(v / v.square().sum(1, keepdim=True).sqrt()) for v in (first, second))
    order = torch.randperm(392, generator=draw)
    exactly_so = (first.double() @ second.double().T).float()
    assert torch.equal(first @ second.T, exactly_so)
    assert torch.equal(first[:, order] @ second[:, order].T, exactly_so)
    assert torch.equal(torch.stack([(row * second).sum(1) for row in first]), exactly_so)
    expected = (first.double()[:, None] - second.double()[None]).square().sum(2).sort(1).values[:, :3]
    assert torch.equal(nearest_whole(first, second, 3), expected.float())


def test_an_image_as_bright_as_one_likes_has_the_same_neighbours(
    seen: Seen, reference: Seen, calibration: Seen
) -> None:
    darker = Seen(seen.images * 0.25, seen.said)
    for name in ("reconstruction_neighbours", "gradient_neighbours"):
        bright, dark = (scores(name, each, reference, calibration) for each in (seen, darker))
        np.testing.assert_allclose(dark, bright, atol=ROUNDED)
        black = Seen(seen.images * 0, seen.said)
        np.testing.assert_allclose(
            scores(name, black, reference, calibration), 1.0, atol=ROUNDED
        )  # far from all of them


@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_complexity_adjusted(sigma: float, seen: Seen, reference: Seen, calibration: Seen) -> None:
    """What a line through the logarithms of normal images, numpy's, leaves over."""
    scale = torch.linspace(0.1, 1, len(reference.images)).view(-1, 1, 1, 1)  # images of unequal complexity
    reference = Seen(reference.images * scale, {**reference.said, "reconstruction": torch.zeros_like(reference.images)})

    def logarithms(each: Seen) -> tuple[np.ndarray, np.ndarray]:
        x, y, _ = exactly(each)
        error = (gaussian_filter(x - y, (0, 0, sigma, sigma)) ** 2).sum((1, 2, 3))
        return np.log(error), np.log(sum((part**2).sum((1, 2, 3)) for part in edges(x)))

    error, complexity = logarithms(reference)
    slope, intercept = np.polyfit(complexity, error, 1)
    assert slope > 0.5
    error, complexity = logarithms(seen)
    found = scores("complexity_adjusted", seen, reference, calibration, sigma=sigma)
    np.testing.assert_allclose(found, error - (intercept + slope * complexity), rtol=1e-4, atol=1e-4)


def test_where_all_normal_images_are_equally_complex_the_error_alone_counts(
    seen: Seen, reference: Seen, calibration: Seen
) -> None:
    reference.images[:] = reference.images[:1]
    error = np.log(scores("squared", seen, reference, calibration).astype(float))
    known = np.log(scores("squared", reference, reference, calibration).astype(float)).mean()
    found = scores("complexity_adjusted", seen, reference, calibration, sigma=0.0)
    np.testing.assert_allclose(found, error - known, atol=1e-4)
    black = Seen(seen.images * 0, {**seen.said, "reconstruction": seen.images * 0})
    assert np.isfinite(scores("complexity_adjusted", black, reference, calibration)).all()


@pytest.mark.parametrize(("scales", "sigma"), [(1, 0.0), (3, 0.0), (3, 1.0)])
def test_gradient_similarity(scales: int, sigma: float, seen: Seen, reference: Seen, calibration: Seen) -> None:
    """Xue et al. 2014, equations 1 to 3, at every scale, of pixels in 0..255 with c = 170."""
    x, y = (gaussian_filter(255 * t, (0, 0, sigma, sigma)) for t in exactly(seen)[:2])
    expected = np.zeros(len(x))
    for _ in range(scales):
        m, n = (np.hypot(*edges(t)) for t in (x, y))
        expected += (1 - (2 * m * n + 170) / (m**2 + n**2 + 170)).mean((1, 2, 3)) / scales
        x, y = means_of_four(x), means_of_four(y)
    found = scores("gradient_similarity", seen, reference, calibration, scales=scales, sigma=sigma)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_equal_edges_are_similar_whatever_the_brightness(seen: Seen) -> None:
    rule = load_rule("gradient_similarity")
    brighter = rule.score(seen.images, {"reconstruction": seen.images + 0.2}, {})
    assert brighter.abs().max() < 1e-4
    flat = rule.score(seen.images, {"reconstruction": torch.full_like(seen.images, 0.5)}, {})
    assert flat.min() > 0.3


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
        ("reconstruction_neighbours", {"of": "edges"}, "one of pixels, gradient"),
        ("gradient_neighbours", {"sigma": -1.0}, "at least 0"),
        ("gradient_neighbours", {"neighbours": 0}, "at least 1"),
        ("complexity_adjusted", {"sigma": float("nan")}, "at least 0"),
        ("gradient_similarity", {"scales": 0}, "at least 1"),
        ("gradient_similarity", {"sigma": -1.0}, "at least 0"),
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
    for name in ("code_neighbours", "gradient_neighbours", "relative_error"):
        with pytest.raises(ValueError, match=r"type neighbours=8 or fewer"):
            load_rule(name, neighbours=9).fit(seen, calibration)
    with pytest.raises(ValueError, match="does not fit into images of 15 x 13"):
        load_rule("ssim", window=15).fit(reference, calibration)
    with pytest.raises(ValueError, match="5 scales need images of 16 pixels, got 15 x 13"):
        load_rule("gradient_similarity", scales=5).fit(reference, calibration)
    one = Seen(seen.images[:1], {"reconstruction": seen.said["reconstruction"][:1]})
    with pytest.raises(ValueError, match="at least 2 images trained on, got 1"):
        load_rule("complexity_adjusted").fit(one, calibration)


def test_what_a_model_says_in_low_precision_is_judged_in_float32() -> None:
    images = torch.zeros(3, 1, 12, 12)
    said = {"scores": {"kl": torch.ones(3).bfloat16()}, "reconstruction": torch.full((3, 1, 12, 12), 0.5).bfloat16()}
    seen = as_seen(images, said, "kl")
    assert torch.equal(load_rule("own").score(*seen, {}), torch.ones(3))
    assert torch.equal(load_rule("squared").score(*seen, {}), torch.full((3,), 36.0))


def test_the_floor_asks_the_model_nothing(seen: Seen, reference: Seen, calibration: Seen) -> None:
    """The nearest normal images, as gradient_neighbours has it of a model that reconstructs them without an error."""
    perfect = Seen(reference.images, {**reference.said, "reconstruction": reference.images})
    found = scores("image_neighbours", seen, reference, calibration)
    np.testing.assert_array_equal(found, scores("gradient_neighbours", seen, perfect, calibration))
    np.testing.assert_array_equal(found, scores("image_neighbours", Seen(seen.images, {}), reference, calibration))
    assert [name for name in rule_names() if is_floor(name)] == ["image_neighbours"]
