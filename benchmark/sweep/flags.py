"""The flags of ``python -m benchmark``: Hydra's own, understood as Hydra understands them, before anything is done."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from benchmark.config import CONF_DIR, UsageError
from benchmark.sweep.explain import near_setting

SHOWING = ("help", "hydra_help", "cfg", "info", "shell_completion")
COMPLETION = ("install", "uninstall", "query")  # what --shell-completion can do
TOO_MUCH = {
    "config_path": "--config-path is not allowed: the models and data sets are in our own folder. To add presets of "
    "yours type --config-dir=DIR",
    "experimental_rerun": "--experimental-rerun is not allowed: it would execute what its file says. Type the command "
    "of the run again",
}


@dataclass(frozen=True)
class CommandLine:
    """What was typed, in parts."""

    overrides: list[str]  # key=value
    flags: dict[str, Any]  # name with _ -> what was given; those not given are None or False

    @property
    def multirun(self) -> bool:
        return self.flags["multirun"]

    @property
    def config_dir(self) -> str | None:
        return self.flags["config_dir"]

    @property
    def config_name(self) -> str:
        return self.flags["config_name"] or "config"

    @property
    def shows(self) -> str | None:
        """The flag that shows or prints something instead of running, if there is one."""
        return next((name for name in SHOWING if self.flags[name]), None)

    def words(self) -> list[str]:
        """The same for Hydra, which takes no flag between two overrides."""
        flags = []
        for name, value in self.flags.items():
            if value:
                flag = "--" + name.replace("_", "-")
                flags.append(flag if value is True else f"{flag}={value}")
        return [*flags, *self.overrides]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. The flags: python -m benchmark --hydra-help")


def read_flags(arguments: Sequence[str]) -> CommandLine:
    """The command line in parts. Raises ``UsageError`` for flags that are not known or do not go together."""
    from hydra._internal.utils import get_args_parser

    hydra = get_args_parser()
    parser = _Parser(prog="benchmark", add_help=False, parents=[hydra], conflict_handler="resolve")
    parser.add_argument("--version", action="store_true")
    found, unknown = parser.parse_known_intermixed_args(list(arguments))
    if unknown:
        raise UsageError(_unknown(unknown[0], list(arguments)))
    flags = vars(found)
    line = CommandLine(_with_home(_rules_together(flags.pop("overrides"))), flags)
    for name, why in TOO_MUCH.items():
        if flags[name] is not None:
            raise UsageError(why)
    if line.shows and (flags["multirun"] or flags["run"]):
        other = "-m" if flags["multirun"] else "--run"
        raise UsageError(f"--{line.shows.replace('_', '-')} runs nothing: leave out {other}")
    if flags["multirun"] and flags["run"]:
        raise UsageError("--run is one job, -m a sweep: leave out one of them")
    for name in ("resolve", "package"):
        if flags[name] and not (flags["cfg"] or flags["help"]):
            raise UsageError(f"--{name} belongs to --cfg. Type for example: --cfg job --{name}")
    if flags["shell_completion"] and not any(o.partition("=")[0] in COMPLETION for o in line.overrides):
        words = "install=SHELL, uninstall=SHELL or query=SHELL"
        raise UsageError(f"--shell-completion needs {words}. Type for example: --shell-completion install=bash")
    if line.config_dir is not None:
        check_config_dir(line.config_dir)
    return line


def _rules_together(overrides: Sequence[str]) -> list[str]:
    """``rule=a,b`` is one job judged by both, as ``rule=[a,b]``: a cell is trained once, whatever judges it."""
    several = re.compile(r"rule=(\w+(?:,\w+)+)")
    return [f"rule=[{found[1]}]" if (found := several.fullmatch(each)) else each for each in overrides]


def _with_home(overrides: Sequence[str]) -> list[str]:
    """``dataset.path=~/parts`` with the home folder written out: no shell does so there, and Hydra knows no ~."""
    key, home = "dataset.path=", re.compile(r"(?<=[=,])~(?=/)")
    return [home.sub(lambda _: os.path.expanduser("~"), each) if each.startswith(key) else each for each in overrides]


def check_config_dir(folder: str) -> None:
    """Raise ``UsageError`` if ``folder`` is none, or holds a file with the name of one of ours, which would count."""
    if not os.path.isdir(folder):
        raise UsageError(f"--config-dir={folder}: there is no such folder")
    if os.path.samefile(folder, CONF_DIR):
        return
    for shipped in sorted(CONF_DIR.rglob("*.yaml")):
        name = shipped.relative_to(CONF_DIR)
        if Path(folder, name).is_file():
            raise UsageError(
                f"{Path(folder, name)} has the name of a file of this project, which would be taken in its place. "
                f"Give it another name, such as {name.with_stem(f'my_{name.stem}').as_posix()}"
            )


def version() -> str:
    """What ``--version`` prints."""
    from importlib import metadata

    try:
        return f"benchmark {metadata.version('generative-anomaly-benchmark')}"
    except metadata.PackageNotFoundError:
        return "benchmark, not installed"


def _unknown(flag: str, arguments: list[str]) -> str:
    """One line for a flag that is none, with the setting that may have been meant."""
    name, equals, value = flag.partition("=")
    key = near_setting(name.lstrip("-").replace("-", "_"))
    if key is None:
        return f"{flag}: there is no such flag. Settings are typed key=value: python -m benchmark --help"
    if not equals:
        after = arguments[arguments.index(flag) + 1 :] if flag in arguments else []
        value = after[0] if after and "=" not in after[0] and not after[0].startswith("-") else "..."
    return f"{flag}: there is no such flag; settings are typed key=value. Type: {key}={value}"
