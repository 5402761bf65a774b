"""One file a formula. A rule is named by its configuration, ``conf/rule/NAME.yaml``, as shipped or somebody's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any

from benchmark.code_hash import model_code
from benchmark.config import CONF_DIR, UsageError
from benchmark.say import one_line
from benchmark.targets import load_target

if TYPE_CHECKING:
    from benchmark.rules.base import Rule

RESERVED = ("name", "_target_")  # keys of a rule that are no keywords of its constructor
TOGETHER = ("all",)  # files of conf/rule that choose several rules


@cache
def rule_names() -> tuple[str, ...]:
    """Names of the rules that have a configuration in this project, sorted."""
    return tuple(sorted(path.stem for path in (CONF_DIR / "rule").glob("*.yaml") if path.stem not in TOGETHER))


@cache
def rule_class(target: str) -> type[Rule]:
    """The class of a dotted path; its code is noted before it is imported.

    Raises ``UsageError`` if there is none, or if it is no rule.
    """
    from benchmark.rules.base import Rule

    model_code(target)
    found = load_target(target, "rule._target_")
    if not (isinstance(found, type) and issubclass(found, Rule)):
        raise UsageError(
            f"_target_={target} is no rule: write class {target.rpartition('.')[2]}(Rule), with "
            "from benchmark.rules.base import Rule"
        )
    return found


def shipped(name: str) -> dict[str, Any]:
    """The configuration of a rule of this project. Raises ``UsageError`` if there is none of this name."""
    import yaml

    if name not in rule_names():
        raise UsageError(f"rule={name}: there is no such rule. There is: {', '.join((*rule_names(), *TOGETHER))}")
    return yaml.safe_load((CONF_DIR / "rule" / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def is_floor(name: str) -> bool:
    """Whether a rule of this project asks the model nothing."""
    return getattr(rule_class(shipped(name)["_target_"]), "floor", False)


def load_rule(name: str, **changes: Any) -> Rule:
    """The rule ``name`` as configured in this project, with some of its keywords changed.

    Raises ``UsageError`` for an unknown name or keyword, and for a value that cannot be.
    """
    return build_rule({**shipped(name), **changes})


def build_rule(config: Mapping[str, Any]) -> Rule:
    """The rule of a configuration: ``name``, ``_target_`` and the keywords of the constructor.

    Raises ``UsageError`` for what it does not take.
    """
    name = config.get("name")
    cls = rule_class(str(config.get("_target_")))
    keywords = {key: value for key, value in config.items() if key not in RESERVED}
    known = signature(cls).parameters
    for key in keywords:
        if key not in known:
            raise UsageError(f"rules.{name}.{key}: rule {name} has no such key. It has: {', '.join(known) or 'none'}")
    try:
        return cls(**keywords)
    except (TypeError, ValueError) as error:
        raise UsageError(f"rule={name} cannot be: {one_line(error)}. Its keys: conf/rule/{name}.yaml") from error


def rule_code(config: Mapping[str, Any]) -> str:
    """SHA-256 of the code of a rule, and of its members' if it is a committee, as 64 hexadecimal digits each."""
    members = [rule_code(shipped(name)) for name in config.get("members", ())]
    return "+".join([model_code(config["_target_"]), *members])


def labelled(rules: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rules of a configuration by what they are called in records: their name, and what differs from it as shipped.

    >>> list(labelled({"smoothed": {**shipped("smoothed"), "sigma": 2.0}}))
    ['smoothed_sigma_2.0']
    """
    return {_label(key, config): dict(config) for key, config in rules.items()}


def _label(key: str, config: Mapping[str, Any]) -> str:
    before = shipped(key) if key in rule_names() else config
    changed = [(name, value) for name, value in config.items() if value != before.get(name)]
    return "_".join([key, *(f"{name}_{_short(value)}" for name, value in changed)])


def _short(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def refuse_rules(rules: Mapping[str, Any], chosen: str | None) -> None:
    """Raise ``UsageError`` for a rule that is none, or that cannot be built.

    What stands in ``rules`` as in our own YAML needs no look at the class, which would import torch.
    """
    if chosen is not None and chosen not in rule_names():
        raise UsageError(f"chosen_rule={chosen}: there is no such rule. There is: {', '.join(rule_names())}")
    for key, config in rules.items():
        if not isinstance(config, Mapping) or "_target_" not in config or config.get("name") != key:
            raise UsageError(
                f"rules.{key} is no rule. Its file rule/{key}.yaml begins with: # @package rules.{key} and has "
                f"name: {key} and _target_: my_rules.mine.Mine"
            )
        if key not in rule_names() or config != shipped(key):
            build_rule(config)
