"""Committed results name revisions that can be checked out: ancestors of this one, without changes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MANIFESTS = sorted((ROOT / "results").glob("*/manifest.json"))
OLD = {  # running them again takes hours, and nothing but a choice of settings rests on them
    "selection_settings": "two jobs were run with changes that were not committed",
    "selection_family": "its four revisions were rewritten before they were published",
}


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)


def faults(manifest: dict) -> list[str]:
    """What is wrong with the revisions of the report, its jobs and its cells."""
    parts = [*manifest["jobs"], *manifest["environments"]]
    named = {manifest["report_git_revision"], *(part["git_revision"] for part in parts if part.get("git_revision"))}
    found = [f"{revision} had changes" for revision in named if "+" in revision]
    commits = {revision.partition("+")[0] for revision in named}
    return found + [
        f"{commit} is no revision of before"
        for commit in commits
        if git("merge-base", "--is-ancestor", commit, "HEAD").returncode != 0
    ]


@pytest.fixture(scope="module", autouse=True)
def _whole_history() -> None:
    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("the history is not here: no checkout, or a shallow one. Type: git fetch --unshallow")


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_committed_results_name_revisions_that_exist(path: Path) -> None:
    found = faults(json.loads(path.read_text(encoding="utf-8")))
    if path.parent.name in OLD:
        assert found, f"{path.parent.name} has been run again: take it out of OLD"
    else:
        assert found == [], "run it again from a clean commit of the main branch"


def test_faults_are_found() -> None:
    head = git("rev-parse", "HEAD").stdout.strip()
    good = {"report_git_revision": head, "jobs": [{"git_revision": head}], "environments": [{"cells": 1}]}
    assert faults(good) == []
    assert len(faults(good | {"jobs": [{"git_revision": f"{head}+changes"}]})) == 1
    assert len(faults(good | {"environments": [{"git_revision": "0" * 40}]})) == 1
