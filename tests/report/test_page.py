"""The page: what is shown, what is escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from benchmark.report.answer import answer_of
from benchmark.report.page import Plate, build_page
from benchmark.report.statistics import groups
from benchmark.report.tables.table import Entry, Table

HOSTILE = "<script>alert('x')</script> & \"quoted\""
MANIFEST = {"made_by": "x", "report_git_revision": "abc", "warnings": []}


class Cells(HTMLParser):
    """(tag, class, text) of every cell of a table, class "rule" of a row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.tag, self.kind, self.bold = "", "", False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.found.append(("tr", dict(attributes).get("class", ""), ""))
        if tag in ("th", "td"):
            self.tag, self.kind = tag, dict(attributes).get("class", "")
        self.bold |= tag == "b"

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self.tag, self.bold = "", False

    def handle_data(self, data):
        if self.tag:
            self.found.append((self.tag, self.kind, f"**{data}**" if self.bold else data))


def test_the_page_shows_nothing_when_all_is_done(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9})
    page = build_page("small", frame_of(), {}, [], MANIFEST)
    assert "1 of 1 cells done" in page
    assert "Every planned cell is done." in page
    assert "Cells that are not done" not in page
    assert 'href="#state"' not in page


def test_a_table_has_its_text_columns_rules_and_best_entries(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9})
    rows = [[Entry("r"), Entry("s"), Entry("1", bold=True)], [Entry("t"), Entry(""), Entry("2")]]
    table = Table("a", "A", ["x", "y", "z"], rows, notes=["A note."], rules={1}, text_columns=2)
    page = build_page("small", frame_of(), {"S": [table]}, [], MANIFEST)
    assert Cells(page).found == [
        ("tr", "", ""), ("th", "text", "x"), ("th", "text", "y"), ("th", "", "z"),
        ("tr", "", ""), ("th", "", "r"), ("td", "text", "s"), ("td", "", "**1**"),
        ("tr", "rule", ""), ("th", "", "t"), ("td", "", "2"),
    ]  # fmt: skip
    assert '<p class="note">A note.</p>' in page


def test_everything_is_escaped(records, frame_of):
    records.job({"model": "ae", "k": 0, "state": "failed", "reason": HOSTILE})
    table = Table("a", HOSTILE, [HOSTILE], [[Entry(HOSTILE)]], [HOSTILE])
    plate = Plate("k", HOSTILE, HOSTILE, HOSTILE)
    made = MANIFEST | {"made_by": HOSTILE, "warnings": [HOSTILE]}
    page = build_page(HOSTILE, frame_of(), {HOSTILE: [table]}, [plate], made)
    assert "<script" not in page
    assert "x')" not in page
    assert page.count("&lt;script&gt;") == 18


def test_a_figure_is_shown_in_its_section_and_read_from_its_file(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9})
    plates = [Plate("roc", "Two", "ROC, Two", "A caption."), Plate("map", "One", "Map, One", "Another.", pdf=True)]
    page = build_page("small", frame_of(), {"One": [], "Two": []}, plates, MANIFEST)
    one, two = page.split('<h2 id="section-0">')[1].split('<h2 id="section-1">')
    assert '<img loading="lazy" alt="Map, One" src="figures/map.png">' in one
    assert 'Another. (<a href="figures/map.png">PNG</a>, <a href="figures/map.pdf">PDF</a>)' in one
    assert '<img loading="lazy" alt="ROC, Two" src="figures/roc.png">' in two
    assert "roc.pdf" not in page


def test_every_place_has_a_name_of_its_own_and_every_link_leads_to_one(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9})
    table, plate = Table("scores", "A table", ["x"], [[Entry("1")]]), Plate("scores", "One", "A figure", "")
    page = build_page("small", frame_of(), {"One": [table]}, [plate], MANIFEST)
    places = re.findall(r'id="([^"]+)"', page)
    assert len(places) == len(set(places))
    assert set(re.findall(r'href="#([^"]+)"', page)) == set(places)


def test_the_answer_comes_first_with_its_figure_and_what_all_share_stands_once(records, frame_of):
    records.job(*({"model": m, "k": k, "auroc": 0.9, "variant": "epochs=5"} for m in ("ae", HOSTILE) for k in (0, 1)))
    heading = "MNIST, one_vs_rest, epochs=5"
    plates = [
        Plate(name, heading, f"{title}, {heading}", "") for name, title in (("roc_a", "ROC"), ("heatmap_a", "Map"))
    ]
    table = Table("auroc_a", f"AUROC, {heading}", ["x"], [[Entry("1")]])
    found = answer_of(groups(frame_of()), "small")
    page = build_page("small", frame_of(), {heading: [table]}, plates, MANIFEST, answer=found)
    body = page.split("<main>")[1]
    assert body.index("The largest AUROC") < body.index('id="answer"') < body.index("figures/heatmap_a.png")
    assert body.index("figures/heatmap_a.png") < body.index('<nav id="contents"') < body.index('id="section-0"')
    assert body.count('src="figures/heatmap_a.png"') == body.count('src="figures/roc_a.png"') == 1
    assert re.sub('alt="[^"]*"', "", body).count("epochs=5") == 1
    assert '<h2 id="section-0">MNIST</h2>' in body
    assert '<h3 id="auroc_a">AUROC</h3>' in body
    assert "<script" not in page
    places = re.findall(r'id="([^"]+)"', page)
    assert len(places) == len(set(places))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(places)
