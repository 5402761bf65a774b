"""``Detector``: scikit-learn's conventions, the engine's bits."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from scipy.stats import randint
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from benchmark import Detector, load_detector
from benchmark.config import UsageError
from benchmark.detect.arrays import OutOfRange
from benchmark.detect.settings import model_settings, refuse_settings
from benchmark.models import constructor, model_names
from benchmark.store.records import read_record
from tests.detect.conftest import Cells
from tests.tiny_models import tiny

FAST: dict[str, Any] = {"model": "pca", "components": 8, "calibration_share": 0.25, "device": "cpu"}


@pytest.fixture(scope="module")
def fitted(cells: Cells) -> Detector:
    return Detector(**FAST).fit(cells.normal)


# bits


@pytest.mark.parametrize("model", ["vae", "pca"])
def test_a_fit_to_the_images_of_a_cell_has_its_bits(cells: Cells, model: str) -> None:
    record = cells.record(model)
    known = record.scores()
    detector = Detector.like(record.path).fit(cells.normal)
    found = detector.anomaly_scores(cells.test[known["index"]])
    assert np.array_equal(found.astype(np.float32), known[f"score/{record.status.headline}"])
    assert detector.threshold_ == record.metrics["threshold"]


def test_under_a_rule_too(cells: Cells) -> None:
    record = cells.record("pca")
    detector = Detector.like(record.path, rule="committee").fit(cells.normal)
    found = detector.anomaly_scores(cells.test[record.scores()["index"]])
    assert np.array_equal(found.astype(np.float32), record.rule_scores()["score/committee"])


def test_the_seed_and_nothing_else_decides(cells: Cells) -> None:
    settings = {"model": "ae", "hidden": (16,), "latent": 4, "epochs": 1, "device": "cpu", "calibration_share": 0.2}
    first, again, other = (Detector(seed=seed, **settings).fit(cells.normal) for seed in (0, 0, 1))
    scores = [detector.anomaly_scores(cells.test[:20]) for detector in (first, again, other)]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])
    longer = Detector(steps_per_epoch=3, **settings).fit(cells.normal)
    assert [[row["epoch"], row["step"]] for row in (*first.history_, *longer.history_)] == [[1, 1], [1, 3]]
    assert Detector.like(cells.paths["vae"]).steps_per_epoch == cells.record("vae").metrics["steps"] / 2


# signs


def test_scikit_learns_names_grow_with_normality_and_ours_with_anomaly(cells: Cells, fitted: Detector) -> None:
    images, p = cells.test, fitted.p_values(cells.test)
    assert np.array_equal(fitted.score_samples(images), -fitted.anomaly_scores(images))
    assert fitted.decision_function(images) == pytest.approx(fitted.score_samples(images) - fitted.offset_)
    assert np.array_equal(fitted.predict(images) == -1, p <= fitted.alpha)
    assert np.array_equal(fitted.predict(images) == -1, fitted.decision_function(images) < 0)
    assert np.array_equal(fitted.flag(images), fitted.predict(images) == -1)
    assert fitted.offset_ == -fitted.threshold_
    is_other = cells.labels != 3
    assert fitted.anomaly_scores(images)[is_other].mean() > fitted.anomaly_scores(images)[~is_other].mean()
    assert fitted.score_samples(images)[is_other].mean() < fitted.score_samples(images)[~is_other].mean()


def test_alpha_changes_after_training(cells: Cells, fitted: Detector) -> None:
    strict, loose = fitted.flag(cells.test, alpha=0.05), fitted.flag(cells.test, alpha=0.5)
    assert strict.sum() < loose.sum()
    assert not (strict & ~loose).any()
    again = load_detector(cells.paths["pca"])
    before = again.offset_
    assert again.set_params(alpha=0.5).offset_ > before
    with pytest.raises(ValueError, match=r"alpha=1.5 is not allowed: it must be above 0 and below 1"):
        fitted.flag(cells.test, alpha=1.5)


def test_normal_images_alone_calibrate_again(cells: Cells) -> None:
    detector = load_detector(cells.paths["pca"])
    before = detector.anomaly_scores(cells.test)
    others = cells.test[cells.labels == 8]
    assert detector.flag(others).mean() > 0.5
    detector.calibrate(others)
    assert np.array_equal(detector.anomaly_scores(cells.test), before)
    assert detector.flag(others, alpha=0.1).mean() <= 0.1
    assert len(detector.calibration_scores) == len(others)


def test_too_few_calibration_images_are_warned_of_and_flag_nothing(cells: Cells) -> None:
    with pytest.warns(UserWarning, match="5 calibration images flag nothing at alpha=0.05, which takes 19"):
        detector = Detector(**{**FAST, "calibration_share": 0.04}).fit(cells.normal)
    assert (detector.predict(cells.test) == 1).all()
    with pytest.warns(UserWarning, match="5 calibration images flag nothing at alpha=0.1, which takes 9"):
        assert not detector.flag(cells.test, alpha=0.1).any()
    with pytest.warns(UserWarning, match="5 calibration images flag nothing at alpha=0.01, which takes 99: give more"):
        detector.set_params(alpha=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.set_params(alpha=0.5).flag(cells.test, alpha=0.2)
        detector.set_params(alpha=7)  # refused where it is used, as scikit-learn expects
        Detector(**FAST).set_params(alpha=0.01)
    order = np.argsort(detector.score_samples(cells.test), kind="stable")
    for alpha, signs in ((0.05, {1}), (1 - 1e-12, {-1})):  # nothing is flagged, and everything
        detector.alpha = alpha
        found = detector.decision_function(cells.test)
        assert np.isfinite(found).all()
        assert {*np.sign(found)} == signs
        assert (np.diff(found[order]) >= 0).all()


# images


def test_every_layout_of_the_same_pixels_scores_the_same(cells: Cells, fitted: Detector, tmp_path: Path) -> None:
    images = cells.test[:7]
    known = fitted.anomaly_scores(images)
    for i, image in enumerate(images):
        PIL.Image.fromarray(image).save(tmp_path / f"{i}.png")
    pillow = [PIL.Image.fromarray(image) for image in images]
    floats = (images / 255).astype(np.float32)
    layouts = (
        *(images[:, None], images[..., None], images.reshape(7, -1), images.astype(int), list(images), pillow),
        *(
            images.astype(object),
            list(images.astype(object)),
            floats,
            torch.from_numpy(images),
            torch.from_numpy(floats)[:, None],
            tmp_path,
            str(tmp_path),
        ),
    )
    for layout in layouts:
        assert np.array_equal(fitted.anomaly_scores(layout), known)


def test_colours_and_flat_rows_are_told_by_their_shape(cells: Cells) -> None:
    colours = np.stack([cells.normal, cells.normal // 2, 255 - cells.normal], axis=-1)  # (N, 28, 28, 3)
    last, first = (Detector(**FAST).fit(x) for x in (colours, np.moveaxis(colours, -1, 1)))
    assert last.image_shape_ == first.image_shape_ == (3, 28, 28)
    assert np.array_equal(last.anomaly_scores(colours[:5]), first.anomaly_scores(np.moveaxis(colours, -1, 1)[:5]))
    flat = Detector(**FAST, image_shape=(28, 28)).fit(cells.normal.reshape(len(cells.normal), -1))
    assert np.array_equal(
        flat.anomaly_scores(cells.test), Detector(**FAST).fit(cells.normal).anomaly_scores(cells.test)
    )
    assert flat.n_features_in_ == 784


def test_a_range_of_pixels_stands_for_black_to_white(cells: Cells, fitted: Detector) -> None:
    wide = cells.normal.astype(np.uint16) * 257
    with pytest.raises(OutOfRange, match=r"pixels from .* Say what stands for black") as refused:
        Detector(**FAST).fit(wide)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)  # as joblib hands it on
    detector = Detector(**FAST, pixel_range=(0, 65535)).fit(wide)
    known = fitted.anomaly_scores(cells.test)
    assert np.array_equal(detector.anomaly_scores(cells.test.astype(np.uint16) * 257), known)
    found = Detector(**FAST, pixel_range="fit").fit(cells.normal.astype(np.float64) * 3 - 1)
    assert np.array_equal(found.anomaly_scores(cells.test.astype(np.float64) * 3 - 1), known)


@pytest.mark.parametrize(
    ("settings", "make", "says"),
    [
        ({}, lambda x: x[0], "one image, or flattened images: which are channels, height and width"),
        ({}, lambda x: x.reshape(len(x), 2, 14, 28), "which are channels, height and width"),
        ({}, lambda x: x.astype(np.float32), r"pixels from 0 to 255: floats are taken for 0 \(black\) to 1 \(white\)"),
        ({}, lambda x: x.astype(int) - 9, "whole numbers are taken for 0"),
        ({}, lambda x: np.where(x == 0, np.nan, x / 255), "NaN"),
        ({}, lambda x: [x[0], x[1, :9]], "images of one shape are needed"),
        ({}, lambda x: x[:0], "0 sample"),
        ({"image_shape": (1, 2, 3, 4)}, lambda x: x, "image_shape=.* is not allowed"),
        ({"image_shape": "square"}, lambda x: x, "image_shape='square' is not allowed"),
        ({"image_shape": (14, 28)}, lambda x: x, "images of 28 x 28, but Detector is for images of 1 x 14 x 28"),
        ({"pixel_range": (1, 1)}, lambda x: x, "black must be below white"),
        ({"pixel_range": "max"}, lambda x: x, "pixel_range='max' is not allowed"),
        ({"alpha": 0}, lambda x: x, "alpha=0 is not allowed"),
        ({"alpha": "0.1"}, lambda x: x, "alpha='0.1' is not allowed: it must be above 0 and below 1"),
        ({"image_shape": 28}, lambda x: x, "image_shape=28 is not allowed"),
        ({"pixel_range": 255}, lambda x: x, r"pixel_range=255 is not allowed: it must be \(black, white\)"),
        (
            {"pixel_range": (0, 1, 2)},
            lambda x: x,
            r"pixel_range=\(0, 1, 2\) is not allowed: it must be \(black, white\)",
        ),
        ({"names": ("a",)}, lambda x: x, r"names=\('a',\) is not allowed: it must be model, data set, split and class"),
        ({"seed": "a"}, lambda x: x, "seed='a' is not allowed: it must be a whole number from 0 to below 2"),
        ({"seed": 1.5}, lambda x: x, "seed=1.5 is not allowed"),
        ({"seed": True}, lambda x: x, "seed=True is not allowed"),
        ({"steps_per_epoch": 0}, lambda x: x, "steps_per_epoch=0 is not allowed: it must be a whole number from 1"),
        ({"steps_per_epoch": -1}, lambda x: x, "steps_per_epoch=-1 is not allowed"),
        ({}, lambda x: np.ma.masked_less(x, 9), "pixels are masked"),
        ({}, lambda x: list(np.ma.masked_less(x, 9)), "pixels are masked"),
        ({}, lambda x: torch.from_numpy(x / 255).to_sparse(), "a tensor of torch.sparse_coo is no array"),
        ({"calibration_share": "a"}, lambda x: x, "calibration_share='a' is not allowed"),
        ({"calibration_share": 1}, lambda x: x, "calibration_share=1 is not allowed"),
        ({}, lambda x: x[:2], r"needs as many training images, got 2; type components=2 or fewer"),
        ({"components": 0}, lambda x: x, "components=0 is not allowed for model pca: it must be a whole number"),
        ({"model": "ea"}, lambda x: x, "model='ea': there is no such model. There is: aae, ae, "),
        ({"latnt": 3}, lambda x: x, "latnt: model pca has no such keyword"),
        ({"components": 500}, lambda x: x, "PCA with 500 components needs as many training images, got"),
        ({"rule": "nosuch"}, lambda x: x, "rule=nosuch: there is no such rule"),
        ({}, lambda x: "nowhere", "nowhere is no folder"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(cells: Cells, settings: dict[str, Any], make: Any, says: str) -> None:
    with pytest.raises((ValueError, UsageError), match=says) as caught:
        Detector(**{**FAST, **settings}).fit(make(cells.normal))
    if isinstance(caught.value, UsageError):
        assert "\n" not in str(caught.value)


def test_settings_are_refused_as_scikit_learn_expects(cells: Cells) -> None:
    for settings in ({"alpha": "0.1"}, {"names": ("a",)}, {"pixel_range": 255}, {"image_shape": 28}):
        with pytest.raises(ValueError, match="is not allowed"):
            Detector(**{**FAST, **settings}).fit(cells.normal)


def test_tensors_of_types_that_numpy_lacks_are_images(cells: Cells, fitted: Detector) -> None:
    images = torch.from_numpy(cells.test[:5] / 255).to(torch.bfloat16)
    expected = fitted.anomaly_scores(images.float())
    assert np.array_equal(fitted.anomaly_scores(images), expected)
    assert np.array_equal(fitted.anomaly_scores(list(images)), expected)


def test_images_of_another_size_are_refused(cells: Cells, fitted: Detector) -> None:
    with pytest.raises(ValueError, match="images of 14 x 28, but Detector is for images of 1 x 28 x 28"):
        fitted.score_samples(cells.test[:, :14])
    with pytest.raises(NotFittedError):
        Detector().score_samples(cells.test)


def test_a_folder_trains_and_its_bad_images_are_all_named(cells: Cells, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for i, image in enumerate(cells.normal):
        PIL.Image.fromarray(image).save(tmp_path / ("deep" if i % 2 else ".") / f"{i:03d}.png")
    detector = Detector(**FAST, image_shape=(28, 28)).fit(tmp_path)
    order = sorted(tmp_path.rglob("*.png"))
    known = Detector(**FAST).fit(cells.normal[[int(path.stem) for path in order]])
    assert np.array_equal(detector.anomaly_scores(cells.test), known.anomaly_scores(cells.test))
    assert Detector(**FAST).fit(tmp_path).image_shape_ == (1, 64, 64)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(UsageError, match=r"2 of 130 images in .* cannot be read: empty.png \(.*\), text.jpg \(no PNG"):
        detector.fit(tmp_path)


# parameters


def test_parameters_are_read_set_and_cloned() -> None:
    detector = Detector("vae", latent=8, score_samples=2, alpha=0.1)
    assert {"model": "vae", "latent": 8, "score_samples": 2, "alpha": 0.1}.items() <= detector.get_params().items()
    assert callable(detector.score_samples)  # of the model it is a keyword
    assert clone(detector).get_params() == detector.get_params()
    assert detector.set_params(latent=4, hidden=(32,)).get_params()["latent"] == 4
    with pytest.raises(ValueError, match=r"latnt: model vae has no such keyword; did you mean latent?"):
        detector.set_params(latnt=4)


def test_numbers_of_numpy_are_those_of_python(cells: Cells, tmp_path: Path) -> None:
    """As searches hand them in; records have Python's own, so that fingerprints and bits are the same."""
    plain = {"components": 3, "seed": 2, "calibration_share": 0.25, "alpha": 0.125, "steps_per_epoch": 3}
    numpy = {key: (np.int64 if isinstance(value, int) else np.float32)(value) for key, value in plain.items()}
    words = {"headline": "reconstruction", "rule": "smoothed", "names": ("pca", "images", "one_vs_rest", 1)}
    theirs = {"headline": np.str_("reconstruction"), "rule": np.str_("smoothed")}
    theirs["names"] = (np.str_("pca"), "images", "one_vs_rest", np.int64(1))
    ours = Detector("pca", device="cpu", keep_aspect=True, **plain, **words).fit(cells.normal)
    other = Detector(np.str_("pca"), device=np.str_("cpu"), keep_aspect=np.True_, **numpy, **theirs).fit(cells.normal)
    assert other.plan_ == ours.plan_
    ours.save(tmp_path / "ours")
    other.save(tmp_path / "other")
    assert read_record(tmp_path / "ours").config() == read_record(tmp_path / "other").config()
    assert read_record(tmp_path / "ours").status.fingerprint == read_record(tmp_path / "other").status.fingerprint
    assert np.array_equal(other.anomaly_scores(cells.test), ours.anomaly_scores(cells.test))
    assert clone(other).get_params() == other.get_params()


