"""Tables of AUROC: the headline score class by class, and every named score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmark.data.synthetic import NAME as SYNTHETIC
from benchmark.report.crossing import PREFIX
from benchmark.report.statistics import Group, Mean, average_ranks, class_mean, per_class
from benchmark.report.tables.floors import floor_note
from benchmark.report.tables.table import (
    ABSENT,
    NO_ANOMALIES,
    WHY_NO_AUROC,
    Entry,
    Table,
    group_key,
    group_title,
    mean_text,
    number,
    updates,
)
from benchmark.store.naming import COMMITTEE, members_of

NO_RESULTS = "Scored on held-out training images: these numbers choose settings and are no results."
MADE = "The anomalies are made from held-out normal images (docs/selection.md): how real ones do is another matter."


def auroc_table(group: Group) -> Table:
    """AUROC of the headline score: rows the normal classes, columns the models."""
    labels, several = group.labels, len(group.seeds) > 1
    rows = [_class_row(group, k, several) for k in group.classes]
    means = [class_mean(group, "auroc", label) for label in labels]
    rules = {len(rows)}
    best = max((round(m.value, 3) for m in means if m.complete), default=math.nan)
    rows.append(
        [Entry("mean")] + [Entry(mean_text(m, several), m.complete and round(m.value, 3) == best) for m in means]
    )
    rows.append([Entry("sd over classes")] + [Entry(number(m.class_sd)) for m in means])
    if several:
        rows.append([Entry("95% CI over seeds")] + [Entry(_interval(m.seed_low, m.seed_high)) for m in means])
    ranks, shared = average_ranks(group)
    if ranks:
        least = min(round(rank, 2) for rank in ranks.values())
        short = "" if shared == group.n_classes else f" ({shared}/{group.n_classes})"
        rows.append(
            [Entry("average rank")]
            + [
                Entry(number(ranks[label], 2) + short, round(ranks[label], 2) == least)
                if label in ranks
                else Entry(ABSENT)
                for label in labels
            ]
        )
    rows.append([Entry("updates")] + [Entry(updates(group, label)) for label in labels])
    return Table(
        f"auroc_{group_key(group)}",
        f"AUROC, {group_title(group)}",
        [group.role, *map(group.shown, labels)],
        rows,
        _auroc_notes(group, means, several),
        rules,
    )


def _class_row(group: Group, k: int, several: bool) -> list[Entry]:
    columns = [per_class(group, "auroc", label).get(k, []) for label in group.labels]
    values = [round(float(np.mean(v)), 3) if v else math.nan for v in columns]
    best = max((v for v in values if not math.isnan(v)), default=math.nan)
    return [Entry(group.class_title(k))] + [
        Entry(
            NO_ANOMALIES if not v and (label, k) in group.without_anomalies else _seeds_text(v, several), value == best
        )
        for label, v, value in zip(group.labels, columns, values, strict=True)
    ]


def _seeds_text(values: Sequence[float], several: bool) -> str:
    if not values:
        return ABSENT
    text = number(float(np.mean(values)))
    if not several:
        return text
    spread = f" ± {number(float(np.std(values, ddof=1)))}" if len(values) > 1 else ""
    return f"{text}{spread} (n={len(values)})"


def _interval(low: float, high: float) -> str:
    """An interval of AUROC, cut off at the values that AUROC can take."""
    return ABSENT if math.isnan(low) else f"[{max(low, 0):.3f}, {min(high, 1):.3f}]"


def _auroc_notes(group: Group, means: Sequence[Mean], several: bool) -> list[str]:
    notes = ["Larger is better; the best of each row is bold (ties after rounding all are)."]
    images = sorted({int(n) for n in group.frame["n_test"].dropna()} - {0})
    if images:
        notes[0] += f" Every cell is scored on {' or '.join(f'{n:,}' for n in images)} {group.evaluate_on} images."
    if several:
        notes.append(
            "Mean ± standard deviation (ddof = 1) over n seeds; in the mean row, of the seeds that have all classes."
        )
    notes += unlike_columns(group, means)
    votes = group.frame[group.frame["label"] == COMMITTEE]
    notes += [
        f"{COMMITTEE}: the mean z-score, on calibration images, of {members_of(variant).replace(',', ', ')}."
        for variant in dict.fromkeys(votes["variant"])
    ]
    measured = any(mean.present for mean in means)  # without an AUROC there is nothing to say of floors
    notes.append(
        "The sd over classes says how much classes differ, not how far a mean may be off. Updates: training steps of a "
        "cell; fit: fitted in one call." + (f" {floor_note(group)}" if measured else "")
    )
    if (group.frame["state"] != "done").any():
        notes.append(f"{ABSENT} stands for a cell that is not done.")
    if group.without_anomalies:
        notes.append(WHY_NO_AUROC)
    if group.evaluate_on != "test":
        notes.append(NO_RESULTS)
    if group.evaluate_on == SYNTHETIC:
        notes.append(MADE)
    return notes


def unlike_columns(group: Group, means: Sequence[Mean]) -> list[str]:
    """What keeps the means of the columns from being compared: other seeds, and classes that are not there."""
    notes = []
    seeds = {label: sorted({int(s) for s in part["seed"]}) for label, part in group.frame.groupby("label", sort=False)}
    if len({tuple(own) for own in seeds.values()}) > 1:
        each = "; ".join(f"{label}: {', '.join(map(str, own))}" for label, own in seeds.items())
        notes.append(f"The columns have different seeds, compare their means with care ({each}).")
    if any(m.present and not m.complete for m in means):
        notes.append(
            "A mean marked (k/m) is over the k of m classes that are there: do not compare it with a full one."
        )
    return notes


def scores_table(group: Group) -> Table | None:
    """AUROC of every named score, mean over classes; the headline score marked with a dagger.

    Rules have a table of their own (``tables/rules.py``).
    """
    columns = [name for name in group.frame.columns if name.startswith("auroc_") and not name.startswith(PREFIX)]
    found = (name.removeprefix("auroc_") for name in columns)
    names = sorted(name for name in found if name != "se")  # auroc_se is no score but the standard error
    rows = []
    for name in names:
        row, used = [Entry(name)], False
        for label in group.labels:
            mean = class_mean(group, f"auroc_{name}", label)
            headlines = set(group.frame.loc[group.frame["label"] == label, "headline"]) - {""}
            if mean.present == 0:
                row.append(Entry(""))
                continue
            used = True
            row.append(Entry(mean_text(mean, len(group.seeds) > 1) + ("†" if name in headlines else "")))
        rows += [row] if used else []
    if not rows:
        return None
    return Table(
        f"scores_{group_key(group)}",
        f"AUROC of every named score, {group_title(group)}",
        ["score", *map(group.shown, group.labels)],
        rows,
        [
            "Mean over classes. † marks the headline score, chosen beforehand on training images; the others are shown "
            "to explain it, and picking the largest of a column afterwards would be selection on the test split. "
            "Blank: the model has no such score."
        ],
    )
