"""Overrides that hold data alone: those that a report from somebody else may have composed here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields

from benchmark.config import DatasetConfig, SplitConfig, TrainerConfig

GROUPS = ("model", "dataset", "split", "trainer", "tracking", "rule", "chosen", "experiment", "objective")
SETS_CODE = ("_target_", "options", "sources", "sha256", "torchvision_class", "raw_dir", "made_from")
SECTIONS = {"dataset": DatasetConfig, "split": SplitConfig, "trainer": TrainerConfig}
VALUES = ("seed", "device", "precision", "deterministic", "chosen_rule", "experiment_name", "output_dir", "data_dir")
VALUES += ("resume", "published")
WORD = r"[A-Za-z][A-Za-z0-9_]*"
KEY = re.compile(rf"\+{{0,2}}(?P<key>{WORD}(\.{WORD}){{0,2}})=")
CHOICE = re.compile(r"[A-Za-z0-9_\-]+(/[A-Za-z0-9_\-]+)*|\[[A-Za-z0-9_\-, ]*\]|null")  # of a file in conf


def not_plain(overrides: Iterable[str]) -> str | None:
    """The first override that is more than data: a flag, a class, a function, a value that Hydra works out; or None.

    >>> not_plain(["model=vae", "model.latent=8", "split.normal_class=[0,3]", "+experiment=selection/vae"])
    >>> not_plain(["model=vae", "++rules.x._target_=evil.M"])
    '++rules.x._target_=evil.M'
    """
    return next((override for override in overrides if not _is_plain(override)), None)


def _is_plain(override: str) -> bool:
    found = KEY.match(override)
    if found is None or any(sign in override for sign in ("${", "{", "_target_", "\\", "\n")):
        return False
    key, value = found["key"], override[found.end() :]
    section, _, rest = key.partition(".")
    if not rest:
        return CHOICE.fullmatch(value) is not None if key in GROUPS else key in VALUES
    names = rest.split(".")
    if any(name in SETS_CODE for name in names):
        return False
    if section in SECTIONS:
        return rest in {field.name for field in fields(SECTIONS[section])}
    return (section, len(names)) in (("model", 1), ("rules", 2))
