"""Which cell of an experiment scores new images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.config import UsageError
from benchmark.engine.committee import NAME as COMMITTEE
from benchmark.store.experiments import PlannedCell, collect, experiments

BEST = "best"
NAMED = 5  # of many, how many are named
HELD_OUT = ("validation", "synthetic")  # what may choose: no image of the test split


def choose_cell(output_dir: str, experiment: str, choose: str | None, narrow: Mapping[str, str]) -> tuple[Path, str]:
    """The folder of a cell of an experiment, and in one line why it is this one.

    ``choose`` is ``best`` or None, ``narrow`` are ``model``, ``dataset`` and ``class`` as far as they are typed. Among
    several cells of one normal class the best is that of the highest AUROC, the mean over seeds of a model and its
    settings, on held-out images where there are such cells; of its seeds the first. Raises ``UsageError`` where there
    is none, or no telling.
    """
    there = collect(output_dir, experiment).cells if experiment in experiments(output_dir) else []
    if not there:
        known = ", ".join(experiments(output_dir)) or "none"
        raise UsageError(f"experiment={experiment}: there is none of this name in {output_dir}. There is: {known}")
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
    classes = {str(axes.normal_class), axes.normal_class_name}
    return (
        narrow.get("model", axes.model) == axes.model
        and narrow.get("dataset", axes.dataset) == axes.dataset
        and ("class" not in narrow or narrow["class"] in classes)
    )


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
    held_out = [cell for cell in done if cell.axes.evaluate_on in HELD_OUT]
    judged = [cell for cell in held_out or done if cell.record is not None and "auroc" in cell.record.metrics]
    if not judged:
        raise UsageError(
            f"{typed}: no cell has an AUROC, as there were no anomalies to evaluate, so none is the best. Narrow it "
            f"with model=, or name one: cell={done[0].folder}"
        )
    columns: dict[str, list[PlannedCell]] = {}
    for cell in judged:
        columns.setdefault(cell.label, []).append(cell)
    means = {label: sum(map(_auroc, cells)) / len(cells) for label, cells in columns.items()}
    best = max(means, key=lambda label: means[label])
    first = min(columns[best], key=lambda cell: cell.axes.seed)
    images = {cell.axes.evaluate_on for cell in columns[best]}
    what = f"the highest AUROC, {means[best]:.4f}, of {len(means)} on {' and '.join(sorted(images))} images"
    if not held_out and len(means) > 1:
        what += ", which chose it: its AUROC there is too good by that (split.evaluate_on=validation has others choose)"
    return first.folder, f"{typed}: {first.name}, {what}"


def _auroc(cell: PlannedCell) -> float:
    assert cell.record is not None
    return cell.record.metrics["auroc"]


def _names(cells: Sequence[PlannedCell]) -> str:
    more = f" and {len(cells) - NAMED} more" if len(cells) > NAMED else ""
    return ", ".join(cell.name for cell in cells[:NAMED]) + more