def test_lists_and_switches_of_numpy_are_settings() -> None:
    given = {"hidden": np.array([32, 16]), "learning_rate": np.float64(0.01)}
    refuse_settings("vae", given, [])
    settings = model_settings("vae", given, (1, 28, 28))
    assert settings == model_settings("vae", {"hidden": [32, 16], "learning_rate": 0.01}, (1, 28, 28))
    assert [type(settings[key]) for key in given] == [list, float]
    with pytest.raises(ValueError, match=r"latent=1\.5 is not allowed for model vae: it must be a whole number"):
        refuse_settings("vae", {"latent": np.float64(1.5)}, [])


@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV])
def test_searches_of_scikit_learn_draw_settings(cells: Cells, search: Any) -> None:
    tried = {"components": np.arange(2, 4) if search is GridSearchCV else randint(2, 4)}
    more = {} if search is GridSearchCV else {"n_iter": 2, "random_state": 0}
    images, truth = np.concatenate([cells.normal, cells.test[cells.labels == 0][:6]]), np.ones(len(cells.normal) + 6)
    truth[-6:] = -1
    detector = Detector("pca", device="cpu", calibration_share=0.25, alpha=0.2)
    found = search(detector, tried, scoring="roc_auc", cv=StratifiedKFold(2), error_score="raise", **more)
    assert found.fit(images, truth).best_params_["components"] in (2, 3)
    assert found.best_score_ > 0.5


