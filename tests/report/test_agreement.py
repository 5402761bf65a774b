"""By which rule a cell is compared, and what is an agreement."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.report.agreement import WITHIN_FITTED, WITHIN_TRAINED, measure

HERE = {
    "cpu": "AMD EPYC", "device": "cpu", "gpu": None, "torch": "2.15.0", "numpy": "2.4.6", "scikit-learn": "1.9.1",
    "instructions": "pinned", "cores": 2,
}  # fmt: skip
FITTED, TRAINED = {"steps": 0}, {"steps": 840}


@pytest.mark.parametrize("changes", [{}, {"cpu": "AMD EPYC 7763"}, {"cores": 64, "git_revision": "f" * 40}])
def test_the_same_vendor_and_libraries_give_the_same_bits(changes: dict[str, Any]) -> None:
    found = measure(TRAINED, [{**HERE, **changes}], HERE)
    assert found.exact
    assert found.tolerance == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cpu": "Intel(R) Xeon(R) Processor"}, "a processor of Intel then, of AMD here"),
        ({"vendor": "Intel"}, "a processor of Intel then, of AMD here"),
        ({"cpu": "a processor"}, "a processor of unknown then, of AMD here"),
        ({"torch": "2.14.0"}, "torch 2.14.0 then, 2.15.0 here"),
        ({"gpu": "NVIDIA H100", "device": "cuda"}, "NVIDIA H100 then, cpu here"),
        ({"instructions": "machine"}, "instructions machine then, pinned here"),
    ],
)
def test_what_moves_last_digits_is_named_and_has_a_tolerance(changes: dict[str, Any], why: str) -> None:
    for row, tolerance in (
        (FITTED, WITHIN_FITTED),
        (TRAINED, WITHIN_TRAINED),
        ({"steps": float("nan")}, WITHIN_TRAINED),
    ):
        found = measure(row, [HERE, {**HERE, **changes}], HERE)
        assert not found.exact
        assert (found.why, found.tolerance) == (why, tolerance)


def test_instructions_of_the_machine_are_of_one_processor() -> None:
    own = {**HERE, "instructions": "machine"}
    assert measure(FITTED, [own], own).exact
    assert not measure(FITTED, [{**own, "cpu": "AMD EPYC 7763"}], own).exact


def test_what_was_not_noted_is_not_taken_for_the_same() -> None:
    assert not measure(FITTED, [], HERE).exact
