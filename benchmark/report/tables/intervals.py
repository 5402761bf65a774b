"""The table of intervals over evaluated images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmark.report.measures.chosen import Chosen
from benchmark.report.statistics import Group, per_class
from benchmark.report.tables.chosen import under_rules
from benchmark.report.tables.table import ABSENT, Entry, Table, group_key, group_title


def chosen_interval_tables(chosen: Chosen) -> list[Table]:
    """The same of models each under the rule that was chosen for it, where the errors are known."""
    found = (interval_table(group, marked=False) for group in chosen.groups)
    return [under_rules(table, chosen) for table in found if table is not None]


def interval_table(group: Group, marked: bool = True) -> Table | None:
    """AUROC of every cell with its interval over evaluated images; None without standard errors.

    With ``marked`` the names of columns below a floor have its mark.
    """
    errors = {label: per_class(group, "auroc_se", label) for label in group.labels}
    if not any(errors.values()):
        return None
    rows = []
    for k in group.classes:
        row = [Entry(group.class_title(k))]
        for label in group.labels:
            values, own = per_class(group, "auroc", label).get(k), errors[label].get(k)
            row.append(Entry(interval_text(values, own) if values and own else ABSENT))
        rows.append(row)
    return Table(
        f"intervals_{group_key(group)}",
        f"AUROC with 95% intervals over images, {group_title(group)}",
        [group.role, *(map(group.shown, group.labels) if marked else group.labels)],
        rows,
        [
            "DeLong's standard error over the evaluated images, on the logit scale: what another draw of test images "
            "could change, with the same weights. Of several seeds: the mean, with"
            " the root mean square of their errors. "
            "Models of one table are scored on the same images, so two intervals that overlap may still differ."
        ],
    )


def interval_text(values: Sequence[float], errors: Sequence[float]) -> str:
    """An AUROC (mean over seeds) and its 95% interval.

    logit(A) +- 1.96 se / (A (1 - A)), brought back: it stays between 0 and 1.

    >>> interval_text([0.95], [0.005]), interval_text([1.0], [0.0])
    ('0.950 [0.939, 0.959]', '1.000 [1.000, 1.000]')
    """
    auroc, error = float(np.mean(values)), float(np.sqrt(np.mean(np.square(errors))))
    if not 0 < auroc < 1:
        return f"{auroc:.3f} [{auroc:.3f}, {auroc:.3f}]"
    middle, half = math.log(auroc / (1 - auroc)), 1.959964 * error / (auroc * (1 - auroc))
    low, high = (1 / (1 + math.exp(-(middle + sign * half))) for sign in (-1, 1))
    return f"{auroc:.3f} [{low:.3f}, {high:.3f}]"
