"""Command line to checked configurations: all that a sweep would run is composed and refused here, before any work."""

from __future__ import annotations

import copy
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmark.config import CONF_DIR, Config, UsageError
from benchmark.data import is_own, refuse_own_keys
from benchmark.sweep.check import validate
from benchmark.sweep.explain import explain, refuse_keys, refuse_preset_choices, refuse_typed_choices
from benchmark.sweep.flags import CommandLine, read_flags
from benchmark.sweep.launchers import Launcher

T = TypeVar("T")
GROUPS = ("model", "dataset", "split", "trainer", "tracking")  # each has a choice in every configuration


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

    A sweep's lists of values are crossed by Hydra's basic sweeper itself. Raises ``UsageError`` for the first one that
    cannot be composed or makes no sense.
    """
    return compose_line(read_flags(arguments))


def compose_line(line: CommandLine) -> ComposedCommand:
    """``compose_command`` of a command line that was read."""
    _refuse_deletions(line)
    with _hydra(line):
        base = _base(line)
        _refuse_mode(base.hydra, line)
        if line.multirun:
            jobs = _composed(line.overrides, lambda: _expand(base, line.overrides))
            if not jobs:
                raise UsageError("-m: nothing to sweep over: a list of values, or glob(...), that matches nothing")
            composed = [ComposedJob(_composed(job, lambda job=job: _compose(line, job)), job) for job in jobs]
        else:
            composed = [ComposedJob(_without_hydra(base), line.overrides)]
        for job in composed:
            refuse_keys(job.config, job.overrides)
            _composed(job.overrides, lambda job=job: _resolve(job.config))
    said = _complete([job.config for job in composed])
    for job in composed:
        validate(job.config)
    for text in said:
        print(text, file=sys.stderr, flush=True)
    launcher = _launcher(base.hydra, len(composed))
    if not line.multirun and not launcher.is_basic:
        raise UsageError(f"the launcher {launcher.name} runs the jobs of a sweep: add -m")
    return ComposedCommand(composed, launcher)


def _complete(configs: Sequence[Any]) -> list[str]:
    """Fill in what only the images of somebody's own data set say; they are read here, if that is to be done.

    Returns what is to be said of them.
    """
    for config in configs:
        refuse_own_keys(config.dataset)
    own = [config for config in configs if is_own(config.dataset)]
    if not own:
        return []
    from benchmark.data.folder import complete_all

    return complete_all(own)


def check_composition(line: CommandLine) -> dict[str, str]:
    """What is chosen in each group. Raises ``UsageError`` if what is only to be shown cannot be composed."""
    with _hydra(line):
        return dict(_base(line).hydra.runtime.choices)


def _base(line: CommandLine) -> Any:
    """What all jobs have, with Hydra's own configuration."""
    _refuse_config_name(line)
    single = [override for override in line.overrides if not (line.multirun and _is_sweep(override))]
    if empty := next((override for override in line.overrides if override.startswith("=")), None):
        raise UsageError(f"{empty}: this is not key=value. Type for example: python -m benchmark model=vae")
    base = _composed(line.overrides, lambda: _compose_base(line, single))
    refuse_preset_choices(base.hydra.runtime.choices)
    return base


def _compose_base(line: CommandLine, overrides: list[str]) -> Any:
    """What all jobs have; settings of a model that a preset sweeps over are of its models, and left to the jobs."""
    from hydra.errors import ConfigCompositionException

    try:
        return _compose(line, overrides, return_hydra_config=True)
    except ConfigCompositionException:
        rest = [override for override in overrides if not override.startswith("model.")]
        base = _compose(line, rest, return_hydra_config=True) if len(rest) < len(overrides) else None
        if base is None or "model" not in (base.hydra.sweeper.get("params") or {}):
            raise
        return base


def _compose(line: CommandLine, overrides: list[str], **how: Any) -> Any:
    from hydra import compose

    refuse_typed_choices(overrides)
    return compose(line.config_name, overrides, **how)


def _refuse_deletions(line: CommandLine) -> None:
    """Raise ``UsageError`` for ``~key``: what is taken out changes fingerprints, and what is computed not at all."""
    key = next((override[1:].partition("=")[0] for override in line.overrides if override.startswith("~")), None)
    if key is not None:
        raise UsageError(f"~{key}: {key} cannot be left out. Type {key}=<a value>, or leave out ~{key}")


