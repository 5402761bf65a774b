"""The visit to a GPU, rehearsed on the CPU: what one step does not survive, the others and the file do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.tools.gpu_visit import __main__ as visit
from tests.tools.gpu_visit import pack, steps


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
    assert visit.main(["out=x", "minutes=abc"]) == 2
    assert visit.main(["out=x", "tiny=yes"]) == 2
    assert not Path("x").exists()
    assert "Type: python -m tests.tools.gpu_visit out=FOLDER" in capsys.readouterr().err


def test_what_is_packed_is_found_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data as they were, and a wheel that a process there can import; half a luggage is none."""
    data, wheel, luggage = tmp_path / "data", tmp_path / "lacking-1.0-py3-none-any.whl", tmp_path / ".visit"
    monkeypatch.setenv("BENCHMARK_DATA", str(data))
    with pytest.raises(SystemExit, match=r"MNIST/raw/labels is missing\. Type: python -m benchmark\.prepare"):
        pack.pack(luggage, ["MNIST/raw/labels"], [str(wheel)])
    (data / "MNIST" / "raw").mkdir(parents=True)
    (data / "MNIST" / "raw" / "labels").write_bytes(b"0123456789" * 100)
    with pytest.raises(subprocess.CalledProcessError):
        pack.pack(luggage, ["MNIST/raw/labels"], [str(wheel)])
    assert pack.unpack(tmp_path / "there", luggage) == {}
    info = {"METADATA": "Metadata-Version: 2.1\nName: lacking\nVersion: 1.0\n", "RECORD": "",
            "WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}  # fmt: skip
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("lacking.py", "WORD = 'found'\n")
        for name, text in info.items():
            file.writestr(f"lacking-1.0.dist-info/{name}", text)
    pack.pack(luggage, ["MNIST/raw/labels"], [str(wheel)])
    more = pack.unpack(tmp_path / "there", luggage)
    assert (Path(more["BENCHMARK_DATA"]) / "MNIST" / "raw" / "labels").read_bytes() == b"0123456789" * 100
    words = [sys.executable, "-c", "import lacking; print(lacking.WORD)"]
    assert subprocess.run(words, env={**os.environ, **more}, capture_output=True, text=True).stdout == "found\n"


def test_every_step_has_a_limit_and_the_estimates_are_those_of_the_page() -> None:
    assert set(visit.LIMITS) == set(steps.STEPS)
    assert sum(visit.LIMITS.values()) <= 40 * 60
    assert set(steps.estimates()) == set(steps.CORE)
    assert steps.estimates()["ae"] > 1
