"""The steps of a fleet: what fails is tried again with fewer cells."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch

from benchmark.engine.state import Interrupted
from benchmark.sweep.steps import _fewer, _retry_smaller, _split_by_epoch


def attempts(fails: dict[int, Exception], largest: int, items: range) -> tuple[list[list[int]], list[object]]:
    """What is tried, and what comes of it, where a part fails that holds one of ``fails`` or more than ``largest``."""
    tried: list[list[int]] = []

    def attempt(part: Sequence[int]) -> str:
        tried.append(list(part))
        for item in part:
            if item in fails:
                raise fails[item]
        if len(part) > largest:
            raise torch.OutOfMemoryError("full")
        return "".join(map(str, part))

    return tried, [found for _, found in _retry_smaller(attempt, [items], _fewer)]


def test_memory_that_runs_out_halves_a_fleet() -> None:
    tried, found = attempts({}, 2, range(5))
    assert tried == [[0, 1, 2, 3, 4], [0, 1], [2, 3, 4], [2], [3, 4]]
    assert found == ["01", "2", "34"]


def test_one_cell_that_fails_stops_no_other() -> None:
    error = ValueError("no")
    tried, found = attempts({1: error}, 9, range(4))
    assert found == ["0", error, "23"]
    assert tried == [[0, 1, 2, 3], [0], [1, 2, 3], [1], [2, 3]]


def test_what_is_given_up_is_not_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    tried, found = attempts({2: Interrupted("stopped")}, 9, range(4))
    assert (tried, found) == ([[0, 1, 2, 3]], [])
    assert capsys.readouterr().err == ""


def test_a_fleet_is_at_one_epoch() -> None:
    starts = [SimpleNamespace(cell=i, epoch=epoch) for i, epoch in enumerate((3, 0, 3, 1))]
    assert [[start.cell for start in part] for part in _split_by_epoch(starts)] == [[1], [3], [0, 2]]
