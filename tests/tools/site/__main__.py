"""``make docs``: lay the pages out, build them with Zensical, check what came out. Any warning is an error."""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.tools.site import HERE, TOP, leaderboard
from tests.tools.site.check import faults
from tests.tools.site.experiments import Experiment, experiments, results_page
from tests.tools.site.families import by_family, models_page, with_sources
from tests.tools.site.links import relative
from tests.tools.site.navigation import navigation
from tests.tools.site.pages import api_pages, copy, lay_out, write, written

CONFIG = TOP / "mkdocs.yml"
TITLES = {"tables.md": "Tables", "chosen.md": "What was chosen"}  # of further pages of an experiment
OFFLINE = "iframe-worker.js"  # lets a page from a local file search, where browsers allow no worker
SHIM = re.compile(r"https://[^\"\s]+/iframe-worker/shim")  # where the theme would fetch it from


def main() -> int:
    """Build the site anew; the exit code is that of the builder, or 1 where a fault was found."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    laid, built = TOP / config["docs_dir"], TOP / config["site_dir"]
    shutil.rmtree(laid.parent, ignore_errors=True)
    found = experiments()
    rows = leaderboard.rows(found)
    pages = all_pages(found) | {"leaderboard.md": leaderboard.page(rows)}

    lay_out(pages, laid)
    for path in (HERE / "assets").iterdir():
        copy(path, laid / "assets" / path.name)
    write(laid / "assets" / "leaderboard_data.js", leaderboard.data(rows))
    for figure in (TOP / "results").glob("*/figures/*.png"):
        copy(figure, laid / figure.relative_to(TOP))  # report.html shows them too
    config["nav"] = navigation(
        config["nav"], pages, {"docs/models/": _models(pages), "results/": _results(pages, found)}
    )
    config |= {"docs_dir": laid.name, "site_dir": built.name}
    config["plugins"][-1]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(TOP)]
    made = laid.parent / CONFIG.name
    write(made, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    builder = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict", "--config-file", made])
    if builder.returncode:
        return builder.returncode
    finish(built)
    wrong = faults(built)
    index = (built / "index.html").relative_to(TOP)
    print("\n".join(wrong) or f"{len(pages)} pages, {len(rows)} rows of the leaderboard: {index}")
    return 1 if wrong else 0


def all_pages(found: Sequence[Experiment]) -> dict[str, str]:
    """Every page but the leaderboard: path from the top of the site -> Markdown with links as in the repository."""
    pages = written() | api_pages()
    pages |= {"docs/models/index.md": models_page(pages), **with_sources(pages)}
    pages["results/index.md"] = results_page(found, _others(pages, found))
    return pages | {experiment.at: experiment.page() for experiment in found}


def _others(pages: Mapping[str, str], found: Sequence[Experiment]) -> dict[str, str]:
    """Title -> path of the pages of results/ that belong to no experiment."""
    folders = {"", *(posixpath.dirname(experiment.at) for experiment in found)}
    paths = [path for path in pages if path.startswith("results/") and posixpath.dirname(path) not in folders]
    return {_title(pages[path]): path for path in paths if path != "results/index.md"}


def _models(pages: Mapping[str, str]) -> list[Any]:
    families = by_family(pages).items()
    return ["docs/models/index.md", *({family: [f"docs/models/{m}.md" for m in models]} for family, models in families)]


def _results(pages: Mapping[str, str], found: Sequence[Experiment]) -> list[Any]:
    entries: list[Any] = ["results/index.md"]
    for experiment in found:
        folder = posixpath.dirname(experiment.at)
        more = [path for path in pages if posixpath.dirname(path) == folder and path != experiment.at]
        titles = [TITLES.get(posixpath.basename(path)) or _title(pages[path]) for path in more]
        entries.append({experiment.name: [experiment.at, *({t: path} for t, path in zip(titles, more, strict=True))]})
    return entries + [{title: path} for title, path in _others(pages, found).items()]


def _title(text: str) -> str:
    return next((line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")), "")


def finish(site: Path) -> None:
    """What the builder leaves out: the program that search needs in a local file, and tables.md for report.html."""
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        if SHIM.search(text):
            at = relative(path.relative_to(site).as_posix(), f"assets/{OFFLINE}")
            path.write_text(SHIM.sub(at, text), encoding="utf-8")
    for table in (TOP / "results").glob("*/tables.md"):
        copy(table, site / table.relative_to(TOP))


if __name__ == "__main__":
    sys.exit(main())
