"""What columns are called in a report: a model with its settings, or as chosen, where that is what they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmark.chosen import read_chosen
from benchmark.store.experiments import column_label, shared_settings

if TYPE_CHECKING:
    import pandas as pd

AS_CHOSEN = "chosen"  # ``ae (chosen)`` has the settings of conf/chosen, which differ from the model's YAML

COMMITTEE = "committee"
MEMBERS = re.compile(r"members=\[(\S*)\]")
ONLY_MEMBERS = re.compile(rf"{COMMITTEE} \({MEMBERS.pattern}\)")

Column = tuple[str, str, str]  # data set, model, variant


def names_of(frame: pd.DataFrame) -> tuple[dict[Column, str], tuple[str, ...]]:
    """The name of every column, and the settings that all have, which are in no name.

    ``ae`` as in the YAML, ``ae (latent=2)`` with another setting. ``ae (chosen)`` if it has the settings that
    ``conf/chosen`` has for its data set now, and its cells note that they were chosen: so a model that chose other
    settings on another data set has one name in both tables. What is as in the YAML keeps the model's name.
    """
    shared = shared_settings(zip(frame["model"], frame["variant"], strict=True))
    columns = dict.fromkeys(zip(frame["dataset"], frame["model"], frame["variant"], strict=True))
    chosen = _noted(frame)
    names = {
        column: f"{column[1]} ({AS_CHOSEN})"
        if column in chosen and _is_as_chosen(*column, shared)
        else column_label(*column[1:], shared)
        for column in columns
    }
    committees = {name for name in names.values() if ONLY_MEMBERS.fullmatch(name)}
    return {column: COMMITTEE if {name} == committees else name for column, name in names.items()}, shared


def members_of(variant: str) -> str:
    """The members that the settings of a committee name, as they are typed; "" if they name none.

    >>> members_of("members=[ae@hidden=[64]:ssim,knn] train_fraction=0.2")
    'ae@hidden=[64]:ssim,knn'
    """
    found = MEMBERS.search(variant)
    return found[1] if found is not None else ""


def _noted(frame: pd.DataFrame) -> set[Column]:
    """The columns with a cell that was trained as chosen: it notes the rule that was chosen with its settings."""
    if "chosen_rule" not in frame:
        return set()
    rows = frame[frame["chosen_rule"].fillna("") != ""]
    return set(zip(rows["dataset"], rows["model"], rows["variant"], strict=True))


def _is_as_chosen(dataset: str, model: str, variant: str, shared: tuple[str, ...]) -> bool:
    """Whether nothing but what is chosen sets a column apart from the model's YAML."""
    settings = read_chosen(dataset, model).worded
    return bool(settings) and settings == {part for part in variant.split() if part not in shared or part in settings}
