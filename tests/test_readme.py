"""README and configuration comments say what is true: their commands compose, their tables are the committed ones."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from benchmark.compose import compose_jobs
from benchmark.config import CONF_DIR
from benchmark.data import dataset_names
from benchmark.models import model_names
from benchmark.report.__main__ import parse
from benchmark.report.frame import read_frame
from tests.benchmarks.gan_tables import block, expected
from tests.test_launchers import is_installed

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
YAML = "\n".join(path.read_text(encoding="utf-8") for path in sorted(CONF_DIR.rglob("*.yaml")))


def commands(text: str, module: str) -> list[str]:
    """Every ``python -m MODULE ...`` in code spans and in comments of YAML files."""
    spans = re.findall(rf"`python -m {re.escape(module)} ([^`]*)`", text)
    comments = re.findall(rf"^#\s*python -m {re.escape(module)} ((?:.*\\\n#)*.*)$", text, re.MULTILINE)
    return [re.sub(r"\\\n#\s*", "", found).split("    (")[0] for found in spans + comments]


@pytest.mark.parametrize("command", sorted(set(commands(README, "benchmark") + commands(YAML, "benchmark"))))
def test_every_documented_command_composes(command: str) -> None:
    launcher = re.search(r"\+launcher=(\w+)", command)
    if launcher is not None and not is_installed({"slurm": "submitit_slurm"}.get(launcher[1], launcher[1])):
        pytest.skip(f"the launcher {launcher[1]} is not installed")
    if "--help" not in command:
        assert compose_jobs(shlex.split(command))


def test_reports_and_preparations_in_the_readme_are_understood() -> None:
    found = commands(README, "benchmark.report")
    assert found
    for command in found:
        parse(shlex.split(command))
    for command in commands(README, "benchmark.prepare"):
        assert command.removeprefix("dataset=") in dataset_names()


def test_the_readme_shows_the_committed_quick_table() -> None:
    block = re.search(r"<!-- quick:begin -->(.*)<!-- quick:end -->", README, re.DOTALL)
    assert block is not None
    shown = [line for line in block.group(1).splitlines() if line.startswith("|")]
    committed = (ROOT / "results" / "quick" / "tables.md").read_text(encoding="utf-8").splitlines()
    assert len(shown) == 2 * 15
    assert [line for line in shown if line not in committed] == []


def test_the_readme_names_every_model_that_has_a_page_and_no_other() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", README.split("## Vocabulary")[1].split("## Protocol")[0], re.MULTILINE))
    assert {path.stem for path in (ROOT / "docs" / "models").glob("*.md")} == named <= set(model_names())


def test_the_reasons_for_settings_are_the_committed_validation_figures() -> None:
    """Every "MNIST / Fashion-MNIST" pair in a model's YAML is a mean over classes in one of results/selection*."""
    frame = pd.concat([read_frame(path) for path in sorted((ROOT / "results").glob("selection*/cells.csv"))])
    assert set(frame["evaluate_on"]) == {"validation"}
    metrics = [name for name in frame.columns if name.startswith("auroc")]
    for name in model_names():
        text = (CONF_DIR / "model" / f"{name}.yaml").read_text("utf-8")
        if "have not been compared on validation images" in text:
            continue
        pairs = re.findall(r"(0\.\d{3}) / (0\.\d{3})", text)
        assert pairs, f"{name}.yaml says nothing of how its settings were chosen"
        part = frame[frame["model"] == name]
        means = part.groupby(["variant", "dataset"])[metrics].mean()
        known = {
            (f"{means.loc[(variant, 'mnist'), metric]:.3f}", f"{means.loc[(variant, 'fashion_mnist'), metric]:.3f}")
            for variant in set(part["variant"])
            if {(variant, "mnist"), (variant, "fashion_mnist")} <= set(means.index)
            for metric in metrics
        }
        assert set(pairs) <= known


