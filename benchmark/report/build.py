"""Builds a report: collects cells, makes every output in a temporary folder, then moves it to its place."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config import UsageError
from benchmark.data.writing import scratch
from benchmark.report.answer import answer_of
from benchmark.report.beside import set_beside
from benchmark.report.carry import Carried, carry_over, into_manifest, let_stand, refuse_hashed
from benchmark.report.committed import Committed, published, read_committed, report_of
from benchmark.report.frame import build_frame, read_frame, write_frame
from benchmark.report.hashes import hashes_of
from benchmark.report.manifest import (
    BRIEF,
    MAIN,
    Place,
    build_manifest,
    compare,
    move,
    place_of,
    refuse_foreign,
    write_manifest,
)
from benchmark.report.measures.errors import with_errors
from benchmark.report.page import EXPLORER, Plate, build_page
from benchmark.report.parts import refuse_other
from benchmark.report.scores import Wish, read_wish, write_scores
from benchmark.report.stale import refuse_stale, with_numerics
from benchmark.report.statistics import groups
from benchmark.report.tables.sections import build_tables
from benchmark.report.tables.table import RULES_SECTION, SWEPT_SECTION, Table
from benchmark.report.tables.writing import write_tables
from benchmark.store.experiments import Collection, PlannedCell, as_planned, collect
from benchmark.store.naming import names_of

if TYPE_CHECKING:
    import pandas as pd

SOURCES = ("folders", "mlflow")
LONG = ("origins", "rules")  # of the manifest, which the page leaves to it
ONE = {"rules": RULES_SECTION, "sensitivity": SWEPT_SECTION}  # figures of one section alone
FIGURES = (True, False, "pdf", "means", *ONE)  # PNG; none; PNG and PDF; none of single images


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
    figures: bool | str | None = None,
    uri: str | None = None,
    publish: bool = False,
    replace: bool = False,
    stale: bool = False,
    beside: str | None = None,
    beside_model: str | None = None,
    scores: str | Path | None = None,
    scores_of: str = "chosen",
    scores_seed: str | None = None,
    scores_as: str = "values",
    explorer: bool = False,
    carry: bool = False,
    brief: bool = False,
    command: str = "",
) -> Report:
    """Read the records of ``experiment`` and write tables, figures, page and manifest to ``results_dir``.

    ``source`` is "folders" (cells under ``output_dir``) or "mlflow" (the store at ``uri``, by default the configured
    one). ``results_dir`` is ``reports/<experiment>`` below ``output_dir`` by default, and ``results/<experiment>`` with
    ``publish``. A folder that was named, or is published, is guarded: unless ``replace`` allows it, no done cell that
    is in its report is lost, and no file that no report wrote is overwritten. Cells of other code or numerics than
    these are not published unless ``stale`` allows it. ``carry`` keeps published cells that have no record below
    ``output_dir`` (``report/carry.py``), of ``results_dir`` where one was named, else of ``results/<experiment>``.
    ``beside`` names a published experiment whose columns stand beside these (``report/beside.py``), those of
    ``beside_model`` alone. ``scores`` is a Parquet file for the scores of every image (``report/scores.py``), which
    ``scores_of`` and ``scores_seed`` narrow, and ``scores_as`` says in which form. ``explorer`` makes
    ``explorer.html`` as well, for which the data must be there. ``brief`` keeps what others compute from, cells.csv,
    tables.md and manifest, and leaves out the page, files of single tables, the hashes of every image's scores, and
    figures but for those that ``figures`` names. Raises ``NoRecords`` if there are none.
    """
    if source not in SOURCES:
        raise UsageError(f"source={source} is not allowed: it must be {' or '.join(SOURCES)}. Type: source=folders")
    if figures not in (None, *FIGURES):
        raise UsageError(
            f"figures={figures} is not allowed: it must be true, false, pdf, means, rules or sensitivity. "
            "Type: figures=true"
        )
    if brief and (explorer or figures in (True, "pdf")):
        asked = "explorer=true" if explorer else f"figures={str(figures).lower()}"
        raise UsageError(
            f"brief=true leaves out the page and what it shows, {asked} asks for it: leave out one of the two, or type "
            "figures=means, figures=rules or figures=sensitivity"
        )
    output_dir = Path(output_dir)
    place = place_of(experiment, output_dir, results_dir, publish, replace, stale)
    if beside is not None and place.is_published:
        raise UsageError(
            f"beside={beside} is not allowed here: what is published holds its own cells alone. Leave out "
            f"{'publish=true' if publish else f'results_dir={results_dir}'}, or beside={beside}"
        )
    if beside is None and beside_model is not None:
        raise UsageError(f"beside_model={beside_model} narrows beside=NAME, which is missing. Type: beside=paper")
    wanted = Wanted(
        experiment,
        not brief if figures is None else figures,
        command,
        beside,
        beside_model,
        read_wish(scores, scores_of, scores_seed, replace, scores_as),
        explorer,
        report_of(experiment) if carry and results_dir is None else place.folder if carry else None,
        brief,
    )
    if source == "folders":
        return _build(wanted, output_dir, place)
    from benchmark.tracking.download import fetch_cells

    with tempfile.TemporaryDirectory() as folder:
        fetched = fetch_cells(experiment, uri, output_dir, Path(folder))
        return _build(wanted, Path(fetched), place)


@dataclass(frozen=True)
class Wanted:
    """What is to be in a report."""

    experiment: str
    figures: bool | str
    command: str
    beside: str | None  # a published experiment
    beside_model: str | None  # the models to take of it; None: all
    scores: Wish | None  # the file of every image's scores
    explorer: bool  # the page of images, for which the data must be there
    carry: Path | None  # the published report whose cells are kept
    brief: bool  # no page, no files of single tables, no hashes of scores


def _build(wanted: Wanted, output_dir: Path, place: Place) -> Report:
    experiment, figures = wanted.experiment, wanted.figures
    collection = as_planned(collect(output_dir, experiment))
    if not collection.cells:
        raise NoRecords(
            f"no records of experiment {experiment} in {output_dir}. "
            f"Make them with: python -m benchmark -m {_how_to_make(experiment)}"
        )
    former = _read_former(wanted.carry, experiment)
    if former is not None:
        collection = let_stand(collection, former.folder, experiment)
    collection = with_numerics(collection)
    if place.current and place.is_published:
        refuse_stale(collection.cells, _how_to_finish(experiment))
    if place.keeps:
        refuse_foreign(place.folder, BRIEF if wanted.brief else MAIN)
    with scratch(place.folder) as made:
        try:
            made.mkdir(parents=True)
        except OSError as error:
            raise UsageError(
                f"results_dir={place.folder} cannot be written ({error.strerror}). Type results_dir=<a folder>"
            ) from error
        write_frame(with_errors(build_frame(collection.cells), collection.cells), made / "cells.csv")
        frame = read_frame(made / "cells.csv")  # from here on, nothing but what a reader of cells.csv has
        carried = _carry(former, collection.cells, frame, place)
        if carried is not None:
            write_frame(carried.beside(frame), made / "cells.csv")
            frame = read_frame(made / "cells.csv")
            collection = replace(collection, warnings=[*collection.warnings, *carried.notes])
        difference = compare(frame, place.folder)
        if place.keeps and difference.lost:
            raise UsageError(f"{difference.lost}. {_how_to_keep(former, frame)}{_how_to_replace(experiment)}")
        if place.keeps and wanted.brief and carried is not None:
            refuse_hashed(carried)
        shown, others = frame, None
        if wanted.beside is not None:
            others = set_beside(collection.cells, frame, published(wanted.beside, "beside"), wanted.beside_model)
            write_frame(others.frame, made / "beside.csv")
            shown = others.after(frame)
            collection = replace(collection, warnings=[*collection.warnings, *others.notes])
        with ThreadPoolExecutor(1) as meanwhile:
            drawing = meanwhile.submit(_draw, made, collection, shown, figures, carried) if figures else None
            sections = build_tables(shown)
            write_tables(made, experiment, sections, wanted.brief)
            plates = drawing.result() if drawing is not None else []
        hashes = hashes_of(collection.cells) if place.hashed and not wanted.brief else {}
        manifest = build_manifest(experiment, collection, frame, wanted.command, hashes)
        manifest = into_manifest(manifest, carried, not wanted.brief) if carried is not None else manifest
        manifest |= {"beside": others.source} if others is not None else {}
        manifest |= {"scores": write_scores(collection.cells, wanted.scores)} if wanted.scores is not None else {}
        if not wanted.brief:
            said, answer = {k: v for k, v in manifest.items() if k not in LONG}, answer_of(groups(shown), experiment)
            page = build_page(experiment, frame, sections, plates, said, wanted.explorer, answer)
            (made / "report.html").write_text(page, encoding="utf-8")
        if wanted.explorer:
            from benchmark.report.explorer.page import build_explorer

            (made / EXPLORER).write_text(build_explorer(experiment, _named(collection.cells, frame)), encoding="utf-8")
        names = [path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()]
        write_manifest(made, manifest, names)
        if place.keeps:
            refuse_foreign(place.folder, names)
        files = move(made, place.folder)
    said_only = [*difference.notes, *(carried.left_out(files) if carried is not None else [])]
    return Report(place.folder, frame, sections, [*collection.warnings, *said_only], files)


def _read_former(folder: Path | None, experiment: str) -> Committed | None:
    """The report whose cells are to be kept, if any are. Raises ``UsageError`` if it is none, or another's."""
    if folder is None:
        return None
    former = read_committed(folder)
    refuse_other(former, folder, experiment, "carry=true")
    return former


