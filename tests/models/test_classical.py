"""Classical baselines: scores from the buffers against scikit-learn's own, on real digits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, NearestNeighbors
from sklearn.svm import OneClassSVM
from threadpoolctl import threadpool_limits

from benchmark.data.images import ImageData
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from benchmark.models.refusals import refuse_built
from tests.tiny_models import build

SEED = 2**40 + 7


@pytest.fixture(autouse=True, scope="module")
def _one_thread_each() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def scored(data: ImageData, name: str, **changes: object) -> dict[str, np.ndarray]:
    """Scores of all test images under the model fitted to class 0, as float64."""
    fleet = Fleet([build(name, 3, **changes)])
    train(fleet, data.train_images, [Member((data.train_labels == 0).nonzero().flatten(), 1, SEED)], Settings(1, 1, 1))
    model = build(name, 4, **changes)
    model.load_state_dict(fleet.state(0))
    with torch.no_grad():
        found = model.assess(to_pixels(data.test_images), {})
    return {key: value.numpy() for key, value in found["scores"].items()}


def features(data: ImageData, kind: str, whiten: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Training images of class 0 and all test images as scikit-learn sees them."""
    x, y = (to_pixels(i).flatten(1).double().numpy() for i in (data.train_images, data.test_images))
    x = x[data.train_labels == 0]
    if kind == "pixels":
        return x, y
    pca = PCA(8, whiten=whiten, svd_solver="covariance_eigh").fit(x)
    return pca.transform(x), pca.transform(y)


@pytest.fixture(params=[("pixels", False), ("pca", False), ("pca", True)], ids=["pixels", "pca", "whitened"])
def view(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"features": request.param[0], "whiten": request.param[1]}


