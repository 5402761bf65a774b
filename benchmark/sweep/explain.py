"""One line for what Hydra and OmegaConf refuse: what is wrong, what is allowed, what to type."""

from __future__ import annotations

import re
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from benchmark import chosen, config
from benchmark.config import UsageError
from benchmark.say import named
from benchmark.sweep.launchers import EXTRAS

SCHEMAS = {
    "": config.Config,
    "dataset": config.DatasetConfig,
    "split": config.SplitConfig,
    "trainer": config.TrainerConfig,
    "tracking": config.TrackingConfig,
}
KINDS = {"Integer": "a whole number", "Float": "a number", "bool": "true or false", "Boolean": "true or false"}
EXAMPLE = "Type for example: python -m benchmark model=vae dataset=mnist"
PRESETS = "(docs/presets.md)"


def explain(error: BaseException, overrides: Sequence[str] = ()) -> str:
    """One line for an error of Hydra, OmegaConf or YAML, while Hydra is initialised: it knows the groups."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None:
        chain.append(current)
        current = current.__cause__ or current.__context__
    text = "\n".join(map(str, chain))
    given = next((found for one in chain if (found := getattr(one, "override", None)) is not None), None)
    if given is not None:
        return _malformed(given)
    if (mark := getattr(error, "problem_mark", None)) is not None:
        return f"{mark.name} is not valid YAML: line {mark.line + 1}: {getattr(error, 'problem', '')}"
    where = re.search(r"In '([\w/]+)': ", text)
    file = f"{where[1]}.yaml: " if where and where[1] != "config" else ""
    known = _of_the_command_line(text, overrides) or _of_a_file(text, file) or _of_a_key(text, file, overrides)
    return known or _first_line(text)


def say(error: Exception, debug: bool) -> None:
    """What a job or a launcher raised, in one line; with ``debug`` the traceback before it."""
    if debug:
        traceback.print_exception(error)
    print(f"benchmark: {named(error)}", file=sys.stderr)


def refuse_keys(job: Any, overrides: Sequence[str]) -> None:
    """Raise ``UsageError`` for a key that no schema knows (``+key=``), and for one that was taken out (``~key``).

    Either would change fingerprints, and what is computed not at all or in a way that nothing says.
    """
    for parent, schema in SCHEMAS.items():
        section = job[parent] if parent else job
        names = [field.name for field in fields(schema)]
        for key in section:
            if key not in names:
                raise UsageError(unknown_key(f"{parent}.{key}" if parent else key, overrides))
        for name in names:
            if name not in section:
                key = f"{parent}.{name}" if parent else name
                raise UsageError(f"~{key}: {key} cannot be left out. Type {key}=<a value>, or leave out ~{key}")
    if not hasattr(job.model, "keys"):
        raise UsageError(_not_a_choice("model", str(job.model), ""))


def refuse_typed_choices(overrides: Sequence[str]) -> None:
    """Raise ``UsageError`` for a group without a choice (``model=null``), and for a choice of ``chosen`` that is none.

    Hydra takes the former for a fault of its own, and passes over the latter, as that group is optional.
    """
    for override in overrides:
        group, _, option = override.partition("=")
        if group == chosen.GROUP or (option == "null" and group in ("model", "rule", *SCHEMAS)):
            _refuse_option(group, option.strip("'\""))


def refuse_preset_choices(choices: Mapping[str, str]) -> None:
    """Raise ``UsageError`` if a preset chooses a file of ``chosen`` that is not there, and that is not the usual one.

    ``choices`` are those made in each group, as Hydra has them.
    """
    made = choices.get(chosen.GROUP, chosen.NONE)
    if made != "{dataset}_{model}".format_map(choices):
        _refuse_option(chosen.GROUP, made)


def _refuse_option(group: str, option: str) -> None:
    options = _options(group)
    if options and option not in options:
        raise UsageError(with_hint(f"{group}={option}: there is no such {group}", option, options, _typed(group)))


def unknown_key(key: str, overrides: Sequence[str]) -> str:
    """One line for a key that is none, with the one that may have been meant."""
    parent, _, leaf = key.rpartition(".")
    if key.startswith("rules"):
        return _of_a_rule(key)
    if parent == "" and (options := _options(leaf)):
        value = next((o.partition("=")[2] for o in overrides if o.startswith(f"{leaf}=")), "")
        if value not in options:
            return with_hint(f"{leaf}={value}: there is no such {leaf}", value, options, _typed(leaf))
        return f"{leaf} is chosen with a plus sign. Type: {_typed(leaf)}={value}"
    elsewhere = near_setting(leaf, 1.0) if parent == "" else None
    if elsewhere is not None:
        return f"{key}: there is no such key; did you mean {elsewhere}?"
    return with_hint(f"{key}: there is no such key", leaf, _keys_of(parent, overrides), f"{parent}." if parent else "")


def _of_a_rule(key: str) -> str:
    """A setting of a rule that has no such key, or that was not chosen."""
    from benchmark.rules import RESERVED, rule_names, shipped

    _, _, rest = key.partition(".")
    name = rest.partition(".")[0]
    if name not in rule_names():
        return f"{key}: rules are chosen by their names. Type for example: rule=smoothed rules.smoothed.sigma=2"
    keys = ", ".join(key for key in shipped(name) if key not in RESERVED)
    return f"{key}: there is no such key, or rule={name} was not typed, which has: {keys}"


def near_setting(name: str, likeness: float = 0.6) -> str | None:
    """The full key of the setting whose last part is most like ``name``: ``trainer.epochs`` for ``epochs``."""
    keys: dict[str, str] = {}
    for parent, schema in SCHEMAS.items():
        keys |= {field.name: f"{parent}.{field.name}" if parent else field.name for field in fields(schema)
                 if field.name != "name" or parent == ""}  # fmt: skip
    for keyword in _keys_of("model", ()):
        keys.setdefault(keyword, f"model.{keyword}")
    near = get_close_matches(name, keys, 1, likeness)
    return keys[near[0]] if near else None


def with_hint(what: str, given: str, options: Sequence[str], prefix: str) -> str:
    """``what``, the nearest of ``options`` if one is near, and all of them."""
    near = get_close_matches(given, options, 1)
    separator = "" if prefix.endswith(".") or not prefix else "="
    hint = f"; did you mean {prefix}{separator}{near[0]}?" if near else "."
    return f"{what}{hint} There is: {', '.join(options)}" if options else what + hint


def _malformed(override: str) -> str:
    """An override that Hydra's grammar does not know."""
    key, equals, value = override.partition("=")
    if not equals or not key:
        return f"{override}: this is not key=value. {EXAMPLE}"
    if value.startswith(("[", "{")):
        return f"{override}: this list does not end. Type for example: {key}=[0,1,2], without spaces or in quotes"
    if value.endswith(","):
        return f"{override}: a value is missing after the comma. Type: {override.rstrip(',')}"
    quoted = value.strip("'\"").replace("\\", "\\\\").replace('"', '\\"')
    words = key + '="' + quoted + '"'
    return f"{override}: a value with such characters must be in quotes of its own. Type: {shlex.quote(words)}"


