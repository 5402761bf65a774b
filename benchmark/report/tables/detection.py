"""The table of what a detector does at a threshold, beside flagging everything."""

from __future__ import annotations

from benchmark.report.statistics import Group, class_mean
from benchmark.report.tables.table import (
    ABSENT,
    WHY_NO_AUROC,
    Entry,
    Table,
    cells_text,
    group_key,
    group_title,
    mean_text,
    number,
)

DETECTION = (
    ("auroc", "AUROC ↑"),
    ("average_precision", "AP ↑"),
    ("fpr95", "FPR95 ↓"),
    ("precision", "precision ↑"),
    ("recall", "recall ↑"),
    ("f1", "F1 ↑"),
    ("false_alarm_rate", "false alarms"),
)


CONFORMAL = (
    "Means over classes. Precision, recall, F1 and false alarms (share of normal images flagged, 5% wanted) at the "
    "threshold that a new normal image exceeds with probability 5% at most: split conformal, from {} images a cell "
    "kept from training. F1 grows with false alarms where most images are anomalous: read it beside them and the "
    "last row."
)
OLDER = "Means over classes. Precision, recall and F1 at the threshold that 95% of normal training scores lie below."


def detection_table(group: Group) -> Table:
    """The other detection metrics of the headline score, means over classes; at last what flagging everything gives."""
    rows = []
    for label in group.labels:
        means = [class_mean(group, metric, label) for metric, _ in DETECTION]
        texts = [Entry(mean_text(m, False)) for m in means]
        rows.append([Entry(group.shown(label)), Entry(cells_text(group, label)), *texts])
    trivial, rules = everything_flagged(group), set()
    if trivial is not None:
        rules = {len(rows)}
        rows.append([Entry("everything flagged"), Entry(""), *[Entry("")] * 3, *(Entry(number(v)) for v in trivial)])
    return Table(
        f"detection_{group_key(group)}",
        f"Detection metrics of the headline score, {group_title(group)}",
        ["model", "cells", *(title for _, title in DETECTION)],
        rows,
        [_note(group), *([WHY_NO_AUROC] if group.without_anomalies else [])],
        rules,
    )


def everything_flagged(group: Group) -> tuple[float, float, float, float] | None:
    """Precision, recall, F1 and false alarms of flagging every image, means over classes; None without anomalies."""
    frame = group.frame.dropna(subset=["n_test", "n_test_anomalous"])
    frame = frame[frame["n_test_anomalous"] > 0]
    if frame.empty:
        return None
    shares = frame["n_test_anomalous"].astype(float) / frame["n_test"].astype(float)
    by_class = shares.groupby(frame["normal_class"]).mean()
    return float(by_class.mean()), 1.0, float((2 * by_class / (1 + by_class)).mean()), 1.0


def _note(group: Group) -> str:
    if "n_calibration" not in group.frame or group.frame["n_calibration"].dropna().empty:
        return OLDER
    counts = sorted({int(n) for n in group.frame["n_calibration"].dropna()})
    shown = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    few = f" {ABSENT}: fewer than 19 such images, no threshold." if counts[0] < 19 else ""
    return CONFORMAL.format(shown) + few