def test_the_table_of_gan_objectives_is_the_committed_one() -> None:
    """`python -m tests.benchmarks.gan_tables gan_objectives` writes it; one seed ranks nothing and has none."""
    frame = read_frame(ROOT / "results" / "gan_objectives" / "cells.csv")
    if frame["seed"].nunique() < 3:
        pytest.skip("the committed cells have one seed")
    assert block("gan_objectives").group() == expected("gan_objectives")


def test_the_table_of_searches_is_the_committed_one() -> None:
    """`python -m tests.benchmarks.gan_tables search` writes it."""
    if not (ROOT / "results" / "search" / "cells.csv").exists():
        pytest.skip("results/search is not there yet")
    assert block("search").group() == expected("search")


def test_the_table_of_moving_digits_is_the_committed_one() -> None:
    table = (ROOT / "results" / "moving_mnist" / "tables" / "kinds_moving_mnist_one_vs_rest.csv").read_text("utf-8")
    committed = re.findall(r",(0\.\d{3}) \(3/10\),(0\.\d{3}) \(3/10\)$", table, re.MULTILINE)
    page = (ROOT / "docs" / "datasets.md").read_text("utf-8")
    shown = re.findall(r"\| \d+ \| (0\.\d{3}) \| (0\.\d{3}) \|$", page, re.MULTILINE)
    assert sorted(shown) == sorted(committed)
    assert len(shown) == 9


def test_the_table_of_precisions_is_the_committed_one() -> None:
    """And no mean moves by 0.002, which the text below it says."""
    frame = read_frame(ROOT / "results" / "precision" / "cells.csv")
    auroc = frame.assign(bf16=frame["variant"].str.contains("bf16")).pivot(
        index=["model", "normal_class"], columns="bf16", values="auroc"
    )
    moved = auroc[True] - auroc[False]
    assert len(auroc) == 40
    assert moved.groupby("model").mean().abs().max() < 0.002
    page = (ROOT / "results" / "speed" / "README.md").read_text("utf-8")
    shown = re.findall(r"\| `(\w+)` \| (0\.\d{4}) \| (0\.\d{4}) \| ([+-]0\.\d{4}) \| (0\.\d{4}) \|", page)
    assert sorted(shown) == [
        (
            model,
            f"{part[False].mean():.4f}",
            f"{part[True].mean():.4f}",
            f"{change.mean():+.4f}",
            f"{change.abs().max():.4f}",
        )
        for (model, part), (_, change) in zip(auroc.groupby("model"), moved.groupby("model"), strict=True)
    ]


FAMILY = [("mnist", 0), ("mnist", 3), ("mnist", 8), ("fashion_mnist", 0), ("fashion_mnist", 5), ("fashion_mnist", 6)]


def family() -> pd.DataFrame:
    """AUROC of the committed family table: a row a model, a column a data set and class."""
    frame = read_frame(ROOT / "results" / "family" / "cells.csv")
    assert set(frame["state"]) == {"done"}
    return frame.pivot_table("auroc", "model", ["dataset", "normal_class"])[FAMILY]


def test_every_model_has_a_page_with_its_row_of_the_family_table() -> None:
    for name, row in family().iterrows():
        page = " ".join((ROOT / "docs" / "models" / f"{name}.md").read_text("utf-8").split())
        first, second = (", ".join(f"{value:.3f}" for value in row[part]) for part in (FAMILY[:3], FAMILY[3:]))
        assert f"MNIST 0, 3, 8: {first}; Fashion-MNIST 0, 5, 6: {second}." in page, name


def test_the_readme_shows_the_family_table() -> None:
    block = re.search(r"<!-- family:begin -->(.*)<!-- family:end -->", README, re.DOTALL)
    assert block is not None
    shown = {}
    for line in block.group(1).splitlines():
        if line.startswith("| `"):
            name, *values = (part.strip(" *`") for part in line.strip("|").split("|"))
            shown[name] = values
    table = family()
    assert set(shown) == set(table.index)
    for name, row in table.iterrows():
        values = [*row[FAMILY[:3]], row[FAMILY[:3]].mean(), *row[FAMILY[3:]], row[FAMILY[3:]].mean()]
        assert shown[str(name)] == [f"{value:.3f}" for value in values], name
