"""The navigation of the site: the list of mkdocs.yml less what is not there, and what the list does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def navigation(listed: list[Any], pages: Mapping[str, str], more: Mapping[str, list[Any]]) -> list[Any]:
    """The navigation of mkdocs.yml with the pages that there are.

    ``more`` has the entries of what ends in ``/``, a folder. Pages of docs/ that are nowhere come last, under "More".
    """
    named: set[str] = set()

    def kept(entries: list[Any]) -> list[Any]:
        found: list[Any] = []
        for entry in entries:
            ((title, what),) = entry.items() if isinstance(entry, dict) else [("", entry)]
            if not title:
                found += [what] if what in pages else []
            elif isinstance(what, list):
                inner = kept(what)
                found += [{title: inner}] if inner else []
            elif what.endswith("/"):
                found += [{title: more[what]}] if more.get(what) else []
            else:
                at = f"docs/{what}" if f"docs/{what}" in pages else what
                named.add(at)
                found += [{title: at}] if at in pages else []
        return found

    result = kept(listed)
    rest = [page for page in pages if re.fullmatch(r"(docs|api)/[^/]+\.md", page) and page not in named]
    return result + ([{"More": sorted(rest)}] if rest else [])
