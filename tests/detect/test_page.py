"""The page of the most anomalous images: where scores come from, and nothing that a browser would load or run."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import Detector
from benchmark.detect.origin import origin
from benchmark.detect.page import MARK, build_page, is_page
from benchmark.detect.streaming import Tally
from benchmark.detect.table import Row
from tests.detect.conftest import Cells

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def detectors(cells: Cells) -> dict[str, Detector]:
    settings: dict[str, Any] = {"device": "cpu", "calibration_share": 0.25}
    known = {"pca": {"components": 8}, "knn": {}}
    return {name: Detector(name, **settings, **own).fit(cells.normal) for name, own in known.items()}


def tally(detector: Detector, images: np.ndarray, most: int = 3) -> Tally:
    found, scores, p = Tally(most), detector.anomaly_scores(images), detector.p_values(images)
    found.add(
        [
            (Row(f"{i}{EVIL}", float(score), float(p[i]), bool(p[i] <= 0.05), EVIL), image[None])
            for i, (score, image) in enumerate(zip(scores, images, strict=True))
        ]
    )
    found.add([(Row(EVIL, reason=EVIL), None)])
    return found


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize(("model", "pictures"), [("pca", 4), ("knn", 2)])
def test_the_page_shows_the_highest_first_and_runs_nothing(
    cells: Cells, detectors: dict[str, Detector], model: str, pictures: int
) -> None:
    detector = detectors[model]
    known = tally(detector, cells.test[:40])
    page = build_page(EVIL, [EVIL], known, detector.scorer_, len(detector.calibration_scores_))
    tags = Tags()
    tags.feed(page)
    kinds = {tag for tag, _ in tags.found}
    assert not kinds & {"script", "iframe", "object", "link", "form", "base"}
    assert not [name for _, attributes in tags.found for name in attributes if name.startswith("on")]
    images = [attributes["src"] for tag, attributes in tags.found if tag == "img"]
    assert len(images) == 3 * pictures
    assert all(source is not None and source.startswith("data:image/png;base64,") for source in images)
    (policy,) = [a["content"] for tag, a in tags.found if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert not re.search(r"https?://", page)
    order = np.argsort(-detector.anomaly_scores(cells.test[:40]), kind="stable")[:3]
    assert re.findall(r'<p class="name">\d\. (\d+)&lt;', page) == [str(i) for i in order]
    assert "Images that could not be scored: 1" in page


def test_a_score_comes_from_where_the_image_was_changed(cells: Cells, detectors: dict[str, Detector]) -> None:
    image = cells.normal[0].copy()
    image[4:8, 20:24] = 255 - image[4:8, 20:24]  # the second row of seven, the sixth column
    for detector in detectors.values():
        made = detector.reconstruct(image[None])
        found = origin(
            detector.scorer_, torch.from_numpy(image[None]), None if made is None else torch.from_numpy(made[0])
        )
        assert found.shape == (7, 7)
        assert np.unravel_index(found.argmax(), found.shape) == (1, 5)
        assert (found >= 0).all()


def drawn(detector: Detector, p_values: list[float], calibration: int) -> tuple[np.ndarray, float]:
    """Heights of a page's bars, and that of its dashed line."""
    known = Tally(0)
    known.add([(Row(str(i), 1.0, p, False), None) for i, p in enumerate(p_values)])
    page = build_page("new", [], known, detector.scorer_, calibration)
    heights = re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="[\d.]+" height="([\d.]+)">', page)
    (level,) = re.findall(r'<line x1="30" x2="630" y1="([\d.]+)"', page)
    return np.array(heights, float), 150 - float(level)


@pytest.mark.parametrize("calibration", [4, 18, 19, 20, 30, 39, 60, 613])
def test_uniform_p_values_stand_at_the_line(detectors: dict[str, Detector], calibration: int) -> None:
    possible = [k / (calibration + 1) for k in range(1, calibration + 2)]
    heights, level = drawn(detectors["knn"], possible * 20, calibration)
    assert heights == pytest.approx(np.full(len(heights), level), abs=0.2)
    assert min(calibration + 1, 11) <= len(heights) <= 21


@pytest.mark.parametrize(("calibration", "rank"), [(19, 1), (60, 3), (613, 30)])
def test_what_is_flagged_stands_in_the_first_bar(detectors: dict[str, Detector], calibration: int, rank: int) -> None:
    heights, level = drawn(detectors["knn"], [rank / (calibration + 1)] * 20, calibration)
    assert np.flatnonzero(heights).tolist() == [0]
    assert heights[0] > 10 * level


def test_a_page_is_known_for_one(detectors: dict[str, Detector], tmp_path: Path) -> None:
    page = tmp_path / "new.html"
    page.write_text(build_page("new", [], Tally(0), detectors["knn"].scorer_, 19))
    assert is_page(page)
    page.write_text(page.read_text().replace(MARK, ""))
    assert not is_page(page)
    page.write_text("")
    assert is_page(page)


def test_the_tally_keeps_the_highest_and_of_equals_the_first() -> None:
    found = Tally(2)
    scores = (1.0, 5.0, 3.0, 5.0, 5.0)
    found.add([(Row(str(i), score, 1.0, score > 4), np.zeros(1)) for i, score in enumerate(scores)])
    assert [row.path for row, _ in found.top] == ["1", "3"]
    assert (found.count, found.flagged) == (5, 3)
