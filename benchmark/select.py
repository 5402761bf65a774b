"""Settings and rule of a model for a data set, chosen on another data set: ``python -m benchmark.select``.

Reads the cells of an experiment on validation images and says what to take for each data set by the other one
(protocol.md); ``write=true`` writes it into ``conf/chosen``. Cells on synthetic anomalies choose for their own data
set, the model too; ``conf_dir=`` writes that into a folder of one's own. Never trains. How to repeat a choice, and how
far one on synthetic anomalies can be trusted (``against=``): docs/selection.md.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.chosen import CHOSEN_ON, GROUP, chosen_path
from benchmark.config import CONF_DIR, UsageError
from benchmark.say import warn
from benchmark.status import no_cells, required_experiment
from benchmark.sweep.arguments import help_text, parse, small_command, true_or_false

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.report.choice import Choice
    from benchmark.report.measures.trust import Trust

KEYS = {
    "experiment": "name of the experiment whose cells are compared (experiment_name of the runs)",
    "output_dir": "where the runner wrote; default: outputs",
    "cells": "instead of an experiment: the cells.csv of a report, such as results/selection/cells.csv",
    "dataset": "choose for this data set only; default: all",
    "model": "choose for this model only, and show all that was compared; default: all",
    "table": "a Markdown file to write, with all that was compared",
    "write": "true | false: write the choices into conf/chosen, where python -m benchmark finds them; default: false",
    "conf_dir": "a folder of your own to write them into instead, for: python -m benchmark --config-dir=FOLDER",
    "against": "of cells on synthetic anomalies: a cells.csv of the same settings on validation images with real ones; "
    "shows how far the choice can be trusted",
}
WHAT = (
    "Choose settings and rule of each model for a data set on the validation images of another one; on synthetic "
    "anomalies of its own, the model too."
)


@small_command("benchmark.select", lambda: help_text(WHAT, "benchmark.select", KEYS, "experiment=selection"))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: something is chosen, 1: there is nothing to choose from, 2: an argument is refused."""
    settings = parse(arguments, KEYS)
    write, folder = true_or_false(settings, "write", False), settings.get("conf_dir")
    _refuse_folder(folder, write)
    source, frame = _cells(settings)
    if frame is None:
        _refuse_dataset(settings.get("dataset"), [])
        print(f"benchmark.select: {source}", file=sys.stderr)
        return 1
    from benchmark.report.choice import choose, refuse_mixed

    is_synthetic = refuse_mixed(frame)
    _refuse_dataset(settings.get("dataset"), sorted(set(frame["dataset"])) if is_synthetic else [])
    if write and is_synthetic:
        raise UsageError(
            "write=true writes into conf/chosen, which holds what is chosen on another data set; these cells are on "
            "synthetic anomalies. Type: conf_dir=<a folder of your own>"
        )
    trusts = _trusts(settings, frame, is_synthetic)
    choices, lines = choose(frame)
    for line in lines:
        warn(line)
    made = [one for one in choices if _is_asked(one, settings)]
    if not made:
        _refuse_model(settings.get("model"), choices)
        print("benchmark.select: nothing can be chosen from these cells", file=sys.stderr)
        return 1
    _show(made, trusts, "model" in settings)
    if "table" in settings:
        _write_table(Path(settings["table"]), made, trusts, source)
    if write or folder is not None:
        _write(made, source, _command(arguments), None if folder is None else Path(folder))
    if is_synthetic:
        _say_best(made, folder)
    return 0


def _refuse_folder(folder: str | None, write: bool) -> None:
    if folder is None:
        return
    if write:
        raise UsageError("write=true writes into conf/chosen, conf_dir= into a folder of your own: leave out one")
    if Path(folder).resolve() == CONF_DIR.resolve():
        raise UsageError(
            f"conf_dir={folder} is the benchmark's own. Type a folder of yours: conf_dir=my_conf, which "
            "python -m benchmark --config-dir=my_conf reads"
        )


def _refuse_dataset(dataset: str | None, synthetic: Sequence[str]) -> None:
    """Raise ``UsageError`` for a data set that nothing is chosen for; those in ``synthetic`` choose for themselves."""
    if dataset is None or dataset in synthetic:
        return
    if synthetic:
        raise UsageError(f"dataset={dataset}: no cell is of it. There is: {', '.join(synthetic)}")
    if dataset not in CHOSEN_ON:
        from benchmark.report.choice import no_other

        raise UsageError(f"dataset={no_other([dataset])}. Type for example: dataset={next(iter(CHOSEN_ON))}")


def _refuse_model(model: str | None, choices: Sequence[Choice]) -> None:
    from benchmark.sweep.explain import with_hint

    models = list(dict.fromkeys(one.model for one in choices))
    if model is not None and models and model not in models:
        raise UsageError(with_hint(f"model={model}: no choice is made for it from these cells", model, models, "model"))


def _cells(settings: dict[str, str]) -> tuple[str, pd.DataFrame | None]:
    """Where the cells are from, and they; without any, what to say of that."""
    from benchmark.report.frame import build_frame

    if "cells" in settings:
        path = settings["cells"]
        if other := next((key for key in ("experiment", "output_dir") if key in settings), None):
            raise UsageError(
                f"cells={path} is one place to read from, {other}={settings[other]} another: leave out one"
            )
        frame = _read(path, "cells")
        return (path, frame) if len(frame) else (f"cells={path} holds no cells", None)
    from benchmark.store.experiments import as_planned, collect

    output_dir = settings.get("output_dir", "outputs")
    experiment = required_experiment(settings, output_dir)
    collection = as_planned(collect(output_dir, experiment))
    for line in collection.warnings:
        warn(line)
    if not collection.cells:
        return no_cells(output_dir, experiment), None
    return f"experiment {experiment}", build_frame(collection.cells)


