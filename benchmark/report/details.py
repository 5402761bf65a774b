"""Tables of quantities that only some models or data sets have: latent codes, kinds of anomalies."""

from __future__ import annotations

import math

from benchmark.report.statistics import Group, class_mean, column_mean
from benchmark.report.tables import Entry, Table, group_key, group_title, number

LATENT = (
    ("latent_prior_mmd2", "MMD² to the prior"),
    ("latent_prior_kl", "KL of the moments"),
    ("latent_active_units", "active units"),
)
AGAINST = "against_auroc_"  # prefix of the columns of single kinds of anomalies


def detail_tables(group: Group) -> list[Table]:
    """The tables of one data set and split, the empty ones left out."""
    return [table for table in (kinds_table(group), latent_table(group)) if table is not None]


def latent_table(group: Group) -> Table | None:
    """The aggregated posterior against the prior, and active units: means over the done cells of each model."""
    rows = []
    for label in group.labels:
        means = [column_mean(group, metric, label)[0] for metric, _ in LATENT]
        if not all(math.isnan(m) for m in means):
            digits = (4, 2, 1)
            texts = ["" if math.isnan(m) else number(m, d) for m, d in zip(means, digits, strict=True)]
            rows.append([Entry(label), *map(Entry, texts)])
    if not rows:
        return None
    note = "Means over the done cells, from the codes of 256 normal training images; formulas in the glossary."
    columns = ["model", *(title for _, title in LATENT)]
    return Table(f"latent_{group_key(group)}", f"Codes beside the prior, {group_title(group)}", columns, rows, [note])


def kinds_table(group: Group) -> Table | None:
    """AUROC of the headline score against each kind of anomaly, for data sets that have several."""
    kinds = sorted(name for name in group.frame.columns if name.startswith(AGAINST) and group.frame[name].notna().any())
    if not kinds:
        return None
    rows = []
    for label in group.labels:
        means = [class_mean(group, kind, label) for kind in kinds]
        texts = [number(m.value) + ("" if m.complete else f" ({m.present}/{m.expected})") for m in means]
        rows.append([Entry(label), *map(Entry, texts)])
    columns = ["model", *(kind.removeprefix(AGAINST).replace("_", " ") for kind in kinds)]
    note = "AUROC of the headline score, normal test images against one kind of anomaly alone; means over classes."
    return Table(f"kinds_{group_key(group)}", f"AUROC by kind of anomaly, {group_title(group)}", columns, rows, [note])
