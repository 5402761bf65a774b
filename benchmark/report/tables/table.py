"""A table as plain data, and what stands in its title, heads and entries; ``formats`` renders it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from benchmark.report.statistics import Group, Mean, column_mean

ABSENT = "—"  # planned, but not there
NO_ANOMALIES = f"{ABSENT} no anomalies"  # done, but none were evaluated
WHY_NO_AUROC = (
    "No anomalies: none were evaluated, so that there is no AUROC. Scores and thresholds are in the cells' records; "
    "split.evaluate_on=synthetic makes anomalies."
)
RULES_SECTION = "Models and rules"  # heading of the tables and figures of both axes
SWEPT_SECTION = "Sensitivity to settings"  # of a setting that was swept
TESTS_SECTION = "Tests between models"
DATASET_TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}


@dataclass(frozen=True)
class Entry:
    """One entry of a table."""

    text: str
    bold: bool = False


@dataclass
class Table:
    """A table: ``key`` names its files, ``rules`` the rows that a line is drawn above."""

    key: str
    title: str
    columns: list[str]
    rows: list[list[Entry]]
    notes: list[str] = field(default_factory=list)
    rules: set[int] = field(default_factory=set)
    text_columns: int = 1  # leading columns that hold text; the others hold numbers
    section: str = ""


def group_title(group: Group) -> str:
    """``MNIST, one_vs_rest``, "validation" where that is what was evaluated, and settings that all columns have."""
    return f"{DATASET_TITLES.get(group.dataset, group.dataset)}, {scope_title(group)}"


def scope_title(group: Group) -> str:
    """What data sets side by side have in common: the split, and "validation" where that is what was evaluated."""
    return ", ".join([group.split, *([] if group.evaluate_on == "test" else [group.evaluate_on]), *group.shared])


def scope_key(group: Group) -> str:
    """Part of file names that says which split."""
    return "_".join(map(file_name, [group.split, *([] if group.evaluate_on == "test" else [group.evaluate_on])]))


def group_key(group: Group) -> str:
    """Part of file names that says which group."""
    return f"{file_name(group.dataset)}_{scope_key(group)}"


def file_name(text: str) -> str:
    """``text`` with what does not belong into a file's name as dashes."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text)


def number(value: float, digits: int = 3) -> str:
    """``value`` with ``digits`` decimals, or a dash where there is none."""
    return ABSENT if math.isnan(value) else f"{value:.{digits}f}"


def measured(value: float) -> str:
    """A quantity of any size with about three digits that matter."""
    if math.isnan(value):
        return ABSENT
    size = abs(value)
    return f"{value:.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.2f}"


def mean_text(mean: Mean, several: bool) -> str:
    if mean.present == 0:
        return ABSENT
    text = number(mean.value)
    if not mean.complete:
        return f"{text} ({mean.present}/{mean.expected})"
    if several and mean.seeds > 0:
        spread = f" ± {number(mean.seed_sd)}" if mean.seeds > 1 else ""
        return f"{text}{spread} (n={mean.seeds})"
    return text


def updates(group: Group, label: str) -> str:
    """Training steps of a column's cells, their mean; "fit" for a model that is fitted in one call."""
    mean, count = column_mean(group, "steps", label)
    return ABSENT if count == 0 else "fit" if mean == 0 else f"{mean:,.0f}"


def cells_text(group: Group, label: str) -> str:
    done, planned = _count(group, label)
    return f"{done}" if done == planned else f"{done}/{planned}"


def _count(group: Group, label: str) -> tuple[int, int]:
    states = group.frame.loc[group.frame["label"] == label, "state"]
    return int((states == "done").sum()), len(states)
