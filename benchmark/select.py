"""Settings and rule of a model for a data set, chosen on another data set: ``python -m benchmark.select``.

Reads the cells of an experiment on validation images and says what to take for each data set by the other one
(protocol.md); ``write=true`` writes it into ``conf/chosen``. Never trains. How to repeat a choice: docs/selection.md.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.chosen import CHOSEN_ON, chosen_path
from benchmark.config import UsageError
from benchmark.status import no_cells, required_experiment
from benchmark.sweep.arguments import help_text, parse, small_command, true_or_false

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.report.choice import Choice

KEYS = {
    "experiment": "name of the experiment whose cells are compared (experiment_name of the runs)",
    "output_dir": "where the runner wrote; default: outputs",
    "cells": "instead of an experiment: the cells.csv of a report, such as results/selection/cells.csv",
    "dataset": "choose for this data set only; default: all",
    "model": "choose for this model only, and show all that was compared; default: all",
    "table": "a Markdown file to write, with all that was compared",
    "write": "true | false: write the choices into conf/chosen, where python -m benchmark finds them; default: false",
}
WHAT = "Choose settings and rule of each model for a data set on the validation images of another one."


@small_command("benchmark.select", lambda: help_text(WHAT, "benchmark.select", KEYS, "experiment=selection"))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: something is chosen, 1: there is nothing to choose from, 2: an argument is refused."""
    settings = parse(arguments, KEYS)
    write = true_or_false(settings, "write", False)
    _refuse_dataset(settings.get("dataset"))
    source, frame = _cells(settings)
    if frame is None:
        print(f"benchmark.select: {source}", file=sys.stderr)
        return 1
    from benchmark.report.choice import choose
    from benchmark.say import warn

    choices, lines = choose(frame)
    for line in lines:
        warn(line)
    made = [one for one in choices if _is_asked(one, settings)]
    if not made:
        _refuse_model(settings.get("model"), choices)
        print("benchmark.select: nothing can be chosen from these cells", file=sys.stderr)
        return 1
    _show(made, "model" in settings)
    if "table" in settings:
        _write_table(Path(settings["table"]), made, source)
    if write:
        _write(made, source, _command(arguments))
    return 0


def _refuse_dataset(dataset: str | None) -> None:
    if dataset is not None and dataset not in CHOSEN_ON:
        from benchmark.report.choice import no_other

        raise UsageError(f"dataset={no_other([dataset])}. Type for example: dataset={next(iter(CHOSEN_ON))}")


def _refuse_model(model: str | None, choices: Sequence[Choice]) -> None:
    from benchmark.sweep.explain import with_hint

    models = list(dict.fromkeys(one.model for one in choices))
    if model is not None and models and model not in models:
        raise UsageError(with_hint(f"model={model}: no choice is made for it from these cells", model, models, "model"))


def _cells(settings: dict[str, str]) -> tuple[str, pd.DataFrame | None]:
    """Where the cells are from, and they; without any, what to say of that."""
    from benchmark.report.frame import build_frame, read_frame

    if "cells" in settings:
        path = settings["cells"]
        if other := next((key for key in ("experiment", "output_dir") if key in settings), None):
            raise UsageError(
                f"cells={path} is one place to read from, {other}={settings[other]} another: leave out one"
            )
        try:
            frame = read_frame(path)
        except (OSError, ValueError, KeyError) as error:
            from benchmark.say import named

            raise UsageError(
                f"cells={path} is no cells.csv of a report ({named(error)}). Type for example: "
                "cells=results/selection/cells.csv"
            ) from error
        return (path, frame) if len(frame) else (f"cells={path} holds no cells", None)
    from benchmark.say import warn
    from benchmark.store.experiments import collect

    output_dir = settings.get("output_dir", "outputs")
    experiment = required_experiment(settings, output_dir)
    collection = collect(output_dir, experiment)
    for line in collection.warnings:
        warn(line)
    if not collection.cells:
        return no_cells(output_dir, experiment), None
    return f"experiment {experiment}", build_frame(collection.cells)


def _is_asked(choice: Choice, settings: dict[str, str]) -> bool:
    return (
        settings.get("dataset", choice.dataset) == choice.dataset
        and settings.get("model", choice.model) == choice.model
    )


def _show(choices: Sequence[Choice], whole: bool) -> None:
    """Print what is chosen for each data set, and all that was compared where one model was asked for."""
    from rich.console import Console
    from rich.text import Text

    from benchmark.report.tables.choice import choices_table, compared_table
    from benchmark.report.tables.formats import to_rich

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    for dataset in dict.fromkeys(one.dataset for one in choices):
        part = [one for one in choices if one.dataset == dataset]
        for table in [choices_table(part), *(compared_table(one) for one in part if whole)]:
            console.print(to_rich(table))
            for note in table.notes:
                console.print(Text(note))
            console.print()
    if not whole:
        console.print(Text("All that was compared: model=NAME shows it, table=FILE.md writes it."))


def _write_table(path: Path, choices: Sequence[Choice], source: str) -> None:
    from benchmark.data.writing import replacing
    from benchmark.report.tables.choice import choices_table, compared_table
    from benchmark.report.tables.formats import to_markdown

    parts = ["# What was compared and what is chosen\n", f"Cells: {source}. How: docs/selection.md.\n"]
    for dataset in dict.fromkeys(one.dataset for one in choices):
        part = [one for one in choices if one.dataset == dataset]
        parts += [to_markdown(choices_table(part), 2), *(to_markdown(compared_table(one)) for one in part)]
    try:
        with replacing(path) as temporary:
            temporary.write_text("\n".join(parts), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"table={path} cannot be written ({error.strerror}). Type table=<a file>") from error
    print(f"Written: {path}")


def _write(choices: Sequence[Choice], source: str, command: str) -> None:
    """Write the files in ``conf/chosen``. Raises ``UsageError`` for settings that a model does not take."""
    from benchmark.data.writing import replacing
    from benchmark.models import model_names
    from benchmark.report.choice import chosen_yaml, refuse_settings
    from benchmark.say import warn

    ours = [one for one in choices if one.model in model_names()]
    for model in dict.fromkeys(one.model for one in choices if one.model not in model_names()):
        warn(f"{model} is no model of this package: type its settings, or write them into its own YAML")
    for one in ours:
        refuse_settings(one)
    for one in ours:
        path = chosen_path(one.dataset, one.model)
        try:
            with replacing(path) as temporary:
                temporary.write_text(chosen_yaml(one, source, command), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be written ({error.strerror}): leave out write=true") from error
        print(f"Written: {path}")


def _command(arguments: Sequence[str]) -> str:
    """What was typed, without folders of one machine."""
    from benchmark.store.experiments import hide_paths

    words = [os.fsencode(word).decode("utf-8", "replace") for word in arguments]
    return hide_paths(f"python -m benchmark.select {shlex.join(words)}".strip())


if __name__ == "__main__":
    sys.exit(main())
