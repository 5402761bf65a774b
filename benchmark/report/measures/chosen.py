"""The columns of a report under the rules that were chosen for them, as groups that any test of columns takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.report.committed import is_published
from benchmark.report.crossing import chosen_rule, metric_of
from benchmark.report.statistics import Group

ERROR = "chosen_auroc_se"  # column of the standard error under the chosen rule


@dataclass(frozen=True)
class Chosen:
    """Groups of the columns with a chosen rule: ``auroc`` and its error are of that, a column is named by its model.

    Settings are chosen for each data set, so a model's columns of several data sets are one detector. Where a data set
    has several columns of one model with a chosen rule, they keep their names.
    """

    groups: tuple[Group, ...]
    rules: dict[str, dict[str, str]]  # data set -> column -> what it is: rule and settings


def under_chosen(all_groups: Sequence[Group]) -> Chosen:
    """The columns whose cells agree on a chosen rule, in the groups that have any."""
    import pandas as pd

    found: dict[str, dict[str, str]] = {}
    of_groups = [(g, {label: rule for label in g.labels if (rule := chosen_rule(g, label))}) for g in all_groups]
    models = [[_model(group, label) for label in chosen if not is_published(label)] for group, chosen in of_groups]
    several = {name for names in models for name in names if names.count(name) > 1}
    made = []
    for group, chosen in ((group, chosen) for group, chosen in of_groups if chosen):
        parts = []
        for label, rule in chosen.items():
            rows = group.frame[group.frame["label"] == label]
            model, metric = _model(group, label), metric_of(rule)
            name = label if model in several or is_published(label) else model
            values = rows[metric] if metric in rows else float("nan")
            error = rows[ERROR] if ERROR in rows else float("nan")
            parts.append(rows.assign(label=name, auroc=values, auroc_se=error))
            settings = " ".join(sorted(set(rows["variant"]) - {""})) if name == model else ""
            found.setdefault(group.dataset, {})[name] = f"{rule} ({settings})" if settings else rule
        made.append(Group(group.dataset, group.split, group.evaluate_on, pd.concat(parts), group.shared))
    return Chosen(tuple(made), found)


def _model(group: Group, label: str) -> str:
    return str(group.frame.loc[group.frame["label"] == label, "model"].iloc[0])
