"""``--help`` with what each option means: the comments of ``conf/`` beside the configuration that Hydra prints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmark.config import CONF_DIR

HIDDEN = ("dataset.sha256", "dataset.sources")  # of files: nothing to choose


def annotate(text: str, choices: Mapping[str, str], own: str | None = None) -> str:
    """``text`` with a comment behind every option that has one, and without checksums and sources.

    ``choices`` are the options chosen in each group: they name the files that the comments are in, here or in the
    folder ``own`` of ``--config-dir``.
    """
    comments = _comments("", "config", own) | {
        key: comment for group, option in choices.items() for key, comment in _comments(group, option, own).items()
    }
    lines, section, hidden = [], "", False
    for line in text.split("\n"):
        key = ""
        if found := re.match(r"(|  )(\w+):(?: |$)", line):
            if found[1] == "":
                section = found[2]
            key = f"{section}.{found[2]}" if found[1] else section
            hidden = key in HIDDEN
        if not hidden:
            lines.append(f"{line:<30}  # {comments[key]}" if key in comments else line)
    return "\n".join(lines)


def _comments(group: str, option: str, own: str | None) -> dict[str, str]:
    """Full key -> the comment on its line in the YAML of an option; nothing if there is no such file."""
    paths = [Path(folder, group, f"{option}.yaml") for folder in (CONF_DIR, own) if folder is not None]
    lines = next((path.read_text(encoding="utf-8").splitlines() for path in paths if path.is_file()), [])
    found = (re.match(r"(\w+):.*?\s#\s+(.*)", line) for line in lines)
    return {f"{group}.{match[1]}".lstrip("."): match[2] for match in found if match}