def _refuse_config_name(line: CommandLine) -> None:
    """Raise ``UsageError`` for a configuration in which not every group has a choice."""
    if line.config_name == "config":
        return
    chosen = _composed([], lambda: _compose(line, [], return_hydra_config=True)).hydra.runtime.choices
    if missing := [group for group in GROUPS if group not in chosen]:
        raise UsageError(
            f"--config-name={line.config_name} is no whole configuration: it chooses no {', '.join(missing)}. Its "
            "defaults must begin with: - config (docs/presets.md)"
        )


def _refuse_mode(hydra: Any, line: CommandLine) -> None:
    """Raise ``UsageError`` if Hydra would run other jobs than those that are planned here."""
    for override in line.overrides:
        key, _, value = override.partition("=")
        if key.lstrip("+") == "experiment" and any(mark in value for mark in ",[("):
            raise UsageError(
                f"{override} names several presets, and each has its own models and data sets: one preset a command. "
                "Type for example: python -m benchmark -m +experiment=quick"
            )
    swept = sorted(key.lstrip("+~") for key in hydra.sweeper.get("params") or {})
    if swept and not line.multirun:
        what = next((o for o in line.overrides if o.startswith("+experiment=")), "this")
        command = shlex.join(["python", "-m", "benchmark", "-m", *line.words()])
        raise UsageError(f"{what} is a sweep (over {', '.join(swept)}), which needs -m. Type: {command}")
    if hydra.mode is not None:
        raise UsageError("hydra.mode is not allowed: -m makes a sweep of a command. Leave hydra.mode out")
    if (sweeper := hydra.runtime.choices["hydra/sweeper"]) != "basic":
        raise UsageError(f"hydra/sweeper={sweeper} is not allowed: cells are planned as Hydra's own sweeper runs them")


def _resolve(config: Any) -> None:
    """Raises OmegaConf's errors for values that lead nowhere, such as ${...} of a key that is none."""
    from omegaconf import OmegaConf

    OmegaConf.to_container(config, resolve=True, throw_on_missing=True)


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


def _expand(base: Any, overrides: list[str]) -> list[list[str]]:
    """Every job's overrides, as Hydra's basic sweeper has them: the preset's first, the last of a key counts."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    preset = [f"{key}={value}" for key, value in (base.hydra.sweeper.get("params") or {}).items()]
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides([*preset, *overrides]), None)
    return jobs


def _is_sweep(override: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:
        return OverridesParser.create().parse_override(override).is_sweep_override()
    except Exception:  # a malformed override is reported when it is composed
        return False


@contextmanager
def _hydra(line: CommandLine) -> Iterator[None]:
    """Hydra with our configuration and behind it the folder of ``--config-dir``, where ``hydra.main`` puts it too."""
    from hydra import initialize_config_dir
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.global_hydra import GlobalHydra

    register_schemas()
    with initialize_config_dir(str(CONF_DIR.resolve()), version_base="1.3"):
        if line.config_dir is not None:
            path = create_config_search_path(str(CONF_DIR.resolve()))
            folder = f"file://{os.path.abspath(line.config_dir)}"
            path.prepend("command-line", folder, SearchPathQuery(provider="schema"))
            GlobalHydra.instance().clear()
            Hydra.create_main_hydra2("benchmark", path)
        yield


def register_schemas() -> None:
    """Tell Hydra the types of everything in ``conf/``."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="schema", node=Config)


def through_hydra(words: Sequence[str], task: Callable[[Any], object]) -> int:
    """Hydra's own command line: what only shows something, and the launchers that run jobs elsewhere.

    Returns its exit code; what ``task`` or a launcher raises is for the caller to say.
    """
    import hydra

    register_schemas()
    os.environ["HYDRA_FULL_ERROR"] = "1"
    app = hydra.main(version_base="1.3", config_path=str(CONF_DIR.resolve()), config_name="config")(task)
    before, sys.argv = sys.argv, ["benchmark", *words]
    try:
        app()
        return 0
    except SystemExit as error:
        return int(error.code or 0)
    finally:
        sys.argv = before


def _composed(overrides: Sequence[str], compose: Callable[[], T]) -> T:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        return compose()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UsageError(explain(error, overrides)) from error
