"""The choice of a model's settings and rule for a data set, made on the cells of another data set (protocol.md).

Everything compared is on held-out training images (``split.evaluate_on=validation``). What a choice would have been
worth on the data set that it is made for is computed for information, and chooses nothing. Cells on synthetic anomalies
(``split.evaluate_on=synthetic``) choose for their own data set: no real anomaly of it has a part in that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.chosen import CHOSEN_ON
from benchmark.config import UsageError
from benchmark.models import constructor
from benchmark.report.compared import Compared, compared_of, refuse_mixed
from benchmark.report.crossing import OWN, PREFIX
from benchmark.rules import rule_names

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Candidate:
    """A setting of a model under a rule, with its mean AUROC on both data sets."""

    setting: str  # what differs from the model's own YAML, in words such as latent=2; "" if nothing does
    rule: str
    mean: float  # on the data set that the choice is made on
    tested: float  # on the one that it is made for; NaN where its cells are not there, or it is the same

    @property
    def name(self) -> str:
        return f"{self.setting or 'as in its YAML'}, {self.rule}"


@dataclass(frozen=True)
class Choice:
    """What was compared for a model on a data set, and what is chosen."""

    model: str
    dataset: str  # that it is made for
    chosen_on: str  # the same one where it is made on synthetic anomalies
    split: str
    conditions: tuple[str, ...]  # that all cells of the data set chosen on have, such as train_fraction=0.5
    candidates: Sequence[Candidate]  # best first; equal ones by setting and rule
    settings: int  # number of them that were compared
    cells: int  # of the data set chosen on, that a mean is over
    classes: tuple[int, ...]
    tested_classes: tuple[int, ...]
    notes: tuple[str, ...] = ()  # what was left out

    @property
    def chosen(self) -> Candidate:
        return self.candidates[0]

    @property
    def is_synthetic(self) -> bool:
        """Whether it is made on synthetic anomalies."""
        return self.chosen_on == self.dataset

    @property
    def tied(self) -> list[Candidate]:
        """Others of the same mean: they come later by name."""
        return [one for one in self.candidates[1:] if one.mean == self.chosen.mean]

    @property
    def rules(self) -> list[str]:
        return sorted({one.rule for one in self.candidates})

    @property
    def shipped(self) -> Candidate | None:
        """The model as in its YAML with its own score."""
        return next((one for one in self.candidates if (one.setting, one.rule) == ("", OWN)), None)

    @property
    def best_tested(self) -> float:
        """The largest mean on the data set that the choice is made for: no rule that is fair finds it."""
        return max((one.tested for one in self.candidates if not math.isnan(one.tested)), default=math.nan)


def choose(frame: pd.DataFrame) -> tuple[list[Choice], list[str]]:
    """Every choice that the cells of ``frame`` (``report/frame.py``) can make, and what to know of them, a line each.

    For a model and a data set it takes the setting and rule of the largest AUROC on the other data set, or on synthetic
    anomalies of this one: the mean over classes, each the mean over its seeds, of the cells that all settings of all
    models have there, so that no model chooses by more than another. Raises
    ``UsageError`` for cells on test images, for data sets that have no other one, for cells on both kinds of anomalies,
    and for settings that were not compared under one condition.
    """
    is_synthetic = refuse_mixed(frame)
    datasets = list(dict.fromkeys(map(str, frame["dataset"])))
    alone = [] if is_synthetic else [name for name in datasets if name not in CHOSEN_ON]
    if alone and len(alone) == len(datasets):
        raise UsageError(no_other(alone))
    found, lines = [], [f"left out: {no_other(alone)}"] if alone else []
    judged = [name.removeprefix(PREFIX) for name in frame.columns if name.startswith(PREFIX)]
    if others := [name for name in judged if name not in rule_names()]:
        lines.append(
            f"left out: {', '.join(others)}. A rule is chosen by its name: one of other settings needs a file "
            "of its own in conf/rule"
        )
    pairs = {name: name for name in datasets} if is_synthetic else CHOSEN_ON
    parts = {model: _one_split(model, frame, lines) for model in dict.fromkeys(map(str, frame["model"]))}
    narrow = {name: _shared_by_all(name, parts) for name in datasets}
    for model, part in parts.items():
        for dataset, other in pairs.items():
            made = _choose(model, dataset, other, part, narrow)
            if isinstance(made, Choice):
                found.append(made)
                lines += made.notes
            elif not is_synthetic or dataset in set(part["dataset"]):
                lines.append(f"{model} on {dataset}: {made}")
    return found, [*lines, *_unequal(found)]


def best_model(choices: Sequence[Choice]) -> Choice | None:
    """The best of all models for one data set, of equal ones the first by name; None if they have other cells each."""
    if len({(one.split, _of_data(one.conditions), one.classes, one.cells) for one in choices}) != 1:
        return None
    return min(choices, key=lambda one: (-one.chosen.mean, one.model))


def _of_data(conditions: Iterable[str]) -> tuple[str, ...]:
    """Conditions but for those of training: settings of one model, which mean nothing to another (epochs of PCA)."""
    return tuple(each for each in conditions if each.partition("=")[0] not in ("epochs", "batch_size"))


def _one_split(model: str, frame: pd.DataFrame, lines: list[str]) -> pd.DataFrame:
    """The model's cells of the split that is chosen on; others are said in ``lines``."""
    part = frame[frame["model"] == model]
    split = "one_vs_rest" if "one_vs_rest" in set(part["split"]) else str(part["split"].iloc[0])
    if (left := sorted(set(part["split"]) - {split})) != []:
        lines.append(f"{model}: chosen on cells of {split}; those of {', '.join(left)} are left out")
    return part[part["split"] == split]


