"""What is wrong with a built site: links to nothing, anchors that are not there, requests to other hosts."""

from __future__ import annotations

import posixpath
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from tests.tools.site.links import is_outside

LOADS = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href", "video": "src"}


class _Page(HTMLParser):
    """Links, what is loaded, and ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := said.get(name))}
        if tag == "a" and said.get("href"):
            self.links.append(said["href"] or "")
        if said.get(LOADS.get(tag, "")) and said.get("rel") != "canonical":
            self.loads.append(said[LOADS[tag]] or "")


def faults(site: Path) -> list[str]:
    """One line for each fault of the HTML and CSS below ``site``, sorted."""
    pages = {
        path.relative_to(site).as_posix(): _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")
    }
    found = set()
    for name, page in pages.items():
        for target in page.loads:
            if is_outside(target) and not target.startswith("data:"):
                found.add(f"{name}: asks another host for {target}")
        for target in (*page.links, *page.loads):
            if not is_outside(target) and (fault := _fault(name, target, pages, site)):
                found.add(f"{name}: {fault}")
    for path in site.rglob("*.css"):
        for target in re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')\s]+)", path.read_text(encoding="utf-8")):
            if is_outside(target) and not target.startswith("data:"):
                found.add(f"{path.relative_to(site)}: asks another host for {target}")
    return sorted(found)


def _fault(name: str, target: str, pages: dict[str, _Page], site: Path) -> str:
    path, _, anchor = target.partition("#")
    path = unquote(path.partition("?")[0])
    at = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
    if name == "404.html" and path.startswith("/"):
        at = path.lstrip("/")  # the page that a server shows for any address
    if not (site / at).is_file():
        return f"links to {target}, which is not there"
    if anchor and at in pages and unquote(anchor) not in pages[at].ids and anchor != "__top":
        return f"links to {target}, and there is no such anchor"
    return ""
