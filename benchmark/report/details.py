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
    return [table for table in (kinds_table(group), latent_table(group), *judged_tables(group)) if table is not None]


GENERATION = (
    ("generation_modes_hit", "modes hit"),
    ("generation_modes", "of"),
    ("generation_mode_entropy", "entropy (nats)"),
    ("generation_mode_entropy_real", "of real images"),
    ("generation_share_other", "other class"),
    ("generation_frechet_classifier", "Frechet (classifier)"),
    ("generation_frechet_classifier_real", "of real images"),
)
GRADIENTS = (
    ("gan_d_fake", "D(generated)"),
    ("gan_gradient_norm_minimax", "minimax"),
    ("gan_gradient_norm_non_saturating", "non-saturating"),
)
BITS = (
    ("train_bits_per_dim", "training"),
    ("test_bits_per_dim_normal", "normal"),
    ("test_bits_per_dim_anomalous", "anomalous"),
)


def judged_tables(group: Group) -> list[Table]:
    """Bits per dimension, generated images as the classifier sees them, the gradient that G gets; a model a row."""
    found = (
        ("generation", "Generated images, judged by a classifier of the training split", GENERATION,
         "2,000 images a cell. A class is hit if 1% of them are taken for it. Frechet distance of the classifier's own "
         "64 features, squared, to real training images; beside it that of other real images. It is no FID."),
        ("gradients", "Norm of the generator's gradient after training", GRADIENTS,
         "Over all its parameters, under both losses on the same noise. The surer D is of generated images, the "
         "smaller is the minimax gradient beside the other."),
        ("bits", "Bits per dimension", BITS,
         "An upper bound of -log2 P(image) / pixels; one model's bound may be looser than another's. Where anomalous "
         "images have fewer bits than normal ones, likelihood prefers them: they are simpler."),
    )  # fmt: skip
    tables = []
    for key, title, metrics, note in found:
        rows = []
        for label in group.labels:
            means = [column_mean(group, metric, label)[0] for metric, _ in metrics]
            if not math.isnan(means[-1]):
                rows.append([Entry(label), *(Entry("" if math.isnan(m) else f"{m:.3g}") for m in means)])
        if rows:
            columns = ["model", *(heading for _, heading in metrics)]
            note = f"Means over the done cells. {note}"
            tables.append(Table(f"{key}_{group_key(group)}", f"{title}, {group_title(group)}", columns, rows, [note]))
    return tables


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
