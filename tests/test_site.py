"""The site before it is built: pages, links, formulas, navigation, the leaderboard's rows; and what checks it after."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
import yaml

from benchmark.models import model_names
from tests.tools.site import TOP, leaderboard
from tests.tools.site.__main__ import all_pages
from tests.tools.site.check import faults
from tests.tools.site.experiments import Experiment, anchor, experiments
from tests.tools.site.families import FAMILIES, OTHER, family_of
from tests.tools.site.formulas import blocks, formulas, marked, typeset
from tests.tools.site.navigation import navigation
from tests.tools.site.pages import lay_out, site_path


@pytest.fixture(scope="module")
def found() -> list[Experiment]:
    return experiments()


@pytest.fixture(scope="module")
def pages(found: list[Experiment]) -> dict[str, str]:
    return all_pages(found)


@pytest.fixture(scope="module")
def rows(found: list[Experiment]) -> list[leaderboard.Row]:
    return leaderboard.rows(found)


def cells(experiment: str, **wanted: str) -> list[dict[str, str]]:
    with (TOP / "results" / experiment / "cells.csv").open(encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines) if all(row[key] == value for key, value in wanted.items())]


def test_every_formula_of_a_sentence_is_in_its_page_and_every_model_has_one_on_a_line(
    pages: dict[str, str],
) -> None:
    for page in formulas():
        marked(page, pages[page])
    for name in model_names():
        assert blocks(f"docs/models/{name}.md", pages[f"docs/models/{name}.md"]), name


def test_a_formula_that_its_page_no_longer_has_is_an_error(pages: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"docs/models/vae.md no longer has the text 'z = μ \+ σ ε,'"):
        marked("docs/models/vae.md", pages["docs/models/vae.md"].replace("z = μ + σ ε", "z = μ - σ ε"))


@pytest.mark.parametrize("tex", [r"\operatorname{KL}(q)", r"\text{penalty_weight}", r"\text{`beta`}", "a $b$"])
def test_a_formula_that_github_does_not_draw_is_an_error(tex: str) -> None:
    with pytest.raises(ValueError, match=r"a.md: GitHub draws no formula with .* \\mathrm\{KL\}"):
        blocks("a.md", f"```math\n{tex}\n```\n")


def test_a_formula_on_a_line_becomes_mathml_and_other_code_stays() -> None:
    pytest.importorskip("latex2mathml")
    text = "a\n\n```math\n\\mathrm{KL} = \\frac12 \\sum_d \\mu_d^2\n```\n\nb\n\n```bash\nls\n```\n"
    made = typeset("a.md", text)
    assert made.startswith('a\n\n<span class="formula block"><math ')
    assert made.endswith("</math></span>\n\nb\n\n```bash\nls\n```\n")
    assert 'display="block"' in made
    assert "<mi>KL</mi>" in made
    assert "<mfrac>" in made


def test_every_page_is_written_and_every_link_leads_to_a_file(pages: dict[str, str], tmp_path: Path) -> None:
    lay_out(pages, tmp_path, lambda page, text: text)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.md")} == pages.keys()
    vae = (tmp_path / "docs" / "models" / "vae.md").read_text(encoding="utf-8")
    assert "](../../results/latent2d/figures/latent_mnist_leave_one_out.png)" in vae
    assert (tmp_path / "results" / "latent2d" / "figures" / "latent_mnist_leave_one_out.png").is_file()
    assert (tmp_path / "results" / "family" / "cells.csv").is_file()


def test_links_follow_their_pages_and_those_to_nothing_are_named_together(tmp_path: Path) -> None:
    text = "[a](../README.md#shown) [b](models/) [c](../conf/config.yaml) [d](../deploy/README.md) [e](../results/)"
    kept = {"index.md", "docs/models/index.md", "deploy/index.md", "results/index.md"}
    pages = dict.fromkeys(kept, "") | {"docs/own.md": text}
    lay_out(pages, tmp_path)
    made = (tmp_path / "docs" / "own.md").read_text(encoding="utf-8")
    links = ("../index.md#shown", "models/index.md", "../conf/config.yaml", "../deploy/index.md")
    assert made == "[a]({}) [b]({}) [c]({}) [d]({}) [e](../results/index.md)".format(*links)
    assert (tmp_path / "conf" / "config.yaml").is_file()
    with pytest.raises(ValueError, match=r"(?s)docs/own.md: \(none.md\).*index.md: \(../no\)"):
        lay_out({"docs/own.md": "[a](none.md)", "index.md": "[b](../no) `[c](no)`"}, tmp_path)


def test_the_navigation_has_every_page_of_docs_once_and_none_that_is_not_there(pages: dict[str, str]) -> None:
    listed = yaml.safe_load((TOP / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    more = {"docs/models/": ["docs/models/index.md"], "results/": ["results/index.md"]}
    made = str(navigation(listed, pages | {"docs/own_images.md": "", "docs/brand_new.md": ""}, more))
    assert made.count("docs/own_images.md") == made.count("docs/brand_new.md") == made.count("'index.md'") == 1
    assert "{'More': ['docs/brand_new.md']}" in made
    for path in (TOP / "docs").glob("*.md"):
        assert path.name == "README.md" or made.count(f"'{site_path(f'docs/{path.name}')}'") == 1
    assert "docs/none.md" not in str(navigation([{"a": "docs/none.md"}, {"b": [{"c": "docs/none.md"}]}], pages, more))
    assert navigation([{"b": [{"c": "docs/none.md"}]}], {}, {}) == []


def test_every_model_is_in_one_family() -> None:
    assert sorted(model for members in FAMILIES.values() for model in members) == list(model_names())
    assert family_of("my_models.Mine") == OTHER


def test_means_and_intervals_of_the_leaderboard_are_those_of_the_cells(rows: list[leaderboard.Row]) -> None:
    mine = [row for row in rows if (row.model, row.dataset, row.variant) == ("vae", "mnist", "")]
    own = next(row for row in mine if row.rule == "own" and row.compared == "all 10 classes; 10,000 images each")
    judged = cells(own.experiment, model="vae", dataset="mnist", variant="")
    of_class = [[cell for cell in judged if cell["normal_class"] == str(k)] for k in range(10)]  # a cell a seed
    assert {len(found) for found in of_class} == {own.seeds} == {5}
    values = [sum(float(cell["auroc"]) for cell in found) / 5 for found in of_class]
    mean = sum(values) / 10
    assert own.mean == round(mean, 4)
    assert own.sd == round(math.sqrt(sum((value - mean) ** 2 for value in values) / 9), 3)
    auroc, error = values[3], math.sqrt(sum(float(cell["auroc_se"]) ** 2 for cell in of_class[3]) / 5)
    logit, half = math.log(auroc / (1 - auroc)), 1.959964 * error / (auroc * (1 - auroc))
    low, high = (1 / (1 + math.exp(-logit - sign * half)) for sign in (-1, 1))
    assert own.classes["3"] == (round(auroc, 3), round(low, 3), round(high, 3))

    ruled = next(row for row in mine if row.rule == "ssim")
    assert ruled.mean == round(
        sum(float(cell["auroc_rule_ssim"]) for cell in cells("rules", model="vae", dataset="mnist")) / 10, 4
    )
    assert ruled.classes["3"][1:] == (None, None)  # the standard error is that of the own score


def test_the_leaderboard_marks_chosen_rules_and_floors_and_shows_no_validation(rows: list[leaderboard.Row]) -> None:
    assert not {row.experiment for row in rows} & {"selection", "selection_settings", "selection_flow"}
    for row in (row for row in rows if row.experiment == "chosen"):
        judged = cells("chosen", model=row.model, dataset=row.dataset, variant=row.variant)
        assert row.chosen == ({cell["chosen_rule"] for cell in judged} == {row.rule})
    family = {(row.model, row.dataset): row for row in rows if row.experiment == "family"}
    assert family["gan", "mnist"].floor == "mean_image, pca"
    assert family["vae", "mnist"].floor == ""
    assert family["gan", "mnist"].compared == "classes 0, 3, 8; 2,000 images each"


def test_no_two_rows_are_the_same_cells_with_the_same_numbers(rows: list[leaderboard.Row]) -> None:
    quick, rules = (cells(experiment, model="pca", dataset="mnist") for experiment in ("quick", "rules"))
    assert {cell["fingerprint"] for cell in quick} == {cell["fingerprint"] for cell in rules}
    shown = [row for row in rows if (row.model, row.dataset, row.variant, row.rule) == ("pca", "mnist", "", "own")]
    (row,) = (row for row in shown if row.compared.startswith("all 10 classes; 10,000"))
    assert row.seeds == 5, "a table of one seed is a part of that of five"


def test_every_row_names_the_command_of_its_model_where_one_job_made_it(
    rows: list[leaderboard.Row], found: list[Experiment], pages: dict[str, str]
) -> None:
    named = {experiment.name: experiment for experiment in found}
    for row in rows:
        experiment = named[row.experiment]
        assert f'id="{row.job}"' in pages[experiment.at] or (
            row.job == "" and "\n## Commands\n" in pages[experiment.at]
        )
        if row.job:
            job = next(job for number, job in enumerate(experiment.jobs) if anchor(number) == row.job)
            assert f"model={row.model}" in job
            assert f"dataset={row.dataset}" in job or (row.dataset == "mnist" and "dataset" not in " ".join(job))
    assert sum(bool(row.job) for row in rows) > 0.8 * len(rows)
    assert "output_dir=" not in "".join(pages[experiment.at] for experiment in found)


def test_the_check_names_links_to_nothing_and_requests_to_other_hosts(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    page = '<a href="b.html#here">x</a><img src="c.png"><a href="https://e.org">out</a><p id="p"></p><a href="#p">y</a>'
    (tmp_path / "a" / "a.html").write_text(page, encoding="utf-8")
    (tmp_path / "a" / "b.html").write_text('<h2 id="here">h</h2><a href="../a/a.html">a</a>', encoding="utf-8")
    (tmp_path / "a" / "c.png").write_bytes(b"")
    assert faults(tmp_path) == []

    bad = '<a href="b.html#gone">x</a><a href="none.html">y</a><script src="//cdn.org/x.js"></script>'
    (tmp_path / "a" / "a.html").write_text(bad, encoding="utf-8")
    (tmp_path / "s.css").write_text(
        "@import 'https://fonts.org/f.css'; p { background: url(data:x) }", encoding="utf-8"
    )
    assert faults(tmp_path) == [
        "a/a.html: asks another host for //cdn.org/x.js",
        "a/a.html: links to b.html#gone, and there is no such anchor",
        "a/a.html: links to none.html, which is not there",
        "s.css: asks another host for https://fonts.org/f.css",
    ]
