"""The pages of the site, laid out as the files lie in the repository, so that their links mean the same."""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.tools.site import HERE, TOP
from tests.tools.site.formulas import typeset
from tests.tools.site.links import is_outside, relative, resolved, rewrite

REFERENCE = re.compile(r"(?<![\\`\w])\[(\d+)\](?![(:\w])")  # [7][8] in a table: two sources, no link called 8


def written() -> dict[str, str]:
    """Path of a page from the top of the site -> its Markdown, links as in the repository: what people wrote."""
    pages = {"index.md": (TOP / "README.md").read_text(encoding="utf-8")}
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        pages[name] = (TOP / name).read_text(encoding="utf-8")
    for folder in ("docs", "docs/models", "deploy", "results", *map(str, _experiments())):
        for path in sorted((TOP / folder).glob("*.md")):
            at = path.relative_to(TOP).as_posix()
            pages[site_path(at)] = path.read_text(encoding="utf-8")
    pages.pop("docs/index.md", None)  # a list of pages: the navigation
    return pages


def _experiments() -> Iterator[Path]:
    return (path.relative_to(TOP) for path in sorted((TOP / "results").iterdir()) if path.is_dir())


def site_path(path: str) -> str:
    """Where a Markdown file of the repository lies in the site: a README is the index of its folder.

    >>> site_path("README.md"), site_path("deploy/README.md"), site_path("docs/rules.md")
    ('index.md', 'deploy/index.md', 'docs/rules.md')
    """
    folder, name = posixpath.split(path)
    return posixpath.join(folder, "index.md") if name == "README.md" else path


def api_pages() -> dict[str, str]:
    """The pages made of docstrings whose classes are all there; a page of a class that is not written yet waits."""
    pages = {}
    for path in sorted((HERE / "api").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        modules = [name.rpartition(".")[0] for name in re.findall(r"^::: (\S+)", text, re.MULTILINE)]
        if all(_has_module(name) for name in modules):
            pages[f"api/{path.name}"] = text
    return pages


def _has_module(name: str) -> bool:
    path = TOP.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def lay_out(pages: Mapping[str, str], folder: Path, typeset: Callable[[str, str], str] = typeset) -> None:
    """Write the pages below ``folder``, with formulas and links of the site, and every other file that they link to.

    Raises ``ValueError`` for links to nothing, all in one message.
    """
    broken: list[str] = []
    for page, text in pages.items():
        files: set[str] = set()

        def where(target: str, page: str = page, files: set[str] = files) -> str:
            path, anchor = resolved(page, target)
            at = _page_of(path, pages)
            if at is None and not (TOP / path).is_file():
                broken.append(f"{page}: ({target})")
                return target
            if at is None:
                files.add(path)
            return relative(page, at or path) + anchor

        if page.startswith("results/"):
            text = REFERENCE.sub(r"\\[\1\\]", text)
        made = rewrite(typeset(page, text), where)
        write(folder / page, made)
        for path in files | _drawn(page, made):
            copy(TOP / path, folder / path)
    if broken:
        raise ValueError("Links to nothing:\n  " + "\n  ".join(broken))


def _page_of(path: str, pages: Mapping[str, str]) -> str | None:
    """The page of the site that a path of the repository is, if it is one."""
    for at in (site_path(path), posixpath.join(path, "index.md")):
        if at in pages:
            return at
    return "index.md" if path in ("docs", "docs/README.md") else None


def _drawn(page: str, text: str) -> set[str]:
    """Files that images in HTML of a page show."""
    sources = re.findall(r'<img [^>]*src="([^"]+)"', text)
    return {resolved(page, source)[0] for source in sources if not is_outside(source)}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def copy(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
