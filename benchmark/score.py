"""Score new images with a finished cell: ``python -m benchmark.score cell=outputs/cells/... images=parts out=new.csv``.

One row an image: its path, score, p-value, and whether it is flagged at ``alpha``. Nothing is trained.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.config import UsageError
from benchmark.data.files import typed_path
from benchmark.say import warn
from benchmark.sweep.arguments import help_text, parse, small_command, true_or_false

WHAT = "Score new images with a finished cell: one row an image, with its p-value. Nothing is trained."
KEYS = {
    "cell": "folder of a finished cell, or of a detector that was saved",
    "experiment": "instead: the experiment whose cell scores; its only one, or with choose=best",
    "choose": "best: the cell of the highest AUROC among those of one class",
    "model": "of an experiment: only cells of this model",
    "dataset": "of an experiment: only cells of this data set",
    "class": "of an experiment: only cells of this class, by name or number",
    "rule": "the rule that makes the score: a name, or chosen (default: the model's own score)",
    "images": "a folder, an image, a CSV with a column path, or an .npz with an array images",
    "scores": "instead: a table that this command wrote, to be judged by another alpha",
    "out": "the table: a .csv or .parquet file (default: as CSV on stdout)",
    "alpha": "share of normal images that may be flagged (default: a saved detector's own, else 0.05)",
    "calibrate": "normal images, as for images, whose scores set p-values instead of the cell's own",
    "normal": "the label of normal images, for an AUROC (default: the cell's class, else good or normal)",
    "page": "an .html file that shows the most anomalous images",
    "watch": "true: go on with what is put into the folder, until Ctrl-C (default: false)",
    "interval": "of watch=true: seconds between two looks into the folder (default: 2)",
    "device": "cpu, cuda, ... (default: the one that the cell was trained on, else the CPU)",
    "output_dir": "where records of an experiment are (default: outputs)",
}
EXAMPLE = "cell=outputs/cells/... images=parts out=parts.csv"
LONGEST_NAME = 200  # bytes; a table that is being written has a longer name, of at most 255
LONGEST = 86_400  # seconds between two looks: a day
OF_EXPERIMENT = ("choose", "model", "dataset", "class")


@small_command("benchmark.score", lambda: help_text(WHAT, "benchmark.score", KEYS, EXAMPLE))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: every image was scored, 1: not every one, 2: an argument is refused."""
    settings = parse(arguments, KEYS)
    alpha, watching, interval = _alpha(settings), true_or_false(settings, "watch", False), _interval(settings)
    paths = {
        key: typed_path(settings[key], key)
        for key in ("cell", "images", "scores", "calibrate", "out", "page")
        if key in settings
    }
    _refuse(settings, paths, watching)
    _warn_of_itself(paths)
    cell = paths["cell"] if "cell" in paths else _chosen(settings)
    from benchmark.detect import scoring
    from benchmark.detect.loading import alpha_of, load_cell
    from benchmark.detect.sources import find_source

    loaded = load_cell(cell, settings.get("rule"), settings.get("device"))
    source = find_source(paths["images"], loaded.shape, loaded.levels, empty=watching) if "images" in paths else None
    alpha = alpha_of(loaded.config) if alpha is None else alpha
    judge = scoring.judge_of(loaded, alpha, paths.get("calibrate"))
    task = scoring.Task(
        loaded, judge, paths.get("out"), paths.get("page"), "calibrate" in paths, settings.get("normal")
    )
    if source is None:
        return scoring.judge_again(task, paths["scores"])
    return (
        scoring.watch(task, paths["images"], interval)
        if watching
        else scoring.score(task, source, paths["images"].absolute().name)
    )


def _alpha(settings: Mapping[str, str]) -> float | None:
    if (text := settings.get("alpha")) is None:
        return None
    try:
        alpha = float(text)
    except ValueError:
        alpha = -1.0
    if not 0 < alpha < 1:
        raise UsageError(f"alpha={text} is not allowed: it must be a number above 0 and below 1. Type: alpha=0.05")
    return alpha


def _interval(settings: Mapping[str, str]) -> float:
    text = settings.get("interval", "2")
    try:
        interval = float(text)
    except ValueError:
        interval = -1.0
    if not 0.01 <= interval <= LONGEST:
        raise UsageError(
            f"interval={text} is not allowed: it must be a number of seconds, 0.01 to {LONGEST:,}. Type: interval=2"
        )
    return interval