def test_no_keyword_of_a_model_hides_a_parameter() -> None:
    own = set(Detector._get_param_names())
    assert not [(model, own & constructor(model).keys()) for model in model_names() if own & constructor(model).keys()]


# scikit-learn


@parametrize_with_checks([Detector("pca", components=1, image_shape="flat", pixel_range="fit")])
def test_the_checks_of_scikit_learn(estimator: Detector, check: Any) -> None:
    """All of them: rows of any numbers are images of one row of pixels, whose range is that of the training images."""
    check(estimator)


def test_it_works_in_a_pipeline_and_under_cross_validation(cells: Cells) -> None:
    halve = FunctionTransformer(lambda images: images[:, ::2, ::2])
    pipeline = make_pipeline(halve, Detector(**FAST)).fit(cells.normal)
    assert pipeline[-1].image_shape_ == (1, 14, 14)
    assert pipeline.predict(cells.test).shape == (len(cells.test),)
    others = cells.test[cells.labels == 0][:12]  # few: all that is trained on is taken for normal
    images, truth = np.concatenate([cells.normal, others]), np.repeat([1, -1], [len(cells.normal), len(others)])
    folds = StratifiedKFold(3)
    detector = Detector("mean_image", device="cpu", alpha=0.1)
    scores = cross_val_score(detector, images, truth, scoring="roc_auc", cv=folds)  # +1 is normal
    assert (scores > 0.8).all()