def test_ocsvm_is_scikit_learns(view: dict[str, Any], digits: ImageData) -> None:
    x, y = features(digits, view["features"], view["whiten"])
    found = scored(digits, "ocsvm", nu=0.2, gamma=0.7, **view)["decision"]
    svm = OneClassSVM(nu=0.2, gamma=0.7 / (x.shape[1] * x.var())).fit(x)
    np.testing.assert_allclose(found, -svm.decision_function(y) / svm.dual_coef_.sum(), rtol=1e-4, atol=2e-6)
    plain = scored(digits, "ocsvm", nu=0.2, gamma=1.0, **view)["decision"]
    scale = OneClassSVM(nu=0.2, gamma="scale").fit(x)
    np.testing.assert_allclose(plain, -scale.decision_function(y) / scale.dual_coef_.sum(), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("subsample", [64, 10**6])
def test_iforest_is_scikit_learns(view: dict[str, Any], subsample: int, digits: ImageData) -> None:
    x, y = features(digits, view["features"], view["whiten"])
    found = scored(digits, "iforest", subsample=subsample, **view)["isolation"]
    forest = IsolationForest(n_estimators=20, max_samples=min(subsample, len(x)), random_state=SEED % 2**32).fit(x)
    np.testing.assert_allclose(found, -forest.score_samples(y), rtol=1e-6)


def test_kde_is_scikit_learns(view: dict[str, Any], digits: ImageData) -> None:
    x, y = features(digits, view["features"], view["whiten"])
    found = scored(digits, "kde", bandwidth=1.5, **view)["negative_log_likelihood"]
    expected = -KernelDensity(bandwidth=1.5, rtol=1e-12).fit(x).score_samples(y)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_knn_is_scikit_learns(view: dict[str, Any], digits: ImageData) -> None:
    x, y = features(digits, view["features"], view["whiten"])
    found = scored(digits, "knn", neighbours=4, **view)
    distances, _ = NearestNeighbors(n_neighbors=4).fit(x).kneighbors(y)
    np.testing.assert_allclose(found["kth_distance"], distances[:, -1], rtol=1e-5)
    np.testing.assert_allclose(found["mean_distance"], distances.mean(1), rtol=1e-5)


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_gmm_is_scikit_learns(view: dict[str, Any], covariance: str, digits: ImageData) -> None:
    x, y = features(digits, view["features"], view["whiten"])
    options: dict[str, Any] = {"covariance": covariance, "floor": 1e-2, "mixture_components": 3}
    found = scored(digits, "gmm", **options, **view)["negative_log_likelihood"]
    mixture = GaussianMixture(3, covariance_type=covariance, reg_covar=1e-2, max_iter=300, random_state=SEED % 2**32)
    np.testing.assert_allclose(found, -mixture.fit(x).score_samples(y), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["knn", "kde"])
def test_training_images_are_scored_as_if_left_out(name: str, digits: ImageData) -> None:
    rows = (digits.train_labels == 0).nonzero().flatten()

    def score(kept: torch.Tensor) -> torch.Tensor:
        fleet = Fleet([build(name, features="pixels")])
        train(fleet, digits.train_images, [Member(kept, 1, 2)], Settings(1, 1, 1))
        (found,) = score_images(fleet, digits.train_images, [View(rows[:1], 0)], Scoring(10))
        return found.scores[fleet.model.headline]

    torch.testing.assert_close(score(rows), score(rows[1:]), rtol=1e-4, atol=1e-2)  # log N against log(N - 1)


@pytest.mark.parametrize("name", ["ocsvm", "kde", "knn"])
def test_at_most_so_many_training_images_are_kept(name: str, digits: ImageData) -> None:
    fleet = Fleet([build(name, most=50)])
    train(fleet, digits.train_images, [Member(torch.arange(400), 1, 2)], Settings(1, 1, 1))
    kept = {"ocsvm": "vectors", "kde": "centres", "knn": "points"}[name]
    count = fleet.state(0)[kept].shape[0]
    assert count <= 50 if name == "ocsvm" else count == 50


def test_refusals_say_what_to_type(digits: ImageData) -> None:
    few = ([Member(torch.arange(4), 0, 0)], Settings(1, 1, 1))
    with pytest.raises(ValueError, match=r"type model\.neighbours=3 or fewer"):
        train(Fleet([build("knn")]), digits.train_images, *few)
    with pytest.raises(ValueError, match=r"type model\.components=4 or fewer, or model\.features=pixels"):
        train(Fleet([build("kde", features="pca")]), digits.train_images, *few)


def test_a_fit_has_one_thread(digits: ImageData) -> None:
    """Cells are fitted side by side, a thread each: whatever BLAS may use outside."""
    from threadpoolctl import threadpool_info, threadpool_limits

    from benchmark.models.base import Model

    class Counting(Model):
        def fit(self, images: torch.Tensor, seed: int) -> None:
            self.threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    fleet = Fleet([Counting()])
    with threadpool_limits(2):
        train(fleet, digits.train_images, [Member(torch.arange(4), 0, 0)], Settings(1, 1, 1))
    assert fleet.model.threads == {1}


def test_gmm_has_the_same_axes_of_large_images_by_an_svd_of_them() -> None:
    """Of 2,028 pixels; the other models take the eigenvectors of the covariance, and refuse images of 12,288."""
    images = torch.rand(40, 3, 26, 26, generator=torch.Generator().manual_seed(0))
    by_svd, by_covariance = (build(name, 3, images.shape[1:], features="pca") for name in ("gmm", "knn"))
    for model in (by_svd, by_covariance):
        model.fit_features(images)
    cosines = (by_svd.axes * by_covariance.axes).sum(1).abs()
    assert torch.allclose(cosines, torch.ones(8), atol=1e-5)
    assert torch.allclose(by_svd.pixel_mean, by_covariance.pixel_mean, atol=1e-6)
    refuse_built(build("gmm", 3, (3, 64, 64), features="pca"))
    refuse_built(build("knn", 3, (3, 64, 64), features="pixels"))
    with pytest.raises(ValueError, match=r"covariance of 12,288 x 12,288: .* Type model.features=pixels"):
        refuse_built(build("knn", 3, (3, 64, 64), features="pca"))
