"""The table of what was chosen: each model's own score beside the rule that was chosen for it, on the same cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.report.crossing import chosen_rule, metric_of, rules_of
from benchmark.report.measures.chosen import Chosen
from benchmark.report.statistics import Group, by_class_and_seed, class_mean, t_interval
from benchmark.report.tables.auroc import NO_RESULTS, unlike_columns
from benchmark.report.tables.paired import MINIMUM_PAIRS, SEPARATED, holm, signed_rank
from benchmark.report.tables.rules import unlike_choices
from benchmark.report.tables.table import (
    ABSENT,
    DATASET_TITLES,
    Entry,
    Table,
    group_key,
    group_title,
    mean_text,
    number,
)

AS_SHIPPED = "as in the YAML"


@dataclass(frozen=True)
class Gain:
    """The chosen rule of a column against its own score, class by class; each the mean over the seeds of both."""

    label: str
    rule: str
    gap: np.ndarray  # (n,), AUROC under the chosen rule less that of the own score
    p: float  # two-sided, of Wilcoxon's signed-rank test; NaN with fewer than MINIMUM_PAIRS classes that differ
    p_holm: float


def gains(group: Group) -> list[Gain]:
    """Every column with a chosen rule; Holm's correction is over those that could be tested."""
    found = []
    for label in group.labels:
        rule = chosen_rule(group, label)
        if rule:
            gap = _gap(group, label, rule)
            tested = np.count_nonzero(gap) >= MINIMUM_PAIRS
            found.append((label, rule, gap, signed_rank(gap)[0] if tested else math.nan))
    corrected = iter(holm([p for *_, p in found if not math.isnan(p)]))
    return [Gain(*one, math.nan if math.isnan(one[-1]) else next(corrected)) for one in found]


def chosen_table(group: Group) -> Table | None:
    """A row a model that a rule was chosen for; None where there is none, or no cell was judged under rules."""
    found = gains(group) if rules_of(group) else []
    if not found:
        return None
    several = len(group.seeds) > 1
    values = ["AUROC, own", "sd over classes", "AUROC, chosen", "sd over classes"]
    columns = ["model", "settings", "own score", "chosen rule", *values]
    columns += ["mean difference", "95% interval of it", "chosen is larger", "p", "p (Holm)"]
    return Table(
        f"chosen_{group_key(group)}",
        f"AUROC under the chosen rule, {group_title(group)}",
        columns,
        [_row(group, gain, several) for gain in found],
        _notes(group, found, several),
        text_columns=4,
    )


def under_rules(table: Table, chosen: Chosen) -> Table:
    """A table of tests or intervals, named as one of chosen rules, with what was chosen as its first note."""
    kind, _, rest = table.key.partition("_")
    title = table.title.replace(",", " under chosen rules,", 1)
    told = "; ".join(
        f"{DATASET_TITLES.get(dataset, dataset)}: " + ", ".join(f"{name} {what}" for name, what in columns.items())
        for dataset, columns in chosen.rules.items()
    )
    note = (
        "Each model with the rule that was chosen for it beforehand, on other images than these, and with the settings "
        f"of its cells here, those of several data sets as one column. {told}."
    )
    return replace(table, key=f"{kind}_chosen_{rest}", title=title, notes=[note, *table.notes])


def _row(group: Group, gain: Gain, several: bool) -> list[Entry]:
    rows = group.frame[group.frame["label"] == gain.label]
    own, chosen = (class_mean(group, metric, gain.label) for metric in ("auroc", metric_of(gain.rule)))
    low, high = t_interval(gain.gap.tolist())
    n = len(gain.gap)
    return [
        Entry(group.shown(gain.label)),
        Entry(" ".join(sorted(set(rows["variant"]) - {""})) or AS_SHIPPED),
        Entry(", ".join(sorted(set(rows["headline"]) - {""}))),
        Entry(gain.rule),
        *(Entry(text) for mean in (own, chosen) for text in (mean_text(mean, several), number(mean.class_sd))),
        Entry(f"{gain.gap.mean():+.4f}" if n else ABSENT),
        Entry(ABSENT if math.isnan(low) else f"[{low:+.4f}, {high:+.4f}]"),
        Entry(f"{int((gain.gap > 0).sum())}/{n}" if n else ABSENT),
        Entry(number(gain.p, 4)),
        Entry(number(gain.p_holm, 4), gain.p_holm < SEPARATED),
    ]


def _gap(group: Group, label: str, rule: str) -> np.ndarray:
    own, chosen = (by_class_and_seed(group, metric, label) for metric in ("auroc", metric_of(rule)))
    gaps = []
    for k in (k for k in group.classes if k in own and k in chosen):
        shared = sorted(own[k].keys() & chosen[k].keys())
        if shared:
            gaps.append(float(np.mean([chosen[k][seed] - own[k][seed] for seed in shared])))
    return np.array(gaps)


def _notes(group: Group, found: Sequence[Gain], several: bool) -> list[str]:
    notes = [
        "The same weights under the model's own score, the rule of its paper, and under the rule that was chosen for "
        "it beforehand, on other images than these. Larger is better."
    ]
    if several:
        notes.append("Mean ± standard deviation (ddof = 1) over n seeds that have all classes.")
    notes.append(
        "Differences are chosen less own, paired by class (means over seeds); two-sided Wilcoxon signed-rank test, "
        f"which needs {MINIMUM_PAIRS} classes with a difference; Holm's correction over the rows of this table; bold: "
        "below 0.05. Not separated is not equal."
    )
    if any(math.isnan(gain.p) for gain in found):
        notes.append(
            f"{ABSENT}: nothing to test, as the chosen rule gives the same AUROC or too few classes are there."
        )
    means = [class_mean(group, metric, g.label) for g in found for metric in ("auroc", metric_of(g.rule))]
    notes += [*unlike_choices(group), *unlike_columns(group, means)]
    if group.evaluate_on != "test":
        notes.append(NO_RESULTS)
    return notes
