"""The numbers in the paper's sentences: a macro each, worked out from the committed cells."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmark.config import CONF_DIR
from benchmark.engine.verdict import ALPHA
from benchmark.report.crossing import rules_of
from benchmark.report.statistics import FLOORS
from benchmark.report.tables.paired import SEPARATED
from benchmark.rules import is_floor
from tests.claims.cells import CHOSEN, compared, frame, group, mean, paired, per_class, published
from tests.claims.tables import CLASSES
from tests.claims.values import (
    both,
    chosen_verdict,
    false_alarms,
    most_by_settings,
    trusted,
    under_chosen,
    worth_of_settings,
)
from tests.tools.paper.sources import block, core, count, counted, crossing, models_of, name_of, seeds, shares
from tests.tools.paper.typeset import macro, plain

DATA = {"mnist": "Mnist", "fashion_mnist": "Fashion"}  # as the names of macros have them
PAIRS = (("ae", "pca"), ("ae", "vae"), ("pca", "anogan"))
DEEP = ("ae", "vae", "aae")


def macros() -> dict[str, str]:
    """Name -> LaTeX text, all that the sources may use."""
    found: dict[str, str] = {}
    for part in (_sizes, _crossing, _own, _chosen, _family, _thresholds, _choices, _quoted):
        for name, text in part():
            if name in found:
                raise ValueError(f"the macro {name} is made twice")
            found[name] = text
    return found


def definitions() -> str:
    """The file that ``paper.tex`` reads."""
    return "".join(f"{macro(name, text)}\n" for name, text in macros().items())


def _sizes() -> Iterator[tuple[str, str]]:
    main, rules = group(core(), "mnist"), group(crossing(), "mnist")
    yield "Seeds", counted(seeds(core()), "seed")
    yield "SeedsOfRules", counted(seeds(crossing()), "seed")
    yield "SeedsOfChosen", counted(seeds(CHOSEN), "seed")
    yield "SeedsOfFamily", counted(seeds("family"), "seed")
    yield "Classes", count(main.n_classes)
    yield "OtherClasses", count(main.n_classes - 1)
    yield "TestImages", _all_equal(core(), "n_test")
    yield "FamilyTestImages", _all_equal("family", "n_test")
    yield "FamilyClasses", count(len(CLASSES["mnist"]))
    yield "FamilyModels", count(len(models_of("family")))
    yield "CoreCells", f"{len(frame(core())):,}"
    train = frame(core())["n_train"]
    yield "TrainFewest", f"{int(train.min()):,}"
    yield "TrainMost", f"{int(train.max()):,}"
    yield "RulesOfBlock", count(len(block("mnist").rules))
    yield "ModelsOfBlock", count(len(block("mnist").labels))
    yield "RulesJudged", count(len(rules_of(rules)))
    yield "AllModels", count(len(list((CONF_DIR / "model").glob("*.yaml"))))
    yield "CostSource", plain(f"results/{core()}/cells.csv")


def _all_equal(experiment: str, column: str) -> str:
    (value,) = set(frame(experiment)[column])
    return f"{int(value):,}"


def _crossing() -> Iterator[tuple[str, str]]:
    for dataset, name in DATA.items():
        found = block(dataset)
        over = found.over_rules
        yield f"RuleRangeLeast{name}", f"{min(over.values()):.3f}"
        yield f"RuleRangeMost{name}", f"{max(over.values()):.3f}"
        yield f"RuleRangeMiddle{name}", f"{median(over.values()):.3f}"
        yield f"RuleRangeLeastModel{name}", name_of(min(over, key=over.__getitem__))
        yield f"RuleRangeMostModel{name}", name_of(max(over, key=over.__getitem__))
        yield f"ModelRangeMiddle{name}", f"{median(found.over_models.values()):.3f}"
    for without, tail in (((), ""), (("anogan",), "WithoutAnogan")):
        for dataset, name in DATA.items():
            for source, share in zip(("Rule", "Model", "Interplay"), shares(dataset, without), strict=True):
                yield f"Share{source}{name}{tail}", percent(share)
    yield from _pair("ImageNeighbours", "pca", "auroc_rule_image_neighbours")
    yield from _pair("GradientNeighboursAe", "ae", "auroc_rule_gradient_neighbours")
    yield from _pair("ComplexityAe", "ae", "auroc_rule_complexity_adjusted")
    for dataset, name in DATA.items():
        gap = mean(crossing(), "ae", dataset, "auroc_rule_cosine") - mean(
            crossing(), "ae", dataset, "auroc_rule_squared"
        )
        yield f"CosineGain{name}", f"${gap:+.3f}$"


def _pair(name: str, model: str, metric: str) -> Iterator[tuple[str, str]]:
    for value, data in zip(both(crossing(), model, metric), DATA.values(), strict=True):
        yield f"{name}{data}", f"{value:.3f}"


def _own() -> Iterator[tuple[str, str]]:
    for dataset, data in DATA.items():
        for model in ("pca", "ae"):
            yield f"Own{_camel(model)}{data}", f"{mean(core(), model, dataset):.3f}"
        gaps = [mean(core(), model, dataset) - mean(core(), "pca", dataset) for model in DEEP]
        yield f"GainLeast{data}", f"{min(gaps):.3f}"
        yield f"GainMost{data}", f"{max(gaps):.3f}"
        for first, second in PAIRS:
            yield f"Verdict{_camel(first)}{_camel(second)}{data}", verdict(first, second, dataset)
        pairs = per_class(core(), "pca", dataset) > per_class(core(), "anogan", dataset)
        yield f"PcaAheadOfAnogan{data}", count(int(pairs.sum()))
    yield "KlOfVae", f"{mean(core(), 'vae', 'mnist', 'auroc_kl'):.2f}"
    yield "DiscriminatorOfAae", f"{mean(core(), 'aae', 'mnist', 'auroc_discriminator'):.2f}"


def verdict(first: str, second: str, dataset: str) -> str:
    """What the paired test says of two models of the main table, with the p that Holm's correction leaves."""
    c = paired(core(), first, second, dataset)
    return _told(c.p_holm, name_of(c.first if c.effect > 0 else c.second))


