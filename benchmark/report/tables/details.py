"""Tables of quantities that only some models or data sets have: latent codes, kinds of anomalies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmark.report.statistics import Group, above_histogram, class_mean, column_mean
from benchmark.report.tables.table import Entry, Table, group_key, group_title, number, updates

LATENT = (
    ("latent_prior_mmd2", "MMD² to the prior"),
    ("latent_prior_kl", "KL of the moments"),
    ("latent_active_units", "active units"),
)
MORE = "‡"  # behind a density that needs more bits than a histogram
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
MODES = GENERATION[:4]  # of no use where there is one normal class
BITS = (
    ("train_bits_per_dim", "training"),
    ("test_bits_per_dim_normal", "normal"),
    ("test_bits_per_dim_anomalous", "anomalous"),
)
BOUND = (
    ("bound_chain_steps", "steps of the bound"),
    ("bound_draws", "draws"),
)  # of the columns that have one


def judged_tables(group: Group) -> list[Table]:
    """Generated images as the classifier sees them, the gradient that G gets, bits per dimension; a model a row."""
    several = group.split != "one_vs_rest"  # normal classes
    found = (
        means_table(
            group, "generation", "Generated images, judged by a classifier of the training split",
            [column for column in GENERATION if several or column not in MODES],
            "2,000 images a cell. " + ("A class is hit if 1% of them are taken for it. " if several else "")
            + "Frechet distance of the classifier's own 64 features, squared, to real training images; beside it that "
            "of other real images. It is no FID.",
        ),
        means_table(
            group, "gradients", "Norm of the generator's gradient after training", GRADIENTS,
            "Over all its parameters, under both losses on the same noise. The surer D is of generated images, the "
            "smaller is the minimax gradient beside the other.",
        ),
        bits_table(group),
    )  # fmt: skip
    return [table for table in found if table is not None]


def means_table(group: Group, key: str, title: str, metrics: Sequence[tuple[str, str]], note: str) -> Table | None:
    """A row a model that has the last of ``metrics`` (key, heading): means over its done cells."""
    rows = []
    for label in group.labels:
        means = [column_mean(group, metric, label)[0] for metric, _ in metrics]
        if not math.isnan(means[-1]):
            rows.append([Entry(group.shown(label)), *(Entry("" if math.isnan(m) else f"{m:.3g}") for m in means)])
    if not rows:
        return None
    columns = ["model", *(heading for _, heading in metrics)]
    notes = [f"Means over the done cells. {note}"]
    return Table(f"{key}_{group_key(group)}", f"{title}, {group_title(group)}", columns, rows, notes)


def bits_table(group: Group) -> Table | None:
    """Bits per dimension, what a bound is estimated from, updates; marked is what a histogram of pixels does better."""
    table = means_table(
        group, "bits", "Bits per dimension", BITS,
        "-log2 P(image) / pixels: exact for the flow and the histogram, an upper bound for the others, and one model's "
        "bound may be looser than another's. Where anomalous images have fewer bits than normal ones, likelihood "
        "prefers them: they are simpler.",
    )  # fmt: skip
    if table is None:
        return None
    labels = [label for label in group.labels if not math.isnan(column_mean(group, BITS[-1][0], label)[0])]
    above = above_histogram(group)
    bounds = [[column_mean(group, metric, label)[0] for metric, _ in BOUND] for label in labels]
    has_bound = not all(math.isnan(value) for found in bounds for value in found)
    table.columns += [*(title for _, title in BOUND if has_bound), "updates"]
    for label, found, row in zip(labels, bounds, table.rows, strict=True):
        row[0] = Entry(f"{group.shown(label)} {MORE}" if label in above else group.shown(label))
        row += [Entry("" if math.isnan(value) else f"{value:,.0f}") for value in found if has_bound]
        row.append(Entry(updates(group, label)))
    if has_bound:
        table.notes.append(
            "Steps of the bound: of the Markov chain whose bound it is. Draws: noisy versions of an image, each at a "
            "step of its own, from which it is estimated. Blank: exact."
        )
    table.notes.append(
        f"{MORE} more bits on normal images than a histogram of each pixel on its own: as a density it has learnt "
        "nothing of how pixels go together." if above
        else "No column needs more bits on normal images than a histogram of each pixel on its own."
        if "histogram" in group.labels
        else "No histogram was run beside these: whether they beat each pixel on its own is not known."
    )  # fmt: skip
    return table


def latent_table(group: Group) -> Table | None:
    """The aggregated posterior against the prior, and active units: means over the done cells of each model."""
    rows = []
    for label in group.labels:
        means = [column_mean(group, metric, label)[0] for metric, _ in LATENT]
        if not all(math.isnan(m) for m in means):
            digits = (4, 2, 1)
            texts = ["" if math.isnan(m) else number(m, d) for m, d in zip(means, digits, strict=True)]
            rows.append([Entry(group.shown(label)), *map(Entry, texts)])
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
        rows.append([Entry(group.shown(label)), *map(Entry, texts)])
    columns = ["model", *(kind.removeprefix(AGAINST).replace("_", " ") for kind in kinds)]
    images = "normal test images" if group.evaluate_on == "test" else "held-out normal images"
    note = f"AUROC of the headline score, {images} against one kind of anomaly alone; means over classes."
    return Table(f"kinds_{group_key(group)}", f"AUROC by kind of anomaly, {group_title(group)}", columns, rows, [note])
