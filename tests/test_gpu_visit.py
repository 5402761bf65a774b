"""The visit to a GPU, rehearsed on the CPU: what one step does not survive, the others and the file do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tools.gpu_visit import __main__ as visit
from tests.tools.gpu_visit import steps


def test_steps_are_written_one_by_one_and_a_failure_is_told(tmp_path: Path) -> None:
    done = visit.run("memory", ["cpu", "true", str(tmp_path)], 600, {})
    assert done["state"] == "done", done["output"]
    assert done["findings"]["batches that had no room"] > 0
    assert done["findings"]["rows of the smallest"] > 64
    assert done["findings"]["scores are the same"]
    failed = visit.run("machine", ["nowhere", "true", str(tmp_path)], 600, {})
    assert failed["state"].startswith("failed")
    assert "nowhere" in failed["output"]
    visit.write(tmp_path, {"memory": done, "machine": failed})
    assert json.loads((tmp_path / "visit.json").read_text(encoding="utf-8"))["memory"] == done
    text = (tmp_path / "visit.md").read_text(encoding="utf-8")
    assert "scores are the same: True" in text
    assert "nowhere" in text


def test_a_step_that_hangs_is_ended_at_its_limit(tmp_path: Path) -> None:
    found = visit.run("contract", ["cpu", "false", str(tmp_path)], 0.5, {})
    assert found["state"] == "stopped at its limit of 0 s"
    assert visit.run("contract", ["cpu", "false", str(tmp_path)], -1, {})["state"] == "no time was left"


def test_what_it_does_not_know_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert visit.main(["out=x", "only=everything"]) == 2
    assert visit.main(["device=cpu"]) == 2
    assert "Type: python -m tests.tools.gpu_visit out=FOLDER" in capsys.readouterr().err


def test_every_step_has_a_limit_and_the_estimates_are_those_of_the_page() -> None:
    assert set(visit.LIMITS) == set(steps.STEPS)
    assert sum(visit.LIMITS.values()) <= 40 * 60
    assert set(steps.estimates()) == set(steps.CORE)
    assert steps.estimates()["ae"] > 1
