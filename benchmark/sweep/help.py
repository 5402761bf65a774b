"""``--help`` with what each option means: the comments of ``conf/`` beside the configuration that Hydra prints.

Where the YAML says nothing of an option, the schema in ``benchmark/config.py`` does, or EVERY of what all models have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmark import config
from benchmark.config import CONF_DIR

SCHEMA = Path(config.__file__)
EVERY = {  # of a model: keywords that mean the same in all of them
    "name": "in records and tables",
    "_target_": "its class",
    "headline": "the score whose AUROC stands in the tables, one of those that the model's page in docs/models/ has",
    "epochs": "passes over the training images; trainer.epochs counts more",
    "batch_size": "images of an update; trainer.batch_size counts more",
    "learning_rate": "of Adam",
    "weight_decay": "of Adam: the squared weights' share of the loss",
}
HIDDEN = ("dataset.sha256", "dataset.sources")  # of files: nothing to choose


def annotate(text: str, choices: Mapping[str, str], own: str | None = None) -> str:
    """``text`` with a comment behind every option that has one, and without checksums and sources.

    ``choices`` are the options chosen in each group: they name the files that the comments are in, here or in the
    folder ``own`` of ``--config-dir``.
    """
    comments = {f"model.{key}": comment for key, comment in EVERY.items()} | _of_schema() | _comments("", "config", own)
    for group, option in choices.items():
        comments |= _comments(group, option, own)
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
    return {f"{group}.{key}".lstrip("."): comment for key, comment in _beside(lines, "").items()}


def _of_schema() -> dict[str, str]:
    """Full key -> the comment on its line in the classes of the schema."""
    found: dict[str, str] = {}
    for part in re.split(r"^(?=class \w+)", SCHEMA.read_text(encoding="utf-8"), flags=re.MULTILINE):
        if named := re.match(r"class (\w*)Config\b", part):
            group = named[1].lower()
            found |= {
                f"{group}.{key}".lstrip("."): comment for key, comment in _beside(part.splitlines(), "    ").items()
            }
    return found


def _beside(lines: Iterable[str], indent: str) -> dict[str, str]:
    """Key -> the comment behind it, with the lines below it that are nothing but more of the comment.

    >>> _beside(["a: 1   # one", "       # and two", "b: 2", "# three"], "")
    {'a': 'one and two'}
    """
    found: dict[str, str] = {}
    last = ""
    for line in lines:
        if more := re.match(rf"{indent}\s+#\s+(.*)", line):
            if last:
                found[last] += f" {more[1]}"
            continue
        match = re.match(rf"{indent}(\w+):.*?\s#\s+(.*)", line)
        last = match[1] if match else ""
        if match:
            found[last] = match[2]
    return found