def _shared_by_all(dataset: str, parts: Mapping[str, pd.DataFrame]) -> set[tuple[int, int]] | None:
    """The classes and seeds that every setting of every model has; None where there are none."""
    compared = (compared_of(model, dataset, part[part["dataset"] == dataset]) for model, part in parts.items())
    shared = [one.shared(one.choosable) for one in compared if one.choosable]
    return set.intersection(*shared) or None if shared else None


def no_other(datasets: Sequence[str]) -> str:
    """What to say of data sets on which nothing can be chosen."""
    pairs = ", ".join(f"{name} (chosen on {other})" for name, other in CHOSEN_ON.items())
    return f"{', '.join(datasets) or 'no data set'} has no other data set to be chosen on. There is: {pairs}"


def _choose(
    model: str, dataset: str, other: str, frame: pd.DataFrame, narrow: Mapping[str, set[tuple[int, int]] | None]
) -> Choice | str:
    """The choice, or why there is none.

    ``narrow`` are the classes and seeds of each data set that all models have, None where there are none.
    """
    here, there = (compared_of(model, name, frame[frame["dataset"] == name]) for name in (dataset, other))
    if not there.values:
        return f"no cells on {other}, on which it would be chosen"
    settings = there.choosable
    if not settings:
        return f"every setting has a cell on {other} that diverged"
    done = (frame["dataset"] == other) & (frame["state"] == "done")
    if done.any() and frame["auroc"][done].isna().all():
        return f"no cell on {other} has an AUROC, as none had anomalous images to evaluate"
    if not (shared := narrow.get(other) or there.shared(settings)):
        return f"no class and seed on {other} that all {len(settings)} settings have. {_how_to_finish()}"
    tested = here.shared([setting for setting in settings if here.values.get(setting, {}).get(OWN)])
    tested = set() if dataset == other else tested & (narrow.get(dataset) or tested)
    rules = sorted({rule for setting in settings for rule in there.values[setting]})
    candidates = [
        Candidate(setting, rule, mean, here.mean(setting, rule, tested))
        for setting in settings
        for rule in rules
        if not math.isnan(mean := there.mean(setting, rule, shared))
    ]
    return Choice(
        model=model,
        dataset=dataset,
        chosen_on=other,
        split=str(frame["split"].iloc[0]),
        conditions=there.conditions,
        candidates=sorted(candidates, key=lambda one: (-one.mean, one.setting, one.rule)),
        settings=len(there.values),
        cells=len(shared),
        classes=tuple(sorted({number for number, _ in shared})),
        tested_classes=tuple(sorted({number for number, _ in tested})),
        notes=tuple(f"{model} on {dataset}: {note}" for note in _notes(there, other, settings, rules, shared)),
    )


