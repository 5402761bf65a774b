"""Which figures a report has: for each its name, title, caption and drawing, where the cells have something for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from benchmark.report.figures import (
    costs,
    critical,
    curves,
    latent,
    reconstructions,
    rules,
    samples,
    sensitivity,
    sheets,
)
from benchmark.report.figures.style import slug
from benchmark.report.measures.ranks import rankings
from benchmark.report.measures.swept import swept
from benchmark.report.statistics import MARK, Group
from benchmark.report.tables.sensitivity import interval_note
from benchmark.report.tables.table import RULES_SECTION, SWEPT_SECTION, TESTS_SECTION, file_name
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Draw = Callable[[Group, Sequence[PlannedCell]], Figure | None]
    Sketches = Iterator[tuple[str, str, str, Figure]]  # name, title, caption, drawing
    Plans = Iterator[tuple[str, str, str, str, Figure]]  # the section before these
    Part = Callable[[Group, Sequence[PlannedCell]], Sketches]


def _heat_map(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    caption = "AUROC of the headline score, mean over seeds. Blank: not done. Classes in columns, then the mean."
    if group.frame["auroc"].isna().all() and group.without_anomalies:
        return
    yield "heatmap", "AUROC by class", caption, curves.heat_map(group)


def across(groups: Sequence[Group], only: str | None = None) -> Plans:
    """The figures of several data sets, those of one split and one kind of evaluated images; of one section alone."""
    if only in (None, RULES_SECTION):
        yield from _rules(groups)
    if only in (None, SWEPT_SECTION):
        yield from _swept(groups)
    if only in (None, TESTS_SECTION) and all(group.evaluate_on == "test" for group in groups):
        yield from _ranks(groups)


def _rules(groups: Sequence[Group]) -> Plans:
    drawing = rules.rules_figure(groups)
    if drawing is not None:
        yield (
            RULES_SECTION,
            "rules",
            "AUROC by model and rule",
            "A row a rule, a mark a model, mean over classes and seeds. Above, the models' own scores; a ring around "
            "the rule that was chosen for a model beforehand. The grey lines run from the smallest to the largest of "
            "the models that share all rules with a line. Over the same cells, above a panel: the median over models "
            "of how far a model moves between its worst and its best rule, and the median over rules of how far the "
            "models are apart. The axis is even in the logit of AUROC. Only means over all planned classes are drawn.",
            drawing,
        )


def _ranks(groups: Sequence[Group]) -> Plans:
    below = {label for group in groups for label in group.below}
    drawing = critical.critical_figure(rankings(groups), {label: f"{label} {MARK}" for label in below})
    if drawing is not None:
        yield (
            TESTS_SECTION,
            "ranks",
            "Average ranks",
            "The average rank of each model over classes, 1 the best. A bar joins models whose ranks differ by less "
            "than the critical difference of Nemenyi's test at 0.05: they are not separated, which does not prove them "
            "equal.",
            drawing,
        )


def _swept(groups: Sequence[Group]) -> Plans:
    """A figure for each setting of which a model has more than two numbers."""
    found = swept(groups)
    for setting in dict.fromkeys(one.setting for one in found):
        alike = [one for one in found if one.setting == setting]
        drawing = sensitivity.sensitivity_figure(alike)
        if drawing is not None:
            several = any(point.seeds > 1 for one in alike for series in one.series for point in series.points)
            caption = f"{interval_note(several)} Only means over all planned classes are drawn."
            yield SWEPT_SECTION, f"sensitivity_{file_name(setting)}", f"AUROC by {alike[0].title}", caption, drawing


def _sheets(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    for label in group.labels:
        drawing = sheets.sheet_figure(group, [cell for cell in cells if cell.label == label])
        if drawing is not None:
            yield (
                f"sheet_{slug(label)}",
                f"Contact sheet of {group.shown(label)}",
                f"{_of(group)} three random normal and anomalous images, then the normal ones that score highest and "
                "the anomalous ones that score lowest. Rows: input, reconstruction, residual |x - x'| (brighter is "
                "larger). The number above an image is its headline score.",
                drawing,
            )


def _of(group: Group) -> str:
    shown = sheets.shown_classes(group)
    if len(shown) == len(group.classes):
        return "For each class"
    numbers = ", ".join(map(str, shown))
    return f"For the classes of the lowest, the middle and the highest AUROC over all models ({numbers})"


def _one(name: str, title: str, caption: str, draw: Draw, group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    drawing = draw(group, cells)
    if drawing is not None:
        yield name, title, caption, drawing


def _pareto(group: Group, cells: Sequence[PlannedCell]) -> Sketches:
    drawing = costs.pareto_figure(group)
    if drawing is not None:
        yield (
            "pareto",
            "AUROC by seconds",
            "Each mark is a model: its mean AUROC over all planned classes, and the wall-clock seconds of a cell, its "
            "training and scoring together, on the machines that the manifest names. Seconds are even in the "
            "logarithm, AUROC in the logit. The line joins the models that no other reaches for as few seconds.",
            drawing,
        )


FROM_ROWS: tuple[Part, ...] = (_heat_map, _pareto)  # they need no arrays: drawn of cells without a record too
PARTS: tuple[Part, ...] = (
    _heat_map,
    _pareto,
    partial(
        _one,
        "roc",
        "ROC curves by model",
        "Each thin line is one class, the thick line their mean at equal false positive rate.",
        curves.roc_by_model,
    ),
    partial(
        _one,
        "roc_classes",
        "ROC curves by class",
        "One panel a class, one line a model (mean over seeds).",
        curves.roc_by_class,
    ),
    partial(
        _one,
        "scores",
        "Score histograms",
        "Headline scores of normal and anomalous test images, each scaled to the same area (first seed). The "
        "horizontal axis ends at the 99.5th percentile. The number in a panel is its AUROC.",
        curves.histograms,
    ),
    partial(
        _one,
        "training",
        "Training curves",
        "Each thin line is one cell, the thick line their mean; the quantities are defined in the glossary.",
        curves.training_curves,
    ),
    partial(
        _one,
        "reconstructions",
        "One normal and one anomalous image, as every model reconstructs them",
        "Left the image, beside it what each model makes of it, below the residual |x - x'| (brighter is larger). The "
        "images are the first that were drawn, not chosen; models without a reconstruction are not shown. A good "
        "detector keeps the normal image and fails on the other.",
        reconstructions.reconstructions_figure,
    ),
    _sheets,
    partial(
        _one,
        "samples",
        "Generated images",
        "Images that each model draws from noise (first cell of one class), real normal images above. They are the "
        "first draws, not chosen.",
        samples.samples_figure,
    ),
    samples.style_figures,
    partial(
        _one,
        "latent",
        "Latent space of two dimensions",
        "Codes of test images, classes named at their medians, all maps of a row in one range; where that makes the "
        "middle small, a second row shows it. The circle holds 95% of N(0, I), the prior that a VAE's codes are held "
        "to and an AE's are not. Below, images decoded over the square around that circle, and over the range that "
        "the model's own normal codes take, which differs between models: read its axes. Bottom: decoded along the "
        "straight line between the codes of two test images, which stand at its ends.",
        latent.latent_figure,
    ),
    partial(
        _one,
        "interpolation",
        "Interpolation",
        "Decoded along the straight line between the codes of two normal test images, the same two for every "
        "model; they stand at the ends. Rows: models.",
        latent.interpolation_figure,
    ),
)
