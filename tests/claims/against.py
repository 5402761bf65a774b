"""What the committed cells say against a model: claims that several pages make, and what the others count."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmark.report.crossing import metric_of
from tests.claims.cells import auroc, cells, floors_below, frame, mean, per_class
from tests.claims.claim import Claim
from tests.claims.tables import CLASSES
from tests.claims.values import both
from tests.tools.speed.gan_tables import expected

CLOTHES = {0: "T-shirt", 2: "pullover", 6: "shirt", 8: "bag"}
NAMES = {"mnist": {k: f"the {k}" for k in range(10)}, "fashion_mnist": {k: f"the {v}" for k, v in CLOTHES.items()}}
SHARE = "train_fraction=0.2"  # variant of all cells of leave_one_out


def lowest(model: str, digits: Sequence[int], clothes: Sequence[int]) -> Claim:
    """The two lowest of ten classes in results/quick."""
    picked = dict(zip(CLASSES, (digits, clothes), strict=True))
    first, second = (" and ".join(f"{NAMES[d][k]} ({{:.3f}})" for k in classes) for d, classes in picked.items())
    return Claim(
        f"Lowest of ten classes are {first} on MNIST and {second} on Fashion-MNIST",
        lambda: [auroc("quick", model, d, k) for d, classes in picked.items() for k in classes],
        holds=lambda: all(
            list(per_class("quick", model, d).nsmallest(2).index) == list(classes) for d, classes in picked.items()
        ),
    )


def flagged(model: str, experiment: str) -> Claim:
    """What is found at the threshold, on the lowest class of each data set."""
    return Claim(
        "At the threshold for 5% of false alarms it flags {:.0%} of the anomalies beside the 8s and {:.0%} of those "
        "beside the shirts",
        lambda: [auroc(experiment, model, d, k, "recall") for d, k in (("mnist", 8), ("fashion_mnist", 6))],
    )


def lowest_of_three(model: str, experiment: str = "family") -> Claim:
    """The lowest of the three classes of each data set."""
    return Claim(
        "Lowest of the three classes are the 8 ({:.3f}) on MNIST and the shirt ({:.3f}) on Fashion-MNIST",
        lambda: [auroc(experiment, model, d, k) for d, k in (("mnist", 8), ("fashion_mnist", 6))],
        holds=lambda: all(
            per_class(experiment, model, d).idxmin() == k for d, k in (("mnist", 8), ("fashion_mnist", 6))
        ),
    )


def below(model: str, text: str, digits: Sequence[str], clothes: Sequence[str], experiment: str = "family") -> Claim:
    """``text`` says which floors a model is below."""
    return Claim(
        text,
        holds=lambda: all(
            floors_below(experiment, d).get(model, []) == list(floors)
            for d, floors in zip(CLASSES, (digits, clothes), strict=True)
        ),
    )


def without_a_model(model: str) -> Claim:
    """Its own score beside the rule that asks no model, ten classes of each data set."""
    metric = metric_of("image_neighbours")
    return Claim(
        "Its own score ({:.3f} and {:.3f}) is below `image_neighbours` ({:.3f} and {:.3f})",
        lambda: [*both("rules", model), *both("rules", model, metric)],
        holds=lambda: all(mean("rules", model, d) < mean("rules", model, d, metric) for d in CLASSES),
    )


def left_out(model: str, text: str, dataset: str, cls: int) -> Claim:
    return Claim(text, lambda: [auroc("leave_one_out", model, dataset, cls, variant=SHARE)])


def errors(model: str, dataset: str, cls: int) -> float:
    """Mean error of anomalies over that of normal images."""
    anomalous, normal = (
        auroc("quick", model, dataset, cls, f"test_reconstruction_{kind}") for kind in ("anomalous", "normal")
    )
    return anomalous / normal


def median_error(model: str, dataset: str) -> float:
    """The median of ``errors`` over the ten classes."""
    return median(errors(model, dataset, cls) for cls in range(10))


def count_below_half(model: str, metric: str) -> int:
    """Classes of results/quick, of both data sets, on which a score ranks anomalies below normal images."""
    return sum(int((per_class("quick", model, d, metric) < 0.5).sum()) for d in CLASSES)


def cheaper(model: str, dataset: str, classes: Sequence[int]) -> bool:
    """Whether anomalies cost fewer bits than normal images on just these classes of results/family."""
    anomalous, normal = (
        per_class("family", model, dataset, f"test_bits_per_dim_{kind}") for kind in ("anomalous", "normal")
    )
    return list(normal.index[anomalous < normal]) == list(classes)


def times(metric: str, first: str, second: str, dataset: str, experiment: str = "family") -> float:
    """How often a mean of the second model goes into that of the first."""
    return mean(experiment, first, dataset, metric) / mean(experiment, second, dataset, metric)


def over_seeds(variant: str, cls: int) -> list[float]:
    """Mean and standard deviation over the seeds of AnoGAN's training on nine digits."""
    values = cells("gan_objectives", "anogan", "mnist", variant)
    values = values[values["normal_class"] == cls]["auroc"]
    return [float(values.mean()), float(values.std(ddof=1))]


def none_separated() -> bool:
    """Whether the table of GAN objectives finds no training better or worse than the shipped one."""
    return all(
        f"- {which}: none." in expected("gan_objectives") for which in ("Better than the shipped training", "Worse")
    )


def all_active() -> bool:
    """Whether every VAE of results/quick uses all 16 dimensions of its code."""
    found = frame("quick")
    return set(found[found["model"] == "vae"]["latent_active_units"]) == {16}


def searched(settings: str = "") -> float:
    """Mean of f-AnoGAN on MNIST in results/search, where the search starts at the encoder's code."""
    return mean("search", "fanogan", "mnist", variant=f"{settings}search_learning_rate=0.05")


def best_of_moving() -> float:
    """The largest AUROC of a ConvLSTM on moving_mnist; six settings."""
    found = frame("moving_mnist")
    values = found[found["model"] == "conv_lstm_ae"].groupby("variant")["auroc"].mean()
    assert len(values) == 6, values
    return float(values.max())


FRECHET = "generation_frechet_classifier"


def sandals(model: str, metric: str = "auroc_reconstruction_cosine") -> float:
    return auroc("family", model, "fashion_mnist", 5, metric)