def _of_the_command_line(text: str, overrides: Sequence[str]) -> str | None:
    if found := re.search(r"Ambiguous value for argument '([^=]+)=([^']+)'", text):
        key, values = found.groups()
        return f"{key}={values} names several values: to sweep over them add -m; for one list type {key}=[{values}]"
    if found := re.search(r"Sweep parameters '([^']+)' requires --multirun", text):
        return f"{found[1]} names several values: to sweep over them add -m"
    if "does not support sweep type" in text:
        key = next((o.split("=")[0] for o in overrides if "interval(" in o), "seed")
        return f"{key}=interval(...) has no end of values: a sweep lists them. Type for example: {key}=0,1,2"
    if found := re.search(r"Multiple values for ([\w/]+)\. To override a value use 'override ([\w/]+): (\S+)'", text):
        group, _, option = found.groups()
        if any(override.startswith(f"+{group}=") for override in overrides):
            return f"+{group}={option}: {group} has a value already. Type it without the plus sign: {group}={option}"
        return f"the preset's defaults choose {group} once more. Write there: - override /{group}: {option} {PRESETS}"
    if found := re.search(r"(\w+) appears more than once in the final defaults list", text):
        return f"the preset's defaults choose {found[1]} once more. Write there: - override /{found[1]}: ... {PRESETS}"
    if found := re.search(r"An item is already at '([^']+)'", text):
        key = found[1]
        return f"+{key}: {key} has a value already. Type it without the plus sign: {key}=<a value>"
    return None


