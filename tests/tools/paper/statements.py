"""Sentences of the paper that have no number and would be wrong with other cells: each with the condition it needs."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmark.report.crossing import metric_of
from benchmark.report.tables.variance import analysis
from tests.claims.cells import all_paired, frame, mean
from tests.tools.paper.sources import DATASETS, block, core, crossing, models_of, shares
from tests.tools.paper.tables import TIMES

CODES = ("mahalanobis", "code_neighbours")


def rules_matter_more() -> bool:
    """Both by variance and by range, on both data sets."""
    found = [(shares(dataset), block(dataset)) for dataset in DATASETS]
    return all(
        rule > model and median(b.over_rules.values()) > median(b.over_models.values()) for (rule, model, _), b in found
    )


def only_anogan() -> bool:
    return all(shares(dataset, ("anogan",))[1] < shares(dataset)[1] / 10 for dataset in DATASETS)


def below_chance() -> bool:
    return mean(core(), "vae", "mnist", "auroc_kl") < 0.5 and mean(core(), "aae", "mnist", "auroc_discriminator") < 0.5


def floor_is_strong() -> bool:
    """Neighbours among the images themselves are above every model's own score."""
    return all(
        mean(crossing(), "pca", dataset, "auroc_rule_image_neighbours") > mean(core(), model, dataset)
        for dataset in DATASETS
        for model in models_of(core())
    )


def no_best_rule() -> bool:
    """Models of the block have not all the same best rule on both data sets."""
    best = []
    for dataset in DATASETS:
        found = block(dataset)
        best.append([found.rules[i] for i in found.by_model_and_rule.argmax(axis=1)])
    return len({*best[0], *best[1]}) > 1


def cosine_turns() -> bool:
    gains = [
        mean(crossing(), "ae", dataset, metric_of("cosine")) - mean(crossing(), "ae", dataset, metric_of("squared"))
        for dataset in DATASETS
    ]
    return gains[0] > 0 > gains[1]


def codes_do_badly() -> bool:
    """Distances between codes are below the own score for every deep model and PCA."""
    return all(
        mean(crossing(), model, dataset, metric_of(rule)) < mean(crossing(), model, dataset)
        for dataset in DATASETS
        for model in block(dataset).labels
        for rule in CODES
    )


def nearer_to_the_prior() -> bool:
    return mean(core(), "vae", "mnist", "test_kl_anomalous") < mean(core(), "vae", "mnist", "test_kl_normal")


def dearest_is_anogan() -> bool:
    seconds = frame(core()).groupby("model")[list(TIMES)].mean().sum(axis=1)
    return bool(seconds[models_of(core())].idxmax() == "anogan")


def classes_differ_more() -> bool:
    found = [{source.name: source.share for source in analysis(block(dataset))} for dataset in DATASETS]
    return all(share["class"] > share["model"] for share in found)


def none_separated() -> bool:
    return all(c.verdict == "not separated" for c in all_paired("family"))


def anomalies_likelier() -> bool:
    bits = [mean("family", "diffusion", "mnist", f"test_bits_per_dim_{which}") for which in ("normal", "anomalous")]
    return bits[0] > bits[1]


def pca_ahead_of_anogan() -> bool:
    return all(mean(core(), "pca", dataset) > mean(core(), "anogan", dataset) for dataset in DATASETS)


STATEMENTS: dict[str, list[tuple[str, Callable[[], bool]]]] = {
    "introduction.tex": [
        ("The rule is worth more than the model.", rules_matter_more),
        ("Trivial detectors are strong.", floor_is_strong),
        ("order anomalous images below normal ones", below_chance),
    ],
    "results.tex": [
        ("What the model explains is AnoGAN", only_anogan),
        ("distances between codes, which do badly here", codes_do_badly),
        ("No rule is best everywhere.", no_best_rule),
        ("what one data set recommends costs on the other", cosine_turns),
        ("is no good score alone", below_chance),
        ("Anomalous digits are coded nearer to the prior than normal ones.", nearer_to_the_prior),
        ("AnoGAN is behind PCA on", pca_ahead_of_anogan),
        ("the dearest model of the table", dearest_is_anogan),
        ("Classes differ more than models do", classes_differ_more),
        ("no pair of systems is separated after correction", none_separated),
        ("anomalous images likelier than its normal ones", anomalies_likelier),
    ],
    "limitations.tex": [("is mostly a table of their rules", rules_matter_more)],
}


def untrue() -> list[str]:
    """Sentences that the cells no longer bear out: write them again."""
    return [
        f"docs/paper/{name} says {text!r}, and the cells say otherwise: write this sentence again"
        for name, found in STATEMENTS.items()
        for text, holds in found
        if not holds()
    ]
