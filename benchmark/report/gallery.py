"""Which figures a report has: for each its name, title, caption and drawing, where the cells have something for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmark.report import curves, interpolation, latent, samples, sheets, styles
from benchmark.report.collect import PlannedCell
from benchmark.report.statistics import Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmark.report.figures import Part

    Sketches = Iterator[tuple[str, str, str, Figure]]


def _heat_map(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    caption = "AUROC of the headline score, mean over seeds. Blank: not done. Classes in columns, then the mean."
    yield "heatmap", "AUROC by class", caption, curves.heat_map(group)


def _roc_by_model(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    caption = "Each thin line is one class, the thick line their mean at equal false positive rate."
    yield "roc", "ROC curves by model", caption, curves.roc_by_model(group, cells)


def _roc_by_class(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    caption = "One panel a class, one line a model (mean over seeds)."
    yield "roc_classes", "ROC curves by class", caption, curves.roc_by_class(group, cells)


def _histograms(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    yield (
        "scores",
        "Score histograms",
        "Headline scores of normal and anomalous test images, each scaled to the same area (first seed). The "
        "horizontal axis ends at the 99.5th percentile. The number in a panel is its AUROC.",
        curves.histograms(group, cells),
    )


def _training(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    drawing = curves.training_curves(group, cells)
    if drawing is not None:
        caption = "Each thin line is one cell, the thick line their mean; the quantities are defined in the glossary."
        yield "training", "Training curves", caption, drawing


def _sheets(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    for label in group.labels:
        drawing = sheets.contact_sheet(group, [cell for cell in cells if cell.label == label])
        if drawing is not None:
            name = "".join(c if c.isalnum() else "-" for c in label).strip("-")
            yield (
                f"sheet_{name}",
                f"Contact sheet of {label}",
                "For each class three random normal and anomalous images, then the normal ones that score highest and "
                "the anomalous ones that score lowest. Rows: input, reconstruction, residual |x - x'| (brighter is "
                "larger). The number above an image is its headline score.",
                drawing,
            )


def _samples(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    drawing = samples.samples_figure(group, cells)
    if drawing is not None:
        yield (
            "samples",
            "Generated images",
            "Images that each model draws from noise (first cell of one class), real normal images above. They are the "
            "first draws, not chosen.",
            drawing,
        )


def _latent(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    drawing = latent.latent_figure(group, cells)
    if drawing is not None:
        yield (
            "latent",
            "Latent space of two dimensions",
            "Top: codes of test images, digits at the median code of each class. Middle: images decoded over a grid of "
            "the codes that normal images take. Bottom: decoded along the straight line between the codes of two test "
            "images, which stand at its ends.",
            drawing,
        )


def _interpolation(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    drawing = interpolation.interpolation_figure(group, cells)
    if drawing is not None:
        yield (
            "interpolation",
            "Interpolation",
            "Decoded along the straight line between the codes of two normal test images, the same two for every "
            "model; they stand at the ends. Rows: models.",
            drawing,
        )


PARTS: tuple[Part, ...] = (
    _heat_map,
    _roc_by_model,
    _roc_by_class,
    _histograms,
    _training,
    _sheets,
    _samples,
    styles.style_figures,
    _latent,
    _interpolation,
)
