"""The leaderboard: a row for every model, setting and rule of every committed experiment on test images."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmark.report.crossing import OWN, chosen_rule, metric_of, rules_of
from benchmark.report.frame import read_frame
from benchmark.report.statistics import Group, class_mean, groups, per_class
from benchmark.report.tables.intervals import interval_text
from tests.tools.site import HERE
from tests.tools.site.experiments import Experiment, anchor
from tests.tools.site.families import family_of

NEEDED = (  # columns of cells.csv, besides AUROC
    "dataset", "split", "evaluate_on", "normal_class", "normal_class_name", "n_classes", "model", "variant", "seed",
    "state", "n_test", "train_seconds", "chosen_rule", "fingerprint",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What is known of one model with one setting under one rule. AUROC throughout, as three decimals."""

    model: str
    variant: str
    family: str
    dataset: str
    split: str
    compared: str  # the classes and images that it was tested on: only rows that share them are comparable
    rule: str
    chosen: bool  # the rule was chosen for the model, on the other data set
    floor: str  # the floors that the model's own score is below, "" if it is below none
    mean: float
    sd: float | None  # over classes
    seeds: int
    seconds: float | None  # of training, mean of a cell
    experiment: str
    job: str  # the anchor of the command on the experiment's page, "" for its section
    classes: dict[str, tuple[float, float | None, float | None]]  # class -> AUROC and its interval, own score alone


def rows(experiments: Sequence[Experiment]) -> list[Row]:
    """The rows, without those that another one has already: the same cells with the same numbers, or these and more.

    So a table of one seed gives way to one of five that has its cells.
    """
    found: dict[tuple[Any, ...], Row] = {}
    for experiment in sorted(experiments, key=lambda experiment: -_rules(experiment)):
        frame = read_frame(experiment.folder / "cells.csv")
        for group in groups(frame[[name for name in frame if name in NEEDED or name.startswith("auroc")]]):
            if group.evaluate_on == "test":
                for key, row in _of_group(group, experiment):
                    found.setdefault(key, row)
    return _without_parts(found)


def _without_parts(found: Mapping[tuple[Any, ...], Row]) -> list[Row]:
    """The rows, but for those whose cells are a part of another one's, under the same rule."""
    held: dict[tuple[str, str], list[frozenset[str]]] = {}  # a cell and a rule -> the cells of the rows that have both
    for *cells, rule, _, _ in found:
        for cell in cells:
            held.setdefault((cell, rule), []).append(frozenset(cells))
    return [
        row
        for (*cells, rule, _, _), row in found.items()
        if not any(frozenset(cells) < other for other in held[cells[0], rule])
    ]


def _rules(experiment: Experiment) -> int:
    with (experiment.folder / "cells.csv").open(encoding="utf-8") as lines:
        return next(lines).count("auroc_rule_")


def _of_group(group: Group, experiment: Experiment) -> Iterator[tuple[tuple[Any, ...], Row]]:
    for label in group.labels:
        cells = group.frame[(group.frame["label"] == label) & (group.frame["state"] == "done")]
        if cells.empty:
            continue
        model, variant = str(cells["model"].iloc[0]), str(cells["variant"].iloc[0])
        number, chosen = experiment.job_of(group.dataset, model, variant), chosen_rule(group, label)
        floor, seeds, seconds = ", ".join(group.below.get(label, [])), len(set(cells["seed"])), _seconds(cells)
        errors = per_class(group, "auroc_se", label)
        for rule in (OWN, *(rule for rule in rules_of(group) if rule != OWN)):
            mean = class_mean(group, metric_of(rule), label)
            if not mean.present:
                continue
            values = per_class(group, metric_of(rule), label)
            row = Row(
                model, variant, family_of(model), group.dataset, group.split, _compared(group, cells, values), rule,
                rule == chosen, floor, round(mean.value, 4), _number(mean.class_sd), seeds, seconds, experiment.name,
                "" if number is None else anchor(number), _classes(group, values, errors if rule == OWN else {}),
            )  # fmt: skip
            yield (*sorted(cells["fingerprint"]), rule, row.chosen, round(mean.value, 4)), row


def _classes(
    group: Group, values: Mapping[int, Sequence[float]], errors: Mapping[int, Sequence[float]]
) -> dict[str, tuple[float, float | None, float | None]]:
    """Class -> AUROC, and where there are errors DeLong's interval as the report's tables have it."""
    found = {}
    for number in sorted(values):
        low = high = None
        middle = round(sum(values[number]) / len(values[number]), 3)
        if errors.get(number):
            middle, low, high = map(float, re.findall(r"\d\.\d+", interval_text(values[number], errors[number])))
        found[group.class_title(number)] = (middle, low, high)
    return found


def _compared(group: Group, cells: Any, values: Mapping[int, Sequence[float]]) -> str:
    """``all 10 classes; 10,000 images each`` or ``classes 0, 3, 8; 2,000 images each``."""
    images = sorted({f"{int(n):,}" for n in cells["n_test"].dropna()}) if "n_test" in cells else []
    if len(values) == group.n_classes:
        classes = f"all {len(values)} classes"
    else:
        classes = f"class{'es' if len(values) > 1 else ''} {', '.join(map(str, sorted(values)))}"
    return classes + (f"; {' or '.join(images)} images each" if images else "")


def _number(value: float, digits: int = 3) -> float | None:
    return None if math.isnan(value) else round(value, digits)


def _seconds(cells: Any) -> float | None:
    found = cells["train_seconds"].dropna()
    return round(float(found.mean()), 1) if len(found) else None


def data(found: Sequence[Row]) -> str:
    """A script that says the rows: read from a local file, where a page may not fetch."""
    said = json.dumps([asdict(row) for row in found], ensure_ascii=False, separators=(",", ":"))
    return f"const LEADERBOARD = {said};\n"


def page(found: Sequence[Row]) -> str:
    """Markdown of the page: the template with the rows that are there without a script."""
    first = [row for row in found if (row.dataset, row.split, row.rule) == ("mnist", "one_vs_rest", OWN)]
    first = [row for row in first if row.compared.startswith("all 10 ")]
    lines = []
    for row in sorted(first, key=lambda row: -row.mean):
        cells = (_name(row), f"{row.mean:.3f}", "" if row.sd is None else f"sd {row.sd:.3f}", "own score", row.family)
        more = (row.experiment, "" if row.seconds is None else f"{row.seconds:.1f}", str(row.seeds))
        where = (row.dataset, row.split, row.compared)
        lines.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in (*cells, *more, *where)) + "</tr>")
    return (HERE / "leaderboard.md").read_text(encoding="utf-8").replace("<!-- rows -->", "".join(lines))


def _name(row: Row) -> str:
    return " ".join(filter(None, (row.model, row.variant and f"({row.variant})", row.floor and "▽")))
