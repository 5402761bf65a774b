"""README and configuration comments say what is true: their commands compose, tables of docs/ are the committed ones.

Numbers in README and docs/ have tests of their own: tests/test_claims.py.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from benchmark.config import CONF_DIR
from benchmark.data import dataset_names
from benchmark.models import model_names
from benchmark.report.__main__ import parse
from benchmark.report.frame import read_frame
from benchmark.sweep import compose
from benchmark.sweep.compose import compose_jobs
from tests.sweep.test_launchers import is_installed

ROOT = Path(__file__).parent.parent
README = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/commands.md"))
YAML = "\n".join(path.read_text(encoding="utf-8") for path in sorted(CONF_DIR.rglob("*.yaml")))


def commands(text: str, module: str) -> list[str]:
    """Every ``python -m MODULE ...`` in code spans and in comments of YAML files."""
    spans = re.findall(rf"`python -m {re.escape(module)} ([^`]*)`", text)
    comments = re.findall(rf"^#\s*python -m {re.escape(module)} ((?:.*\\\n#)*.*)$", text, re.MULTILINE)
    return [re.sub(r"\\\n#\s*", "", found).split("    (")[0] for found in spans + comments]


@pytest.mark.parametrize("command", sorted(set(commands(README, "benchmark") + commands(YAML, "benchmark"))))
def test_every_documented_command_composes(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = re.search(r"\+launcher=(\w+)", command)
    if launcher is not None and not is_installed({"slurm": "submitit_slurm"}.get(launcher[1], launcher[1])):
        pytest.skip(f"the launcher {launcher[1]} is not installed")
    if "dataset.path=~/parts" in command:
        parts(tmp_path / "parts")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path / "data"))
    words = shlex.split(command)
    if "+experiment=" in command and "dataset=" not in command and "chosen" not in command:
        words.append("dataset=fashion_mnist")  # half of the jobs: those of the other data set differ in nothing else
    every = compose._expand  # of a sweep its last job
    monkeypatch.setattr(compose, "_expand", lambda *given: every(*given)[-1:])
    if "--help" not in words:
        assert compose_jobs(words)


def parts(folder: Path) -> None:
    """Images of one's own, as README has them."""
    folder.mkdir()
    for number in range(12):
        Image.new("L", (8, 8), number).save(folder / f"{number}.png")


def test_reports_and_preparations_in_the_readme_are_understood() -> None:
    found = commands(README, "benchmark.report")
    assert found
    for command in found:
        parse(shlex.split(command))
    for command in commands(README, "benchmark.prepare"):
        assert command.removeprefix("dataset=") in dataset_names()


def test_the_readme_fits_a_look_and_its_pictures_are_there() -> None:
    """Two pictures, one table, six commands; the rest is in docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 125
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(pictures) == 2
    for picture in pictures:
        with Image.open(ROOT / picture) as image:
            assert image.width > 500
    commands = text.split("## Six commands")[1].split("\n## ")[0]
    assert len(re.findall(r"^\| .* \| `python", commands, re.MULTILINE)) == 6


def test_the_vocabulary_names_every_model_that_has_a_page_and_no_other() -> None:
    text = (ROOT / "docs" / "vocabulary.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert {path.stem for path in (ROOT / "docs" / "models").glob("*.md")} == named <= set(model_names())


def test_no_configuration_hides_that_it_was_chosen_with_labelled_anomalies() -> None:
    for path in sorted((CONF_DIR / "model").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        assert "training images alone" not in text, path.name
        if "split.evaluate_on=validation" in text and "Not chosen" not in text:
            assert "on validation images (labelled, of the training split)" in text, path.name


def test_pages_are_listed_and_links_lead_to_files() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    links = {page: re.findall(r"\]\((?!\w+:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")) for page in pages}
    assert [f"{page.name}: {link}" for page in pages for link in links[page] if not (page.parent / link).exists()] == []
    index = ROOT / "docs" / "README.md"
    assert {*links[index], "README.md"} >= {path.name for path in (ROOT / "docs").glob("*.md")}


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
