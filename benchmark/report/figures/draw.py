"""Draws and saves the figures of a report, PNG and PDF, each of them the same bytes every time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.engine.device import available_cores
from benchmark.report.page import Figure
from benchmark.report.statistics import MARK, Group
from benchmark.report.tables.floors import mark_note
from benchmark.report.tables.tables import group_key, group_title
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    Part = Callable[[Group, Sequence[PlannedCell]], Iterator[tuple[str, str, str, Drawing]]]

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "figure.facecolor": "white",
    "text.parse_math": False,  # a $ in a name is a $
}
DPI = 120
LARGE = 90_000  # bytes
NORMAL, ANOMALOUS = "#0072B2", "#D55E00"
COLOURS = {  # Okabe & Ito; the floors in light greys
    "histogram": "#BBBBBB", "mean_image": "#888888", "pca": "#555555",
    "ae": "#0072B2", "vae": "#E69F00", "aae": "#009E73", "anogan": "#CC79A7",
}  # fmt: skip
MANY = 20  # done cells from which on a figure a core is drawn at once
SPARE = ("#56B4E9", "#D55E00", "#8C6D00", "#000000", "#7A5FA8")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 3)), (0, (8, 2, 2, 2)), (0, (1, 3)))


def draw_figures(cells: Sequence[PlannedCell], groups: Sequence[Group], folder: Path) -> list[Figure]:
    """Draw everything that the done cells have arrays for into ``folder``; what a cell lacks is left out.

    For many cells each core draws in a process of its own.
    """
    from benchmark.report.figures.gallery import PARTS

    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(part, group, cells_of(group, cells), folder) for group in groups for part in PARTS]
    tasks = [task for task in tasks if task[2]]
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


def _draw_part(part: Part, group: Group, cells: Sequence[PlannedCell], folder: Path) -> list[Figure]:
    import matplotlib

    with matplotlib.rc_context(STYLE):
        return [
            Figure(
                key := f"{name}_{group_key(group)}",
                group_title(group),
                f"{title}, {group_title(group)}",
                noted(caption, title, drawing, group),
                save(drawing, folder / key),
            )
            for name, title, caption, drawing in part(group, cells)
        ]


def noted(caption: str, title: str, drawing: Drawing, group: Group) -> str:
    """``caption``, with what the mark of a floor means where the figure shows it."""
    from matplotlib.text import Text

    marked = any(MARK in text for text in (title, *(found.get_text() for found in drawing.findobj(Text))))
    return f"{caption} {mark_note(group)}" if marked else caption


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


def palette(labels: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """Colour and line style of every column: a model keeps its own whatever else is shown; variants differ in line.

    So do models without a colour of their own, where there are more of them than spare colours.
    """
    models = [label.split(" (", 1)[0] for label in labels]
    unknown = [model for model in dict.fromkeys(models) if model not in COLOURS]
    colours = COLOURS | {model: SPARE[i % len(SPARE)] for i, model in enumerate(unknown)}
    lines = {model: i // len(SPARE) for i, model in enumerate(unknown)}
    return {
        label: (colours[model], LINES[(models[:i].count(model) + lines.get(model, 0)) % len(LINES)])
        for i, (label, model) in enumerate(zip(labels, models, strict=True))
    }


def save(drawing: Drawing, stem: Path) -> Path:
    """Save as PNG and PDF, without dates, and return the PNG's path. Large PNGs are cut to 128 colours.

    By octree: the median cut gives nearly all colours to the greys of images, and the points of a map lose theirs.
    """
    from io import BytesIO

    from PIL import Image

    png, drawn, small = stem.with_name(stem.name + ".png"), BytesIO(), BytesIO()
    _lay_out(drawing)
    drawing.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 1})
    with Image.open(drawn) as image:
        if drawn.tell() <= 2 * LARGE:  # else it stays large, and to find that out takes long
            image.save(small, "PNG", optimize=True)
        if not 0 < small.tell() <= LARGE:
            small = BytesIO()
            image.convert("RGB").quantize(128, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
                small, "PNG", optimize=True
            )
    png.write_bytes(small.getvalue())
    drawing.savefig(
        stem.with_name(stem.name + ".pdf"), dpi=DPI, metadata={"CreationDate": None, "Creator": None, "Producer": None}
    )
    return png


def _lay_out(drawing: Drawing) -> None:
    """Place the parts of a figure once: every ``savefig`` with a layout engine draws one time more, for nothing."""
    engine = drawing.get_layout_engine()
    if engine is not None:
        drawing.set_dpi(DPI)  # text is as wide as it will be
        engine.execute(drawing)
        drawing.set_layout_engine(None)
