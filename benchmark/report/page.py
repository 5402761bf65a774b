"""The page of a report, ``page.html`` filled in: tables, figures, glossary, what is not done, and the manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.report.answer import Answer, without
from benchmark.report.glossary import GLOSSARY
from benchmark.report.tables.table import Table

if TYPE_CHECKING:
    import pandas as pd

EXPLORER = "explorer.html"  # the page beside it, where one was asked for
TEMPLATE = Path(__file__).with_name("page.html")
FIRST = ("rules_", "heatmap_")  # the figure that the page begins with, by what its file is called
AXES = ("model", "variant", "dataset", "split", "normal_class", "seed", "state", "reason")  # of cells that are not done


@dataclass(frozen=True)
class Plate:
    """A drawn figure: its file, which section it belongs to and what it shows."""

    key: str  # file name without suffix, in figures/
    section: str  # heading of the tables it stands with
    title: str
    caption: str
    pdf: bool = False  # whether there is a PDF beside the PNG


def build_page(
    experiment: str,
    frame: pd.DataFrame,
    sections: Mapping[str, Sequence[Table]],
    plates: Sequence[Plate],
    manifest: Mapping[str, Any],
    explorer: bool = False,
    answer: Answer | None = None,
) -> str:
    """The page as text: ``answer`` first, with one figure, then everything else.

    Everything that comes from records is escaped; figures are shown from ``figures/``.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    first = _first_figure(plates) if answer is not None else None
    shared = answer.shared if answer is not None else ()
    return pages.get_template(TEMPLATE.name).render(
        answer=answer,
        first=first,
        first_title=without(first.title, shared) if first is not None else "",
        experiment=experiment,
        planned=len(frame),
        not_done=frame[frame["state"] != "done"].to_dict("records"),
        axes=AXES,
        warnings=manifest["warnings"],
        sections=[
            {
                "heading": without(heading, shared),
                "tables": [(table, _short(table.title, heading, shared)) for table in tables],
                "plates": [
                    (plate, _short(plate.title, heading, shared))
                    for plate in plates
                    if plate.section == heading and plate is not first
                ],
            }
            for heading, tables in sections.items()
        ],
        explorer=EXPLORER if explorer else "",
        glossary=GLOSSARY,
        made_by=manifest["made_by"],
        revision=str(manifest["report_git_revision"])[:12],
        manifest=json.dumps({k: v for k, v in manifest.items() if k != "cells"}, indent=1, ensure_ascii=False),
    )


def _first_figure(plates: Sequence[Plate]) -> Plate | None:
    """What the page begins with: models and rules, or else AUROC by class of the first data set."""
    for name in FIRST:
        found = [plate for plate in plates if plate.key.startswith(name)]
        if found:
            return found[0]
    return None


def _short(title: str, heading: str, shared: Sequence[str]) -> str:
    """A title without what its section's heading, or the head of the page, has said already.

    >>> _short("ROC curves, MNIST, one_vs_rest", "MNIST, one_vs_rest", [])
    'ROC curves'
    """
    return without(title.removesuffix(f", {heading}"), shared)
