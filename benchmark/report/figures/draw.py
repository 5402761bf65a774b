"""Draws and saves the figures of a report, each of them the same bytes every time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.engine.device import available_cores
from benchmark.report.figures.gallery import FROM_ROWS, PARTS, across
from benchmark.report.figures.style import DPI, STYLE
from benchmark.report.page import Plate
from benchmark.report.statistics import MARK, Group
from benchmark.report.tables.floors import mark_note
from benchmark.report.tables.table import group_key, group_title, scope_key, scope_title
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from benchmark.report.figures.gallery import Part

MANY = 20  # done cells from which on a figure a core is drawn at once
LARGE = 90_000  # bytes of a PNG
MEANS = "means"  # figures of what a table's rows hold alone


def draw_figures(
    cells: Sequence[PlannedCell],
    groups: Sequence[Group],
    folder: Path,
    pdf: bool,
    only: str | None = None,
    without_records: bool = False,
) -> list[Plate]:
    """Draw what sets data sets side by side, and everything that the done cells have arrays for, into ``folder``.

    ``only`` is the section of the former that is drawn alone, or MEANS, the figures that need nothing but a table's
    rows. What a cell lacks is left out; ``without_records``: figures of rows alone are drawn of groups too that have
    none of ``cells``. A PNG each, with ``pdf`` a PDF beside it. For many cells each core draws in a process of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if only not in (None, MEANS):
        return _draw_across(groups, folder, pdf, only)
    parts = FROM_ROWS if only == MEANS else PARTS
    plates = _draw_across(groups, folder, pdf, None)
    return [*plates, *_draw_parts(parts, cells, groups, folder, pdf, without_records)]


def _draw_across(groups: Sequence[Group], folder: Path, pdf: bool, only: str | None) -> list[Plate]:
    """The figures that show the data sets of one split side by side."""
    import matplotlib

    plates = []
    for scope in dict.fromkeys((group.split, group.evaluate_on) for group in groups):
        alike = [group for group in groups if (group.split, group.evaluate_on) == scope]
        with matplotlib.rc_context(STYLE):
            for section, name, title, caption, drawing in across(alike, only):
                key, title = f"{name}_{scope_key(alike[0])}", f"{title}, {scope_title(alike[0])}"
                save(drawing, folder / key, pdf)
                plates.append(Plate(key, section, title, noted(caption, title, drawing, *alike), pdf))
    return plates


def _draw_parts(
    parts: Sequence[Part],
    cells: Sequence[PlannedCell],
    groups: Sequence[Group],
    folder: Path,
    pdf: bool,
    without_records: bool,
) -> list[Plate]:
    tasks = [(part, group, cells_of(group, cells), folder, pdf) for group in groups for part in parts]
    tasks = [task for task in tasks if task[2] or (without_records and task[0] in FROM_ROWS)]
    cores = min(available_cores(), len(tasks))
    if cores > 1 and sum(cell.state == "done" for cell in cells) >= MANY:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from concurrent.futures.process import BrokenProcessPool

        try:
            with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), _be_a_worker) as pool:
                last_first = list(pool.map(_draw_part, *zip(*reversed(tasks), strict=True)))  # the longest are not last
                return [figure for found in reversed(last_first) for figure in found]
        except BrokenProcessPool:  # one was killed, as for its memory: one after the other needs the least
            print("benchmark.report: a drawing process was killed; drawing one figure at a time", file=sys.stderr)
    return [figure for task in tasks for figure in _draw_part(*task)]


def _draw_part(part: Part, group: Group, cells: Sequence[PlannedCell], folder: Path, pdf: bool) -> list[Plate]:
    import matplotlib

    with matplotlib.rc_context(STYLE):
        plates = []
        for name, title, caption, drawing in part(group, cells):
            section, key = group_title(group), f"{name}_{group_key(group)}"
            save(drawing, folder / key, pdf)
            plates.append(Plate(key, section, f"{title}, {section}", noted(caption, title, drawing, group), pdf))
        return plates


def noted(caption: str, title: str, drawing: Figure, *groups: Group) -> str:
    """``caption``, with what the mark of a floor means where the figure shows it."""
    from matplotlib.text import Text

    marked = any(MARK in text for text in (title, *(found.get_text() for found in drawing.findobj(Text))))
    return f"{caption} {mark_note(*groups)}" if marked else caption


def _be_a_worker() -> None:
    """Leave Ctrl-C to the command, and end with it."""
    import signal

    from benchmark.store.processes import end_with_parent

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def cells_of(group: Group, cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    """The group's done cells, in the order of its rows."""
    order = {fingerprint: i for i, fingerprint in enumerate(group.frame["fingerprint"])}
    chosen = [cell for cell in cells if cell.state == "done" and cell.fingerprint in order]
    return sorted(chosen, key=lambda cell: order[cell.fingerprint])


def save(drawing: Figure, stem: Path, pdf: bool) -> None:
    """Save as ``stem``.png and with ``pdf`` as ``stem``.pdf, without dates. A PNG has a palette (``with_palette``)."""
    from PIL.Image import open as open_image

    png = stem.with_name(f"{stem.name}.png")
    _lay_out(drawing)
    drawing.savefig(png, dpi=DPI, metadata={"Software": None}, pil_kwargs={"optimize": True})
    with open_image(png) as image:
        drawn = with_palette(image, png.stat().st_size > LARGE)
    drawn.save(png, optimize=True)
    if pdf:
        undated = dict.fromkeys(("CreationDate", "Creator", "Producer"))
        drawing.savefig(stem.with_name(f"{stem.name}.pdf"), dpi=DPI, metadata=undated)


def with_palette(image: Image, large: bool) -> Image:
    """The image with one byte a pixel: every colour where it has no more than 256, else the nearest of so many.

    A ``large`` one is cut to 128 by octree: the median cut gives nearly all colours to the greys of images, and the
    points of a map lose theirs.
    """
    import numpy as np
    from PIL import Image

    opaque, how = image.convert("RGB"), Image.Quantize
    if large:
        return opaque.quantize(128, how.FASTOCTREE, dither=Image.Dither.NONE)
    if opaque.getcolors(256) is None:
        return opaque.quantize(256, how.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    pixels = np.asarray(opaque)  # (height, width, 3)
    colours, place = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    exact = Image.fromarray(place.reshape(pixels.shape[:2]).astype(np.uint8))
    exact.putpalette(colours.tobytes())
    return exact


def _lay_out(drawing: Figure) -> None:
    """Place the parts of a figure once: every ``savefig`` with a layout engine draws one time more, for nothing."""
    engine = drawing.get_layout_engine()
    if engine is not None:
        drawing.set_dpi(DPI)  # text is as wide as it will be
        engine.execute(drawing)
        drawing.set_layout_engine(None)
