"""One class of which the models are shown side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmark.store.experiments import PlannedCell

Arrays = dict[str, np.ndarray]


def of_one_class(
    cells: Sequence[PlannedCell], arrays_of: Callable[[PlannedCell], Arrays | None]
) -> tuple[int, dict[str, Arrays]]:
    """The first class that most columns have arrays of, and label -> arrays, those of its first cell.

    Without any arrays the class is 0 and there are no columns.
    """
    found: dict[int, dict[str, Arrays]] = {}
    for cell in cells:
        arrays = arrays_of(cell)
        if arrays:
            found.setdefault(cell.axes.normal_class, {}).setdefault(cell.label, arrays)
    chosen = max(sorted(found), key=lambda k: len(found[k]), default=0)
    return chosen, found.get(chosen, {})