def _read(path: str, key: str) -> pd.DataFrame:
    from benchmark.report.frame import read_frame

    try:
        return read_frame(path)
    except (OSError, ValueError, KeyError) as error:
        from benchmark.say import named

        raise UsageError(
            f"{key}={path} is no cells.csv of a report ({named(error)}). Type for example: "
            f"{key}=results/selection/cells.csv"
        ) from error


def _trusts(settings: dict[str, str], frame: pd.DataFrame, is_synthetic: bool) -> list[Trust]:
    """How far the choices can be trusted, where cells on real anomalies are there to say so."""
    if "against" not in settings:
        return []
    from benchmark.report.measures.trust import trust

    if not is_synthetic:
        raise UsageError("against= is for cells on synthetic anomalies (split.evaluate_on=synthetic): leave it out")
    found, lines = trust(frame, _read(settings["against"], "against"))
    for line in lines:
        warn(line)
    return [one for one in found if settings.get("dataset", one.dataset) == one.dataset]


def _is_asked(choice: Choice, settings: dict[str, str]) -> bool:
    return (
        settings.get("dataset", choice.dataset) == choice.dataset
        and settings.get("model", choice.model) == choice.model
    )


def _show(choices: Sequence[Choice], trusts: Sequence[Trust], whole: bool) -> None:
    """Print what is chosen for each data set, and all that was compared where one model was asked for."""
    from rich.console import Console
    from rich.text import Text

    from benchmark.report.tables.choice import choices_table, compared_table, trust_table
    from benchmark.report.tables.formats import to_rich

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    tables = []
    for dataset in dict.fromkeys(one.dataset for one in choices):
        part = [one for one in choices if one.dataset == dataset]
        tables += [choices_table(part), *(compared_table(one) for one in part if whole)]
    for table in [*tables, *([trust_table(trusts)] if trusts else [])]:
        console.print(to_rich(table))
        for note in table.notes:
            console.print(Text(note))
        console.print()
    if not whole:
        console.print(Text("All that was compared: model=NAME shows it, table=FILE.md writes it."))


def _write_table(path: Path, choices: Sequence[Choice], trusts: Sequence[Trust], source: str) -> None:
    from benchmark.data.writing import replacing
    from benchmark.report.tables.choice import choices_table, compared_table, trust_table
    from benchmark.report.tables.formats import to_markdown

    parts = ["# What was compared and what is chosen\n", f"Cells: {source}. How: docs/selection.md.\n"]
    parts += [to_markdown(trust_table(trusts), 2)] if trusts else []
    for dataset in dict.fromkeys(one.dataset for one in choices):
        part = [one for one in choices if one.dataset == dataset]
        parts += [to_markdown(choices_table(part), 2), *(to_markdown(compared_table(one)) for one in part)]
    try:
        with replacing(path) as temporary:
            temporary.write_text("\n".join(parts), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"table={path} cannot be written ({error.strerror}). Type table=<a file>") from error
    print(f"Written: {path}")


def _write(choices: Sequence[Choice], source: str, command: str, folder: Path | None) -> None:
    """Write the files in ``conf/chosen``, or in ``folder/chosen``.

    Raises ``UsageError`` for settings that a model does not take.
    """
    from benchmark.data.writing import replacing
    from benchmark.models import model_names
    from benchmark.report.choice import chosen_yaml, refuse_settings

    ours = [one for one in choices if one.model in model_names()]
    for model in dict.fromkeys(one.model for one in choices if one.model not in model_names()):
        warn(f"{model} is no model of this package: type its settings, or write them into its own YAML")
    for one in ours:
        refuse_settings(one)
    for one in ours:
        name = None if folder is None else _own_name(one)
        path = chosen_path(one.dataset, one.model) if folder is None else folder / GROUP / f"{name}.yaml"
        try:
            with replacing(path) as temporary:
                temporary.write_text(chosen_yaml(one, source, command, name), encoding="utf-8")
        except OSError as error:
            how = "leave out write=true" if folder is None else "type conf_dir=<a folder>"
            raise UsageError(f"{path} cannot be written ({error.strerror}): {how}") from error
        print(f"Written: {path}")


def _own_name(choice: Choice) -> str:
    """The name of a choice in a folder of somebody's own, which must be none of ``conf/chosen``."""
    path = chosen_path(choice.dataset, choice.model)
    return f"my_{path.stem}" if path.is_file() else path.stem


def _say_best(choices: Sequence[Choice], folder: str | None) -> None:
    """Say which model is the best on each data set, and what to type to use it."""
    from benchmark.report.choice import best_model

    for dataset in dict.fromkeys(one.dataset for one in choices):
        best = best_model([one for one in choices if one.dataset == dataset])
        if best is None:
            continue
        print(f"The best for {dataset}: {best.model} ({best.chosen.name}), AUROC {best.chosen.mean:.4f}.")
        if folder is not None:
            words = [f"--config-dir={folder}", f"model={best.model}", f"chosen={_own_name(best)}"]
            print(f"Use it: python -m benchmark {shlex.join(words)} and the data set as it was typed before")
    if folder is None:
        print("To use what is chosen: conf_dir=<a folder of your own> writes it.")


def _command(arguments: Sequence[str]) -> str:
    """What was typed, without folders of one machine."""
    from benchmark.store.experiments import hide_paths

    words = [os.fsencode(word).decode("utf-8", "replace") for word in arguments]
    return hide_paths(f"python -m benchmark.select {shlex.join(words)}".strip())


if __name__ == "__main__":
    sys.exit(main())
