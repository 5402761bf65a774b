"""``Detector``: an anomaly detector as scikit-learn has them, trained and scored by the engine of the benchmark."""

from __future__ import annotations

import sys
import warnings
from math import isfinite, prod
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from benchmark.cells import Axes
from benchmark.data.splits import copies_kept
from benchmark.detect import saving
from benchmark.detect.arrays import FLAT, as_array, as_images, full_shape, gathered, levels_of, shape_of
from benchmark.detect.conformal import flagged, p_values, too_few
from benchmark.detect.files import read_folder
from benchmark.detect.fitting import Plan, fit
from benchmark.detect.loading import Loaded, load_cell, unreadable
from benchmark.detect.ruling import calibration_scores
from benchmark.detect.settings import BadSetting, model_settings, plain, refuse_settings, refuse_unknown
from benchmark.engine.device import resolve_device
from benchmark.engine.metrics import conformal_threshold
from benchmark.engine.state import Training
from benchmark.store.files import RecordError

Names = tuple[str, str, str, int]  # model, data set, split, class: as ``Axes`` has them
NAMES = ("images", "one_vs_rest", 0)  # data set, split and class where nobody says others
# Times the largest calibration score, where nothing is to be flagged or all: beyond any image, and yet a float64 that,
# subtracted from it, leaves scores the digits of a float32, so that ``decision_function`` ranks (infinity would not).
FAR = 2.0**24
SEEDS = 2**32  # seeds are below


