"""Builds a report: collects cells, makes every output in a temporary folder, then publishes it."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config import UsageError
from benchmark.data.writing import scratch
from benchmark.report.frame import build_frame, read_frame, write_frame
from benchmark.report.manifest import MANIFEST, build_manifest
from benchmark.report.page import Figure, build_page
from benchmark.report.publish import compare, move
from benchmark.report.statistics import groups
from benchmark.report.tables.comparison import comparison_tables
from benchmark.report.tables.details import detail_tables
from benchmark.report.tables.floors import explained
from benchmark.report.tables.formats import escape_markdown, latex_document, to_csv, to_latex, to_markdown
from benchmark.report.tables.published import appendix_tables, beside_table, read_published
from benchmark.report.tables.tables import DATASET_TITLES, Table, group_tables, group_title
from benchmark.store.experiments import Collection, collect

if TYPE_CHECKING:
    import pandas as pd

SOURCES = ("folders", "mlflow")


class NoRecords(Exception):
    """The experiment has no cells; the message says which command makes them."""


@dataclass
class Report:
    """A report that was made."""

    results_dir: Path
    frame: pd.DataFrame
    sections: dict[str, list[Table]]  # heading -> its tables
    warnings: list[str]
    files: list[str]

    @property
    def not_done(self) -> pd.DataFrame:
        return self.frame[self.frame["state"] != "done"]


def build_report(
    experiment: str = "quick",
    output_dir: str | Path = "outputs",
    results_dir: str | Path | None = None,
    source: str = "folders",
    figures: bool = True,
    uri: str | None = None,
    publish: bool = False,
    replace: bool = False,
    command: str = "",
) -> Report:
    """Read the records of ``experiment`` and write tables, figures, page and manifest to ``results_dir``.

    ``source`` is "folders" (cells under ``output_dir``) or "mlflow" (the store at ``uri``, by default the configured
    one). ``results_dir`` is ``reports/<experiment>`` below ``output_dir`` by default, and ``results/<experiment>`` with
    ``publish``, which is refused if a cell that is published would be lost and ``replace`` does not allow it. Raises
    ``NoRecords`` if there are none.
    """
    if source not in SOURCES:
        raise UsageError(f"source={source} is not allowed: it must be {' or '.join(SOURCES)}. Type: source=folders")
    output_dir = Path(output_dir)
    if publish and results_dir is not None:
        raise UsageError(f"publish=true writes to results/{experiment}: leave out results_dir={results_dir}")
    default = Path("results", experiment) if publish else output_dir / "reports" / experiment
    results_dir = Path(results_dir) if results_dir is not None else default
    keep = publish and not replace
    if source == "folders":
        return _build(experiment, output_dir, results_dir, figures, command, keep)
    from benchmark.tracking.download import fetch_cells

    with tempfile.TemporaryDirectory() as folder:
        fetched = fetch_cells(experiment, uri, output_dir, Path(folder))
        return _build(experiment, Path(fetched), results_dir, figures, command, keep)


def _build(experiment: str, output_dir: Path, results_dir: Path, figures: bool, command: str, keep: bool) -> Report:
    collection = collect(output_dir, experiment)
    if not collection.cells:
        raise NoRecords(
            f"no records of experiment {experiment} in {output_dir}. "
            f"Make them with: python -m benchmark -m {_how_to_make(experiment)}"
        )
    with scratch(results_dir) as made:
        try:
            (made / "tables").mkdir(parents=True)
        except OSError as error:
            raise UsageError(
                f"results_dir={results_dir} cannot be written ({error.strerror}). Type results_dir=<a folder>"
            ) from error
        write_frame(build_frame(collection.cells), made / "cells.csv")
        frame = read_frame(made / "cells.csv")  # from here on, nothing but what a reader of cells.csv has
        difference = compare(frame, results_dir)
        if keep and difference.lost:
            raise UsageError(f"publish=true is refused: {difference.lost}. {_how_to_publish(experiment)}")
        with ThreadPoolExecutor(1) as beside:
            drawing = beside.submit(_draw, made, collection, frame) if figures else None
            sections = build_tables(frame)
            _write_tables(made, experiment, sections)
            drawn = drawing.result() if drawing is not None else []
        manifest = build_manifest(experiment, collection, frame, command, collection.warnings)
        page = build_page(experiment, frame, sections, drawn, manifest)
        (made / "report.html").write_text(page, encoding="utf-8")
        names = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
        manifest["files"] = sorted([*names, MANIFEST])
        text = json.dumps(manifest, indent=1, ensure_ascii=False)
        (made / MANIFEST).write_text(text + "\n", encoding="utf-8")
        files = move(made, results_dir)
    return Report(results_dir, frame, sections, [*collection.warnings, *difference.notes], files)


def build_tables(frame: pd.DataFrame) -> dict[str, list[Table]]:
    """All tables, from the frame alone: section heading -> tables."""
    parts, published = groups(frame), read_published()
    sections: dict[str, list[Table]] = {}
    for group in parts:
        beside = beside_table(group, published)
        tables = [*group_tables(group), *detail_tables(group)]
        tables = [*tables[:1], *([beside] if beside is not None else []), *tables[1:]]
        sections[group_title(group)] = [explained(table, group) for table in tables]
    tests = comparison_tables(parts)
    if tests:
        sections["Tests between models"] = tests
    datasets = list(dict.fromkeys(group.dataset for group in parts if group.evaluate_on == "test"))
    appendix = appendix_tables(published, datasets, DATASET_TITLES)
    if appendix:
        sections["Appendix: published figures"] = appendix
    return sections


def _write_tables(made: Path, experiment: str, sections: dict[str, list[Table]]) -> None:
    everything = [table for tables in sections.values() for table in tables]
    for table in everything:
        (made / "tables" / f"{table.key}.csv").write_text(to_csv(table), encoding="utf-8")
        (made / "tables" / f"{table.key}.tex").write_text(to_latex(table), encoding="utf-8")
    (made / "tables.tex").write_text(latex_document(f"Experiment {experiment}", everything), encoding="utf-8")
    parts = [f"# Experiment {escape_markdown(experiment)}\n"]
    for heading, tables in sections.items():
        parts += [f"## {escape_markdown(heading)}\n", *(to_markdown(table) for table in tables)]
    (made / "tables.md").write_text("\n".join(parts), encoding="utf-8")


def _draw(made: Path, collection: Collection, frame: pd.DataFrame) -> list[Figure]:
    from benchmark.report.figures.draw import draw_figures

    return draw_figures(collection.cells, groups(frame), made / "figures")


def _how_to_publish(experiment: str) -> str:
    return (
        f"See what is left with: python -m benchmark.status experiment={experiment}. Or type replace=true, "
        "or leave out publish=true for a report of your own"
    )


def _how_to_make(experiment: str) -> str:
    from benchmark.config import CONF_DIR

    if (CONF_DIR / "experiment" / f"{experiment}.yaml").exists():
        return f"+experiment={experiment}"
    return f"model=pca,ae,vae dataset=mnist experiment_name={experiment}"
