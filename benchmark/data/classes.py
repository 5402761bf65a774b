"""A split's classes by index or by name; apart from the splits so that a wrong one is refused without loading torch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from benchmark.config import UsageError

NORMAL, ANOMALOUS = "split.normal_class", "split.anomalous_class"  # the class trained on, or the one left out
MOST = 10**9  # indices are below


def class_setting(split: Any) -> tuple[str, Any]:
    """The key of a ``SplitConfig`` that names its classes, and its value.

    Each split has its own key, so that a sweep over both may name both. Where leave_one_out is given the other alone,
    which was its name once, it is read still. Raises ``UsageError`` where one_vs_rest is.
    """
    if split.name == "leave_one_out":
        if is_old(split):
            return NORMAL, split.normal_class
        return ANOMALOUS, "all" if split.anomalous_class is None else split.anomalous_class
    if split.normal_class not in (None, "all") or split.anomalous_class in (None, "all"):
        return NORMAL, "all" if split.normal_class is None else split.normal_class
    raise UsageError(
        f"{ANOMALOUS}={split.anomalous_class} is of split=leave_one_out, {split.name} names the class it trains on. "
        f"Type split=leave_one_out, or {NORMAL}={split.anomalous_class}"
    )


def is_old(split: Any) -> bool:
    """Whether the class left out is called the normal one, as it was once."""
    return split.name == "leave_one_out" and split.normal_class is not None and split.anomalous_class in (None, "all")


def refuse_names(names: Sequence[str]) -> None:
    """Raise ``UsageError`` for a class name that stands there twice, or that one of the places it goes to would act on.

    Those are tables of every kind, pages, and configurations, where ``${...}`` and ``???`` stand for something else.
    """
    for i, name in enumerate(names):
        if name in names[:i]:
            raise UsageError(f"dataset.classes names {name[:40]!r} twice: every class and kind needs a name of its own")
        if (allowed := allowed_name(name)) is not None:
            raise UsageError(f"dataset.classes: {name[:40]!r} is not allowed: a class name must be {allowed}")


def allowed_name(name: str) -> str | None:
    """What the name of a class may be, if it is not ``name``; None if it may be that."""
    if not name or name[0] in "=+-@" or any(c in "[]<>" or not c.isprintable() for c in name):
        return "not empty, without = + - @ in front, and without brackets [ ] < > and control characters"
    if "${" in name or name == "???":
        return "without ${, and not ???, which configurations take for something else"
    return None


def refuse_ambiguous(value: Any, names: Sequence[str], key: str = NORMAL) -> None:
    """Raise ``UsageError`` for a number that is one class's index and another one's name; in quotes it is the name.

    Where both are the same class, as in MNIST, there is nothing to confuse.
    """
    for item in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
        if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item < len(names):
            continue
        if str(item) in names and (other := names.index(str(item))) != item:
            raise UsageError(
                f"{key}={item} can be two classes: the one called {item} (index {other}) and the one of index {item} "
                f"({names[item]}). Type the name in quotes: {key}=\"'{item}'\" or {key}=\"'{names[item]}'\""
            )


def resolve_classes(
    value: Any, class_names: Sequence[str], key: str = NORMAL, trainable: Collection[int] | None = None
) -> list[int]:
    """Class indices for the setting ``key``: "all", an index, a name in any case, or a list of these.

    ``trainable`` are the classes that leave training images (``data/splits.py``), which "all" stands for and others
    are refused; None: all. Raises ``UsageError`` naming what is allowed.

    >>> resolve_classes("Sneaker", ["Sandal", "Shirt", "Sneaker"]), resolve_classes("all", ["a", "b"])
    ([2], [0, 1])
    >>> resolve_classes("all", ["crack", "good", "scratch"], trainable=[1])
    [1]
    """
    allowed = range(len(class_names)) if trainable is None else sorted(trainable)
    if not allowed:
        raise UsageError(
            f"{key}={value} leaves no training images: no two classes have any. Type: split=one_vs_rest"
            if key != NORMAL
            else f"{key}={value} leaves no training images: no class has any"
        )
    if isinstance(value, str) and value.lower() == "all":
        return list(allowed)
    values = [value] if isinstance(value, str | int | float | bool | None) else list(value)
    lower = [name.lower() for name in class_names]
    found = []
    for item in values:
        if isinstance(item, str) and item.lower() in lower:
            found.append(lower.index(item.lower()))
        elif (index := _index(item)) is not None and index < len(class_names):
            found.append(index)
        elif index is not None and str(item) in class_names:
            found.append(class_names.index(str(item)))
        else:
            names = ", ".join(f"{i} ({name})" for i, name in enumerate(class_names))
            raise UsageError(
                f"{key}={item} is not a class of this data set; allowed: all, or an index or name of "
                f"{names}. Type for example: {key}=3"
            )
        if found[-1] not in allowed:
            raise UsageError(_untrainable(item, class_names, key, allowed))
    if not found or len(set(found)) != len(found):
        raise UsageError(f"{key}={value} must name at least one class, and none twice")
    return found


def _index(item: Any) -> int | None:
    """A number as it is typed; one of many digits is none."""
    if isinstance(item, bool | float | None) or (isinstance(item, int) and not 0 <= item < MOST):
        return None
    text = str(item)
    return int(text) if text.isdecimal() and len(text) < len(str(MOST)) else None


def _untrainable(item: Any, names: Sequence[str], key: str, allowed: Sequence[int]) -> str:
    """One line for a class of which no images would be left to train on."""
    can = ", ".join(f"{i} ({names[i]})" for i in allowed)
    return (
        f"{key}={item} is not allowed: no training images would be left; allowed: all, or an index or name of {can}. "
        f"Type: {key}={names[allowed[0]]}"
    )
