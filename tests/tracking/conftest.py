"""What the tests of this room share."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.config import TrackingConfig
from benchmark.tracking.tracker import Tracker


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that ``Tracker.open`` has made from nothing: its migrations take seconds, so tests copy it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path_factory.mktemp("blank") / "made" / "on the way"
        Tracker.open(TrackingConfig(), folder, "blank").close()
    return folder / "mlflow.db"
