"""The tables of the paper's body, made from the committed cells."""

from __future__ import annotations

import math
from collections.abc import Sequence

import yaml

from benchmark.config import CONF_DIR
from benchmark.report.crossing import OWN, metric_of, rules_of
from benchmark.report.statistics import FLOORS, Group, average_ranks, class_mean, column_mean
from benchmark.report.tables.variance import FACTORS, analysis, within_classes
from benchmark.store.naming import COMMITTEE, members_of
from tests.claims.cells import CHOSEN, PLANNED, auroc, frame, group, paired
from tests.claims.claim import Absent
from tests.claims.tables import CLASSES
from tests.claims.tables import NAMES as CLASS_NAMES
from tests.tools.paper.sources import DATASETS, block, core, counted, crossing, groups_of, models_of, name_of, seeds
from tests.tools.paper.typeset import BELOW, Row, code, entry, table, tabular

BLANK = entry("")
SOURCES = {"model x rule": "model $\\times$ rule", "residual": "residual"}


def all_tables() -> dict[str, str]:
    """File name -> LaTeX of every table of the body."""
    return {
        "own": own_table(),
        "crossing": crossing_table(),
        "variance": variance_table(),
        "chosen": chosen_table(),
        "family": family_table(),
        "bits": bits_table(),
    }


def marked(model: str, below: bool) -> str:
    return name_of(model) + (rf" {BELOW}" if below else "")


def own_table() -> str:
    """A row a model: its own score on both data sets, beside PCA, with updates and time."""
    parts, several = groups_of(core()), seeds(core()) > 1
    ranks = [average_ranks(part)[0] for part in parts]
    best = [max(round(class_mean(p, "auroc", label).value, 3) for label in p.labels) for p in parts]
    rows = []
    for label in parts[0].labels:
        row = [entry(marked(label, any(label in part.below for part in parts)))]
        for part, rank, largest in zip(parts, ranks, best, strict=True):
            mean = class_mean(part, "auroc", label)
            row += [entry(f"{mean.value:.3f}", round(mean.value, 3) == largest)]
            row += [entry("" if math.isnan(mean.seed_sd) else f"{mean.seed_sd:.3f}")] if several else []
            row += [entry(f"{mean.class_sd:.3f}"), entry(f"{rank[label]:.1f}"), entry(_against_pca(label, part))]
        seconds = [sum(column_mean(part, name, label)[0] for name in TIMES) for part in parts]
        steps = column_mean(parts[0], "steps", label)[0]
        updates = "" if math.isnan(steps) else "fit" if steps == 0 else f"{steps:,.0f}"
        row += [entry(updates), entry(f"{sum(seconds) / 2:.1f}")]
        rows.append(row)
    each = ["AUROC", *(["sd$_s$"] if several else []), "sd$_c$", "rank", "$p$"]
    wide = len(each)
    tops = " & ".join(rf"\multicolumn{{{wide}}}{{c}}{{{title}}}" for title in DATASETS.values())
    cut = rf"\cmidrule(lr){{2-{wide + 1}}}\cmidrule(lr){{{wide + 2}-{2 * wide + 1}}}"
    heads = [rf" & {tops} & & \\", cut, " & ".join(["model", *each, *each, "updates", "s"]) + r" \\"]
    spread = "sd$_s$ the standard deviation over seeds, " if several else ""
    caption = (
        rf"Each model under its own score: mean AUROC over {counted(parts[0].n_classes, 'class')}, "
        rf"{counted(seeds(core()), 'seed')}. {spread}sd$_c$ the standard deviation over classes, rank the average over "
        rf"classes (one is best), $p$ of Wilcoxon's signed-rank test against PCA over the classes of one data set, "
        rf"after Holm's correction over {_family(parts[0])}; s seconds of training and scoring a cell. "
        rf"\textbf{{Bold}}: largest of a column. {BELOW}: below a floor, so that nothing is concluded in its favour."
        + _of_committees(parts[0])
    )
    lines = frozenset({sum(label in FLOORS for label in parts[0].labels)})
    return table("own", caption, tabular("l" + "r" * (2 * wide + 2), heads, rows, lines), r"\small\tightly")


def _of_committees(part: Group) -> str:
    """Who votes in the committee, if there is one."""
    variants = part.frame.loc[part.frame["label"] == COMMITTEE, "variant"]
    voters = " ".join(f"{code(name)}," for name in members_of(variants.iloc[0]).split(",")) if len(variants) else ""
    return f" The committee is the mean z-score of {voters[:-1]}; its seconds are theirs." if voters else ""


def _family(part: Group) -> str:
    """Which tests are corrected together (``tests.claims.cells.all_paired``)."""
    if len(part.labels) <= len(PLANNED) + 2:
        return "all pairs of models"
    return f"all pairs of {', '.join(map(name_of, PLANNED))}, and over the tests of the others against PCA"