def _of_a_file(text: str, file: str) -> str | None:
    """What is wrong in a preset."""
    if found := re.search(r"Merge error: \w+ is not a subclass of (\w+)\. value: (\S+)", text):
        group = next((name for name, schema in SCHEMAS.items() if schema.__name__ == found[1]), found[1])
        return _not_a_choice(group, found[2], file)
    if found := re.search(r"Could not override '([\w/]+)/(\w+)@\w+'", text):
        return f"{file}override {found[2]} lacks a slash. Write there: - override /{found[2]}: <a value> {PRESETS}"
    if file and re.search(rf"Key '{file.split('/')[0]}' (?:is )?not in", text):
        group, _, name = file.removesuffix(".yaml: ").partition("/")
        package = f"rules.{name}" if group == "rule" else "_global_"
        return f"{file}its first line must be: # @package {package} {PRESETS}"
    return None


def _not_a_choice(group: str, option: str, file: str) -> str:
    return f"{file}{group}: {option} chooses no {group}. Write below defaults: - override /{group}: {option} {PRESETS}"


def _of_a_key(text: str, file: str, overrides: Sequence[str]) -> str | None:
    if found := re.search(r"Could not find '([\w/]+)/([^']*)'", text):
        group, option = found.groups()
        if group == "hydra/launcher" and option in EXTRAS:
            return f"the launcher {option} is not installed. Type: pip install -e '.[{EXTRAS[option]}]'"
        known = with_hint(f"{group}={option}: there is no such {group}", option, _options(group), _typed(group))
        return f"{known}. One of your own: docs/your_own.md" if group in ("model", "dataset") else known
    if found := re.search(r"Could not override '([^']+)'\.", text):
        return unknown_key(found[1], overrides)
    if found := re.search(r"Key '\w+' (?:is )?not in '\w+'\s+full_key: (\S+)", text):
        return file + unknown_key(found[1], overrides)
    is_no = "could not be converted to|is not a valid"
    if found := re.search(rf"Value '(.*?)'(?: of type '\w+')? (?:{is_no}) (\w+)[^\n]*\n\s*full_key: (\S+)", text):
        value, wanted, key = found.groups()
        return f"{file}{key}={value} is not allowed: it must be {KINDS.get(wanted, wanted)}"
    return None


def _typed(group: str) -> str:
    """How a choice of a group begins: those that not every command makes take a plus sign, presets are sweeps."""
    if group.split("/")[0] in {"hydra", "model", chosen.GROUP, *SCHEMAS}:
        return group
    return f"-m +{group}" if group == "experiment" else f"+{group}"


def _first_line(text: str) -> str:
    """What is left: the library's own words, without the line that only says where it was."""
    lines = [" ".join(line.split()) for line in text.split("\n")]
    said = lines[0] if not lines[0].endswith("raised while composing config:") else " ".join(lines[:2])
    key = re.search(r"full_key: (\S+)", text)
    return f"{key[1] + ': ' if key else ''}{said} (see python -m benchmark --help)"


def _keys_of(parent: str, overrides: Sequence[str]) -> list[str]:
    from benchmark.models import model_names
    from benchmark.models.refusals import shipped_keywords

    if parent == "model":
        chosen = [override.removeprefix("model=") for override in overrides if override.startswith("model=")]
        return shipped_keywords(chosen[-1] if chosen and chosen[-1] in model_names() else "ae")
    return [field.name for field in fields(SCHEMAS[parent])] if parent in SCHEMAS else []


def _options(group: str) -> list[str]:
    """What can be chosen in a group of the configuration; an empty list if it is none."""
    from hydra.core.global_hydra import GlobalHydra

    loader = GlobalHydra.instance().config_loader()
    return sorted(option for option in loader.get_group_options(group) if option != "schema")
