"""The tables of a report as plain data, made from the frame only; ``formats`` renders them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmark.report.statistics import (
    Group,
    Mean,
    average_ranks,
    class_mean,
    column_mean,
    per_class,
)  # fmt: skip
from benchmark.report.tables.floors import floor_note

ABSENT = "—"  # planned, but not there
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
    parts = [DATASET_TITLES.get(group.dataset, group.dataset), group.split]
    return ", ".join([*parts, *([] if group.evaluate_on == "test" else [group.evaluate_on]), *group.shared])


def group_key(group: Group) -> str:
    """Part of file names that says which group."""
    parts = [group.dataset, group.split] + ([] if group.evaluate_on == "test" else [group.evaluate_on])
    return "_".join(map(file_name, parts))


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


def group_tables(group: Group) -> list[Table]:
    """The tables of one data set and split, the empty ones left out."""
    from benchmark.report.tables.detection import detection_table
    from benchmark.report.tables.intervals import interval_table

    tables = [
        *(auroc_table(group), interval_table(group), loss_table(group), scores_table(group)),
        *(detection_table(group), gan_table(group)),
    ]
    return [table for table in tables if table is not None]


def auroc_table(group: Group) -> Table:
    """AUROC of the headline score: rows the normal classes, columns the models."""
    labels, several = group.labels, len(group.seeds) > 1
    rows = [_class_row(group, k, name, several) for k, name in group.classes.items()]
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
        [class_head(group), *map(group.shown, labels)],
        rows,
        _auroc_notes(group, means, several),
        rules,
    )


def class_head(group: Group) -> str:
    """What the classes of a group's rows are."""
    return "normal class" if group.split != "leave_one_out" else "anomalous class"


def updates(group: Group, label: str) -> str:
    """Training steps of a column's cells, their mean; "fit" for a model that is fitted in one call."""
    mean, count = column_mean(group, "steps", label)
    return ABSENT if count == 0 else "fit" if mean == 0 else f"{mean:,.0f}"


def _class_row(group: Group, k: int, name: str, several: bool) -> list[Entry]:
    columns = [per_class(group, "auroc", label).get(k, []) for label in group.labels]
    values = [round(float(np.mean(v)), 3) if v else math.nan for v in columns]
    best = max((v for v in values if not math.isnan(v)), default=math.nan)
    title = f"{k}" if name == str(k) else f"{k} {name}"
    return [Entry(title)] + [
        Entry(_seeds_text(v, several), value == best) for v, value in zip(columns, values, strict=True)
    ]


def _seeds_text(values: Sequence[float], several: bool) -> str:
    if not values:
        return ABSENT
    text = number(float(np.mean(values)))
    if not several:
        return text
    spread = f" ± {number(float(np.std(values, ddof=1)))}" if len(values) > 1 else ""
    return f"{text}{spread} (n={len(values)})"


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


def _interval(low: float, high: float) -> str:
    """An interval of AUROC, cut off at the values that AUROC can take."""
    return ABSENT if math.isnan(low) else f"[{max(low, 0):.3f}, {min(high, 1):.3f}]"


def _auroc_notes(group: Group, means: Sequence[Mean], several: bool) -> list[str]:
    notes = ["Larger is better; the best of each row is bold (ties after rounding all are)."]
    images = sorted({int(n) for n in group.frame["n_test"].dropna()})
    if images:
        notes[0] += f" Every cell is scored on {' or '.join(f'{n:,}' for n in images)} {group.evaluate_on} images."
    if several:
        notes.append(
            "Mean ± standard deviation (ddof = 1) over n seeds; in the mean row, of the seeds that have all classes."
        )
    seeds = {label: sorted({int(s) for s in part["seed"]}) for label, part in group.frame.groupby("label", sort=False)}
    if len({tuple(own) for own in seeds.values()}) > 1:
        each = "; ".join(f"{label}: {', '.join(map(str, own))}" for label, own in seeds.items())
        notes.append(f"The columns have different seeds, compare their means with care ({each}).")
    if any(m.present and not m.complete for m in means):
        notes.append(
            "A mean marked (k/m) is over the k of m classes that are there: do not compare it with a full one."
        )
    notes.append(
        "The sd over classes says how much classes differ, not how far a mean may be off. Updates: training steps of a "
        "cell; fit: fitted in one call. " + floor_note(group)
    )
    if (group.frame["state"] != "done").any():
        notes.append(f"{ABSENT} stands for a cell that is not done.")
    if group.evaluate_on != "test":
        notes.append("Scored on held-out training images: these numbers choose settings and are no results.")
    return notes


LOSSES = (
    ("train_reconstruction", "rec. train"),
    ("test_reconstruction_normal", "rec. normal"),
    ("test_reconstruction_anomalous", "rec. anomalous"),
    ("train_kl", "KL train"),
    ("test_kl_normal", "KL normal"),
    ("test_kl_anomalous", "KL anomalous"),
    ("train_seconds", "train s"),
    ("score_seconds", "score s"),
)


def loss_table(group: Group) -> Table:
    """Reconstruction loss, KL and seconds: means over the done cells of each model."""
    rows = []
    for label in group.labels:
        means = [column_mean(group, metric, label)[0] for metric, _ in LOSSES]
        row = [Entry(group.shown(label)), Entry(cells_text(group, label)), *(_or_blank(m, measured) for m in means)]
        rows.append([*row, Entry(updates(group, label))])
    return Table(
        f"losses_{group_key(group)}",
        f"Reconstruction loss, KL and seconds, {group_title(group)}",
        ["model", "cells", *(title for _, title in LOSSES), "updates"],
        rows,
        [
            "Means over the cells that are done. Reconstruction: squared error summed over pixels, mean over images; "
            "KL in nats; seconds for one cell on the machine of the manifest. Blank: the model has no such quantity.",
        ],
    )


def cells_text(group: Group, label: str) -> str:
    done, planned = _count(group, label)
    return f"{done}" if done == planned else f"{done}/{planned}"


def _count(group: Group, label: str) -> tuple[int, int]:
    states = group.frame.loc[group.frame["label"] == label, "state"]
    return int((states == "done").sum()), len(states)


def _or_blank(value: float, render: object) -> Entry:
    return Entry("" if math.isnan(value) else render(value))  # type: ignore[operator]


def scores_table(group: Group) -> Table | None:
    """AUROC of every named score, mean over classes; the headline score marked with a dagger."""
    found = (name.removeprefix("auroc_") for name in group.frame.columns if name.startswith("auroc_"))
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


def gan_table(group: Group) -> Table | None:
    """Value function and discriminator outputs of the models with a GAN."""
    metrics = (
        ("gan_value", "V(D, G)"), ("gan_value_at_optimum", "V at optimum"), ("gan_d_real", "D(real)"),
        ("gan_d_fake", "D(generated)"),
    )  # fmt: skip
    rows = []
    for label in group.labels:
        means = [column_mean(group, metric, label)[0] for metric, _ in metrics]
        if not all(math.isnan(m) for m in means):
            rows.append([Entry(group.shown(label)), *(_or_blank(m, lambda v: number(v)) for m in means)])
    if not rows:
        return None
    note = (
        "Means over the done cells. At the optimum of the minimax and non-saturating game D = 1/2 everywhere and "
        "V = -log 4. Blank: a critic, whose values are no probabilities."
    )
    columns = ["model", *(title for _, title in metrics)]
    return Table(f"gan_{group_key(group)}", f"GAN value function, {group_title(group)}", columns, rows, [note])