TIMES = ("train_seconds", "score_seconds")


def _against_pca(label: str, part: Group) -> str:
    if label in FLOORS:
        return ""
    try:
        p = paired(core(), label, "pca", part.dataset).p_holm
    except Absent:
        return ""
    return "$<$.001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def crossing_table() -> str:
    """A row a rule, the models of both data sets beside one another."""
    parts = groups_of(crossing())
    labels = [label for label in parts[0].labels if label != "histogram"]
    rules = [OWN, *rules_of(parts[0])]
    means = {
        (i, label, rule): class_mean(part, metric_of(rule), label).value
        for i, part in enumerate(parts)
        for label in labels
        for rule in rules
    }
    best = {
        (i, label): max(round(v, 3) for (j, found, _), v in means.items() if (j, found) == (i, label) and v == v)
        for i in range(len(parts))
        for label in labels
    }
    rows = []
    for rule in rules:
        values = [(i, label, means[i, label, rule]) for i in range(len(parts)) for label in labels]
        texts = [
            entry(f"{v:.3f}".lstrip("0"), round(v, 3) == best[i, label]) if v == v else BLANK for i, label, v in values
        ]
        rows.append([entry("own score" if rule == OWN else code(rule)), *texts])
    tops = " & ".join(rf"\multicolumn{{{len(labels)}}}{{c}}{{{title}}}" for title in DATASETS.values())
    wide = len(labels)
    cut = rf"\cmidrule(lr){{2-{wide + 1}}}\cmidrule(lr){{{wide + 2}-{2 * wide + 1}}}"
    below = [label for label in labels if any(label in part.below for part in parts)]
    names = [marked(label, label in below).replace("mean image", "mean") for label in labels]
    heads = [rf" & {tops} \\", cut, " & ".join(["rule", *names, *names]) + r" \\"]
    caption = (
        rf"The same weights under every rule: mean AUROC over {counted(parts[0].n_classes, 'class')}, "
        rf"{counted(seeds(crossing()), 'seed')}. \textbf{{Bold}}: largest of a column, picked afterwards; it is no "
        rf"choice. Blank: the rule asks for a code that the mean image (mean) does not have. {BELOW}: below a floor by "
        "its own score."
    )
    body = tabular("l" + "r" * (2 * wide), heads, rows, frozenset({1}))
    return table("crossing", caption, body, r"\footnotesize\tightly")


def variance_table() -> str:
    """What model, rule, class and their interplay explain, with all models and without those below a floor."""
    below = sorted({label for p in groups_of(crossing()) for label in p.below} - set(FLOORS))
    found = [
        {s.name: s for s in analysis(block(dataset, without))} for without in ((), tuple(below)) for dataset in DATASETS
    ]
    names = [*FACTORS, "model x rule", "residual"]
    rows: list[Row] = []
    for name in (name for name in names if name in found[0]):
        row = [entry(SOURCES.get(name, name))]
        for sources in found:
            inside = within_classes(name, sources)
            row += [entry(str(sources[name].freedom)), entry(f"{100 * sources[name].share:.1f}")]
            row += [entry("" if math.isnan(inside) else f"{100 * inside:.1f}")]
        rows.append(row)
    titles = " & ".join(rf"\multicolumn{{3}}{{c}}{{{title}}}" for title in [*DATASETS.values()] * 2)
    without = " and ".join(map(name_of, below))
    tops = rf" & \multicolumn{{6}}{{c}}{{all models}} & \multicolumn{{6}}{{c}}{{without {without}}} \\"
    cuts = r"\cmidrule(lr){2-4}\cmidrule(lr){5-7}\cmidrule(lr){8-10}\cmidrule(lr){11-13}"
    heads = [tops, rf" & {titles} \\", cuts, "source" + r" & df & \% & \%$_w$" * 4 + r" \\"]
    caption = (
        r"Analysis of variance of AUROC, fixed effects in a balanced design: degrees of freedom, share of the total "
        r"sum of squares (\%, eta squared), and of what the classes leave (\%$_w$). Own scores, and the trivial floors "
        r"mean image and histogram, are left out. A share speaks of these models and these rules, and grows with their "
        r"number."
    )
    body = tabular("l" + "rrr" * 4, heads, rows, frozenset({len(rows) - 1}))
    return table("variance", caption, body, r"\small\tightly")


