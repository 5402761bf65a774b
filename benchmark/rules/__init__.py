"""One file a formula. ``load_rule`` makes a rule from its configuration, ``conf/rule/NAME.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmark.config import CONF_DIR, UsageError

if TYPE_CHECKING:
    from benchmark.rules.base import Rule


def rule_names() -> list[str]:
    """Names of the rules that have a configuration."""
    return sorted(path.stem for path in (CONF_DIR / "rule").glob("*.yaml"))


def rule_class(formula: str) -> type[Rule]:
    """The class of a formula, found in its module."""
    from importlib import import_module

    from benchmark.rules.base import Rule

    module = import_module(f"benchmark.rules.{formula}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must define one subclass of Rule, it defines {len(found)}")
    return found[0]


def load_rule(name: str, **changes: Any) -> Rule:
    """The rule ``name`` as configured, with some of its keywords changed.

    Raises ``UsageError`` for an unknown name or keyword, ``ValueError`` for a value that cannot be.
    """
    import yaml

    if name not in rule_names():
        raise UsageError(f"rule={name}: there is no such rule. There is: {', '.join(rule_names())}")
    written = yaml.safe_load((CONF_DIR / "rule" / f"{name}.yaml").read_text(encoding="utf-8"))
    return build_rule({**written, **changes})


def build_rule(config: Mapping[str, Any]) -> Rule:
    """The rule of a configuration: ``name``, ``formula`` and the keywords of the formula's constructor."""
    from inspect import signature

    cls = rule_class(config["formula"])
    keywords = {key: value for key, value in config.items() if key not in ("name", "formula")}
    known = signature(cls).parameters
    for key in keywords:
        if key not in known:
            raise UsageError(f"rule.{key}: rule {config['name']} has no such key. It has: {', '.join(known) or 'none'}")
    return cls(**keywords)
