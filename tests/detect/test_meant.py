"""Which cell of an experiment is meant by what is typed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.cells import Axes
from benchmark.config import UsageError
from benchmark.detect import choosing


def planned(number: int, names: list[str]) -> Any:
    axes = Axes(
        model="pca", dataset="numc", split="one_vs_rest", normal_class=number, normal_class_name=names[number], seed=0
    )
    record = SimpleNamespace(config=lambda: {"dataset": {"classes": names}})
    return SimpleNamespace(axes=axes, record=record, state="done", folder=f"cell{number}", name=f"pca {number}")


def choose(monkeypatch: pytest.MonkeyPatch, typed: str, names: list[str]) -> Any:
    cells = [planned(number, names) for number in range(len(names))]
    monkeypatch.setattr(choosing, "experiments", lambda _: ["e"])
    monkeypatch.setattr(choosing, "collect", lambda *_: SimpleNamespace(cells=cells))
    return choosing.choose_cell("outputs", "e", None, {"class": typed})[0]


def test_a_number_that_can_be_two_classes_is_refused_and_quotes_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"class=1 can be two classes: the one called 1 \(index 0\)"):
        choose(monkeypatch, "1", ["1", "2"])
    assert [choose(monkeypatch, typed, ["1", "2"]) for typed in ("'1'", "0", "'2'", "2")] == [
        *("cell0", "cell0", "cell1", "cell1")
    ]
    assert [choose(monkeypatch, typed, ["0", "1"]) for typed in ("0", "1")] == ["cell0", "cell1"]
