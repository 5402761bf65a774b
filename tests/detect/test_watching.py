"""A folder that fills, watched again after a stop: table and page are of all its images, by one threshold."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from benchmark import load_detector
from tests.detect.conftest import Cells
from tests.faults.warm import Forked

INTERVAL = 0.1  # seconds between two looks


class Watched:
    """``benchmark.score watch=true`` of the folder ``new``, in a process of its own."""

    def __init__(self, folder: Path, cell: Path, *words: str) -> None:
        self.log = folder / "log"
        self.log.write_text("")
        known = [f"cell={cell}", f"images={folder / 'new'}", f"out={folder / 'new.csv'}", "watch=true"]
        known += [f"interval={INTERVAL}", *words]
        self.process = Forked(folder, "-m", "benchmark.score", *known, out=self.log, err=self.log)

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def says(self, *texts: str) -> None:
        self.wait_for(lambda: all(text in self.log.read_text() for text in texts))


@contextmanager
def watched(folder: Path, cell: Path, *words: str) -> Iterator[Watched]:
    """Ended by Ctrl-C, in order."""
    found = Watched(folder, cell, *words)
    try:
        yield found
        found.process.send_signal(signal.SIGINT)
        assert found.process.wait(timeout=60) == 0, found.log.read_text()
    finally:
        found.process.kill()


@pytest.fixture
def new(cells: Cells, tmp_path: Path) -> Path:
    """Four images of other classes, which score high, in a folder that fills."""
    folder = tmp_path / "new"
    folder.mkdir()
    for i, row in enumerate(np.flatnonzero(cells.labels == 0)[:4]):
        PIL.Image.fromarray(cells.test[row]).save(folder / f"odd{i}.png")
    return folder


def normal(cells: Cells, path: Path, number: int) -> None:
    PIL.Image.fromarray(cells.normal[number]).save(path)


def names(page: Path) -> list[str]:
    return re.findall(r'<p class="name">\d+\. .*?([^/]+)</p>', page.read_text())


def test_what_is_watched_again_goes_on_where_it_was(cells: Cells, new: Path, tmp_path: Path) -> None:
    cell, page, table = cells.paths["pca"], tmp_path / "new.html", tmp_path / "new.csv"
    with watched(tmp_path, cell, f"page={page}", "alpha=0.05") as first:
        first.wait_for(page.exists)
    before = pd.read_csv(table)
    assert len(before) == 4
    (new / "odd2.png").unlink()
    normal(cells, new / "odd3.png", 5)  # another image under the same name
    normal(cells, new / "fine.png", 0)
    with watched(tmp_path, cell, f"page={page}", "alpha=0.9") as second:
        second.says("fine.png: score ", "2 of the 4 images with the highest scores are no longer there")
        second.wait_for(lambda: "5 images with the highest scores, of 5" in page.read_text())
    after = pd.read_csv(table)
    assert after["path"].tolist()[:4] == before["path"].tolist()
    assert after["score"].tolist()[:4] == before["score"].tolist()
    assert after["flagged"].tolist() == (after["p_value"] <= 0.9).tolist()
    order = after.sort_values("score", ascending=False, kind="stable")["path"]
    assert names(page) == [Path(path).name for path in order]
    cards = page.read_text().split('<div class="card')[2:]
    without = [name for name, card in zip(names(page), cards, strict=True) if "<img" not in card]
    assert sorted(without) == ["odd2.png", "odd3.png"]
    assert all(("No picture: " in card) == ("<img" not in card) for card in cards)
    assert f"Flagged {after['flagged'].sum()} of" not in second.log.read_text()  # fewer than ten are no share


def test_another_alpha_judges_the_whole_table(cells: Cells, new: Path, tmp_path: Path) -> None:
    cell, table, page = cells.paths["pca"], tmp_path / "new.csv", tmp_path / "new.html"
    for i in range(6):
        normal(cells, new / f"fine{i}.png", i)
    with watched(tmp_path, cell) as first:
        first.wait_for(lambda: table.exists() and table.read_text().count("\n") == 11)
    strict = pd.read_csv(table)
    with watched(tmp_path, cell, "alpha=0.9", f"page={page}") as second:
        second.says("Ctrl-C ends it")
        loose = pd.read_csv(table)
        assert page.exists(), "the page of what there was is written before anything new comes"
    assert loose["score"].equals(strict["score"])
    assert loose["flagged"].tolist() == (loose["p_value"] <= 0.9).tolist() != strict["flagged"].tolist()
    flags = [int(rows["flagged"].sum()) for rows in (loose, strict)]
    assert f"judged again by alpha=0.9: {flags[0]} of 10 are flagged, before {flags[1]}" in second.log.read_text()
    untouched = table.stat().st_mtime_ns
    with watched(tmp_path, cell, "alpha=0.9") as third:
        third.says("Ctrl-C ends it")
    assert table.stat().st_mtime_ns == untouched
    assert "judged again" not in third.log.read_text()


def test_names_that_are_no_text_are_kept_apart_and_in_one_line(cells: Cells, new: Path, tmp_path: Path) -> None:
    odd = [b"\xff.png", b"\xfe.png", b"a\nb.png"]
    for place, file in zip(odd, sorted(new.iterdir()), strict=False):
        os.rename(file, os.fsencode(new) + b"/" + place)
    for time_ in ("first", "again"):
        with watched(tmp_path, cells.paths["pca"]) as run:
            if time_ == "first":
                run.says("\\xff.png: score", "\\xfe.png: score", "odd3.png: score")
            else:
                run.says("Ctrl-C ends it")
                time.sleep(15 * INTERVAL)  # looks at least twice
    table = pd.read_csv(tmp_path / "new.csv")
    assert {Path(path).name for path in table["path"]} == {"\\xff.png", "\\xfe.png", "a\nb.png", "odd3.png"}
    assert len(table) == 4
    found = load_detector(cells.paths["pca"]).anomaly_scores(new)  # read in the order of their paths
    assert sorted(table["score"].astype(np.float32)) == sorted(found.astype(np.float32))


def test_a_folder_that_is_taken_away_is_said_once(cells: Cells, new: Path, tmp_path: Path) -> None:
    with watched(tmp_path, cells.paths["pca"]) as run:
        run.says("odd3.png: score")
        new.rename(tmp_path / "away")
        run.says("new cannot be looked into (no such file or directory); what comes into it is scored once it can be")
        time.sleep(15 * INTERVAL)  # looks at least twice more
        normal(cells, tmp_path / "away" / "late.png", 0)
        (tmp_path / "away").rename(new)
        run.says("late.png: score")
    lines = run.log.read_text().splitlines()
    assert sum("cannot be looked into" in line for line in lines) == 1
    assert sum(": score " in line for line in lines) == 5