def _notes(
    there: Compared, other: str, settings: Sequence[str], rules: Sequence[str], shared: set[tuple[int, int]]
) -> list[str]:
    notes = [f"{name or 'as in its YAML'} diverged on {other} and cannot be chosen" for name in there.diverged]
    most = set.union(*(set(there.values[setting][OWN]) for setting in settings))
    if len(shared) < len(most):
        notes.append(
            f"compared on {len(shared)} of the {len(most)} cells a setting on {other}, those that all others have too. "
            f"{_how_to_finish()}"
        )
    for rule in rules:
        partly = [one for one in settings if shared & set(there.values[one].get(rule, {}))]
        partly = [one for one in partly if not shared <= set(there.values[one][rule])]
        if partly:
            names = "; ".join(one or "as in its YAML" for one in partly)
            notes.append(f"rule {rule} is left out for {names}: some cells on {other} have no score by it")
    return notes


def _unequal(choices: Sequence[Choice]) -> list[str]:
    """A line where some models had more settings to choose from than others."""
    models: dict[int, dict[str, list[str]]] = {}  # number of settings -> model -> data sets that it is chosen for
    for one in choices:
        models.setdefault(one.settings, {}).setdefault(one.model, []).append(one.dataset)
    if len(models) < 2:
        return []
    counts = Counter(model for found in models.values() for model in found)
    listed = [
        f"{count} of {', '.join(f'{m} on {d[0]}' if counts[m] > 1 else m for m, d in found.items())}"
        for count, found in sorted(models.items())
    ]
    return [f"not as many settings of every model were compared, which favours those with more: {'; '.join(listed)}"]


def _how_to_finish() -> str:
    return "What is left: python -m benchmark.status experiment=..."


def parsed(setting: str) -> dict[str, Any]:
    """The settings in the words of a variant, as YAML has them.

    >>> parsed("latent=2 hidden=[256,128] learning_rate=1e-05 batch_norm=False")
    {'latent': 2, 'hidden': [256, 128], 'learning_rate': 1e-05, 'batch_norm': False}
    """
    from omegaconf import OmegaConf

    found: dict[str, Any] = OmegaConf.to_container(OmegaConf.from_dotlist(setting.split()))  # type: ignore[assignment]
    return {key: None if value == "None" else value for key, value in found.items()}


def refuse_settings(choice: Choice) -> None:
    """Raise ``UsageError`` if a model of this package does not take the chosen settings, or has no such score."""
    keywords, settings = constructor(choice.model), parsed(choice.chosen.setting)
    for key, value in settings.items():
        allowed = keywords[key].allowed(value) if key in keywords else f"a key of it: {', '.join(keywords)}"
        if allowed is not None:
            raise UsageError(f"the chosen {key}={value} is not one that {choice.model} takes: it must be {allowed}")


def chosen_yaml(choice: Choice, source: str, command: str, name: str | None = None) -> str:
    """The file of a folder ``chosen``: only what differs from the model's own YAML, and how it came to be.

    ``source`` says where the cells are from, ``command`` which one writes the file; ``name`` is that of a file in a
    folder of somebody's own.
    """
    import yaml

    one, shipped = choice.chosen, choice.shipped
    where = "" if choice.split == "one_vs_rest" else f" split={choice.split}"
    typed = f" dataset={choice.dataset}" if name is None else f" dataset=... chosen={name} --config-dir=..."
    on = "validation images of its training split"
    if choice.is_synthetic:
        on = "synthetic anomalies made from held-out normal images"
    lines = [
        "# @package _global_",
        f"# python -m benchmark model={choice.model}{typed}{where}",
        f"# Chosen on {choice.chosen_on}, {on} ({', '.join([choice.split, *choice.conditions])}),",
        f"# among {choice.settings} settings and {len(choice.rules)} rules: mean AUROC there {one.mean:.4f} "
        f"({choice.cells} cells, {len(choice.classes)} classes).",
    ]
    if shipped is not None:
        lines.append(f"# As in conf/model/{choice.model}.yaml with its own score: {shipped.mean:.4f}.")
    lines += [f"# Cells: {source}. Written by:", f"# {command}"]
    settings = parsed(one.setting)
    if settings:
        lines.append("model:")
    for key, value in settings.items():
        written = yaml.safe_dump([value], default_flow_style=True, width=1000).strip()[1:-1]
        lines.append(f"  {key}: {written}")
    return "\n".join([*lines, f"chosen_rule: {one.rule}", ""])