def _carry(former: Committed | None, cells: list[PlannedCell], frame: pd.DataFrame, place: Place) -> Carried | None:
    """The cells of a published report that are kept; None if none were asked for, or it has none to keep."""
    if former is None:
        return None
    found = carry_over(cells, frame, former, place.current)
    return found if len(found) or found.notes else None


def _draw(
    made: Path, collection: Collection, frame: pd.DataFrame, figures: bool | str, carried: Carried | None
) -> list[Plate]:
    from benchmark.report.figures.draw import MEANS, draw_figures
    from benchmark.report.figures.kept import keep_figures

    cells = _named(collection.cells, frame)
    parts = groups(frame)
    only = MEANS if figures == MEANS else ONE.get(str(figures))
    plates = draw_figures(cells, parts, made / "figures", figures == "pdf", only, carried is not None)
    return plates if carried is None or only is not None else keep_figures(carried, parts, made / "figures", plates)


def _named(cells: Sequence[PlannedCell], frame: pd.DataFrame) -> list[PlannedCell]:
    """The cells with the names that their columns have in the tables."""
    names, shared = names_of(frame)
    keys = [(cell.axes.dataset, cell.axes.model, cell.variant) for cell in cells]
    return [replace(cell, shared=shared, called=names.get(key)) for key, cell in zip(keys, cells, strict=True)]


def _how_to_finish(experiment: str) -> str:
    return f"See what is left with: python -m benchmark.status experiment={experiment}"


def _how_to_replace(experiment: str) -> str:
    return f"{_how_to_finish(experiment)}. Or type replace=true, or results_dir=<another folder>"


def _how_to_keep(former: Committed | None, frame: pd.DataFrame) -> str:
    """What lets published cells stand that were tried here and are not done; "" if there are none."""
    if former is None:
        return ""
    tried = frame[(frame["state"] != "done") & frame["fingerprint"].isin(list(former.done))]
    count = len(tried)
    which = "1 cell is" if count == 1 else f"{count} cells are"
    return (
        f"{which} published and failed here: to keep what is published, type the command of the sweep with "
        "published=skip, then this one. "
        if count
        else ""
    )


def _how_to_make(experiment: str) -> str:
    from benchmark.config import CONF_DIR

    if (CONF_DIR / "experiment" / f"{experiment}.yaml").exists():
        return f"+experiment={experiment}"
    return f"model=pca,ae,vae dataset=mnist experiment_name={experiment}"
