"""Runs say where they come from, and what they are, as MLflow's own runs do."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from benchmark.tracking.origin import origin_tags, program_of, user
from benchmark.tracking.texts import code, description_of
from tests.tracking.test_tracker import REVISION, cell, connect, job, output, runs  # noqa: F401


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # MLflow's file of credentials lies there


def test_a_job_and_its_cells_name_source_user_and_commit(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("LOGNAME", "somebody")
    tracker, record = connect(output), cell(output)
    parent = tracker.start_job(job(record, output=output))
    assert tracker.log_cell(record, parent)
    for run in runs(tracker, ""):
        tags = run.data.tags
        assert tags["mlflow.source.name"] == "benchmark"
        assert tags["mlflow.source.type"] == "LOCAL"
        assert tags["mlflow.source.git.commit"] == REVISION
        assert tags["mlflow.user"] == run.info.user_id == "somebody"
    described = tracker.client.get_run(parent).data.tags["mlflow.note.content"]
    assert described == "1 cell of `vae` on `fashion_mnist`, `one_vs_rest`.\n\n`python -m benchmark -m model=vae`"


def test_the_commit_is_that_of_the_record_and_left_out_where_it_is_not_known() -> None:
    assert origin_tags("", f"{REVISION}+changes")["mlflow.source.git.commit"] == REVISION
    assert "mlflow.source.git.commit" not in origin_tags("", "unknown")


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("python -m benchmark.rescore experiment=a", "benchmark.rescore"),
        ("python -m benchmark 'model=vae'", "benchmark"),
        ("", "benchmark"),
        ("an 'open quote", "benchmark"),
        ("/home/somebody/bin/train.py", "benchmark"),
    ],
)
def test_the_source_is_a_module_and_no_path(command: str, program: str) -> None:
    assert program_of(command) == program


def test_the_user_is_the_one_that_mlflow_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody")
    assert user() == "somebody"
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "account")
    assert user() == "account"


def test_an_account_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert user() == "unknown"


def test_a_description_shows_names_letter_by_letter(tmp_path: Path) -> None:
    assert code("a`b") == "``a`b``"
    assert code("`<script>") == "`` `<script> ``"
    assert code("two\nlines") == "`two lines`"
    failed = cell(tmp_path, state="failed", reason="ValueError: `x`\nno", class_name="[a](http://b)", metrics={})
    described = description_of(failed)
    assert "class 3 (`[a](http://b)`)" in described
    assert described.endswith("\n\nFailed: ``ValueError: `x` no``") or described.endswith("`` ValueError: `x` no ``")
    assert description_of(cell(tmp_path)).endswith(
        "Score `reconstruction` of `test` images: auroc 0.3333, fpr95 0.0000."
    )
