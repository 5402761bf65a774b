"""What comes from records of others is printed without control characters."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.config import UsageError
from benchmark.detect.loading import load_cell
from benchmark.report.committed import Committed
from benchmark.store.experiments import collect
from tests.tracking.test_tracker import EXPERIMENT, cell, job

REASON = "a\n\x1b[31mb"


def test_the_reason_of_a_failed_record(tmp_path: Path) -> None:
    record = cell(tmp_path, state="failed", reason=REASON, metrics={})
    job(record, output=tmp_path)
    (one,) = collect(tmp_path, EXPERIMENT).cells
    assert one.reason == r"a \x1b[31mb"
    with pytest.raises(UsageError, match=r"scores nothing: a\\n\\x1b\[31mb. Train it again"):
        load_cell(record.path)


def test_the_revision_of_a_report(tmp_path: Path) -> None:
    committed = Committed(tmp_path, {"report_git_revision": "\x1b[31mabc"}, pd.DataFrame())
    assert committed.revision == r"\x1b[31mabc"
