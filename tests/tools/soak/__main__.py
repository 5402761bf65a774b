"""The long trials of what a sweep survives: ``python -m tests.tools.soak [folder=F] [only=kills,writers,...]``.

Each goes on for minutes and leaves what it found in ``results/reliability.md``; a trial that loses anything ends with
an ``AssertionError`` and nothing is written. ``only`` leaves the sections of the other trials as they are.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmark.store.environment import environment, git_revision
from tests.tools.soak import kills, large, outages, writers

PAGE = Path(__file__).parents[3] / "results" / "reliability.md"
HEAD = """# Reliability

What a sweep survives, tried for real: `make soak` writes this page. Every section names what was done, and it is only
written when nothing was lost: a trial that misses a cell, a run or a value ends with an error. Small trials of the same
faults are part of `make test` (`tests/faults/`).
"""
TRIALS: dict[str, tuple[str, str, Callable[[Path], list[tuple[str, str]]]]] = {
    "kills": (
        "kill -9 at random moments",
        "A sweep of 40 cells (`digits`; PCA, AE, VAE, AAE; five classes, two seeds; checkpoints every half second) is "
        "killed and typed again until it has been killed so often; then it is left to end, and compared with a sweep "
        "that was never disturbed.",
        kills.run,
    ),
    "writers": (
        "Eight workers, one fresh store",
        "Eight worker processes (`+launcher=joblib`) train 25 AE cells each and log them at once, first into a SQLite "
        "file that does not exist yet, then into an MLflow server on PostgreSQL. Every value of every record is then "
        "looked up in MLflow.",
        writers.run,
    ),
    "outages": (
        "A tracking server that goes away",
        "The same sweep of 40 cells, logging to an MLflow server on PostgreSQL. The server is stopped three times in "
        "mid sweep and the database once; what was not sent is sent afterwards by `python -m benchmark.sync`, and once "
        "more, to see that nothing is sent again.",
        outages.run,
    ),
    "large": (
        "Ten thousand cells",
        "A store of 10,000 cells, each a folder with all the files of a real VAE cell and axes and metrics of its own.",
        large.run,
    ),
}


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    chosen = given.pop("only", ",".join(TRIALS)).split(",")
    folder = Path(given.pop("folder", "") or tempfile.mkdtemp(prefix="soak-"))
    if given or not all("=" in argument for argument in arguments) or not set(chosen) <= set(TRIALS):
        sys.exit(f"usage: python -m tests.tools.soak [folder=...] [only={','.join(TRIALS)}]")
    sections = _sections(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    for name in chosen:
        title, what, trial = TRIALS[name]
        print(f"{name}: {title}", flush=True)
        start = time.monotonic()
        rows = trial(folder / name)
        sections[title] = _section(name, title, what, rows, time.monotonic() - start)
        order = [TRIALS[one][0] for one in TRIALS]
        PAGE.write_text("\n".join([HEAD, *(sections[one] for one in order if one in sections)]), encoding="utf-8")
        shutil.rmtree(folder / name)
    print(f"Written: {PAGE}")


def _section(name: str, title: str, what: str, rows: list[tuple[str, str]], seconds: float) -> str:
    machine = environment("cpu", "fp32")
    where = f"{machine['cpu']}, revision {git_revision()[:12]}, {datetime.now(UTC):%Y-%m-%d}"
    lines = [f"## {title}", "", what, "", "| | |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in rows)]
    return "\n".join(
        [*lines, "", f"`python -m tests.tools.soak only={name}`: {seconds / 60:.0f} minutes on {where}.", ""]
    )


def _sections(page: str) -> dict[str, str]:
    """The page's sections by their titles."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0].removeprefix("## "): part.rstrip() + "\n" for part in parts}


if __name__ == "__main__":
    main(sys.argv[1:])
