"""The notebook runs, and what its text says is what comes out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.tools.notebook import SOURCE, cells, run


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the cells leave behind."""
    return run()[0]


def test_the_notebook_and_its_source_have_the_same_cells() -> None:
    written = json.loads(SOURCE.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    source = [(cell.kind, cell.text) for cell in cells(SOURCE.read_text(encoding="utf-8"))]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in written] == source, (
        "type: python -m tests.tools.notebook"
    )
    figures = [out for cell in written for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
    assert len(figures) == 3


def test_every_model_of_it_detects(names: dict[str, Any]) -> None:
    for name in ("ae", "vae", "aae", "anogan"):
        assert names[f"auroc_{name}"] > 0.9, name


def test_the_kl_is_what_draws_give_and_ranks_anomalies_below_normal_images(names: dict[str, Any]) -> None:
    assert names["drawn"] == pytest.approx(names["closed"], abs=0.02)
    assert names["auroc_kl"] < 0.5


def test_a_large_beta_collapses_the_posterior(names: dict[str, Any]) -> None:
    assert names["kl_vae"] > 3
    assert names["kl_collapsed"] < 0.05
    assert names["spread_collapsed"] < 0.1 * names["spread_vae"]


def test_the_gradient_of_the_minimax_loss_vanishes_where_d_is_sure(names: dict[str, Any]) -> None:
    assert names["history"][-1]["train/d_fake"] < 0.05
    assert names["norms"]["minimax"][-1] < 0.05 * names["norms"]["non_saturating"][-1]
    assert abs(float(names["slopes"]["minimax"][0])) < 0.01 < 0.9 < abs(float(names["slopes"]["non_saturating"][0]))


def test_the_search_lowers_the_loss_of_every_kind_of_image(names: dict[str, Any]) -> None:
    normal, other, _ = zip(*(names["search"][steps] for steps in (0, 10, 40)), strict=True)
    assert normal[0] > normal[1] > normal[2]
    assert other[0] > other[1] > other[2]
    assert float(names["drawn_images"].std(0).mean()) > 0.01  # other images have other reconstructions


def test_the_rule_moves_a_model_more_than_the_model_moves_under_a_rule(names: dict[str, Any]) -> None:
    middle = sorted(names["over_models"].values())[len(names["over_models"]) // 2]
    assert names["over_rules"] > 2 * middle
