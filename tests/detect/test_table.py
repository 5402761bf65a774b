"""The table of scores is written and read without loss."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.config import UsageError
from benchmark.detect.table import Row, read_table, table_at, table_on

ROWS = [
    Row("a, b.png", float(np.float32(1 / 3)), 1 / 7, False, "good"),
    Row('"c".png', float(np.float32(-1e-7)), 0.5, True),
    Row("d.png", reason="cut off"),
    Row("NA", float(np.float32(16777217)), 1.0, False, "NA"),
]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_written_is_read_again(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"new.{ending}"
    with table_at(path) as table:
        table.write(ROWS[:2])
        assert not path.exists()
        table.write(ROWS[2:])
    found = read_table(path)
    assert [row.score for row in found] == [row.score for row in ROWS]
    assert [row.path for row in found] == [row.path for row in ROWS]
    assert [row.reason for row in found] == [row.reason for row in ROWS]
    assert [row.label for row in found] == [row.label for row in ROWS]
    frame = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert list(frame) == ["path", "score", "p_value", "flagged", "label", "reason"]
    assert frame["flagged"].tolist()[:2] == [False, True]
    assert pd.isna(frame["flagged"][2])


def test_what_fails_half_way_leaves_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("old")
    with suppress(KeyboardInterrupt), table_at(path) as table:
        table.write(ROWS)
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["new.csv"]


def test_a_table_that_grows_has_one_head(tmp_path: Path) -> None:
    for rows in (ROWS[:2], ROWS[2:]):
        with table_on(tmp_path / "deep" / "new.csv") as table:
            table.write(rows)
    assert len(read_table(tmp_path / "deep" / "new.csv")) == 4


@pytest.mark.parametrize(
    ("content", "says"),
    [("", "is no table of scores"), ("path,number\na,1\n", "it has no column score"), ("path,score\na,high\n", "high")],
)
def test_another_file_is_refused(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "new.csv").write_text(content)
    with pytest.raises(UsageError, match=says):
        read_table(tmp_path / "new.csv")
    with pytest.raises(UsageError, match="does not exist"):
        read_table(tmp_path / "none.csv")


@pytest.mark.filterwarnings("error")
def test_a_score_beyond_a_float32_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("path,score\na,1\nb,1e39\n")
    with pytest.raises(UsageError, match=r"row 2 has the score 1e\+39, and a score is a finite float32"):
        read_table(tmp_path / "new.csv")
