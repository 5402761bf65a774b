"""The tables of README and docs/ that stand between markers, made from the committed cells."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pandas as pd
import yaml

from benchmark.config import CONF_DIR
from benchmark.report.crossing import OWN, metric_of, rules_of
from benchmark.report.statistics import MARK, class_mean
from tests.claims.cells import CHOSEN, ROOT, auroc, floors_below, frame, group, trusts
from tests.tools.speed.gan_tables import expected

CLASSES = {"mnist": (0, 3, 8), "fashion_mnist": (0, 5, 6)}  # of the family table
TITLES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
NAMES = {"fashion_mnist": {0: "T-shirt/top", 5: "Sandal", 6: "Shirt"}}


def quick_tables(experiment: str = "quick") -> list[list[str]]:
    """The table of AUROC of each data set in results/EXPERIMENT/tables.md."""
    lines = (ROOT / "results" / experiment / "tables.md").read_text(encoding="utf-8").splitlines()
    tables = []
    for title in TITLES.values():
        start = next(i for i, line in enumerate(lines) if line.startswith(f"### AUROC, {title}, ")) + 2
        end = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
        tables.append(lines[start:end])
    return tables


def family_tables() -> list[list[str]]:
    """A row a model, best mean over all six first; best of a column bold, below a floor of the data set marked."""
    cells = frame("family")
    below = {dataset: floors_below("family", dataset) for dataset in CLASSES}
    rows = {}
    for model in dict.fromkeys(cells["model"]):
        columns: list[tuple[float, bool]] = []
        for dataset, classes in CLASSES.items():
            values = [auroc("family", model, dataset, k) for k in classes]
            columns += [*((value, False) for value in values), (sum(values) / len(values), model in below[dataset])]
        rows[model] = columns
    best = [max(round(columns[i][0], 3) for columns in rows.values()) for i in range(8)]
    heads = [NAMES.get(dataset, {}).get(k, str(k)) for dataset in CLASSES for k in CLASSES[dataset]]
    head = ["model", *heads[:3], "MNIST mean", *heads[3:], "Fashion-MNIST mean", "updates"]
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    for model, columns in sorted(rows.items(), key=lambda row: -(row[1][3][0] + row[1][7][0])):
        steps = float(cells.loc[cells["model"] == model, "steps"].mean())
        shown = [
            (f"**{value:.3f}**" if round(value, 3) == best[i] else f"{value:.3f}") + (f" {MARK}" if marked else "")
            for i, (value, marked) in enumerate(columns)
        ]
        name = f"`{model}`" + (f" {MARK}" if any(marked for _, marked in columns) else "")
        lines.append(f"| {' | '.join([name, *shown, 'fit' if steps == 0 else f'{steps:,.0f}'])} |")
    return [lines]


def rules_tables() -> list[list[str]]:
    """A row a rule, a column a model, both data sets in each place, the best of a column bold; and what was chosen."""
    parts = [group("rules", dataset) for dataset in TITLES]
    labels = [label for label in parts[0].labels if label != "histogram"]
    rules = [OWN, *rules_of(parts[0])]
    means = {
        (label, rule): [float(class_mean(part, metric_of(rule), label).value) for part in parts]
        for label in labels
        for rule in rules
    }
    best = {label: [max(means[label, rule][i] for rule in rules) for i in (0, 1)] for label in labels}
    marks = {label: f"{label} {MARK}" if any(label in part.below for part in parts) else label for label in labels}
    lines = [f"| rule | {' | '.join(marks[label] for label in labels)} |", "| --- |" + " ---: |" * len(labels)]
    for rule in rules:
        shown = [
            " / ".join(
                f"**{value:.3f}**" if value == best[label][i] else f"{value:.3f}"
                for i, value in enumerate(means[label, rule])
            )
            if all(value == value for value in means[label, rule])
            else ""
            for label in labels
        ]
        lines.append(f"| {'own score' if rule == OWN else f'`{rule}`'} | {' | '.join(shown)} |")
    return [lines, _chosen_table()]


def _chosen_table() -> list[str]:
    """A row a model: what was chosen for each data set, what it comes to, and what the rule alone does."""
    lines = [
        "| model | chosen for MNIST | AUROC | as in its YAML | chosen for Fashion-MNIST | AUROC | as in its YAML |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: |",
    ]
    cells, shipped = frame(CHOSEN), frame("paper")
    for model in dict.fromkeys(cells["model"]):
        columns = []
        for dataset in TITLES:
            part = cells[(cells["model"] == model) & (cells["dataset"] == dataset)]
            (rule,) = set(part["chosen_rule"])
            written = yaml.safe_load((CONF_DIR / "chosen" / f"{dataset}_{model}.yaml").read_text(encoding="utf-8"))
            settings = " ".join(f"{key}={value}" for key, value in (written.get("model") or {}).items())
            beside = shipped[(shipped["model"] == model) & (shipped["dataset"] == dataset)]
            columns.append(f"{settings or 'as in its YAML'}, `{rule}`")
            columns += [_with_sd(*_mean_and_sd(one, metric_of(rule))) for one in (part, beside)]
        lines.append(f"| `{model}` | {' | '.join(columns)} |")
    return lines


def answer_tables() -> list[list[str]]:
    """A row a model: its own score on both data sets, and what was chosen for it; the best of a column bold."""
    own, chosen, rows = frame("paper"), frame(CHOSEN), {}
    for model in group("paper", "mnist").labels:
        row = []
        for cells, rules in ((own, False), (chosen, True)):
            for dataset in TITLES:
                part = cells[(cells["model"] == model) & (cells["dataset"] == dataset)]
                metric = metric_of(*set(part["chosen_rule"])) if rules and len(part) else "auroc"
                row.append(_mean_and_sd(part, metric))
        rows[model] = row
    best = [max(round(row[i][0], 3) for row in rows.values() if row[i][0] == row[i][0]) for i in range(4)]
    heads = ("model", *(f"{what}, {title}" for what in ("own score", "chosen") for title in TITLES.values()))
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * 4]
    for model, row in rows.items():
        below = any(model in floors_below("paper", dataset) for dataset in TITLES)
        texts = [_with_sd(*one, bold=round(one[0], 3) == top) for one, top in zip(row, best, strict=True)]
        lines.append(f"| `{model}`{f' {MARK}' if below else ''} | {' | '.join(texts)} |")
    return [lines]


def _mean_and_sd(part: pd.DataFrame, metric: str) -> tuple[float, float]:
    """Mean over classes, each the mean over its seeds, and the sd over seeds; NaN where there is nothing."""
    if not len(part):
        return math.nan, math.nan
    mean = part.groupby("normal_class")[metric].mean().mean()
    return float(mean), float(part.groupby("seed")[metric].mean().std(ddof=1))


def _with_sd(mean: float, sd: float, bold: bool = False) -> str:
    """Three digits and the sd over seeds, where there are several; nothing for NaN."""
    if math.isnan(mean):
        return ""
    shown = f"**{mean:.3f}**" if bold else f"{mean:.3f}"
    return shown if math.isnan(sd) else f"{shown} ± {sd:.3f}"


def trust_tables() -> list[list[str]]:
    """A row for each data set and model: what its choice on synthetic anomalies is worth on real ones."""
    lines = []
    for one in trusts():
        model, setting, rule = one.chosen
        name = f"{'' if one.model else f'`{model}`, '}{setting or 'as in its YAML'}, `{rule}`"
        correlations = (one.rank_correlation, one.over_rules, one.over_settings)
        shown = [*(f"{value:.2f}" for value in correlations), *(f"{x:.3f}" for x in (one.best, *one.regrets.values()))]
        shown.append(f"{one.beaten:.0%}")
        model_name = f"`{one.model}`" if one.model else "all"
        lines.append(f"| {' | '.join([TITLES[one.dataset], model_name, name, *shown])} |")
    return [lines]


BLOCKS: dict[str, Callable[[], list[list[str]]]] = {
    "answer": answer_tables,
    "paper": partial(quick_tables, "paper"),
    "quick": quick_tables,
    "family": family_tables,
    "rules": rules_tables,
    "trust": trust_tables,
}  # by marker


def gan_objectives() -> str | None:
    """The whole block; None while there are too few seeds to rank anything."""
    return f"\n{expected('gan_objectives')}\n" if frame("gan_objectives")["seed"].nunique() >= 3 else None


def search() -> str | None:
    """The whole block; None as long as it was not run."""
    there = (ROOT / "results" / "search" / "cells.csv").exists()
    return f"\n{expected('search')}\n" if there else None


WHOLE: dict[str, Callable[[], str | None]] = {"gan_objectives": gan_objectives, "search": search}
