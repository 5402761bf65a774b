"""Score new images with a finished cell: ``python -m benchmark.score cell=outputs/cells/... images=parts out=new.csv``.

One row an image: its path, score, p-value, and whether it is flagged at ``alpha``. Nothing is trained.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.config import UsageError
from benchmark.sweep.arguments import help_text, parse, true_or_false

if TYPE_CHECKING:
    from benchmark.detect.loading import Loaded
    from benchmark.detect.streaming import Judge, Tally
    from benchmark.detect.table import Row

from benchmark.sweep.arguments import small_command

WHAT = "Score new images with a finished cell: one row an image, with its p-value. Nothing is trained."
KEYS = {
    "cell": "folder of a finished cell, or of a detector that was saved",
    "experiment": "instead: the experiment whose cell scores; its only one, or with choose=best",
    "choose": "best: the cell of the highest AUROC among those of one class",
    "model": "of an experiment: only cells of this model; dataset= and class= likewise",
    "dataset": "of an experiment: only cells of this data set",
    "class": "of an experiment: only cells of this class, by name or number",
    "rule": "the rule that makes the score: a name, or chosen (default: the model's own score)",
    "images": "a folder, an image, a CSV with a column path, or an .npz with an array images",
    "scores": "instead: a table that this command wrote, to be judged by another alpha",
    "out": "the table: a .csv or .parquet file (default: as CSV on stdout)",
    "alpha": "share of normal images that may be flagged (default: 0.05)",
    "calibrate": "a folder, CSV or .npz of normal images whose scores set p-values, instead of the cell's own",
    "normal": "the label of normal images, for an AUROC (default: the cell's class, else good or normal)",
    "page": "an .html file that shows the most anomalous images",
    "watch": "true: go on with what is put into the folder, until Ctrl-C (default: false)",
    "device": "cpu, cuda, ... (default: the one that the cell was trained on, else the CPU)",
    "output_dir": "where records of an experiment are (default: outputs)",
}
EVERY = 2.0  # seconds between two looks at a folder that fills
BAD = 20  # bad images that are named one a line


@dataclass(frozen=True)
class Job:
    """What was typed, checked."""

    settings: Mapping[str, str]
    alpha: float
    images: Path | None
    scores: Path | None
    out: Path | None
    page: Path | None
    watch: bool


@small_command(
    "benchmark.score", lambda: help_text(WHAT, "benchmark.score", KEYS, "cell=outputs/cells/... images=parts")
)
def main(arguments: list[str]) -> int:
    """Run the command line; 0: every image was scored, 1: not every one, 2: an argument is refused."""
    job = _checked(parse(arguments, KEYS))
    cell, why = _cell(job.settings)
    if why:
        _say(why)
    from benchmark.detect.loading import load_cell

    loaded = load_cell(cell, job.settings.get("rule"), job.settings.get("device"))
    judge = _judge(job, loaded)
    if job.scores is not None:
        return _again(job, loaded, judge, job.scores)
    return _score(job, loaded, judge)


# before any work


def _checked(settings: Mapping[str, str]) -> Job:
    def path(key: str) -> Path | None:
        return Path(settings[key]).expanduser() if key in settings else None

    if ("cell" in settings) == ("experiment" in settings):
        raise UsageError("which cell scores? Type either cell=outputs/cells/... or experiment=<name> choose=best")
    if ("images" in settings) == ("scores" in settings):
        raise UsageError("what is to be scored? Type either images=<a folder> or, to judge a table again, scores=<it>")
    if settings.get("choose", "best") != "best":
        raise UsageError(f"choose={settings['choose']} is not allowed: it must be best. Type: choose=best")
    for key in ("choose", "model", "dataset", "class"):
        if key in settings and "cell" in settings:
            raise UsageError(f"{key}= is of an experiment, and cell= names a cell. Leave one of them out")
    for key in ("page", "watch"):
        if key in settings and "scores" in settings:
            raise UsageError(f"{key}= needs the images, and scores= has none. Type images=<a folder> instead")
    out, page = path("out"), path("page")
    watch = true_or_false(settings, "watch", False)
    _refuse_ending("out", out, (".csv",) if watch else (".csv", ".parquet"))
    _refuse_ending("page", page, (".html",))
    for key in ("images", "calibrate"):
        if out is not None and path(key) is not None and out.resolve() == path(key).resolve():  # type: ignore[union-attr]
            raise UsageError(f"out={out} is what {key}= names, which it would replace. Type another out=")
    images = path("images")
    if watch and (images is None or not images.is_dir() or out is None):
        raise UsageError("watch=true looks at a folder and writes a table. Type images=<a folder> out=<a .csv file>")
    return Job(settings, _alpha(settings.get("alpha", "0.05")), images, path("scores"), out, page, watch)


def _alpha(text: str) -> float:
    try:
        alpha = float(text)
    except ValueError:
        alpha = -1.0
    if not 0 < alpha < 1:
        raise UsageError(f"alpha={text} is not allowed: it must be a number above 0 and below 1. Type: alpha=0.05")
    return alpha


def _refuse_ending(key: str, path: Path | None, endings: Sequence[str]) -> None:
    if path is None:
        return
    if path.suffix.lower() not in endings:
        raise UsageError(
            f"{key}={path} is not allowed: it must end in {' or '.join(endings)}. Type: {key}=new{endings[0]}"
        )
    if path.is_dir():
        raise UsageError(f"{key}={path} is a folder. Type the name of a file: {key}={path / ('new' + endings[0])}")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    import os

    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError(f"{key}={path} cannot be written: {parent} is no folder that you may write into")


def _cell(settings: Mapping[str, str]) -> tuple[Path, str]:
    if "cell" in settings:
        return Path(settings["cell"]).expanduser(), ""
    from benchmark.detect.choosing import choose_cell

    narrow = {key: settings[key] for key in ("model", "dataset", "class") if key in settings}
    return choose_cell(settings.get("output_dir", "outputs"), settings["experiment"], settings.get("choose"), narrow)


def _judge(job: Job, loaded: Loaded) -> Judge:
    """The cell as judge, with its own calibration images or those of ``calibrate``."""
    from benchmark.detect.streaming import Judge

    keep_aspect = bool((loaded.config.get("detector") or loaded.config["dataset"]).get("keep_aspect", False))
    judge = Judge(loaded.scorer, loaded.calibration, job.alpha, loaded.shape, keep_aspect, loaded.levels)
    if job.images is not None:
        from benchmark.detect.sources import find_source

        find_source(job.images, judge.shape, judge.levels)
    if "calibrate" in job.settings:
        judge = replace(judge, calibration=_calibration(judge, Path(job.settings["calibrate"]).expanduser()))
    count = len(judge.calibration)
    if job.alpha < 1 / (count + 1) - 1e-9:
        if count == 0:
            raise UsageError(
                f"cell={loaded.record.path} kept no images to calibrate (split.calibration_share=0). Type "
                "calibrate=<a folder of normal images>"
            )
        raise UsageError(
            f"alpha={job.alpha} flags nothing: with {count} calibration images the smallest p-value is 1/{count + 1} = "
            f"{1 / (count + 1):.3g}. Type a larger alpha, or calibrate=<a folder of more normal images>"
        )
    return judge


def _calibration(judge: Judge, path: Path) -> Any:
    """Scores of other normal images, which training has not seen. One that cannot be read is refused."""
    import numpy as np

    from benchmark.detect.sources import find_source

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


# the work


def _score(job: Job, loaded: Loaded, judge: Judge) -> int:
    from benchmark.detect.page import SHOWN
    from benchmark.detect.sources import find_source
    from benchmark.detect.streaming import Tally
    from benchmark.detect.table import table_at

    assert job.images is not None
    if job.watch:
        return _watch(job, loaded, judge)
    source = find_source(job.images, judge.shape, judge.levels)
    tally = Tally(SHOWN if job.page is not None else 0)
    start = time.perf_counter()
    with table_at(job.out) as table, _progress(f"scoring {job.images.name}", len(source.items)) as advance:
        for rows in judge.rows(source):
            table.write([row for row, _ in rows])
            tally.add(rows)
            advance(len(rows))
    seconds = time.perf_counter() - start
    return _end(job, loaded, judge, tally, source.labelled, seconds)


def _again(job: Job, loaded: Loaded, judge: Judge, path: Path) -> int:
    """Judge a table by this alpha and these calibration images; no image is read."""
    from benchmark.detect.streaming import Tally
    from benchmark.detect.table import read_table, table_at

    before = read_table(path)
    rows = judge.again(before)
    if "calibrate" not in job.settings and any(_differ(*pair) for pair in zip(before, rows, strict=True)):
        raise UsageError(
            f"scores={path} was not written with this cell and rule: its p-values are not those of the cell's "
            "calibration images. Name the cell and rule that wrote it, or calibrate= as then"
        )
    tally = Tally()
    tally.add([(row, None) for row in rows])
    with table_at(job.out) as table:
        table.write(rows)
    return _end(job, loaded, judge, tally, f"the labels of {path.name}", None)


def _differ(before: Row, now: Row) -> bool:
    return before.p_value is not None and now.p_value is not None and abs(before.p_value - now.p_value) > 1e-6


def _watch(job: Job, loaded: Loaded, judge: Judge) -> int:
    """Score what is in a folder and what comes into it, until Ctrl-C."""
    from benchmark.detect.page import SHOWN
    from benchmark.detect.streaming import Tally
    from benchmark.detect.table import read_table, table_on
    from benchmark.detect.watching import Folder

    assert job.images is not None
    assert job.out is not None
    tally = Tally(SHOWN if job.page is not None else 0)
    known = read_table(job.out, "out") if job.out.exists() and job.out.stat().st_size else []
    tally.add([(row, None) for row in judge.again(known)])
    folder = Folder(job.images, {row.path for row in known})
    start = time.perf_counter()
    _say(f"watching {job.images}: new images are scored into {job.out}; Ctrl-C ends it")
    try:
        with table_on(job.out) as table:
            while True:
                if (source := folder.settled()) is not None:
                    for rows in judge.rows(source):
                        table.write([row for row, _ in rows])
                        tally.add(rows)
                        for row, _ in rows:
                            _say(_in_words(row))
                    _write_page(job, loaded, judge, tally, [])
                time.sleep(EVERY)
    except KeyboardInterrupt:
        _say("")
        return _end(replace(job, page=None), loaded, judge, tally, "", time.perf_counter() - start)


def _in_words(row: Row) -> str:
    if row.score is None:
        return f"  {row.path}: {row.reason}"
    return f"  {row.path}: score {row.score:.6g}, p-value {row.p_value:.3g}{', flagged' if row.flagged else ''}"


# at the end


def _end(job: Job, loaded: Loaded, judge: Judge, tally: Tally, labelled: str, seconds: float | None) -> int:
    """Say what was found; 1 if an image could not be scored."""
    lines = _lines(job, loaded, judge, tally, labelled, seconds)
    _write_page(job, loaded, judge, tally, lines)
    for line in lines:
        _say(line)
    if job.out is not None:
        _say(f"Table: {job.out}")
    if job.page is not None:
        _say(f"Page: {job.page}")
    for row in tally.bad[:BAD]:
        _say(f"benchmark.score: {row.path}: {row.reason}")
    if len(tally.bad) > BAD:
        _say(f"benchmark.score: and {len(tally.bad) - BAD:,} more: the column reason of the table names them")
    return 1 if tally.bad else 0


def _lines(job: Job, loaded: Loaded, judge: Judge, tally: Tally, labelled: str, seconds: float | None) -> list[str]:
    from benchmark.detect.drift import Drift
    from benchmark.detect.labels import auroc_line

    axes, rule = loaded.record.axes, loaded.rule or f"its own score ({loaded.record.status.headline})"
    whose = "given with calibrate=" if "calibrate" in job.settings else "kept from training"
    lines = [
        f"Scores: {axes.model} trained on {axes.dataset} ({axes.normal_class_name or axes.normal_class}), by "
        f"{rule}; p-values by {len(judge.calibration):,} normal images {whose}; alpha={job.alpha}"
    ]
    total = tally.count + len(tally.bad)
    speed = f" in {seconds:.1f} s ({tally.count / seconds:,.0f} a second)" if seconds and tally.count else ""
    lines.append(f"{tally.count:,} of {total:,} images scored{speed if not job.watch else ''}")
    if tally.count:
        lines.append(Drift(tally.flagged, tally.count, job.alpha, len(judge.calibration)).line)
    auroc = auroc_line(tally.labels, loaded.record.status, job.settings.get("normal"), labelled)
    return lines if auroc is None else [*lines, auroc]


def _write_page(job: Job, loaded: Loaded, judge: Judge, tally: Tally, lines: Sequence[str]) -> None:
    if job.page is None or not tally.top:
        return
    from benchmark.data.writing import replacing
    from benchmark.detect.page import build_page

    lines = lines or _lines(job, loaded, judge, tally, "", None)
    text = build_page(job.images.name if job.images else "", lines, tally, judge.scorer)
    with replacing(job.page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Any]:
    """A bar on a terminal, to stderr; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


if __name__ == "__main__":
    sys.exit(main())
