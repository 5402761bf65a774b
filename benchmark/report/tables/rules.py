"""The table of the two axes: AUROC of every model under every rule, mean over classes and seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmark.report.crossing import OWN, Block, chosen_rule, chosen_rules, largest_block, metric_of, rules_of
from benchmark.report.statistics import FLOORS, Group, Mean, class_mean
from benchmark.report.tables.auroc import NO_RESULTS, unlike_columns
from benchmark.report.tables.table import ABSENT, Entry, Table, group_key, group_title, mean_text, number

CHOSEN = "†"  # behind the AUROC of a model under the rule that was chosen for it
OWN_ROW = "own score"


def rules_table(group: Group) -> Table | None:
    """Rows the models' own score and the rules, columns the models; None where no rule was used.

    The last column and the row "mean" are over the largest block of cells that all models and rules in it share, the
    last row is how far a model moves between the rules of that block.
    """
    rules, labels = rules_of(group), group.labels
    if not rules:
        return None
    means = {label: {rule: class_mean(group, metric_of(rule), label) for rule in (OWN, *rules)} for label in labels}
    best = {label: _largest(means[label].values()) for label in labels}
    block = largest_block(group)
    chosen = {label: chosen_rule(group, label) for label in labels}
    rows = [_row(rule, means, best, chosen, block) for rule in (OWN, *rules)]
    lines = {1}
    if block is not None:
        lines.add(len(rows))
        rows += _margins(labels, block)
    return Table(
        f"rules_{group_key(group)}",
        f"AUROC by model and rule, {group_title(group)}",
        ["rule", *map(group.shown, labels), *(["mean", "range"] if block is not None else [])],
        rows,
        _notes(group, [mean for found in means.values() for mean in found.values()], block),
        lines,
    )


def _row(
    rule: str,
    means: dict[str, dict[str, Mean]],
    best: dict[str, float],
    chosen: dict[str, str | None],
    block: Block | None,
) -> list[Entry]:
    row = [Entry(OWN_ROW if rule == OWN else rule)]
    for label, found in means.items():
        mean = found[rule]
        if mean.present == 0:
            row.append(Entry(ABSENT if found[OWN].present == 0 else ""))
            continue
        mark = CHOSEN if rule == chosen[label] else ""
        row.append(Entry(mean_text(mean, False) + mark, mean.complete and round(mean.value, 3) == best[label]))
    if block is None:
        return row
    if rule not in block.rules:
        return [*row, Entry(""), Entry("")]
    return [
        *row,
        Entry(number(float(block.by_model_and_rule[:, block.rules.index(rule)].mean()))),
        Entry(number(block.over_models[rule])),
    ]


def _margins(labels: Sequence[str], block: Block) -> list[list[Entry]]:
    """Of each model of the block its mean over the block's rules, and its range."""
    over = dict(zip(block.labels, block.by_model_and_rule.mean(axis=1).tolist(), strict=True))
    texts = ([number(found[label]) if label in block.labels else "" for label in labels]
             for found in (over, block.over_rules))  # fmt: skip
    mean, reach = texts
    return [
        [Entry(text) for text in ("mean", *mean, number(float(block.values.mean())), "")],
        [Entry(text) for text in ("range", *reach, "", "")],
    ]


def _largest(means: Iterable[Mean]) -> float:
    """The largest mean over all classes, rounded; NaN where there is nothing to be larger than."""
    complete = [round(mean.value, 3) for mean in means if mean.complete]
    return max(complete) if len(complete) > 1 else math.nan


def _notes(group: Group, means: Sequence[Mean], block: Block | None) -> list[str]:
    notes = [
        "Means over classes, and over seeds where there are several; larger is better. Under every rule a model has "
        f"the same weights. The largest of a column is bold: picked afterwards, it is no choice. {own_names(group)} "
        "Blank: the rule does not apply to the model, or was not asked for."
    ]
    if any(chosen_rules(group, label) for label in group.labels):
        notes.append(f"{CHOSEN} the rule that was chosen for the model beforehand, on other images than these.")
    notes += unlike_choices(group)
    if block is None:
        notes.append("No means over models or rules: no two models share two rules and two classes.")
    else:
        notes.append(
            f"Mean and range (largest less smallest) are over what all share: {block_text(block)}. "
            f"{', '.join(FLOORS[:2])} are left out of it."
        )
    notes += unlike_columns(group, means)
    if group.below:
        notes.append("Marks of floors go by the models' own scores.")
    if (group.frame["state"] != "done").any():
        notes.append(f"{ABSENT} stands for a cell that is not done.")
    if group.evaluate_on != "test":
        notes.append(NO_RESULTS)
    return notes


def own_names(group: Group) -> str:
    """Which score the own one of each column is: ``Own score, its paper's rule: total (anogan); ...``."""
    names: dict[str, list[str]] = {}
    for label in group.labels:
        for headline in sorted(set(group.frame.loc[group.frame["label"] == label, "headline"]) - {""}):
            names.setdefault(headline, []).append(label)
    each = "; ".join(f"{headline} ({', '.join(labels)})" for headline, labels in names.items())
    return f"Own score, the headline of each model: {each}."


def unlike_choices(group: Group) -> list[str]:
    """A note on columns whose cells name different rules as chosen; they have no mark."""
    found = {label: chosen_rules(group, label) for label in group.labels}
    each = "; ".join(
        f"{label}: {', '.join(name or 'none' for name in names)}" for label, names in found.items() if len(names) > 1
    )
    return [f"Cells of one column name different chosen rules, so none is shown ({each})."] if each else []


def block_text(block: Block) -> str:
    """``3 models (pca, ae, vae) x 2 rules (squared, cosine) x 10 classes x 2 seeds (0, 1)``."""
    parts = [
        f"{len(block.labels)} models ({', '.join(block.labels)})",
        f"{len(block.rules)} rules ({', '.join(block.rules)})",
        f"{len(block.classes)} classes",
    ]
    seeds = ", ".join(map(str, block.seeds))
    parts.append(f"seed {seeds}" if len(block.seeds) == 1 else f"{len(block.seeds)} seeds ({seeds})")
    return " x ".join(parts)
