"""Tables of what was compared to choose from, and of what the choices are worth."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.report.choice import Candidate, Choice, best_model
from benchmark.report.crossing import OWN
from benchmark.report.measures.edges import edges_note
from benchmark.report.measures.trust import Trust
from benchmark.report.tables.table import DATASET_TITLES, Entry, Table, number

DIGITS = 4  # settings differ by less than a table of models shows


def title_of(dataset: str) -> str:
    return DATASET_TITLES.get(dataset, dataset)


def choices_table(choices: Sequence[Choice]) -> Table:
    """A row for each model: what is chosen for one data set, and beside it what that is worth there."""
    if choices[0].is_synthetic:
        return _synthetic_table(choices)
    here, there = title_of(choices[0].dataset), title_of(choices[0].chosen_on)
    rows = [
        [
            Entry(one.model),
            Entry(one.chosen.setting or "as in its YAML"),
            Entry(one.chosen.rule),
            *(Entry(text) for text in (str(one.settings), str(len(one.rules)))),
            Entry(number(one.chosen.mean, DIGITS), bold=True),
            Entry(number(one.chosen.tested, DIGITS)),
            Entry(_of(one.shipped, on_tested=False)),
            Entry(_of(one.shipped, on_tested=True)),
            Entry(number(one.best_tested, DIGITS)),
        ]
        for one in choices
    ]
    notes = [
        f"Mean AUROC on validation images of the training splits. The setting and rule of the largest mean on {there} "
        f"are taken for {here}. Before: the model as in its YAML with its own score. The last column is the largest "
        f"mean on {here} of all that were compared: what a choice by looking there would get."
    ]
    return Table(
        key=f"chosen_{choices[0].dataset}",
        title=f"Chosen for {here} on {there}",
        columns=[
            *("model", "setting", "rule", "settings", "rules"),
            *(there, here, f"before, {there}", f"before, {here}", f"largest, {here}"),
        ],
        rows=rows,
        notes=[*notes, *_ties(choices), *edges_note(choices)],
        text_columns=3,
    )


def _synthetic_table(choices: Sequence[Choice]) -> Table:
    """A row for each model: what is chosen for one data set on synthetic anomalies of it; the best model is bold."""
    here, best = title_of(choices[0].dataset), best_model(choices)
    rows = [
        [
            Entry(one.model, one is best),
            Entry(one.chosen.setting or "as in its YAML"),
            Entry(one.chosen.rule),
            *(Entry(text) for text in (str(one.settings), str(len(one.rules)))),
            Entry(number(one.chosen.mean, DIGITS), one is best),
            Entry(_of(one.shipped, on_tested=False)),
        ]
        for one in choices
    ]
    note = (
        "Mean AUROC, held-out normal images against anomalies made from them. The setting and rule of the largest "
        "mean are taken. Before: the model as in its YAML with its own score. It promises nothing for real anomalies: "
        "docs/selection.md says how far such choices can be trusted."
    )
    notes = [note] if best is not None else [note, "Models were compared on other cells each: none is the best."]
    return Table(
        key=f"chosen_{choices[0].dataset}",
        title=f"Chosen for {here} on synthetic anomalies",
        columns=["model", "setting", "rule", "settings", "rules", "AUROC", "before"],
        rows=rows,
        notes=[*notes, *_ties(choices), *edges_note(choices)],
        text_columns=3,
    )


def trust_table(trusts: Sequence[Trust]) -> Table:
    """A row for each data set and model: what the choice on synthetic anomalies was worth on real ones."""
    rows, lines = [], set()
    for i, one in enumerate(trusts):
        if i and one.dataset != trusts[i - 1].dataset:
            lines.add(i)
        model, setting, rule = one.chosen
        correlations = (one.rank_correlation, one.over_rules, one.over_settings)
        rows.append(
            [
                Entry(title_of(one.dataset)),
                Entry(one.model or "all"),
                Entry(f"{'' if one.model else f'{model}, '}{setting or 'as in its YAML'}, {rule}"),
                Entry(str(one.compared)),
                *(Entry(number(value, 2)) for value in correlations),
                Entry(number(one.best, DIGITS)),
                *(Entry(number(value, DIGITS), name == "real") for name, value in one.regrets.items()),
                Entry(f"{one.beaten:.0%}"),
            ]
        )
    classes = sorted({one.classes for one in trusts})
    note = (
        "AUROC of the same settings under the same rules, on synthetic anomalies, which choose, and on real ones of "
        f"the training split (classes {'; '.join(map(_listed, classes))}). Rank correlations are Spearman's: over all, "
        "over the rules of one setting (mean over settings), over the settings under one rule (mean over rules). The "
        "regret of a choice is the largest real AUROC less that of what was chosen: on synthetic anomalies, on real "
        "ones of the other data set, the model as in its YAML with its own score (of all models: their mean), at "
        "random (the mean over all). Beats: the share of all that were compared whose real AUROC is smaller."
    )
    return Table(
        key="trust",
        title="How far a choice on synthetic anomalies can be trusted",
        columns=[
            *("data set", "model", "chosen", "compared", "rank correlation", "over rules", "over settings"),
            *("largest", "regret: synthetic", "other data set", "as in its YAML", "at random", "beats"),
        ],
        rows=rows,
        notes=[note],
        rules=lines,
        text_columns=3,
    )


def _ties(choices: Sequence[Choice]) -> list[str]:
    return [
        f"{one.model}: equal to {', '.join(f'({other.name})' for other in one.tied)}, which come later by name."
        for one in choices
        if one.tied
    ]


def compared_table(choice: Choice) -> Table:
    """A row for each setting and rule that were compared for a model, best first; the chosen one is marked."""
    here, there = title_of(choice.dataset), title_of(choice.chosen_on)
    under = "".join(f", {condition}" for condition in choice.conditions)
    if choice.is_synthetic:
        return Table(
            key=f"chosen_{choice.dataset}_{choice.model}",
            title=f"{choice.model} for {here}, chosen on synthetic anomalies ({choice.split}{under})",
            columns=["setting", "rule", "", "AUROC"],
            rows=[_row(one, one is choice.chosen)[:-1] for one in choice.candidates],
            notes=[f"Mean AUROC on synthetic anomalies over the classes {_listed(choice.classes)}."],
            text_columns=3,
        )
    return Table(
        key=f"chosen_{choice.dataset}_{choice.model}",
        title=f"{choice.model} for {here}, chosen on {there} ({choice.split}{under})",
        columns=["setting", "rule", "", there, here],
        rows=[_row(one, one is choice.chosen) for one in choice.candidates],
        notes=[
            f"Mean AUROC on validation images: {there} over the classes {_listed(choice.classes)}, by which is chosen; "
            f"{here} over {_listed(choice.tested_classes) or 'none'}, for information."
        ],
        text_columns=3,
    )


def _row(one: Candidate, is_chosen: bool) -> list[Entry]:
    rule = "own (its headline)" if one.rule == OWN else one.rule
    texts = [one.setting or "as in its YAML", rule, "chosen" if is_chosen else ""]
    return [Entry(text, is_chosen) for text in [*texts, number(one.mean, DIGITS), number(one.tested, DIGITS)]]


def _of(one: Candidate | None, on_tested: bool) -> str:
    return number(float("nan") if one is None else one.tested if on_tested else one.mean, DIGITS)


def _listed(classes: Sequence[int]) -> str:
    return ", ".join(map(str, classes))
