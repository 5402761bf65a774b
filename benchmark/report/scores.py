"""Scores of every image in one Parquet file, so that anybody can try another statistic, sum of rules or threshold.

A row an image and score: dataset, split, evaluate_on, class, seed, model, variant, score, index, label, value. The
score ``headline`` is the model's own, others are rules. Rows of one cell and score stand together, by their index; a
reader in ten lines is in docs/verify.md. Texts and counts compress to next to nothing; a float32 takes 3.2 bytes.

As levels the file takes a third: in place of the value stands how many times the kind of image, normal or anomalous,
has changed on the way up to it (``report/measures/levels.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.config import UsageError, refusal
from benchmark.data.files import sha256_of
from benchmark.data.writing import replacing
from benchmark.report.hashes import HEADLINE, has_scores, judged
from benchmark.report.measures.levels import levels
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    import pyarrow

    from benchmark.store.records import Record

SCORES_OF = ("headline", "chosen", "all")  # chosen: the headline and the rule that was chosen for model and data set
SCORES_AS = ("values", "levels")
TEXTS = ("dataset", "split", "evaluate_on", "model", "variant", "score")
MAGIC = b"PAR1"  # a Parquet file begins with it
ROWS = 500_000  # of a group of rows, about


@dataclass(frozen=True)
class Wish:
    """The file that was asked for."""

    path: Path
    of: str
    seeds: tuple[int, ...] | None  # None: all
    form: str = SCORES_AS[0]

    @property
    def column(self) -> str:
        """The column that says what an image scores."""
        return self.form.removesuffix("s")


def read_wish(
    path: str | Path | None, of: str, seeds: str | None, replace: bool, form: str = SCORES_AS[0]
) -> Wish | None:
    """What was asked for; None if nothing was. Raises ``UsageError`` for what cannot be."""
    if path is None:
        given = {"scores_seed": seeds is not None, "scores_of": of != SCORES_OF[1], "scores_as": form != SCORES_AS[0]}
        if key := next((key for key, is_given in given.items() if is_given), None):
            raise UsageError(f"{key}= narrows scores=FILE, which is missing. Type: scores=scores.parquet")
        return None
    path = Path(path)
    if path.suffix != ".parquet":
        raise UsageError(refusal("scores", path, "a file whose name ends with .parquet", "scores=scores.parquet"))
    if of not in SCORES_OF:
        raise UsageError(refusal("scores_of", of, "one of " + ", ".join(SCORES_OF), "scores_of=chosen"))
    if form not in SCORES_AS:
        raise UsageError(refusal("scores_as", form, "values or levels", "scores_as=levels"))
    if seeds is not None and not all(word.isdecimal() for word in seeds.split(",")):
        raise UsageError(refusal("scores_seed", seeds, "one seed or several", "scores_seed=0,1"))
    if path.exists() and not replace and not _is_parquet(path):
        raise UsageError(f"scores={path} is a file that no report wrote. Type scores=<another file>, or replace=true")
    return Wish(path, of, None if seeds is None else tuple(int(word) for word in seeds.split(",")), form)


def write_scores(cells: Sequence[PlannedCell], wish: Wish) -> dict[str, Any]:
    """Write the file, and return what the manifest says of it: name, bytes, SHA-256, rows and what it holds.

    Raises ``UsageError`` if nothing is to be written or it cannot be, ``RecordError`` for scores that are damaged.
    """
    import pyarrow.parquet

    count = scores = 0
    try:
        with replacing(wish.path) as temporary:
            with pyarrow.parquet.ParquetWriter(temporary, _schema(wish), **_how(wish)) as writer:
                for table, parts in _tables(cells, wish):
                    writer.write_table(table)
                    count, scores = count + len(table), scores + parts
            if not count:
                raise UsageError(f"scores={wish.path}: no done cell of these seeds has scores. Leave scores= out")
    except OSError as error:
        raise UsageError(f"scores={wish.path} cannot be written ({error.strerror}). Type scores=<a file>") from error
    size = wish.path.stat().st_size
    found = {"file": wish.path.name, "bytes": size, "sha256": sha256_of(wish.path), "rows": count, "scores": scores}
    return found | {"of": wish.of, "as": wish.form, "seeds": list(wish.seeds) if wish.seeds is not None else "all"}


def _tables(cells: Sequence[PlannedCell], wish: Wish) -> Iterator[tuple[pyarrow.Table, int]]:
    """Groups of rows, each with the number of scores in it."""
    import pyarrow

    parts: list[pyarrow.Table] = []
    for cell in cells:
        record = cell.record
        wanted = record is not None and cell.state == "done" and (wish.seeds is None or cell.axes.seed in wish.seeds)
        if record is not None and wanted and has_scores(record):
            parts += _parts(cell, record, wish)
            if sum(map(len, parts)) >= ROWS:
                yield pyarrow.concat_tables(parts), len(parts)
                parts = []
    if parts:
        yield pyarrow.concat_tables(parts), len(parts)


def _parts(cell: PlannedCell, record: Record, wish: Wish) -> Iterator[pyarrow.Table]:
    import pyarrow

    axes, images, schema = cell.axes, judged(record), _schema(wish)
    count = len(images.index)
    named = {"chosen": (HEADLINE, record.status.chosen_rule), "headline": (HEADLINE,)}.get(wish.of)
    for name, values in images.scores.items():
        if named is not None and name not in named:
            continue
        texts = (axes.dataset, axes.split, axes.evaluate_on, axes.model, cell.variant, name)
        columns = {
            **{key: _same(text, count) for key, text in zip(TEXTS, texts, strict=True)},
            "class": pyarrow.array(np.full(count, axes.normal_class, np.int16)),
            "seed": pyarrow.array(np.full(count, axes.seed, np.int64)),
            "index": pyarrow.array(images.index.astype(np.int32)),
            "label": pyarrow.array(images.label.astype(np.int8)),
            "value": pyarrow.array(values.astype(np.float32)),
            "level": pyarrow.array(levels(images.label, values).astype(np.uint32)),
        }
        yield pyarrow.table([columns[field.name] for field in schema], schema=schema)


def _same(text: str, count: int) -> pyarrow.Array:
    import pyarrow

    return pyarrow.DictionaryArray.from_arrays(np.zeros(count, np.int32), [text]).cast(pyarrow.string())


def _schema(wish: Wish) -> pyarrow.Schema:
    import pyarrow

    kind = pyarrow.float32() if wish.column == "value" else pyarrow.uint32()
    kinds = {
        **{name: pyarrow.string() for name in TEXTS[:3]},
        **{"class": pyarrow.int16(), "seed": pyarrow.int64()},
        **{name: pyarrow.string() for name in TEXTS[3:]},
        **{"index": pyarrow.int32(), "label": pyarrow.int8(), wish.column: kind},
    }
    return pyarrow.schema(kinds)


def _how(wish: Wish) -> dict[str, Any]:
    """How the columns are stored: texts and counts as runs, indices as differences, scores byte by byte."""
    return {
        "compression": "zstd",
        "compression_level": 12 if wish.column == "value" else 19,  # a twentieth smaller, three times the time
        "use_dictionary": [*TEXTS, "class", "seed", "label"],
        "column_encoding": {"index": "DELTA_BINARY_PACKED", wish.column: "BYTE_STREAM_SPLIT"},
    }


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
