"""Tables of what was compared to choose from, and of what the choices are worth."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.report.choice import Candidate, Choice
from benchmark.report.crossing import OWN
from benchmark.report.tables.table import DATASET_TITLES, Entry, Table, number

DIGITS = 4  # settings differ by less than a table of models shows


def title_of(dataset: str) -> str:
    return DATASET_TITLES.get(dataset, dataset)


def choices_table(choices: Sequence[Choice]) -> Table:
    """A row for each model: what is chosen for one data set, and beside it what that is worth there."""
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
    notes += [
        f"{one.model}: equal to {', '.join(f'({other.name})' for other in one.tied)}, which come later by name."
        for one in choices
        if one.tied
    ]
    return Table(
        key=f"chosen_{choices[0].dataset}",
        title=f"Chosen for {here} on {there}",
        columns=[
            *("model", "setting", "rule", "settings", "rules"),
            *(there, here, f"before, {there}", f"before, {here}", f"largest, {here}"),
        ],
        rows=rows,
        notes=notes,
        text_columns=3,
    )


def compared_table(choice: Choice) -> Table:
    """A row for each setting and rule that were compared for a model, best first; the chosen one is marked."""
    here, there = title_of(choice.dataset), title_of(choice.chosen_on)
    under = "".join(f", {condition}" for condition in choice.conditions)
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