# on disk


@pytest.mark.parametrize("rule", [None, "ssim", "image_neighbours"])
def test_a_saved_detector_is_the_same_detector(cells: Cells, tmp_path: Path, rule: str | None) -> None:
    wide = cells.normal.astype(np.float64) * 4
    before = Detector(**FAST, rule=rule, alpha=0.1, pixel_range="fit").fit(wide)
    before.save(tmp_path / "saved")
    after = load_detector(tmp_path / "saved")
    assert np.array_equal(after.anomaly_scores(wide), before.anomaly_scores(wide))
    assert (after.rule, after.alpha, after.offset_) == (rule, 0.1, before.offset_)
    assert np.array_equal(after.calibration_scores, before.calibration_scores)
    again = clone(after).fit(wide)
    assert np.array_equal(again.anomaly_scores(wide), before.anomaly_scores(wide))
    before.save(tmp_path / "saved")  # over itself


@pytest.mark.parametrize("model", ["ocsvm", "cond_aae", "geom"])  # fitted sizes, told classes, no reconstruction
def test_other_kinds_of_models_are_saved_too(cells: Cells, tmp_path: Path, model: str) -> None:
    before = Detector(model, device="cpu", calibration_share=0.25, **tiny(model, epochs=1)).fit(cells.normal)
    before.save(tmp_path / "saved")
    after = load_detector(tmp_path / "saved")
    assert np.array_equal(after.anomaly_scores(cells.test[:40]), before.anomaly_scores(cells.test[:40]))
    assert (after.reconstruct(cells.test[:2]) is None) == (model != "cond_aae")


