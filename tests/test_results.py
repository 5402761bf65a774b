"""Committed results stay small, and hold what their manifests and pages say."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[1] / "results"
MANIFESTS = sorted(RESULTS.glob("*/manifest.json"))
MOST = 15_000_000  # bytes: a clone takes them, and git keeps each version
PAPER = "paper/paper.pdf"  # by ``make paper``


def sizes(folder: Path) -> Counter[str]:
    """Bytes below each entry of ``folder``."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found: Counter[str] = Counter()
    for path in files:
        found[path.relative_to(folder).parts[0]] += path.stat().st_size
    return found


def too_large(folder: Path, most: int) -> str | None:
    """What to say of a folder with more than ``most`` bytes."""
    found = sizes(folder)
    (name, largest), *_ = found.most_common(1)
    if found.total() <= most:
        return None
    return (
        f"{folder.name}/ has {found.total() / 1e6:.1f} MB, {most / 1e6:.0f} are allowed; the largest folder is {name} "
        f"with {largest / 1e6:.1f} MB. Publish without figures=pdf, or take figures out"
    )


def test_results_stay_small() -> None:
    assert too_large(RESULTS, MOST) is None


def test_what_is_too_large_is_named(tmp_path: Path) -> None:
    for name, size in (("small", 10), ("large", 60), ("large/figures", 50)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(bytes(size))
    assert too_large(tmp_path, 120) is None
    assert "the largest folder is large with" in str(too_large(tmp_path, 119))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_a_manifest_lists_the_files_that_are_there_and_the_page_shows_each_figure_once(path: Path) -> None:
    """The page links to files beside it alone, and holds no copy of one; PDF is for a paper's folder."""
    files = (file for file in path.parent.rglob("*") if file.is_file() and file != RESULTS / PAPER)
    there = {file.relative_to(path.parent).as_posix() for file in files}
    assert set(json.loads(path.read_text(encoding="utf-8"))["files"]) <= there
    assert not any(name.endswith(".pdf") for name in there)
    page = path.parent / "report.html"
    if page.exists():
        text = page.read_text(encoding="utf-8")
        shown = re.findall(r"""<img [^>]*src=["']([^"']*)["']""", text)
        assert sorted(shown) == sorted(name for name in there if name.startswith("figures/"))
        assert set(re.findall(r"""href=["']([^"'#]+)["']""", text)) <= there
