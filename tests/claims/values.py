"""What the claims say, worked out from the committed cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from statistics import median

import pandas as pd

from benchmark.report.crossing import Block, largest_block, metric_of
from benchmark.report.measures.chosen import under_chosen as chosen_columns
from benchmark.report.statistics import class_mean, groups
from benchmark.report.tables.paired import SEPARATED, comparisons
from benchmark.report.variance import analyse
from tests.claims.cells import CHOSEN, WORDS, auroc, frame, group, mean, per_class, trusts
from tests.claims.claim import Absent
from tests.claims.tables import CLASSES

PASSES = (1, 5, 20, 60)  # of results/sensitivity_updates


def both(experiment: str, model: str, metric: str = "auroc", variant: str = "") -> list[float]:
    """The means of both data sets."""
    return [mean(experiment, model, dataset, metric, variant) for dataset in CLASSES]


def family_values(model: str, metric: str = "auroc", experiment: str = "family") -> list[float]:
    return [auroc(experiment, model, dataset, k, metric) for dataset, classes in CLASSES.items() for k in classes]


def bits_of_histogram() -> list[float]:
    """Bits of the three classes of each data set and their mean, on the whole test split."""
    values = family_values("histogram", "test_bits_per_dim_normal", "quick")
    return [*values[:3], sum(values[:3]) / 3, *values[3:], sum(values[3:]) / 3]


def sized(experiment: str, images: int, seeds: int = 1) -> bool:
    """Whether every cell was scored on so many images, and each class of each model has so many seeds."""
    cells = frame(experiment)
    found = cells.groupby(["dataset", "model", "normal_class"])["seed"].nunique()
    return set(cells["n_test"]) == {images} and set(found) == {seeds}


def spread_of(experiment: str) -> list[float]:
    """Least and largest sd of a column's mean over seeds, then of its classes; of all models, on both data sets."""
    means = [class_mean(part, "auroc", label) for part in groups(frame(experiment)) for label in part.labels]
    return [limit(sds) for sds in ([m.seed_sd for m in means], [m.class_sd for m in means]) for limit in (min, max)]


def gains(dataset: str) -> list[float]:
    """What AE, VAE and AAE have above PCA: least and most."""
    found = [mean("paper", model, dataset) - mean("paper", "pca", dataset) for model in ("ae", "vae", "aae")]
    return [min(found), max(found)]


def wins(experiment: str, first: str, second: str, datasets: Sequence[str] = tuple(CLASSES)) -> int:
    """Classes in which the first is ahead."""
    pairs = [(per_class(experiment, first, d), per_class(experiment, second, d)) for d in datasets]
    return sum(int((a > b).sum()) for a, b in pairs)


def trusted(*names: str, model: str = "") -> list[float]:
    """Of the choice on synthetic anomalies, of all models together or one: values by name, MNIST's and Fashion-MNIST's.

    A name is one of ``Trust``, or of its ``regrets`` after "regret ".
    """
    ours = {one.dataset: one for one in trusts() if one.model == model}
    return [
        ours[dataset].regrets[name.removeprefix("regret ")]
        if name.startswith("regret ")
        else getattr(ours[dataset], name)
        for name in names
        for dataset in CLASSES
    ]


def false_alarms(experiment: str, models: Sequence[str] = ()) -> list[float]:
    """Least and largest false-alarm rate of a model on a data set, mean over its classes."""
    cells = frame(experiment)
    cells = cells[cells["model"].isin(models)] if models else cells
    rates = cells.groupby(["dataset", "model"])["false_alarm_rate"].mean()
    return [float(rates.min()), float(rates.max())]


def flow_budget(variant: str) -> list[float]:
    return [
        auroc("selection_flow", "flow", dataset, k, metric, variant)
        for dataset, k in (("mnist", 3), ("fashion_mnist", 5))
        for metric in ("test_bits_per_dim_normal", "auroc")
    ]


def flow_moves() -> float:
    first, second = flow_budget("epochs=6 learning_rate=0.003"), flow_budget("")
    return max(abs(b - a) for a, b in zip(first[1::2], second[1::2], strict=True))


