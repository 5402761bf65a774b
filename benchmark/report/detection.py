"""The table of what a detector does at a threshold, beside flagging everything."""

from __future__ import annotations

from benchmark.report.statistics import Group, class_mean
from benchmark.report.tables import ABSENT, Entry, Table, cells_text, group_key, group_title, mean_text, number

DETECTION = (
    ("auroc", "AUROC ↑"),
    ("average_precision", "AP ↑"),
    ("fpr95", "FPR95 ↓"),
    ("precision", "precision ↑"),
    ("recall", "recall ↑"),
    ("f1", "F1 ↑"),
    ("false_alarm_rate", "false alarms"),
)


def detection_table(group: Group) -> Table:
    """The other detection metrics of the headline score, means over classes; at last what flagging everything gives."""
    rows = []
    for label in group.labels:
        means = [class_mean(group, metric, label) for metric, _ in DETECTION]
        texts = [Entry(mean_text(m, False)) for m in means]
        rows.append([Entry(group.shown(label)), Entry(cells_text(group, label)), *texts])
    rule = len(rows)
    share = anomalous_share(group)
    if share is not None:
        trivial = [number(v) for v in (share, 1.0, 2 * share / (1 + share), 1.0)]
        rows.append([Entry("everything flagged"), Entry(""), *[Entry("")] * 3, *map(Entry, trivial)])
    return Table(
        f"detection_{group_key(group)}",
        f"Detection metrics of the headline score, {group_title(group)}",
        ["model", "cells", *(title for _, title in DETECTION)],
        rows,
        [
            "Means over classes. Precision, recall, F1 and false alarms (share of normal images flagged, 5% wanted) at "
            "the threshold that a new normal image exceeds with probability 5% at most: split conformal, from "
            "images kept from training. F1 grows with false alarms where most images are anomalous: read it beside "
            f"them and the last row. {ABSENT}: fewer than 19 such images, no threshold."
        ],
        {rule} if share is not None else set(),
    )


def anomalous_share(group: Group) -> float | None:
    """The share of anomalous images among the evaluated ones, mean over classes; None if no cell is done."""
    frame = group.frame.dropna(subset=["n_test", "n_test_anomalous"])
    if frame.empty:
        return None
    shares = frame["n_test_anomalous"].astype(float) / frame["n_test"].astype(float)
    return float(shares.groupby(frame["normal_class"]).mean().mean())
