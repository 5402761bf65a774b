"""Scoring: batches that memory has no room for, and being stopped."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.engine.fleet import Fleet
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Interrupted
from benchmark.models.ae import AE

IMAGES = torch.randint(0, 256, (50, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
ALL = torch.arange(50)


class Narrow(AE):
    """An autoencoder on a machine that has room for so many images."""

    room = 50

    def assess(self, images: Tensor, noise: Any) -> dict[str, Any]:
        if len(images) > self.room:
            raise torch.OutOfMemoryError(f"no room for {len(images)} images")
        return super().assess(images, noise)


def scores(room: int, batch_size: int = 50) -> Tensor:
    torch.manual_seed(0)
    model = Narrow((1, 28, 28), hidden=(8,), latent=2)
    model.room = room
    (found,) = score_images(Fleet([model]), IMAGES, [View(ALL, 0)], Scoring(batch_size))
    return found.scores["reconstruction"]


@pytest.mark.parametrize("room", [7, 1])
def test_batches_shrink_where_memory_runs_out(room: int, capsys: pytest.CaptureFixture[str]) -> None:
    torch.testing.assert_close(scores(room), scores(50))
    assert "no memory for 1 x 50 images; going on with 25" in capsys.readouterr().err


def test_one_image_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        scores(0)


def test_scoring_can_be_stopped() -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        score_images(Fleet([AE((1, 28, 28), hidden=(8,))]), IMAGES, [View(ALL, 0)], Scoring(10, stop=stop))
