"""Tables of what training came to: losses and seconds, and the value function of a GAN."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchmark.report.statistics import Group, column_mean
from benchmark.report.tables.table import Entry, Table, cells_text, group_key, group_title, measured, number, updates

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


def _or_blank(value: float, render: Callable[[float], str]) -> Entry:
    return Entry("" if math.isnan(value) else render(value))
