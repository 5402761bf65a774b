"""Normal classes by index or by name; apart from the splits so that a wrong one is refused without loading torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.config import UsageError


def resolve_classes(value: Any, class_names: Sequence[str]) -> list[int]:
    """Class indices for ``split.normal_class``: "all", an index, a name in any case, or a list of these.

    Raises ``UsageError`` naming what is allowed.

    >>> resolve_classes("Sneaker", ["Sandal", "Shirt", "Sneaker"]), resolve_classes("all", ["a", "b"])
    ([2], [0, 1])
    """
    if isinstance(value, str) and value.lower() == "all":
        return list(range(len(class_names)))
    values = [value] if isinstance(value, str | int | float | bool | None) else list(value)
    lower = [name.lower() for name in class_names]
    found = []
    for item in values:
        if isinstance(item, str) and item.lower() in lower:
            found.append(lower.index(item.lower()))
        elif not isinstance(item, bool | float | None) and str(item).isdigit() and int(item) < len(class_names):
            found.append(int(item))
        else:
            names = ", ".join(f"{i} ({name})" for i, name in enumerate(class_names))
            raise UsageError(
                f"split.normal_class={item} is not a class of this data set; allowed: all, or an index or name of "
                f"{names}. Type for example: split.normal_class=3"
            )
    if not found or len(set(found)) != len(found):
        raise UsageError(f"split.normal_class={value} must name at least one class, and none twice")
    return found
