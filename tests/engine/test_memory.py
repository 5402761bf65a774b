"""Peak memory of training and scoring: what is held at most, of whom, and by which part of the work."""

from __future__ import annotations

import time
from threading import Event, Thread

import pytest
import torch

from benchmark.engine.fleet import Fleet
from benchmark.engine.memory import TICK, Peak, given_out, larger, measured, size_of
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from tests.tiny_models import build

MIB = 2**20
pytestmark = pytest.mark.skipif(given_out() is None, reason="malloc keeps no count here")


def hold(mib: int, seconds: float = 0.05) -> None:
    block = torch.ones(mib * MIB // 4)
    time.sleep(seconds)
    del block


def test_it_is_the_most_that_was_held_not_the_sum() -> None:
    before = torch.ones(50 * MIB // 4)
    with measured("cpu", 1) as span:
        hold(40)
        hold(64, 2 * TICK)  # or, where all takes longer, no look may fall into it
        hold(24)
    assert span.peak is not None
    near = 63 <= span.peak.bytes / MIB < 72  # others free what they held, too
    assert near, "what was there before counts, or what was freed"
    assert span.peak.cells == 1
    assert len(before)


def test_fleets_side_by_side_are_told_as_such() -> None:
    """The number is of a whole process; so is the count of cells, of each of both, and of none that came later."""
    begun, ended, found = Event(), Event(), []

    def beside() -> None:
        with measured("cpu", 5) as span:
            begun.set()
            hold(32)
            ended.wait(20)
        found.append(span.peak)

    other = Thread(target=beside)
    with measured("cpu", 2) as span:
        other.start()
        assert begun.wait(20)
        ended.set()
        other.join()
    with measured("cpu", 3) as alone:
        hold(1)
    assert span.peak is not None and alone.peak is not None  # noqa: PT018
    assert [span.peak.cells, found[0].cells, alone.peak.cells] == [7, 7, 3]
    assert min(span.peak.bytes, found[0].bytes) >= 31 * MIB > alone.peak.bytes  # what else was held may be let go


def test_an_error_ends_the_measurement() -> None:
    with pytest.raises(RuntimeError, match="of the fleet"), measured("cpu", 4):
        raise RuntimeError("of the fleet")
    with measured("cpu", 1) as span:
        pass
    assert span.peak is not None
    assert span.peak.cells == 1


def test_where_nothing_counts_there_is_no_number() -> None:
    with measured("mps", 1) as span:
        hold(1)
    assert span.peak is None
    assert larger(None, Peak(1, 1), 0) is None
    assert larger(Peak(1, 1), None, 0) is None


def test_scoring_holds_the_trained_model_too() -> None:
    assert larger(Peak(10, 5), Peak(4, 1), 5) == Peak(10, 5)
    assert larger(Peak(10, 5), Peak(4, 1), 7) == Peak(11, 1)
    assert size_of({"a": torch.zeros(3), "b": torch.zeros(2, 2, dtype=torch.float64)}) == 12 + 32


def peak_of(hidden: int) -> Peak:
    """Of a real training and scoring of an autoencoder so wide."""
    images = torch.randint(0, 256, (2000, 1, 28, 28), dtype=torch.uint8)
    with measured("cpu", 1) as training:
        fleet = Fleet([build("ae", 0, hidden=[hidden])])
        train(fleet, images, [Member(torch.arange(2000), 0, 0)], Settings(1, 1000, 8000))
    with measured("cpu", 1) as scoring:
        score_images(fleet, images, [View(torch.arange(2000), 0)], Scoring(1000))
    found = larger(training.peak, scoring.peak, size_of(fleet.stacks))
    assert found is not None
    assert found.bytes > size_of(fleet.stacks)
    return found


def test_a_model_with_more_activations_takes_more() -> None:
    """A thousand images at once at 3,000 more units, in float32, with their slopes: over 22 MiB more."""
    narrow, wide = peak_of(8), peak_of(3008)
    assert wide.bytes - narrow.bytes > 2 * 1000 * 3000 * 4
    assert narrow.bytes < 100 * MIB