def _refuse(settings: Mapping[str, str], paths: Mapping[str, Path], watching: bool) -> None:
    """Raise ``UsageError`` for arguments that do not go together, and for paths that cannot be."""
    if ("cell" in settings) == ("experiment" in settings):
        raise UsageError("which cell scores? Type either cell=outputs/cells/... or experiment=<name> choose=best")
    if ("images" in settings) == ("scores" in settings):
        raise UsageError("what is to be scored? Type either images=<a folder> or, to judge a table again, scores=<it>")
    if settings.get("choose", "best") != "best":
        raise UsageError(f"choose={settings['choose']} is not allowed: it must be best. Type: choose=best")
    for key in OF_EXPERIMENT:
        if key in settings and "cell" in settings:
            raise UsageError(f"{key}= is of an experiment, and cell= names a cell. Leave one of them out")
    for key in ("page", "watch"):
        if key in settings and "scores" in settings:
            raise UsageError(f"{key}= needs the images, and scores= has none. Type images=<a folder> instead")
    if "interval" in settings and not watching:
        raise UsageError("interval= is of watch=true, which is not typed. Type watch=true, or leave interval= out")
    if watching and (not paths["images"].is_dir() or "out" not in paths):
        raise UsageError("watch=true looks at a folder and writes a table. Type images=<a folder> out=<a .csv file>")
    for key in ("images", "scores", "calibrate"):
        if key in paths and not paths[key].exists():
            raise UsageError(f"{key}={paths[key]} does not exist. Type {key}=<{KEYS[key].removeprefix('instead: ')}>")
        if key != "scores" and key in paths and "out" in paths and paths[key].resolve() == paths["out"].resolve():
            raise UsageError(f"out={paths['out']} is what {key}= names, which it would replace. Type another out=")
    _refuse_ending(paths, "out", (".csv",) if watching else (".csv", ".parquet"))
    _refuse_ending(paths, "page", (".html",))
    _refuse_loss(paths)


def _warn_of_itself(paths: Mapping[str, Path]) -> None:
    """Warn where images are judged by themselves: of these at most alpha is flagged, whatever they show."""
    if "images" in paths and "calibrate" in paths:
        images, normal = paths["images"].resolve(), paths["calibrate"].resolve()
        if images.is_relative_to(normal) or normal.is_relative_to(images):
            warn("images= and calibrate= have images in common: of these at most alpha is flagged, whatever they show")


def _refuse_loss(paths: Mapping[str, Path]) -> None:
    """Raise ``UsageError`` where a table or page would lie in a record, or replace what is no table of scores."""
    for key in ("out", "page"):
        if key in paths and any((folder / "status.json").is_file() for folder in paths[key].resolve().parents):
            raise UsageError(f"{key}={paths[key]} lies in the folder of a record, which is left as it is. Name another")
    if "out" in paths and paths["out"].exists():
        from benchmark.detect.table import is_table

        if not is_table(paths["out"]):
            raise UsageError(f"out={paths['out']} exists and is no table of scores: it is left as it is. Name another")
    if "page" in paths and paths["page"].exists():
        from benchmark.detect.page import is_page

        if not is_page(paths["page"]):
            raise UsageError(
                f"page={paths['page']} exists and is no page of this command: it is left as it is. Name another"
            )


def _refuse_ending(paths: Mapping[str, Path], key: str, endings: Sequence[str]) -> None:
    if key not in paths:
        return
    path, allowed = paths[key], " or ".join(endings)
    if path.is_dir():
        raise UsageError(f"{key}={path} is a folder. Type the name of a file: {key}={path / ('new' + endings[0])}")
    if path.suffix.lower() not in endings:
        raise UsageError(
            f"{key}={path} is not allowed: it must end in {allowed}. Type for example: {key}=new{endings[0]}"
        )
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise UsageError(
            f"{key}={path.name[:40]}... is too long: a file's name has at most {LONGEST_NAME} bytes here. Type another"
        )
    parent = next(folder for folder in Path(os.path.realpath(path)).parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise UsageError(f"{key}={path} cannot be written: {parent} is no folder that you may write into")


def _chosen(settings: Mapping[str, str]) -> Path:
    """The cell of an experiment; why it is this one is said."""
    from benchmark.detect.choosing import choose_cell

    narrow = {key: settings[key] for key in OF_EXPERIMENT if key in settings and key != "choose"}
    output_dir = settings.get("output_dir", "outputs")
    cell, why = choose_cell(output_dir, settings["experiment"], settings.get("choose"), narrow)
    print(why, file=sys.stderr, flush=True)
    return cell


if __name__ == "__main__":
    sys.exit(main())
