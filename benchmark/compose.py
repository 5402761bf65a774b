"""Command line to checked configurations: all that a sweep would run is composed and refused here, before any work."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from typing import Any

from benchmark.config import CONF_DIR, UsageError, register_schemas, validate
from benchmark.launchers import EXTRAS, Launcher


@dataclass(frozen=True)
class ComposedJob:
    """One job of a command: its configuration and the overrides that lead to it."""

    config: Any
    overrides: list[str]


@dataclass(frozen=True)
class ComposedCommand:
    """The jobs of a command, and the launcher that is to run them."""

    jobs: list[ComposedJob]
    launcher: Launcher


def compose_jobs(arguments: Sequence[str]) -> list[ComposedJob]:
    """Every job that ``arguments`` would run; see ``compose_command``."""
    return compose_command(arguments).jobs


def compose_command(arguments: Sequence[str]) -> ComposedCommand:
    """Every job that ``arguments`` (as on the command line) would run, checked, and the launcher.

    A sweep's lists of values are crossed as Hydra's basic sweeper crosses them. Raises ``UsageError`` for the first
    one that cannot be composed or makes no sense.
    """
    overrides = [argument for argument in arguments if not argument.startswith("-")]
    multirun = any(argument in ("-m", "--multirun") for argument in arguments)
    with _hydra():
        from hydra import compose

        single = [override for override in overrides if not (multirun and _is_sweep(override))]
        base = _composed(overrides, lambda: compose("config", single, return_hydra_config=True))
        if multirun:
            jobs = list(_expand(base, overrides))
            composed = [ComposedJob(_composed(job, lambda job=job: compose("config", job)), job) for job in jobs]
        else:
            composed = [ComposedJob(_without_hydra(base), overrides)]
    for job in composed:
        validate(job.config)
    launcher = _launcher(base.hydra, len(composed))
    if not multirun and not launcher.is_basic:
        raise UsageError(f"the launcher {launcher.name} runs the jobs of a sweep: add -m")
    return ComposedCommand(composed, launcher)


def _without_hydra(base: Any) -> Any:
    """The job's own configuration, as ``compose`` gives it without ``return_hydra_config``."""
    from omegaconf import open_dict

    job = copy.deepcopy(base)
    with open_dict(job):
        del job["hydra"]
    return job


def _launcher(hydra: Any, jobs: int) -> Launcher:
    from omegaconf import OmegaConf

    name = hydra.runtime.choices["hydra/launcher"]
    settings = OmegaConf.to_container(hydra.launcher, resolve=False)  # its folders are named when it starts
    if name == "joblib" and settings["n_jobs"] == 0:
        raise UsageError("hydra.launcher.n_jobs=0 is not allowed: it must be a number of jobs at once, or -1 for all")
    return Launcher(name, settings, jobs)


def _expand(base: Any, overrides: list[str]) -> Iterator[list[str]]:
    """Every job's overrides: the product of swept values, those of the preset first."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parameters = base.hydra.sweeper.get("params") or {}
    given = {override.split("=", 1)[0].lstrip("+~") for override in overrides}
    preset = [f"{key}={value}" for key, value in parameters.items() if key.lstrip("+~") not in given]
    parsed = OverridesParser.create().parse_overrides([*preset, *overrides])
    choices = []
    for override in parsed:
        if override.is_sweep_override():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([override.input_line])
    for job in product(*choices):
        yield list(job)


def _is_sweep(override: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:
        return OverridesParser.create().parse_override(override).is_sweep_override()
    except Exception:  # a malformed override is reported when it is composed
        return False


@contextmanager
def _hydra() -> Iterator[None]:
    from hydra import initialize_config_dir

    register_schemas()
    with initialize_config_dir(str(CONF_DIR.resolve()), version_base="1.3"):
        yield


def _composed(overrides: Sequence[str], compose: Any) -> Any:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        return compose()
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(explain(error, overrides)) from error


def explain(error: BaseException, overrides: Sequence[str] = ()) -> str:
    """One line for an error of Hydra or OmegaConf: what is wrong, what is allowed, what to type."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None:
        parts.append(str(current))
        current = current.__cause__ or current.__context__
    text = "\n".join(parts)
    if found := re.search(r"Ambiguous value for argument '([^=]+)=([^']+)'", text):
        key, values = found.groups()
        return f"{key}={values} names several values: to sweep over them add -m; for one list type {key}=[{values}]"
    if found := re.search(r"Error parsing override '([^']*)'", text):
        return f"{found.group(1)}: this is not key=value. Type for example: python -m benchmark model=vae dataset=mnist"
    if found := re.search(r"Could not find '([\w/]+)/([^']+)'", text):
        group, option = found.groups()
        if group == "hydra/launcher" and option in EXTRAS:
            return f"the launcher {option} is not installed. Type: pip install -e '.[{EXTRAS[option]}]'"
        options = sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))
        return _with_hint(f"{group}={option}: there is no such {group}", option, options, group)
    if found := re.search(r"Could not override '([^']+)'\.", text):
        return _unknown_key(found.group(1), overrides)
    is_no = "could not be converted to|is not a valid"
    if found := re.search(rf"Value '(.*?)'(?: of type '\w+')? (?:{is_no}) (\w+)[^\n]*\n\s*full_key: (\S+)", text):
        value, wanted, key = found.groups()
        kind = {"Integer": "a whole number", "Float": "a number", "bool": "true or false", "Boolean": "true or false"}
        return f"{key}={value} is not allowed: it must be {kind.get(wanted, wanted)}"
    return " ".join(text.split("\n")[0].split()) + " (see python -m benchmark --help)"


def _unknown_key(key: str, overrides: Sequence[str]) -> str:
    parent, _, leaf = key.rpartition(".")
    keys = _keys_of(parent, overrides)
    return _with_hint(f"{key}: there is no such key", leaf, keys, f"{parent}." if parent else "")


def _keys_of(parent: str, overrides: Sequence[str]) -> list[str]:
    from dataclasses import fields, is_dataclass

    from benchmark import config
    from benchmark.models import constructor, model_names

    if parent == "model":
        chosen = [override.removeprefix("model=") for override in overrides if override.startswith("model=")]
        return list(constructor(chosen[-1])) if chosen and chosen[-1] in model_names() else list(constructor("ae"))
    schemas = {"": config.Config, "dataset": config.DatasetConfig, "split": config.SplitConfig}
    schemas |= {"trainer": config.TrainerConfig, "tracking": config.TrackingConfig}
    schema = schemas.get(parent)
    return [field.name for field in fields(schema)] if is_dataclass(schema) else []


def _with_hint(what: str, given: str, options: Sequence[str], prefix: str) -> str:
    near = get_close_matches(given, options, 1)
    separator = "" if prefix.endswith(".") or not prefix else "="
    hint = f"; did you mean {prefix}{separator}{near[0]}?" if near else "."
    return f"{what}{hint} There is: {', '.join(options)}" if options else what + hint