def _told(p: float, ahead: str) -> str:
    shown = "$p < 0.001$" if p < 0.001 else f"$p = {p:.2g}$"
    return f"separated, {ahead} ahead ({shown})" if p < SEPARATED else f"not separated ({shown})"


def _chosen() -> Iterator[tuple[str, str]]:
    for model in ("pca", *DEEP, "anogan"):
        for value, data in zip(under_chosen(model), DATA.values(), strict=True):
            yield f"Chosen{_camel(model)}{data}", f"{value:.3f}"
    for first, second in PAIRS[:2]:
        for dataset, data in DATA.items():
            text = chosen_verdict(first, second, dataset)
            told, p = text.split(" (", 1)[0], text.rsplit(", p ", 1)[1].split(" after", 1)[0]
            for model in (first, second):
                told = told.replace(f"`{model}`", name_of(model))
            yield f"ChosenVerdict{_camel(first)}{_camel(second)}{data}", f"{told} ($p {p}$)"
    yield "SettingsWorthMost", f"{most_by_settings():.4f}"
    for dataset, data in DATA.items():
        yield f"SettingsWorthAnogan{data}", f"{worth_of_settings('anogan', dataset).mean():+.3f}"
    of_pca = worth_of_settings("pca", "mnist")
    yield "SettingsCostPca", f"{-of_pca.mean():.3f}"
    yield "SettingsCostPcaClasses", count(int((of_pca < 0).sum()))
    cells = compared()
    counts = cells.groupby("model")["variant"].nunique()
    yield "SettingsEach", count(int(counts.max()))
    if counts.nunique() != 1:
        raise ValueError(f"models were compared under unlike numbers of settings: {dict(counts)}")
    for models, tail in ((("pca", *DEEP), ""), (("anogan",), "OfAnogan")):
        (classes,) = {cells.loc[cells["model"] == model, "normal_class"].nunique() for model in models}
        yield f"SelectionClasses{tail}", count(int(classes))
    rules = [name.removeprefix("auroc_rule_") for name in cells if name.startswith("auroc_rule_")]
    yield "RulesCompared", count(sum(not is_floor(name) for name in rules))


def _family() -> Iterator[tuple[str, str]]:
    totals = {m: sum(mean("family", m, d) for d in CLASSES) / 2 for m in models_of("family")}
    order = sorted(totals, key=lambda model: -totals[model])
    for place, model in zip(("First", "Second", "Third"), order, strict=False):
        yield f"Family{place}", name_of(model)
    below = [m for m in order if any(m in group("family", d).below for d in CLASSES) and m not in FLOORS]
    yield "FamilyBelow", ", ".join(map(name_of, below[:-1])) + f" and {name_of(below[-1])}"
    for model in ("histogram", "flow"):
        for dataset, data in DATA.items():
            yield f"Bits{_camel(model)}{data}", f"{mean('family', model, dataset, 'test_bits_per_dim_normal'):.2f}"
    yield "BitsDiffusionMnist", f"{mean('family', 'diffusion', 'mnist', 'test_bits_per_dim_normal'):.2f}"
    yield "BitsDiffusionMnistAnomalous", f"{mean('family', 'diffusion', 'mnist', 'test_bits_per_dim_anomalous'):.2f}"


def _thresholds() -> Iterator[tuple[str, str]]:
    import yaml

    share = yaml.safe_load((CONF_DIR / "split" / "one_vs_rest.yaml").read_text(encoding="utf-8"))["calibration_share"]
    yield "CalibrationShare", percent(share)
    yield "Alpha", percent(ALPHA)
    yield "SeparatedBelow", f"{SEPARATED:g}"
    for value, name in zip(false_alarms(core()), ("Least", "Most"), strict=True):
        yield f"FalseAlarms{name}", percent(value, 1)


def _choices() -> Iterator[tuple[str, str]]:
    """What a choice is worth, with anomalies of the other data set and with made ones (results/synthetic)."""
    for name, key in (("Other", "regret other"), ("Synthetic", "regret real"), ("Random", "regret random")):
        for value, data in zip(trusted(key), DATA.values(), strict=True):
            yield f"Regret{name}{data}", f"{value:.3f}"
    for value, data in zip(trusted("rank_correlation"), DATA.values(), strict=True):
        yield f"RankCorrelation{data}", f"{value:.2f}"


def _quoted() -> Iterator[tuple[str, str]]:
    for method, name in (("VAE (listed in MTQ)", "Vae"), ("GPND (listed in MTQ)", "Gpnd")):
        for dataset, data in DATA.items():
            yield f"Published{name}{data}", f"{published(method, dataset):.3f}"
    yield "PublishedAnoganMnist", f"{published('AnoGAN', 'mnist'):.3f}"


def _camel(model: str) -> str:
    """
    >>> _camel("mean_image")
    'MeanImage'
    """
    return "".join(part.capitalize() for part in model.split("_"))


def percent(share: float, digits: int = 0) -> str:
    """As LaTeX has it; a share below a hundredth has a digit more.

    >>> percent(0.614), percent(0.0012)
    ('61\\\\%', '0.1\\\\%')
    """
    digits = max(digits, int(share < 0.01))
    return f"{share:.{digits}%}".replace("%", r"\%")