def moving(model: str, variant: str = "") -> list[float]:
    metrics = ("test_reconstruction_normal", "against_auroc_other_class", "against_auroc_other_motion")
    return [mean("moving_mnist", model, "moving_mnist", metric, variant) for metric in metrics]


def conditional(model: str, variant: str) -> list[float]:
    return [mean("conditional", model, "mnist", variant=f"{variant} train_fraction=0.2".strip())]


def conditional_choice(setting: str, rule: str, *datasets: str) -> list[float]:
    """Means over the validation images that the conditional AAE's settings and rules were compared on."""
    variant = f"{setting} train_fraction=0.2".strip()
    return [mean("selection_conditional", "cond_aae", dataset, _metric(rule), variant) for dataset in datasets]


def slow_choice(model: str, setting: str, rule: str, dataset: str) -> float:
    """The mean over the validation images that a slow model's settings and rules were compared on."""
    return mean("selection_slow", model, dataset, _metric(rule), setting)


def _metric(rule: str) -> str:
    return "auroc" if rule == "own" else metric_of(rule)


def above_the_choice(setting: str, rule: str, dataset: str) -> list[int]:
    """How many pairs of the conditional AAE's settings and rules are above one there, and of how many."""
    cells = frame("selection_conditional")
    cells = cells[cells["dataset"] == dataset]
    metrics = [name for name in cells if name.startswith("auroc_rule_") and name != metric_of("image_neighbours")]
    means = cells.groupby("variant")[["auroc", *metrics]].mean().to_numpy().ravel()
    (least,) = conditional_choice(setting, rule, dataset)
    return [int((means > least).sum()), len(means)]


def after(model: str, dataset: str, passes: int) -> float:
    """The mean after so many passes over the training images."""
    return mean("sensitivity_updates", model, dataset, variant=f"epochs={passes}")


def range_of_ones() -> list[float]:
    """The lowest and the largest AUROC, by own scores, of the 1 left out of ten digits."""
    cells = frame("leave_one_out")
    found = cells[(cells["dataset"] == "mnist") & (cells["normal_class"] == 1)]["auroc"]
    return [float(found.min()), float(found.max())]


def left_out(model: str) -> list[float]:
    """Means of leave_one_out: own score and two rules, on MNIST, then on Fashion-MNIST."""
    metrics = ("auroc", metric_of("gradient_neighbours"), metric_of("committee_wide"))
    return [
        mean("leave_one_out", model, dataset, metric, "train_fraction=0.2") for dataset in CLASSES for metric in metrics
    ]


def between() -> list[float]:
    variants = [f"hidden=[256,128]{latent} train_fraction=0.5" for latent in (" latent=2", "")]
    return [mean("interpolation", model, "mnist", variant=v) for v in variants for model in ("ae", "vae", "aae")]


def nearest_and_kde() -> float:
    """Largest difference over the six validation cells between kde with h = 0.5 and the nearest neighbour."""
    pairs = (
        (
            per_class("selection_family", "kde", dataset, variant="features=pixels bandwidth=0.5"),
            per_class("selection_family", "knn", dataset, variant="neighbours=1"),
        )
        for dataset in CLASSES
    )
    return max(float((a - b).abs().max()) for a, b in pairs)


def crossed(dataset: str, without: Sequence[str] = ()) -> Block:
    """Models x rules x classes x seeds of results/rules, the trivial floors left out."""
    found = largest_block(group("rules", dataset), ("mean_image", "histogram", *without))
    if found is None:
        raise Absent("results/rules has no block")
    return found


def moved() -> list[float]:
    """Of both data sets: least and most that a model moves over the rules, and the median range of models."""
    found = []
    for dataset in CLASSES:
        block = crossed(dataset)
        over = sorted(block.over_rules.values())
        found += [over[0], over[-1], median(block.over_models.values())]
    return found