class Detector(OutlierMixin, BaseEstimator):
    """A model of the benchmark as an outlier detector of scikit-learn.

    Images are arrays uint8 (N, H, W), (N, C, H, W) or (N, H, W, C); floats in [0, 1]; flattened ones (N, pixels) with
    ``image_shape``; lists and tensors of these; or a folder, read with all folders in it, sorted by path. All images
    that ``fit`` is given are taken for normal. A share of them is kept from training: these calibrate.

    Signs. ``score_samples`` and ``decision_function`` are scikit-learn's: larger = more normal, and ``predict`` is +1
    for normal and -1 for anomalous images. ``anomaly_scores`` are those of the benchmark and of PyOD's
    ``decision_function``: larger = more anomalous; ``score_samples`` is their negative.

    Threshold. An image is flagged where its p-value is at most ``alpha``: new images that are normal as the training
    images are flagged with a probability of at most ``alpha`` (split conformal prediction; Vovk, Gammerman & Shafer
    2005). So ``alpha`` stands where scikit-learn and PyOD have ``contamination``, but says nothing of how many
    anomalies there are, and can be set after ``fit`` too.

    Parameters
    ----------
    model
        A model of this package, or the dotted path of a class of your own (``my_models.mine.Mine``).
    rule
        Name of the rule that makes the score (``conf/rule``); None: the model's own score.
    alpha
        Share of normal images that may be flagged, above 0 and below 1.
    seed
        Of all random numbers.
    calibration_share
        Share of the images kept from training, 0 (then ``calibrate``) or more, and below 1.
    image_shape
        (H, W) or (C, H, W) of flattened images, and of those read from a folder (height = width; None: grey or RGB as
        the first file is, 64 x 64); ``"flat"``: every row of numbers is an image of one row of pixels.
    pixel_range
        The numbers that stand for black and white; what lies beyond is cut off. None: 0 and 255 of whole numbers, 0 and
        1 of floats. ``"fit"``: the least and largest number of the training images. Of files none is needed.
    keep_aspect
        Whether files are made to fit into the square, black beside them, instead of being stretched to it.
    device, precision
        As in a command: auto, cpu, cuda, ...; auto, fp32, ...
    steps_per_epoch
        Updates an epoch; None: as many as one pass over the training images has.
    names
        Model, data set, split and class whose names random numbers are drawn from besides the seed; None: of one's own.
        ``Detector.like`` sets these to a cell's, so that the same images give its bits.
    verbose
        Whether every epoch is a line on stderr.
    **keywords
        Those of the model's constructor, as in ``conf/model/MODEL.yaml``: ``latent=16, epochs=50``.

    Attributes
    ----------
    calibration_scores_
        Anomaly scores of the calibration images: float64 (n,).
    offset_
        ``decision_function`` is ``score_samples`` less this; images below it are flagged. Where there are too few
        calibration images for ``alpha``, far below any score: then none is; where ``alpha`` is 1 to the last of its
        digits, far above: then all are.
    threshold_
        The same as an anomaly score: ``-offset_``.
    image_shape_
        C, H, W.
    n_features_in_
        C * H * W.
    history_
        Means of every epoch, as ``history.csv`` has them.
    """

    def __init__(
        self,
        model: str = "ae",
        *,
        rule: str | None = None,
        alpha: float = 0.05,
        seed: int = 0,
        calibration_share: float = 0.1,
        image_shape: tuple[int, ...] | str | None = None,
        pixel_range: tuple[float, float] | str | None = None,
        keep_aspect: bool = False,
        device: str = "auto",
        precision: str = "auto",
        steps_per_epoch: int | None = None,
        names: Names | None = None,
        verbose: bool = False,
        **keywords: Any,
    ) -> None:
        self.model, self.rule, self.alpha, self.seed = model, rule, alpha, seed
        self.calibration_share, self.steps_per_epoch, self.names = calibration_share, steps_per_epoch, names
        self.image_shape, self.pixel_range, self.keep_aspect = image_shape, pixel_range, keep_aspect
        self.device, self.precision, self.verbose = device, precision, verbose
        self._keywords = keywords  # of the model; apart, as a VAE has one called score_samples

    # parameters, as scikit-learn asks for them

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters, and those keywords of the model that were given."""
        return {**super().get_params(deep), **self._keywords}

    def set_params(self, **params: Any) -> Detector:
        """Change parameters, keywords of the model among them. Raises ``ValueError`` for an unknown one.

        Keywords that another model does not have are refused when it is fitted.
        """
        own = self._get_param_names()
        others = [key for key in params if key not in own and key not in self._keywords]
        if others:
            refuse_unknown(params.get("model", self.model), others, own)
        for key, value in params.items():
            if key in own:
                setattr(self, key, value)
            else:
                self._keywords = {**self._keywords, key: value}
        if "alpha" in params and hasattr(self, "scorer_") and is_alpha(self.alpha):  # one that is none ``fit`` refuses
            self._warn_of_few(self.alpha)
        return self

    @classmethod
    def like(cls, path: str | Path, **changes: Any) -> Detector:
        """A detector that is not fitted, with the settings, names and seed of a finished cell.

        Fitted to the images that the cell's split has for training and calibration, in the order of their data set, it
        has the bits of the cell on a CPU.
        """
        loaded = load_cell(path)
        return cls(**{**saving.parameters(loaded), **changes})

    # fit

    def fit(self, X: Any, y: Any = None) -> Detector:
        """Train on images that are taken for normal, a share of which calibrates. ``y`` is ignored.

        Raises ``ValueError`` for images that cannot be taken, ``UsageError`` for settings that cannot be.
        """
        self._refuse()
        device, precision = resolve_device(plain(self.device), plain(self.precision))
        images = self._training_images(X)
        named = plain(self.names)
        settings = model_settings(self.model, self._keywords, self.image_shape_, named and named[0])
        names = named or (settings["name"], *NAMES)
        axes = Axes(model=names[0], dataset=names[1], split=names[2], normal_class=names[3], seed=int(self.seed))
        rule, share, steps = plain((self.rule, self.calibration_share, self.steps_per_epoch))
        plan = Plan(settings, axes, rule, share, steps, device, precision)
        fitted = fit(plan, images, self._say if self.verbose else None)
        self.plan_, self.scorer_, self.history_ = plan, fitted.scorer, fitted.training.history
        if copies := copies_kept(images, fitted.split):
            warnings.warn(
                f"{copies} of {len(fitted.calibration)} calibration images are copies of images trained on: p-values "
                "are too small and too many images are flagged. Leave out copies, or calibrate() with other normal "
                "images",
                stacklevel=2,
            )
        return self._calibrated(fitted.calibration)

    def calibrate(self, X: Any) -> Detector:
        """Let other normal images calibrate, that training has not seen: thresholds and p-values are theirs then."""
        check_is_fitted(self, "scorer_")
        return self._calibrated(calibration_scores(self.scorer_, self._images(X)))

    def _calibrated(self, scores: np.ndarray) -> Detector:
        refuse_alpha(self.alpha)
        self.calibration_scores_ = scores
        self._warn_of_few(self.alpha, 4)
        return self

    def _warn_of_few(self, alpha: float, level: int = 3) -> None:
        """Warn where nothing can be flagged at ``alpha``; ``level`` as ``stacklevel`` has it."""
        if (why := too_few(len(self.calibration_scores_), alpha)) is not None:
            more = "give more images, a larger calibration_share or alpha, or other normal images to calibrate()"
            warnings.warn(f"{why}: {more}", stacklevel=level)

    def _say(self, epoch: int, trainings: list[Training]) -> None:
        losses = {k.removeprefix("train/"): v for k, v in trainings[0].history[-1].items() if k.startswith("train/")}
        print(f"epoch {epoch}: {', '.join(f'{key} {value:.4g}' for key, value in losses.items())}", file=sys.stderr)

    def _refuse(self) -> None:
        refuse_alpha(self.alpha)
        share, steps, names = self.calibration_share, self.steps_per_epoch, self.names
        if not (isinstance(share, Real) and 0 <= share < 1):
            raise BadSetting(f"calibration_share={share!r} is not allowed: it must be from 0 to below 1")
        if steps is not None and not (isinstance(steps, Integral) and steps >= 1):
            raise BadSetting(f"steps_per_epoch={steps!r} is not allowed: it must be a whole number from 1, or None")
        if not (isinstance(self.seed, Integral) and not isinstance(self.seed, bool) and 0 <= self.seed < SEEDS):
            raise BadSetting(f"seed={self.seed!r} is not allowed: it must be a whole number from 0 to below 2**32")
        if names is not None and not _is_names(names):
            raise BadSetting(
                f"names={names!r} is not allowed: it must be model, data set, split and class, or None. Say "
                "('ae', 'images', 'one_vs_rest', 0)"
            )
        refuse_settings(self.model, self._keywords, self._get_param_names())

    # scores

    def anomaly_scores(self, X: Any) -> np.ndarray:
        """Scores of images, larger = more anomalous: float64 (N,)."""
        check_is_fitted(self, "scorer_")
        return self.scorer_.scores(self._images(X)).astype(np.float64)

    def score_samples(self, X: Any) -> np.ndarray:
        """Scores of images, larger = more normal, as scikit-learn has them: float64 (N,)."""
        return -self.anomaly_scores(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """``score_samples`` less ``offset_``, below 0 for images that are flagged, as scikit-learn has it: (N,)."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """+1 for normal images, -1 for those that are flagged at ``alpha``: int64 (N,)."""
        return np.where(self.flag(X), -1, 1)

    def p_values(self, X: Any) -> np.ndarray:
        """(1 + number of calibration images that score at least as high) / (n + 1) for each image: float64 (N,)."""
        return p_values(self.anomaly_scores(X), self.calibration_scores_)

    def flag(self, X: Any, alpha: float | None = None) -> np.ndarray:
        """Whether each image's p-value is at most ``alpha``, the detector's own where none is given: bool (N,).

        Warns where there are too few calibration images for the ``alpha`` that is given; of its own, who set it is.
        """
        chosen = self.alpha if alpha is None else alpha
        refuse_alpha(chosen)
        scores = self.anomaly_scores(X)
        if alpha is not None:
            self._warn_of_few(alpha)
        return flagged(scores, self.calibration_scores_, chosen)

    def reconstruct(self, X: Any) -> np.ndarray | None:
        """What the model makes of images: float32 (N, C, H, W) in [0, 1]; None for a model that makes none."""
        check_is_fitted(self, "scorer_")
        found = self.scorer_.reconstructions(self._images(X))
        return None if found is None else found.numpy()

    @property
    def offset_(self) -> float:
        """``decision_function`` is ``score_samples`` less this."""
        return -self.threshold_

    @property
    def threshold_(self) -> float:
        """The anomaly score above which an image is flagged at ``alpha``."""
        check_is_fitted(self, "scorer_")
        refuse_alpha(self.alpha)
        threshold = conformal_threshold(self.calibration_scores_, self.alpha)
        if threshold is not None and isfinite(threshold):
            return threshold
        far = FAR * (1 + np.abs(self.calibration_scores_).max(initial=0.0))
        return far if threshold is None else -far

    @property
    def calibration_scores(self) -> np.ndarray:
        """Anomaly scores of the calibration images: float64 (n,)."""
        check_is_fitted(self, "scorer_")
        return self.calibration_scores_

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self.model if self.names is None else self.names[0]

    # images

    def _training_images(self, X: Any) -> Tensor:
        asked = full_shape(self.image_shape)
        if isinstance(X, str | Path):
            images = read_folder(Path(X), None if asked == FLAT else asked, self.keep_aspect)  # type: ignore[arg-type]
            channels, height, width = images.shape[1:]
            self.image_shape_, self.levels_, self.n_features_in_ = (
                (channels, height, width),
                None,
                prod(images.shape[1:]),
            )
            return images
        array = self._array(X, fitting=True)
        if len(array) < 2:
            raise ValueError(f"{len(array)} image (n_samples = {len(array)}) is too few to train on")
        self.image_shape_ = shape_of(array, asked)
        self.levels_ = levels_of(array, self.pixel_range)
        self.n_features_in_ = prod(self.image_shape_)
        return as_images(array, self.image_shape_, self.levels_, type(self).__name__)

    def _images(self, X: Any) -> Tensor:
        if isinstance(X, str | Path):
            return read_folder(Path(X), self.image_shape_, self.keep_aspect)
        return as_images(self._array(X, fitting=False), self.image_shape_, self.levels_, type(self).__name__)

    def _array(self, X: Any, fitting: bool) -> np.ndarray:
        """Images as an array; of a table, scikit-learn looks at its columns and their names."""
        found = gathered(X)
        if getattr(found, "ndim", None) == 2 and not isinstance(found, Tensor):
            return validate_data(self, found, reset=fitting, dtype="numeric")
        return as_array(found)

    # on disk

    def save(self, path: str | Path) -> Path:
        """Write the fitted detector as the record of a cell, for ``load_detector``; returns the folder.

        What lies there is replaced if it is a detector that was saved, else refused.
        """
        check_is_fitted(self, "scorer_")
        kept = saving.Kept(
            self.plan_,
            self.scorer_,
            self.calibration_scores_,
            self.image_shape_,
            self.levels_,
            bool(self.keep_aspect),
            float(self.alpha),
            self.history_,
        )
        return saving.save(kept, Path(path))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "scorer_")

    def _take(self, loaded: Loaded) -> Detector:
        """Be the detector of a cell."""
        self.scorer_, self.calibration_scores_ = loaded.scorer, loaded.calibration
        self.image_shape_, self.n_features_in_ = loaded.shape, prod(loaded.shape)
        self.levels_ = loaded.levels
        self.plan_ = loaded.plan
        try:
            history = loaded.record.history()
        except (RecordError, OSError) as error:
            raise unreadable(loaded.record.path, error) from error
        self.history_ = [] if history is None else history.to_dict("records")
        return self


def _is_names(names: Any) -> bool:
    kinds = (str, str, str, Integral)
    return isinstance(names, tuple | list) and len(names) == len(kinds) and all(map(isinstance, names, kinds))


def is_alpha(alpha: Any) -> bool:
    """Whether it is a share that may be flagged: above 0 and below 1."""
    return isinstance(alpha, Real) and 0 < alpha < 1  # type: ignore[operator]


def refuse_alpha(alpha: float) -> None:
    """Raise ``BadSetting`` for an ``alpha`` that is no share."""
    if not is_alpha(alpha):
        raise BadSetting(f"alpha={alpha!r} is not allowed: it must be above 0 and below 1. Say for example alpha=0.05")


def load_detector(path: str | Path, rule: str | None = None, device: str | None = None) -> Detector:
    """The detector of a finished cell, or one that was saved, ready to score.

    ``rule`` is a rule's name, ``chosen`` for the one that the record names as chosen, or None: the model's own
    headline, or the rule that a detector was saved under. ``device`` as in a command; None: the one that the cell was
    trained on where it is here, else the CPU. Raises ``UsageError`` in one line for a folder that holds no such cell.
    """
    loaded = load_cell(path, rule, device)
    return Detector(**saving.parameters(loaded))._take(loaded)
