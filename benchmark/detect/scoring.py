"""The work of ``benchmark.score``: score images or judge a table again, write what was found, and say it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.config import UsageError
from benchmark.data.writing import replacing
from benchmark.detect.drift import Drift
from benchmark.detect.labels import auroc_line
from benchmark.detect.loading import SAVED, Loaded
from benchmark.detect.page import SHOWN, build_page
from benchmark.detect.sources import Source, find_source
from benchmark.detect.streaming import Judge, Tally
from benchmark.detect.table import Row, drop_unfinished, landing, read_table, table_at, table_on
from benchmark.detect.watching import Folder, recalled
from benchmark.say import shown

FEW = 10  # images of which no share is worth a line
BAD = 20  # bad images that are named one a line


@dataclass(frozen=True)
class Task:
    """Who judges, and where it goes."""

    loaded: Loaded
    judge: Judge
    out: Path | None = None  # the table; None: stdout
    page: Path | None = None
    calibrated: bool = False  # by other images than the cell's own
    normal: str | None = None  # label of normal images


def judge_of(loaded: Loaded, alpha: float, calibrate: Path | None = None) -> Judge:
    """A cell as judge, with its own calibration images or those at ``calibrate``.

    Raises ``UsageError`` where these are too few to flag anything at ``alpha``, or cannot be scored.
    """
    keep_aspect = bool((loaded.config.get(SAVED) or loaded.config["dataset"]).get("keep_aspect", False))
    judge = Judge(loaded.scorer, loaded.calibration, alpha, loaded.shape, keep_aspect, loaded.levels)
    if calibrate is not None:
        judge = replace(judge, calibration=_calibration(judge, calibrate))
    if alpha >= 1 / (len(judge.calibration) + 1) - 1e-9:
        return judge
    if calibrate is None and len(judge.calibration) == 0:
        raise UsageError(
            f"cell={loaded.record.path} kept no images to calibrate (split.calibration_share=0). Type calibrate=<a "
            "folder of normal images>"
        )
    count = len(judge.calibration)
    raise UsageError(
        f"alpha={alpha} flags nothing: with {count:,} calibration images the smallest p-value is 1/{count + 1} = "
        f"{1 / (count + 1):.3g}. Type a larger alpha, or calibrate=<a folder of more normal images>"
    )


def _calibration(judge: Judge, path: Path) -> np.ndarray:
    """Scores of other normal images, which training has not seen: float64 (n,)."""
    source = find_source(path, judge.shape, judge.levels, "calibrate")
    scores = []
    with _progress(f"calibrating with {path.name}", len(source.items)) as advance:
        for rows in judge.rows(source):
            for row, _ in rows:
                if row.score is None:
                    raise UsageError(f"calibrate={path}: {row.path} cannot be scored ({row.reason}). Take it out")
                scores.append(row.score)
            advance(len(rows))
    return np.array(scores)


def score(task: Task, source: Source, name: str) -> int:
    """Score images as they are read; 1 if one of them cannot be, else 0. ``name`` is what they are called."""
    tally = Tally(SHOWN if task.page is not None else 0)
    start = time.perf_counter()
    warm = None  # when the first images were scored, and how many: what comes once took its time with them
    with table_at(task.out) as table, _progress(f"scoring {name}", len(source.items)) as advance:
        for rows in task.judge.rows(source):
            table.write([row for row, _ in rows])
            tally.add(rows)
            advance(len(rows))
            warm = warm or (time.perf_counter(), tally.count)
    end = time.perf_counter()
    took = f" in {end - start:.1f} s"
    if warm is not None and tally.count > warm[1]:
        took += f" ({(tally.count - warm[1]) / (end - warm[0]):,.0f} a second, after the first {warm[1]:,})"
    lines = _lines(task, tally, source.labelled, took)
    _write_page(task, name, tally, lines)
    return _end(task, tally, lines)


def judge_again(task: Task, path: Path) -> int:
    """Judge the scores of a table by this alpha and these calibration images; no image is read."""
    _, rows = _known(task, path, "scores")
    tally = Tally()
    tally.add([(row, None) for row in rows])
    with table_at(task.out) as table:
        table.write(rows)
    return _end(task, tally, _lines(task, tally, f"the labels of {path.name}"))


def watch(task: Task, folder: Path, interval: float) -> int:
    """Score what is in a folder and what comes into it, until Ctrl-C; rows that the table has are not made again.

    ``interval`` is the time between two looks in seconds. A file that is one size in both is taken for whole.
    """
    if task.out is None:
        raise ValueError("a folder that fills is scored into a file")
    known, tally = _taken_up(task, task.out, folder)
    looks, name = Folder(folder, {row.path for row in known}), folder.absolute().name
    _say(f"watching {folder}: new images are scored into {task.out}; Ctrl-C ends it")
    said: list[str] = []
    try:
        with table_on(task.out) as table:
            while True:
                source = looks.settled()
                for fault in looks.faults:
                    if fault not in said:
                        _say(f"warning: {fault}; what comes into it is scored once it can be")
                said = looks.faults
                if source is not None:
                    for rows in task.judge.rows(source):
                        table.write([row for row, _ in rows])
                        tally.add(rows)
                        for row, _ in rows:
                            _say(_in_words(row))
                    _write_page(task, name, tally, _lines(task, tally, ""))
                time.sleep(interval)
    except KeyboardInterrupt:
        return _end(task, tally, _lines(task, tally, ""))


def _taken_up(task: Task, out: Path, folder: Path) -> tuple[list[Row], Tally]:
    """The rows that ``out`` has of a folder that fills, by this judge, as table and page then have them."""
    tally = Tally(SHOWN if task.page is not None else 0)
    if out.exists():
        drop_unfinished(out)
    if not out.exists() or not out.stat().st_size:
        return [], tally
    before, known = _known(task, out, "out")
    if any(old.flagged != new.flagged or _differ(old, new) for old, new in zip(before, known, strict=True)):
        with table_at(out) as table:
            table.write(known)
        was, now = (sum(bool(row.flagged) for row in rows) for rows in (before, known))
        alpha, count = task.judge.alpha, len(known)
        _say(f"{out} is judged again by alpha={alpha}: {now:,} of {count:,} are flagged, before {was:,}")
    rows, gone = recalled(task.judge, known, folder, tally.most)
    tally.add(rows)
    if gone:
        _say(
            f"{gone:,} of the {len(tally.top):,} images with the highest scores are no longer there, or are other ones "
            "now: the page has no pictures of them"
        )
    if known:
        _write_page(task, folder.absolute().name, tally, _lines(task, tally, ""))
    return known, tally


def _known(task: Task, path: Path, key: str) -> tuple[list[Row], list[Row]]:
    """The rows of a table, and as this judge judges them. Raises ``UsageError`` for those of another cell or rule."""
    before = read_table(path, key)
    rows = task.judge.again(before)
    own = replace(task.judge, calibration=task.loaded.calibration)
    if _fit(before, rows) or (task.calibrated and _fit(before, own.again(before))):
        known = [row.p_value for row in rows if row.p_value is not None]
        if known and set(known) <= {1.0, 1 / (len(task.judge.calibration) + 1)}:
            _say(
                f"warning: {key}={path}: every image scores above or below all calibration images, so that nothing "
                "tells whether this cell and rule wrote it. Make sure that they did"
            )
        return before, rows
    those = "of calibrate= nor those of the cell's own" if task.calibrated else "of the cell's"
    raise UsageError(
        f"{key}={path} was not written with this cell and rule: its p-values are not those {those} calibration "
        "images. Name the cell and rule that wrote it, or calibrate= as then"
    )


def _fit(before: Sequence[Row], rows: Sequence[Row]) -> bool:
    return not any(_differ(*pair) for pair in zip(before, rows, strict=True))


def _differ(before: Row, now: Row) -> bool:
    return before.p_value is not None and now.p_value is not None and abs(before.p_value - now.p_value) > 1e-6


def _in_words(row: Row) -> str:
    if row.score is None:
        return f"  {shown(row.path)}: {row.reason}"
    return f"  {shown(row.path)}: score {row.score:.6g}, p-value {row.p_value:.3g}{', flagged' if row.flagged else ''}"


# at the end


def _lines(task: Task, tally: Tally, labelled: str, took: str = "") -> list[str]:
    """What was found, a line each; ``took`` says how long."""
    record, judge = task.loaded.record, task.judge
    axes, by = record.axes, task.loaded.rule or f"its own score ({record.status.headline})"
    whose = "given with calibrate=" if task.calibrated else "kept from training"
    lines = [
        f"Scores: {axes.model} trained on {axes.dataset} ({axes.normal_class_name or axes.normal_class}), by {by}; "
        f"p-values by {len(judge.calibration):,} normal images {whose}; alpha={judge.alpha}"
    ]
    lines.append(
        f"{tally.count:,} of {tally.count + len(tally.bad):,} images scored{took if tally.count >= FEW else ''}"
    )
    if tally.count >= FEW:
        lines.append(Drift(tally.flagged, tally.count, judge.alpha, len(judge.calibration)).line)
    auroc = auroc_line(tally.labels, record.status, task.normal, labelled)
    return lines if auroc is None else [*lines, auroc]


def _end(task: Task, tally: Tally, lines: Sequence[str]) -> int:
    """Say what was found; 1 if an image could not be scored."""
    for line in lines:
        _say(line)
    for what, path in (("Table", task.out), ("Page", task.page)):
        if path is not None and path.exists():
            _say(f"{what}: {path}")
    for row in tally.bad[:BAD]:
        _say(f"benchmark.score: {shown(row.path)}: {row.reason}")
    if len(tally.bad) > BAD:
        _say(f"benchmark.score: and {len(tally.bad) - BAD:,} more: the column reason of the table names them")
    return 1 if tally.bad else 0


def _write_page(task: Task, name: str, tally: Tally, lines: Sequence[str]) -> None:
    if task.page is None:
        return
    text = build_page(name, lines, tally, task.judge.scorer, len(task.judge.calibration))
    with replacing(landing(task.page)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, to stderr; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        number = bar.add_task(what, total=total)
        yield lambda count: bar.advance(number, count)
