"""The page of every model: how it fails, with a claim that the cells answer for, and a picture that shows it."""

from __future__ import annotations

import re

import pytest

from benchmark.models import model_names
from tests.claims.cells import ROOT
from tests.claims.registry import CLAIMS
from tests.tools.site.links import resolved

SECTION = re.compile(r"^## Where it fails\n(.*?)(?=^## )", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"^!\[([^]]+)\]\(([^)\s]+)\)$", re.MULTILINE)
WITHOUT_PICTURE = {"deep_svdd", "geom"}  # results/references keeps none


def failing(name: str) -> str:
    page = f"docs/models/{name}.md"
    found = SECTION.findall((ROOT / page).read_text(encoding="utf-8"))
    assert len(found) == 1, f'{page} has no section "Where it fails", or several'
    return found[0]


@pytest.mark.parametrize("name", model_names())
def test_a_page_says_where_its_model_fails_by_what_was_measured(name: str) -> None:
    text = failing(name)
    said = [claim for claim in CLAIMS[f"docs/models/{name}.md"] if claim.pattern.search(text)]
    assert len(said) >= 2, said
    assert "](../../results/" in PICTURE.sub("", text), "no link to the cells that it rests on"


@pytest.mark.parametrize("name", sorted(set(model_names()) - WITHOUT_PICTURE))
def test_a_page_shows_a_picture_of_its_own_model_and_says_what_to_see(name: str) -> None:
    text = failing(name)
    ((told, target),) = PICTURE.findall(text)
    path, _ = resolved(f"docs/models/{name}.md", target)
    assert (ROOT / path).is_file(), path
    assert f"/sheet_{name.replace('_', '-')}_" in path
    assert len(told) > 60, "the picture's text must say what is in it"
    after = text.split(f"({target})")[1].strip().split("\n\n")[0]
    assert len(after.split()) > 15, "a sentence after the picture says what to see in it"


@pytest.mark.parametrize("name", sorted(WITHOUT_PICTURE))
def test_a_page_without_a_picture_has_none_that_it_could_show(name: str) -> None:
    assert not PICTURE.search(failing(name))
    assert list((ROOT / "results").glob(f"*/figures/sheet_{name.replace('_', '-')}_*.png")) == []