def shares(without: Sequence[str] = ()) -> list[float]:
    """Of both data sets, of what the classes leave of the variance: rule, model, their interaction."""
    found = []
    for dataset in CLASSES:
        block = crossed(dataset, without)
        rows = analyse(block.values, ("model", "rule", "class", "seed"), (("model", "rule"),))
        share = {row.name: row.share for row in rows}
        found += [share[name] / (1 - share["class"]) for name in ("rule", "model", "model x rule")]
    return found


def rule_before_model() -> bool:
    """Whether on both data sets the rule explains more of what the classes leave than the model does."""
    found = shares()
    return found[0] > found[1] and found[3] > found[4]


def under_chosen(model: str) -> list[float]:
    """The mean of the detector that was chosen, settings and rule, on both data sets."""
    found = []
    for dataset in CLASSES:
        cells = _chosen_cells(dataset)
        found.append(float(cells[cells["model"] == model].groupby("normal_class")["auroc"].mean().mean()))
    return found


def chosen_own(model: str) -> list[float]:
    """The mean of its own score with the settings that were chosen, on both data sets."""
    cells = frame(CHOSEN)
    cells = cells[cells["model"] == model]
    return [float(cells[cells["dataset"] == d].groupby("normal_class")["auroc"].mean().mean()) for d in CLASSES]


def worth_of_settings(model: str, dataset: str) -> pd.Series:  # index: normal class
    """AUROC of the settings that were chosen less that of the YAML's, under the chosen rule, mean over seeds."""
    cells, shipped = (
        found[(found["model"] == model) & (found["dataset"] == dataset)] for found in (frame(CHOSEN), frame("paper"))
    )
    metric = metric_of(*set(cells["chosen_rule"]))
    chosen, plain = (found.groupby("normal_class")[metric].mean() for found in (cells, shipped))
    return chosen - plain


def most_by_settings() -> float:
    """The largest gain in mean AUROC that chosen settings bring any model but AnoGAN, on either data set."""
    models = [name for name in dict.fromkeys(frame(CHOSEN)["model"]) if name != "anogan"]
    return max(worth_of_settings(model, dataset).mean() for model in models for dataset in CLASSES)


def _chosen_cells(dataset: str) -> pd.DataFrame:
    """The cells of one data set, with the AUROC under the rule that was chosen."""
    cells = frame(CHOSEN)
    cells = cells[cells["dataset"] == dataset].copy()
    cells["auroc"] = [row[metric_of(row["chosen_rule"])] for _, row in cells.iterrows()]
    return cells.assign(variant="")  # of each model one column, whatever was chosen for it


def chosen_verdict(first: str, second: str, dataset: str) -> str:
    """Whether two chosen detectors are separated, as the table of tests under chosen rules says."""
    found = comparisons(chosen_columns(groups(frame(CHOSEN))).groups)
    (c,) = (c for c in found if {c.first, c.second} == {first, second} and c.dataset == dataset)
    p = "p < 0.001" if c.p_holm < 0.001 else f"p = {c.p_holm:.2g}"
    ahead = c.first if c.effect > 0 else c.second
    told = f"separated, `{ahead}` ahead" if c.p_holm < SEPARATED else "not separated"
    return f"{told} (Wilcoxon signed-rank over the {WORDS.get(c.n, c.n)} classes, {p} after Holm's correction)"


def chosen_wins(first: str, second: str, dataset: str) -> int:
    """On how many classes the first chosen detector has the larger AUROC, mean over seeds."""
    means = _chosen_cells(dataset).groupby(["model", "normal_class"])["auroc"].mean()
    return int((means[first] > means[second]).sum())


def p_of(verdict: str) -> float:
    """The p-value that a verdict names. Raises ``ValueError`` if it is too small to be named."""
    if (found := re.search(r"p = ([\d.e-]+)", verdict)) is None:
        raise ValueError(f"no p-value in: {verdict}")
    return float(found[1])


def told(verdict: Callable[[str, str, str], str], *expected: str) -> bool:
    """Whether AE beside PCA, then beside VAE, on both data sets, are told apart as a page says in plain words."""
    found = [verdict("ae", other, dataset) for other in ("pca", "vae") for dataset in CLASSES]
    return all(text.startswith(f"{words} (") for text, words in zip(found, expected, strict=True))
