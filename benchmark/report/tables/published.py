"""Published AUROC figures, each with its source; rows that were not read anywhere are never shown."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.report.statistics import Group, class_mean, per_class
from benchmark.report.tables.table import ABSENT, Entry, Table, group_key, group_title, number

PUBLISHED = Path(__file__).with_name("published_auroc.csv")
NEAR = (  # methods near enough to ours to stand beside them; all of them are in the appendix
    "AnoGAN", "AE", "VAE", "DAE", "OC-SVM (raw pixels)", "Deep SVDD", "GPND", "LSA", "OCGAN", "ARAE", "MTQ flow, NLL",
    "MTQ flow, TQM2", "GEOM",
)  # fmt: skip
CAUTION = (
    "Published figures come from other implementations, settings and preprocessing, some from runs that kept their "
    "best epoch or parameter on the test split; they are quoted as their source gives them and were not run here."
)


@dataclass(frozen=True)
class Quote:
    """One published number."""

    dataset: str
    protocol: str
    method: str
    normal_class: str  # a class index, or "mean"
    auroc: float
    std: str
    source: str
    how_read: str


def read_published(path: str | Path = PUBLISHED) -> list[Quote]:
    """The published figures that were read in their source or in a work that quotes it."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["verified"].startswith("yes")]
    names = ("dataset", "protocol", "method", "normal_class")
    return [
        Quote(*(r[n] for n in names), float(r["auroc"]), r["std"], r["source"], r["verified"].removeprefix("yes: "))
        for r in rows
    ]


def beside_table(group: Group, quotes: Sequence[Quote]) -> Table | None:
    """Our figures above published ones, class by class; None where nothing is published for this protocol."""
    chosen = [q for q in quotes if q.dataset == group.dataset and q.protocol == group.split and _near(q.method)]
    if not chosen or group.evaluate_on != "test":
        return None
    classes = list(group.classes)
    rows = []
    for label in group.labels:
        values = per_class(group, "auroc", label)
        texts = [number(sum(values[k]) / len(values[k])) if k in values else ABSENT for k in classes]
        mean = class_mean(group, "auroc", label)
        short = "" if mean.complete or mean.present == 0 else f" ({mean.present}/{mean.expected})"
        rows.append([Entry(text) for text in (group.shown(label), "here", *texts, number(mean.value) + short)])
    rules = {len(rows)}
    published, sources = _rows(chosen, [str(k) for k in classes])
    return Table(
        f"published_{group_key(group)}",
        f"AUROC beside published figures, {group_title(group)}",
        ["method", "source", *map(str, classes), "mean"],
        rows + published,
        [CAUTION, *sources],
        rules,
        text_columns=2,
    )


def appendix_tables(quotes: Sequence[Quote], datasets: Sequence[str], titles: dict[str, str]) -> list[Table]:
    """All published figures of the data sets, with their sources."""
    tables = []
    for dataset in datasets:
        chosen = [q for q in quotes if q.dataset == dataset]
        for protocol in dict.fromkeys(q.protocol for q in chosen):
            alike = [q for q in chosen if q.protocol == protocol]
            classes = sorted({q.normal_class for q in alike if q.normal_class != "mean"}, key=int)
            rows, sources = _rows(alike, classes)
            title = f"All published AUROC figures, {titles.get(dataset, dataset)}, {protocol}"
            columns = ["method", "source", *classes, "mean"]
            key = f"all_published_{dataset}_{protocol}"
            tables.append(Table(key, title, columns, rows, [CAUTION, *sources], text_columns=2))
    return tables


def _near(method: str) -> bool:
    return method.split(" (listed in", 1)[0] in NEAR


def _rows(quotes: Sequence[Quote], classes: Sequence[str]) -> tuple[list[list[Entry]], list[str]]:
    numbers: dict[tuple[str, str], int] = {}
    table: dict[str, dict[str, Quote]] = {}
    marks: dict[str, list[int]] = {}
    for quote in quotes:
        mark = numbers.setdefault((quote.source, quote.how_read), len(numbers) + 1)
        method = quote.method
        if quote.normal_class in table.get(method, {}):
            method = f"{method} [{mark}]"  # a second table gives another number: its own row
        table.setdefault(method, {})[quote.normal_class] = quote
        if mark not in marks.setdefault(method, []):
            marks[method].append(mark)
    rows = [
        [Entry(method), Entry("".join(f"[{m}]" for m in marks[method]))]
        + [Entry(number(values[k].auroc) if k in values else "") for k in (*classes, "mean")]
        for method, values in table.items()
    ]
    return rows, [f"[{mark}] {source}; {how}" for (source, how), mark in numbers.items()]
