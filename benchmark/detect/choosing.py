"""Which cell of an experiment scores new images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.config import UsageError
from benchmark.data.classes import refuse_ambiguous
from benchmark.data.splits import HELD_OUT
from benchmark.engine.committee import NAME as COMMITTEE
from benchmark.store.experiments import PlannedCell, collect, experiments

BEST = "best"
DIGITS = 9  # of an index, at most
NAMED = 5  # of many, how many are named
IMAGES = ("validation", "synthetic", "test")  # what cells are judged on, what is best to choose by first


def choose_cell(output_dir: str, experiment: str, choose: str | None, narrow: Mapping[str, str]) -> tuple[Path, str]:
    """The folder of a cell of an experiment, and in one line why it is this one.

    ``choose`` is ``best`` or None, ``narrow`` are ``model``, ``dataset`` and ``class`` as far as they are typed. Among
    several cells of one normal class the best is that of the highest AUROC, the mean over seeds of a model and its
    settings, among those judged on one kind of images, held-out ones where there are such cells; of its seeds the
    first. Raises ``UsageError`` where there is none, or no telling.
    """
    there = collect(output_dir, experiment).cells if experiment in experiments(output_dir) else []
    if not there:
        known = ", ".join(experiments(output_dir)) or "none"
        raise UsageError(f"experiment={experiment}: there is none of this name in {output_dir}. There is: {known}")
    _refuse_ambiguous(there, narrow)
    cells = [cell for cell in there if cell.axes.model != COMMITTEE and _meant(cell, narrow)]
    done = [cell for cell in cells if cell.state == "done" and cell.record is not None]
    typed = " ".join(f"{key}={value}" for key, value in {"experiment": experiment, **narrow}.items())
    if not done:
        states = ", ".join(sorted({f"{cell.state}" for cell in cells})) or "none is of these"
        raise UsageError(
            f"{typed}: no cell is done ({states}). Type: python -m benchmark.status experiment={experiment}"
        )
    if len(done) == 1:
        return done[0].folder, f"{typed}: its only cell, {done[0].name}"
    _refuse_classes(done, typed)
    if choose is None:
        raise UsageError(
            f"{typed} has {len(done)} cells that are done: {_names(done)}. Type choose=best, narrow it with model=, or "
            f"name one: cell={done[0].folder}"
        )
    return _best(done, typed)


def _meant(cell: PlannedCell, narrow: Mapping[str, str]) -> bool:
    axes = cell.axes
    classes = {str(axes.normal_class), axes.normal_class_name, f"'{axes.normal_class_name}'"}
    return _is_of(cell, narrow) and ("class" not in narrow or narrow["class"] in classes)


def _is_of(cell: PlannedCell, narrow: Mapping[str, str]) -> bool:
    """Whether model and dataset are those that are typed, if any."""
    axes = cell.axes
    return narrow.get("model", axes.model) == axes.model and narrow.get("dataset", axes.dataset) == axes.dataset


def _refuse_ambiguous(cells: Sequence[PlannedCell], narrow: Mapping[str, str]) -> None:
    """Raise ``UsageError`` where ``class`` is a number that is one class's index and another one's name."""
    typed = narrow.get("class", "")
    if not typed.isdecimal() or len(typed) > DIGITS:
        return
    datasets = {cell.axes.dataset: cell.record for cell in cells if cell.record is not None and _is_of(cell, narrow)}
    for record in datasets.values():
        refuse_ambiguous(int(typed), record.config()["dataset"]["classes"], "class")


def _refuse_classes(cells: Sequence[PlannedCell], typed: str) -> None:
    """Raise ``UsageError`` where cells are of several normal classes: which is the right one no AUROC can say."""
    datasets = sorted({cell.axes.dataset for cell in cells})
    if len(datasets) > 1:
        raise UsageError(f"{typed} has cells of {', '.join(datasets)}. Type which: dataset={datasets[0]}")
    classes = sorted({(cell.axes.split, cell.axes.normal_class, cell.axes.normal_class_name) for cell in cells})
    if len(classes) > 1:
        shown = ", ".join(name or str(number) for _, number, name in classes[:NAMED])
        more = ", ..." if len(classes) > NAMED else ""
        raise UsageError(
            f"{typed} has cells of {len(classes)} classes ({shown}{more}): which is normal in your images? Type for "
            f"example: class={classes[0][2] or classes[0][1]}"
        )


def _best(done: Sequence[PlannedCell], typed: str) -> tuple[Path, str]:
    able = [cell for cell in done if cell.record is not None and "auroc" in cell.record.metrics]
    images = best_images({cell.axes.evaluate_on for cell in able})
    judged = [cell for cell in able if cell.axes.evaluate_on == images]
    if not judged:
        raise UsageError(
            f"{typed}: no cell has an AUROC, as there were no anomalies to evaluate, so none is the best. Train "
            "with split.evaluate_on=synthetic, which makes some, narrow it with model=, or name one: "
            f"cell={done[0].folder}"
        )
    columns: dict[str, list[PlannedCell]] = {}
    for cell in judged:
        columns.setdefault(cell.label, []).append(cell)
    means = {label: sum(map(_auroc, cells)) / len(cells) for label, cells in columns.items()}
    best = max(means, key=lambda label: means[label])
    first = min(columns[best], key=lambda cell: cell.axes.seed)
    what = f"the highest AUROC, {means[best]:.4f}, of {len(means)} on {images} images"
    if images == "test" and len(means) > 1:
        what += ", which chose it: its AUROC there is too good by that (split.evaluate_on=validation has others choose)"
    if others := [cell for cell in able if cell.axes.evaluate_on != images]:
        what += f". Left out, as AUROC on other images says nothing of these: {_names(others)}"
    what += f". {_how_to_use_all(first)}" if images in HELD_OUT else ""
    return first.folder, f"{typed}: {first.name}, {what}"


def _how_to_use_all(cell: PlannedCell) -> str:
    """What to type, so that the model that was chosen is trained on all images of its class."""
    settings = f" with {cell.variant}" if cell.variant else ""
    return (
        f"It was trained without the fifth of the images that was held out. To train it on all, type model="
        f"{cell.axes.model}{settings} again without split.evaluate_on, under another experiment_name"
    )


def best_images(kinds: Iterable[str]) -> str | None:
    """Of the kinds of images that cells were judged on, that which is best to choose by; None where there is none."""
    return min(kinds, key=lambda kind: (IMAGES.index(kind) if kind in IMAGES else len(IMAGES), kind), default=None)


def _auroc(cell: PlannedCell) -> float:
    assert cell.record is not None
    return cell.record.metrics["auroc"]


def _names(cells: Sequence[PlannedCell]) -> str:
    more = f" and {len(cells) - NAMED} more" if len(cells) > NAMED else ""
    return ", ".join(cell.name for cell in cells[:NAMED]) + more