def test_saving_spares_what_is_no_detector(cells: Cells, fitted: Detector, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="exists and is no saved detector: it is left as it is"):
        fitted.save(tmp_path)
    with pytest.raises(UsageError, match=r"letter.txt/below: the detector cannot be saved there \(.+\). Name another"):
        fitted.save(tmp_path / "letter.txt" / "below")
    assert (tmp_path / "letter.txt").read_text() == "dear"
    shutil.copytree(cells.paths["pca"], tmp_path / "cell")
    with pytest.raises(UsageError, match="exists and is no saved detector: it is left as it is"):
        load_detector(tmp_path / "cell").calibrate(cells.normal).save(tmp_path / "cell")
    assert (tmp_path / "cell" / "scores.npz").is_file()
    fitted.save(tmp_path / "saved")
    with pytest.raises(
        UsageError, match=r"rule=ssim: this detector was fitted for the model's own score. Fit it again"
    ):
        load_detector(tmp_path / "saved", rule="ssim")


def test_importing_the_package_stays_cheap() -> None:
    code = "import sys, benchmark; print([m for m in ('torch', 'sklearn', 'numpy', 'omegaconf') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        exec("from benchmark import Nothing")


@pytest.mark.parametrize(
    ("shape", "given", "network"),
    [
        ((30, 28, 28), {}, "dense"),
        ((30, 32, 32, 3), {}, "conv"),
        ((30, 64, 64), {"network": "auto"}, "conv"),
        ((30, 64, 64), {"network": "dense"}, "dense"),
    ],
)
def test_the_network_goes_by_the_images_as_in_a_command(shape: tuple[int, ...], given: Any, network: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    detector = Detector("ae", epochs=1, batch_size=8, channels=[4, 8], hidden=[8], latent=2, **given).fit(images)
    assert detector.plan_.model["network"] == network


def test_copies_that_would_calibrate_are_said() -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    with pytest.warns(UserWarning, match=r"of \d+ calibration images are copies of images trained on: p-values"):
        Detector(**FAST).fit(np.repeat(images, 4, axis=0))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*copies")
        Detector(**FAST).fit(images)
