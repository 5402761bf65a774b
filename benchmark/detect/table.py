"""The table of scores: one row an image, written as it grows; and read again, to judge by another alpha."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from benchmark.config import UsageError
from benchmark.data.writing import replacing
from benchmark.say import one_line

COLUMNS = ("path", "score", "p_value", "flagged", "label", "reason")
TEXTS = ("path", "label", "reason")
TRUTH = {None: "", False: "false", True: "true"}


class Row(NamedTuple):
    """One image; without a score it has a reason."""

    path: str
    score: float | None = None  # a float32, larger = more anomalous
    p_value: float | None = None
    flagged: bool | None = None
    label: str | None = None
    reason: str | None = None


class Writer(Protocol):
    """Takes rows as they come."""

    def write(self, rows: Sequence[Row]) -> None: ...


class CsvWriter:
    """Rows as lines; scores with nine digits, which name a float32."""

    def __init__(self, file: IO[str], head: bool = True) -> None:
        self.file, self.lines = file, csv.writer(file, lineterminator="\n")
        if head:
            self.lines.writerow(COLUMNS)
            file.flush()

    def write(self, rows: Sequence[Row]) -> None:
        self.lines.writerows(
            (path, _number(score), _number(p_value), TRUTH[flagged], label, reason)
            for path, score, p_value, flagged, label, reason in rows
        )
        self.file.flush()


class ParquetWriter:
    """Rows as row groups, one a call."""

    def __init__(self, file: Any) -> None:
        import pyarrow
        import pyarrow.parquet

        kinds = pyarrow.string(), pyarrow.float32(), pyarrow.float64(), pyarrow.bool_(), *[pyarrow.string()] * 2
        self.schema = pyarrow.schema(list(zip(COLUMNS, kinds, strict=True)))
        self.file = pyarrow.parquet.ParquetWriter(file, self.schema)

    def write(self, rows: Sequence[Row]) -> None:
        import pyarrow

        columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
        self.file.write_table(pyarrow.table(columns, self.schema))


def landing(path: Path) -> Path:
    """Where what is written as ``path`` has to lie: what a link leads to, so that the link stays one."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def table_at(path: Path | None) -> Iterator[Writer]:
    """What writes the table at ``path``, by its ending, which is there once it is whole; None: as CSV to stdout."""
    if path is None:
        yield CsvWriter(sys.stdout)
        return
    with replacing(landing(path)) as temporary:
        if path.suffix.lower() == ".parquet":
            writer = ParquetWriter(temporary)
            try:
                yield writer
            finally:
                writer.file.close()
        else:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                yield CsvWriter(file)


@contextmanager
def table_on(path: Path) -> Iterator[Writer]:
    """What writes further lines to a CSV, whether it is there or not: for a folder that fills."""
    fresh = not path.exists() or path.stat().st_size == 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as file:
        yield CsvWriter(file, fresh)


def is_table(path: Path) -> bool:
    """Whether what lies at ``path`` is a table that was written here, or its beginning; an empty file is too."""
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet

        try:
            return path.stat().st_size == 0 or set(COLUMNS) <= set(pyarrow.parquet.read_schema(path).names)
        except (OSError, ValueError):  # pyarrow's own errors are of these kinds
            return False
    with path.open("rb") as file:
        first = file.readline(1000)
    head = ",".join(COLUMNS).encode()
    return first.rstrip(b"\r\n") == head or head.startswith(first)


def drop_unfinished(path: Path) -> None:
    """Cut a line that a killed process did not finish off the end of a table."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    while whole.count(b'"') % 2:  # the line ends within a quoted text
        whole = whole[: whole.rfind(b"\n", 0, -1) + 1]
    if whole != content:
        with path.open("r+b") as file:
            file.truncate(len(whole))


def read_table(path: Path, key: str = "scores") -> list[Row]:
    """The rows of a table. Raises ``UsageError`` for what is none."""
    import pandas as pd

    if not path.is_file():
        raise UsageError(f"{key}={path} does not exist. Type {key}=<a table that benchmark.score has written>")
    try:
        if path.suffix.lower() == ".parquet":
            found = pd.read_parquet(path)
        else:  # a file may be called NA
            found = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=[""])
        lacking = [name for name in ("path", "score") if name not in found.columns]
        if lacking:
            raise ValueError(f"it has no column {lacking[0]}")
        found = found.reindex(columns=COLUMNS)
        with np.errstate(over="ignore"):  # said below
            scores = pd.to_numeric(found["score"]).astype(np.float32).astype(np.float64)  # what its nine digits name
        if np.isinf(scores).any():
            first = int(np.isinf(scores).argmax())
            raise ValueError(f"row {first + 1} has the score {found['score'][first]}, and a score is a finite float32")
        p = pd.to_numeric(found["p_value"]).astype(np.float64)
    except (OSError, ValueError, TypeError) as error:  # pandas' and pyarrow's own errors are of these kinds
        raise UsageError(f"{key}={path} is no table of scores: {one_line(error)}") from error
    texts = {name: [None if pd.isna(value) else str(value) for value in found[name]] for name in TEXTS}
    flags = [None if pd.isna(value) else str(value).lower() == "true" for value in found["flagged"]]
    return [
        Row(texts["path"][i] or "", _some(score), _some(p[i]), flags[i], texts["label"][i], texts["reason"][i])
        for i, score in enumerate(scores)
    ]


def _some(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"
