"""What ``mlflow models serve`` runs: a finished cell that says of images how anomalous they are.

MLflow copies this file into each model and runs it where the model is loaded ("models from code": nothing is pickled),
so it imports nothing of this room, which is not copied. The answer has a row an image: its score (larger = more
anomalous), its p-value among the calibration images, and whether that is at most ``alpha``.
"""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PyFuncModel, PythonModel

with warnings.catch_warnings():  # MLflow loads numpy before any model, so nobody could import benchmark first
    warnings.filterwarnings("ignore", message="benchmark was imported after numpy or torch")
    import benchmark  # noqa: F401  (it pins what is not loaded yet: torch)

from benchmark.detect.arrays import OutOfRange
from benchmark.detect.conformal import flagged, p_values, too_few
from benchmark.detect.detector import load_detector, refuse_alpha
from benchmark.say import one_line

MOST = 10_000  # images of one request
PARAMS = ("alpha",)  # of a request
ASKED = inspect.unwrap(PyFuncModel.predict).__code__  # what MLflow calls with a whole request


class Refused(MlflowException):
    """A request that cannot be answered: status 400 and one line, without the request and without a traceback."""

    def __init__(self, why: str) -> None:
        super().__init__(why, error_code=INVALID_PARAMETER_VALUE)
        self.why = why

    def serialize_as_json(self) -> str:
        return json.dumps({"error_code": self.error_code, "message": self.why})


def _asked() -> Mapping[str, Any]:
    """The parameters that a request has, without defaults. Raises ``Refused`` for those that there are not.

    MLflow drops these, with a warning that who asks never sees. It has no place that is asked first, so the request is
    looked up where it was called.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_code is not ASKED:
        frame = frame.f_back
    asked = (frame.f_locals.get("params") if frame is not None else None) or {}
    if unknown := [name for name in asked if name not in PARAMS]:
        raise Refused(f"params has {str(unknown[0])[:40]!r}, which is none. There is: {', '.join(PARAMS)}")
    return asked


class Served(PythonModel):
    """The detector of a cell behind MLflow's interface."""

    _skip_type_hint_validation = True  # or MLflow warns of an input that is no list of records

    def load_context(self, context: Any) -> None:
        self.detector = load_detector(context.artifacts["cell"])
        self.lock = Lock()  # a model is called with parameters that are put into it: by one request at a time

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """Score, p-value and flag of each image; raises ``Refused``."""
        asked = _asked()
        alpha = (params or {}).get("alpha", self.detector.alpha)
        images = self._images(model_input)
        try:
            refuse_alpha(alpha)
            if "alpha" in asked and (why := too_few(len(self.detector.calibration_scores), alpha)) is not None:
                raise Refused(f"{why}: ask for a larger one")
            with self.lock:
                scores = self.detector.anomaly_scores(images)
        except OutOfRange as error:  # its advice is for who fits a detector
            raise Refused(f"{error.found}. Send whole numbers from 0 to 255, or floats from 0 to 1") from error
        except ValueError as error:
            raise Refused(one_line(error, 500)) from error
        known = self.detector.calibration_scores
        return pd.DataFrame(
            {"score": scores, "p_value": p_values(scores, known), "flagged": flagged(scores, known, alpha)}
        )

    def _images(self, given: Any) -> np.ndarray:
        if isinstance(given, dict):
            (given,) = given.values()  # MLflow has refused any but the one of the signature
        channels, height, width = self.detector.image_shape_
        either = f" or (N, {height}, {width})" if channels == 1 else ""
        allowed = f"images are an array (N, {channels}, {height}, {width}){either}"
        array = np.asarray(given)
        if array.dtype == object:  # as MLflow hands on what came as JSON
            try:
                array = np.array(array.tolist())
            except ValueError:
                raise Refused(f"the lists are of unequal lengths; {allowed}") from None
        if array.size == 0:
            raise Refused(f"there is no image in an array of shape {array.shape}; {allowed}")
        if array.dtype.kind not in "buif":
            raise Refused("a pixel is no number: pixels are whole numbers from 0 to 255, or floats from 0 to 1")
        if array.ndim not in (3, 4):
            raise Refused(f"an array of shape {array.shape}: {allowed}; one image alone goes into a list")
        if len(array) > MOST:
            raise Refused(f"{len(array)} images are too many for one request, at most {MOST}: send them in parts")
        if not np.isfinite(array).all():
            raise Refused("a pixel is NaN or infinite: pixels are whole numbers from 0 to 255, or floats from 0 to 1")
        return array


set_model(Served())
