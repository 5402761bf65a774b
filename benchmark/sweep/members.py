"""What a committee is made of, as it is typed: ``models=[pca:smoothed,ae@latent=32,knn]``.

A member is a model of the experiment. Where that has several variants of it, its settings follow, each after an @, or
``@shipped`` for the one as shipped. A rule follows after a colon; without one it is the model's own headline score,
which ``:own`` says too; ``:chosen`` is the rule that was chosen for the model and data set. Neither character means
anything to a shell, and the brackets around the list, which may, can be left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmark.config import UsageError
from benchmark.engine.committee import NAME
from benchmark.store.experiments import PlannedCell, shared_settings

SHIPPED = "shipped"  # after an @: the variant without settings of its own
OWN = "own"  # the rule that is a model's headline score, which every record has
CHOSEN = "chosen"  # the rule that the record of each cell names as chosen


@dataclass(frozen=True)
class Wanted:
    """A member as it was typed."""

    typed: str
    model: str
    settings: tuple[str, ...] | None = None  # None: not typed; (): as shipped
    rule: str | None = None  # None: not typed


@dataclass(frozen=True)
class Column:
    """A member as it was found: a column of the experiment, and the rule that gives its scores."""

    model: str
    variant: str
    rule: str
    name: str  # without the settings that all members have


def read_members(models: str, rules: str | None = None) -> list[Wanted]:
    """The members in ``models``; those without a rule once under each of ``rules``.

    Raises ``UsageError`` for what is no list of members.
    """
    wanted = [_read(word) for word in _words("models", models)]
    if rules is None:
        return wanted
    under = _words("rules", rules)
    return [replace(one, rule=one.rule or rule) for one in wanted for rule in (under if one.rule is None else [""])]


def _words(key: str, text: str) -> list[str]:
    """What stands between the commas of a list, but for those in brackets of its own."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    words, depth = [""], 0
    for character in inner:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            words.append("")
        else:
            words[-1] += character
    words = [word.strip() for word in words]
    if depth != 0 or not all(words):
        raise UsageError(f"{key}={text}: this is no list. Type for example: {_EXAMPLES[key]}")
    return words


_EXAMPLES = {"models": "models=[pca,knn]", "rules": "rules=[own,smoothed]"}


def _read(word: str) -> Wanted:
    column, colon, rule = word.rpartition(":") if ":" in word else (word, "", "")
    model, *settings = column.split("@")
    if not model or (colon and not rule) or not all(settings):
        raise UsageError(f"models: {word} is no member. Type for example: pca, pca:smoothed or ae@latent=32:smoothed")
    named = None if not settings else () if settings == [SHIPPED] else tuple(settings)
    return Wanted(word, model, named, rule or None)


def find_members(wanted: Sequence[Wanted], cells: Sequence[PlannedCell], experiment: str) -> list[Column]:
    """The columns of the experiment that are meant, sorted by their names, so that their order makes no difference.

    Raises ``UsageError`` for a member that is none or may be several, and for fewer than two different ones.
    """
    cells = [cell for cell in cells if cell.axes.model != NAME]
    columns = list(dict.fromkeys((cell.axes.model, cell.variant) for cell in cells))
    shared = shared_settings(columns)
    chosen = [(one.model, _variant(one, columns, shared, experiment), one.rule or OWN) for one in wanted]
    for i, one in enumerate(chosen):
        if one in chosen[:i]:
            raise UsageError(f"models: {wanted[i].typed} stands there twice. Leave one of them out")
    if len(chosen) < 2:
        raise UsageError("a committee has two members or more. Type for example: models=[pca,knn] or pca:smoothed")
    of_all = shared_settings((model, variant) for model, variant, _ in chosen)
    found = [Column(*one, _name(*one, of_all)) for one in chosen]
    return sorted(found, key=lambda column: column.name)


def _variant(one: Wanted, columns: Sequence[tuple[str, str]], shared: Sequence[str], experiment: str) -> str:
    if one.model == NAME:
        raise UsageError(f"models: {one.typed}: a committee is no member of another. Name its members instead")
    variants = [variant for model, variant in columns if model == one.model]
    if not variants:
        known = ", ".join(dict.fromkeys(model for model, _ in columns))
        raise UsageError(f"models: experiment {experiment} has no cell of {one.model}. It has: {known or 'none'}")
    meant = [variant for variant in variants if _is_meant(one, variant.split(), shared)]
    if len(meant) != 1:
        names = [_name(one.model, variant, one.rule or OWN, shared) for variant in variants]
        names = [name if "@" in name else name.replace(one.model, f"{one.model}@{SHIPPED}", 1) for name in names]
        what = f"may be one of {len(meant)} variants" if meant else f"is no variant of experiment {experiment}"
        raise UsageError(f"models: {one.typed} {what}. Type one of: {', '.join(names)}")
    return meant[0]


def _is_meant(one: Wanted, settings: Sequence[str], shared: Sequence[str]) -> bool:
    if one.settings is None:
        return True
    return set(one.settings) in (set(settings), set(settings) - set(shared))


def _name(model: str, variant: str, rule: str, shared: Sequence[str]) -> str:
    settings = "".join(f"@{setting}" for setting in variant.split() if setting not in shared)
    return model + settings + ("" if rule == OWN else f":{rule}")


def committee_variant(columns: Sequence[Column]) -> str:
    """What a committee's column is called: the settings that all members have, then the members.

    >>> committee_variant(
    ...     [Column("ae", "epochs=1 latent=2", "own", "ae@latent=2"), Column("vae", "epochs=1", "own", "vae")]
    ... )
    'epochs=1 members=[ae@latent=2,vae]'
    """
    shared = shared_settings((column.model, column.variant) for column in columns)
    return " ".join([*shared, f"members=[{','.join(column.name for column in columns)}]"])