def chosen_table() -> str:
    """A row a model: what was chosen for each data set, and what that comes to."""
    parts = groups_of(CHOSEN)
    cells = frame(CHOSEN)
    rows: list[Row] = []
    for model in models_of(CHOSEN):
        for i, part in enumerate(parts):
            mine = cells[(cells["model"] == model) & (cells["dataset"] == part.dataset)]
            (rule,) = set(mine["chosen_rule"])
            settings = chosen_settings(part.dataset, model)
            own = mine.groupby("normal_class")["auroc"].mean().mean()
            under = mine.groupby("normal_class")[metric_of(rule)].mean().mean()
            rows.append(
                [
                    entry(name_of(model) if i == 0 else ""),
                    entry(DATASETS[part.dataset]),
                    entry(", ".join(map(code, settings)) or "as in its file"),
                    entry(code(rule)),
                    *(entry(f"{value:.3f}") for value in (own, under)),
                ]
            )
    heads = [r"model & for & setting & rule & own & chosen \\"]
    caption = (
        r"Settings and rule of each model, chosen for a data set on validation images of the \emph{other} one, and the "
        rf"mean AUROC they come to on its test images, under the model's own score and under the chosen rule "
        rf"({counted(seeds(CHOSEN), 'seed')})."
    )
    lines = frozenset(range(2, len(rows), 2))
    return table("chosen", caption, tabular("llP{5.6cm}lrr", heads, rows, lines), r"\footnotesize\tightly")


def chosen_settings(dataset: str, model: str) -> list[str]:
    """What was chosen for a model on a data set, as it is typed: ``latent=8``."""
    written = yaml.safe_load((CONF_DIR / "chosen" / f"{dataset}_{model}.yaml").read_text(encoding="utf-8"))
    return [f"{key}={value}" for key, value in (written.get("model") or {}).items()]


def family_table() -> str:
    """Every system on three classes of each data set, the best mean over all six first."""
    below = {dataset: group("family", dataset).below for dataset in CLASSES}
    values: dict[str, list[float]] = {}
    for model in models_of("family"):
        columns: list[float] = []
        for dataset, classes in CLASSES.items():
            found = [auroc("family", model, dataset, k) for k in classes]
            columns += [*found, sum(found) / len(found)]
        values[model] = columns
    best = [max(round(columns[i], 3) for columns in values.values()) for i in range(8)]
    rows = []
    for model, columns in sorted(values.items(), key=lambda item: -(item[1][3] + item[1][7])):
        steps = float(frame("family").loc[frame("family")["model"] == model, "steps"].mean())
        row = [entry(marked(model, any(model in found for found in below.values())))]
        row += [entry(f"{v:.3f}", round(v, 3) == best[i]) for i, v in enumerate(columns)]
        rows.append([*row, entry("fit" if steps == 0 else f"{steps:,.0f}")])
    titles = " & ".join(rf"\multicolumn{{4}}{{c}}{{{title}}}" for title in DATASETS.values())
    heads = [rf" & {titles} & \\", r"\cmidrule(lr){2-5}\cmidrule(lr){6-9}"]
    names = [CLASS_NAMES.get(d, {}).get(k, str(k)) for d in CLASSES for k in CLASSES[d]]
    heads.append(" & ".join(["model", *names[:3], "mean", *names[3:], "mean", "updates"]) + r" \\")
    caption = (
        rf"Every system on {counted(len(CLASSES['mnist']), 'class')} of each data set, "
        rf"{counted(seeds('family'), 'seed')}, a part of the test split, each under its own score; sorted by the mean "
        rf"over all. \textbf{{Bold}}: largest of a column. {BELOW}: below a floor of a data set."
    )
    return table("family", caption, tabular("l" + "r" * 9, heads, rows), r"\small\tightly")


def bits_table() -> str:
    """Bits per dimension of every density, on training, normal and anomalous images."""
    parts = groups_of("family")
    has = [label for label in parts[0].labels if not math.isnan(_bits(parts[0], label)[-1])]
    rows: list[Row] = []
    for label in has:
        numbers = [value for part in parts for value in _bits(part, label)]
        rows.append([entry(name_of(label)), *(entry(f"{v:.2f}" if v == v else "") for v in numbers)])
    titles = " & ".join(rf"\multicolumn{{3}}{{c}}{{{title}}}" for title in DATASETS.values())
    heads = [rf" & {titles} \\", r"\cmidrule(lr){2-4}\cmidrule(lr){5-7}"]
    heads.append("model" + " & training & normal & anomalous" * 2 + r" \\")
    caption = (
        r"Bits per dimension, $-\log_2 P(x)/D$ with $D$ the number of pixels, means over the classes of "
        r"Table~\ref{tab:family}: exact for flow and histogram, an upper bound for the others. Where anomalous "
        r"images have fewer bits than normal ones, the likelihood prefers them."
    )
    return table("bits", caption, tabular("l" + "r" * 6, heads, rows), place="htbp")


def _bits(part: Group, label: str) -> Sequence[float]:
    keys = ("train_bits_per_dim", "test_bits_per_dim_normal", "test_bits_per_dim_anomalous")
    return [column_mean(part, key, label)[0] for key in keys]
