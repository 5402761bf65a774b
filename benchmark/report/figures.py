"""Draws and saves the figures of a report, PNG and PDF, each of them the same bytes every time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.report.collect import PlannedCell
from benchmark.report.page import Figure
from benchmark.report.statistics import Group
from benchmark.report.tables import group_key, group_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

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
COLOURS = {"pca": "#555555", "ae": "#0072B2", "vae": "#E69F00", "aae": "#009E73", "anogan": "#CC79A7"}  # Okabe & Ito
SPARE = ("#56B4E9", "#D55E00", "#8C6D00", "#000000", "#7A5FA8")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def draw_figures(cells: Sequence[PlannedCell], groups: Sequence[Group], folder: Path) -> list[Figure]:
    """Draw everything that the done cells have arrays for into ``folder``; what a cell lacks is left out."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    with matplotlib.rc_context(STYLE):
        for group in groups:
            chosen = cells_of(group, cells)
            if chosen:
                for name, title, caption, drawing in _group_figures(group, chosen):
                    key = f"{name}_{group_key(group)}"
                    png = save(drawing, folder / key)
                    drawn.append(Figure(key, group_title(group), f"{title}, {group_title(group)}", caption, png))
    return drawn


def cells_of(group: Group, cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    """The group's done cells, in the order of its rows."""
    order = {fingerprint: i for i, fingerprint in enumerate(group.frame["fingerprint"])}
    chosen = [cell for cell in cells if cell.state == "done" and cell.fingerprint in order]
    return sorted(chosen, key=lambda cell: order[cell.fingerprint])


def palette(labels: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """Colour and line style of every column: a model keeps its own whatever else is shown; variants differ in line."""
    models = [label.split(" (", 1)[0] for label in labels]
    unknown = [model for model in dict.fromkeys(models) if model not in COLOURS]
    colours = COLOURS | {model: SPARE[i % len(SPARE)] for i, model in enumerate(unknown)}
    return {
        label: (colours[model], LINES[models[:i].count(model) % len(LINES)])
        for i, (label, model) in enumerate(zip(labels, models, strict=True))
    }


def save(drawing: Drawing, stem: Path) -> Path:
    """Save as PNG and PDF, without dates, and return the PNG's path. Large PNGs are cut to 128 colours."""
    from io import BytesIO

    from PIL import Image

    png, buffer = stem.with_name(stem.name + ".png"), BytesIO()
    drawing.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"optimize": True})
    if buffer.tell() <= LARGE:
        png.write_bytes(buffer.getvalue())
    else:
        with Image.open(buffer) as image:
            image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(png, optimize=True)
    drawing.set_layout_engine("none")  # it is laid out, which takes longer than the rest
    drawing.savefig(
        stem.with_name(stem.name + ".pdf"), dpi=DPI, metadata={"CreationDate": None, "Creator": None, "Producer": None}
    )
    return png


def _group_figures(group: Group, cells: Sequence[PlannedCell]) -> Iterator[tuple[str, str, str, Drawing]]:
    """Name, title, caption and drawing of each figure of a group."""
    from benchmark.report import curves, interpolation, latent, samples, sheets, styles

    yield (
        "heatmap",
        "AUROC by class",
        "AUROC of the headline score, mean over seeds. Blank: not done. Classes in columns, the mean at the right.",
        curves.heat_map(group),
    )
    yield (
        "roc",
        "ROC curves by model",
        "Each thin line is one class, the thick line their mean at equal false positive rate.",
        curves.roc_by_model(group, cells),
    )
    yield (
        "roc_classes",
        "ROC curves by class",
        "One panel a class, one line a model (mean over seeds).",
        curves.roc_by_class(group, cells),
    )
    yield (
        "scores",
        "Score histograms",
        "Headline scores of normal and anomalous test images, each scaled to the same area (first seed). The "
        "horizontal axis ends at the 99.5th percentile. The number in a panel is its AUROC.",
        curves.histograms(group, cells),
    )
    training = curves.training_curves(group, cells)
    if training is not None:
        yield (
            "training",
            "Training curves",
            "Each thin line is one cell, the thick line their mean; the quantities are defined in the glossary.",
            training,
        )
    for label in group.labels:
        sheet = sheets.contact_sheet(group, [cell for cell in cells if cell.label == label])
        if sheet is not None:
            name = "".join(c if c.isalnum() else "-" for c in label).strip("-")
            yield (
                f"sheet_{name}",
                f"Contact sheet of {label}",
                "For each class three random normal and anomalous images, then the normal ones that score highest and "
                "the anomalous ones that score lowest. Rows: input, reconstruction, residual |x - x'| (brighter is "
                "larger). The number above an image is its headline score.",
                sheet,
            )
    generated = samples.samples_figure(group, cells)
    if generated is not None:
        yield (
            "samples",
            "Generated images",
            "Images that each model draws from noise (first cell of one class), real normal images above. They are the "
            "first draws, not chosen.",
            generated,
        )
    for name, title, caption, drawing in styles.style_figures(group, cells):
        yield name, title, caption, drawing
    space = latent.latent_figure(group, cells)
    if space is not None:
        yield (
            "latent",
            "Latent space of two dimensions",
            "Top: codes of test images, digits at the median code of each class. Middle: images decoded over a grid of "
            "the codes that normal images take. Bottom: decoded along the straight line between the codes of two test "
            "images, which stand at its ends.",
            space,
        )
    line = interpolation.interpolation_figure(group, cells)
    if line is not None:
        yield (
            "interpolation",
            "Interpolation",
            "Decoded along the straight line between the codes of two normal test images, the same two for every "
            "model; they stand at the ends. Rows: models.",
            line,
        )
