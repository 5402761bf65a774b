"""One page an experiment of results/: what it is, the commands that give it again, its figures and files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.config import CONF_DIR
from tests.tools.site import TOP

OURS = ("output_dir", "tracking")  # where one run put its files: no part of what was computed
FILES = {
    "tables.md": "all tables",
    "report.html": "the report",
    "explorer.html": "images on which models and rules disagree",
    "cells.csv": "a row a cell",
    "manifest.json": "revision, versions, hardware, fingerprints",
    "tables.tex": "the tables for LaTeX, which takes them from tables/",
}


class Experiment:
    """A folder of results/ with a manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self.at = f"results/{self.name}/index.md"  # its page

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))

    @cached_property
    def jobs(self) -> list[list[str]]:
        """The overrides of each job without OURS, each once, in order."""
        typed = [[o for o in job["overrides"] if o.split("=")[0] not in OURS] for job in self.manifest["jobs"]]
        return [list(job) for job in dict.fromkeys(map(tuple, typed))]

    def job_of(self, dataset: str, model: str, variant: str) -> int | None:
        """The number of the job whose overrides say a column best; None if two say it equally well, or none does.

        Settings that a variant names have to be typed in its job, or in none of this model's: then they were chosen
        (conf/chosen) or are the preset's.
        """
        wanted = set(variant.split())
        found: dict[int, tuple[int, int]] = {}
        for number, job in enumerate(self.jobs):
            typed = dict(o.lstrip("+").split("=", 1) for o in job)
            if typed.get("model") != model or typed.get("dataset", "mnist") != dataset:
                continue
            said = {f"{key.split('.')[-1]}={_as_named(value)}" for key, value in typed.items() if key.count(".") == 1}
            found[number] = (len(said & wanted), -len(said - wanted))
        best = [number for number, score in found.items() if score == max(found.values())]
        return best[0] if len(best) == 1 else None

    def page(self) -> str:
        """Markdown of its page."""
        lines = [f"# {self.name}", "", *_purpose(self.name), "", "## Files", ""]
        lines += [f"- [{name}]({name}): {what}" for name, what in FILES.items() if (self.folder / name).is_file()]
        lines += ["", "## Commands", "", self._revision(), "", "```bash"]
        lines += [_typed(shlex.split(command)) for command in self.manifest["commands"]]
        lines += ["```", "", "One column at a time:", "", "| data set | model | command |", "| --- | --- | --- |"]
        for number, job in enumerate(self.jobs):
            typed = dict(o.lstrip("+").split("=", 1) for o in job)
            sweep = ["-m"] if any(override.startswith("+experiment=") for override in job) else []
            command = _typed(["python", "-m", "benchmark", *sweep, *job]).replace("|", "\\|")
            names = f"{typed.get('dataset', 'mnist')} | {typed.get('model', '')}"
            lines.append(f'| <span id="{anchor(number)}"></span>{names} | `{command}` |')
        figures = sorted((self.folder / "figures").glob("*.png"))
        if figures:
            lines += ["", "## Figures"]
        for figure in figures:
            title = figure.stem.replace("--", ", ").replace("_", " ").replace("-", " ")
            lines += ["", f"**{title}**", "", f'![{title}](figures/{figure.name}){{ loading="lazy" }}']
        return "\n".join(lines) + "\n"

    def _revision(self) -> str:
        revisions = list(dict.fromkeys(job["git_revision"][:10] for job in self.manifest["jobs"]))
        versions = self.manifest["environments"][0] if self.manifest["environments"] else {}
        named = ", ".join(
            f"{name} {versions[name]}" for name in ("python", "torch", "scikit-learn") if name in versions
        )
        typed = ", ".join(f"`{revision}`" for revision in revisions)
        return f"Typed at revision {typed} with {named} (check it out: a later one may have other settings as shipped):"


def anchor(number: int) -> str:
    return f"job-{number + 1}"


def _as_named(value: str) -> str:
    """A typed value as variants have it: ``true`` is ``True``."""
    return {"true": "True", "false": "False"}.get(value, value)


def _typed(words: Sequence[str]) -> str:
    """A command as one line, without OURS."""
    return shlex.join(word for word in words if word.split("=")[0] not in OURS).replace("'-m'", "-m")


def _purpose(name: str) -> list[str]:
    """What the preset's YAML says of itself under its command, if there is one."""
    path = CONF_DIR / "experiment" / f"{name}.yaml"
    if not path.is_file():
        return []
    comments = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comments.append(line.removeprefix("#").strip())
    return [" ".join(line for line in comments if not line.startswith(("@package", "python -m")))]


def experiments() -> list[Experiment]:
    """Every experiment of results/, by name."""
    return [Experiment(path.parent) for path in sorted((TOP / "results").glob("*/manifest.json"))]


def results_page(found: Sequence[Experiment], others: Mapping[str, str]) -> str:
    """Markdown of the list of experiments; ``others`` are further pages of results/, title -> path."""
    lines = ["# Results", "", "Every table and figure was made by a command, which its page names.", ""]
    for experiment in found:
        what = " ".join(_purpose(experiment.name)).split(": ")[0].rstrip(".")
        lines.append(f"- [{experiment.name}]({experiment.name}/index.md)" + (f": {what}" if what else ""))
    lines += [f"- [{title}]({path.removeprefix('results/')})" for title, path in others.items()]
    return "\n".join(lines) + "\n"
