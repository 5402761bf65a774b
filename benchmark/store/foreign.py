"""What a record may name that is run: code that ships, and code of one's own that is the one which made the record.

A record may come from somebody else, and a folder that a command is typed in is searched for modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.code_hash import cell_code, is_ours
from benchmark.config import UsageError
from benchmark.data import dataset_names, load_dataset_config
from benchmark.say import one_line
from benchmark.targets import module_file

if TYPE_CHECKING:
    from benchmark.store.records import Record


def refuse_model(record: Record, config: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` unless the model of a record is a shipped one, or the class whose code made the record."""
    from benchmark.models import model_names

    model = config.get("model")
    name, target = (model.get("name"), model.get("_target_")) if isinstance(model, Mapping) else (None, None)
    if not isinstance(name, str) or not isinstance(target, str):
        raise UsageError(f"cell={record.path} names no model in its config.yaml. Train it again, or name another cell")
    if is_ours(name, target) and name in model_names():
        return
    if shipped := next((one for one in (name, record.axes.model) if one in model_names()), None):
        raise UsageError(
            f"cell={record.path}: its config.yaml has _target_={one_line(target)}, which is not the model {shipped}, "
            "and is not run. Train it again, or name another cell"
        )
    if cell_code(name, target) != record.status.code:
        raise UsageError(
            f"cell={record.path}: its config.yaml has _target_={one_line(target)}, which is not the code that its "
            "status.json names, and is not run. Train it again, or name another cell"
        )
    _refuse_within(record.path, target)


def refuse_rule(record: Record, settings: Mapping[str, Any], code: str, now: str) -> None:
    """Raise ``UsageError`` for a rule of somebody's own whose code is not what the record names, or lies within it."""
    target = str(settings.get("_target_"))
    if target.startswith("benchmark.rules."):
        return
    if code != now:
        raise UsageError(
            f"cell={record.path}: its rule {one_line(settings.get('name'))} has _target_={one_line(target)}, which is "
            "other code than judged it, and is not run. Name another rule"
        )
    _refuse_within(record.path, target)


def refuse_dataset(dataset: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` for a function that makes images, unless the shipped data set of that name has it."""
    target, name = dataset.get("_target_"), dataset.get("name")
    if target is None or (name in dataset_names() and load_dataset_config(str(name))._target_ == target):
        return
    raise UsageError(
        f"dataset {one_line(name)} of the record has _target_={one_line(target)}, a function that is not shipped and "
        "that a record does not have called. Type the command that trained it"
    )


def _refuse_within(folder: Path, target: str) -> None:
    """Raise ``UsageError`` for a class whose module lies below the folder of the record that names it."""
    file = module_file(target.rpartition(".")[0])
    if file is None:
        return  # which is said where it is imported
    if file.absolute().is_relative_to(folder.absolute()) or file.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"cell={folder}: _target_={one_line(target)} lies in the record itself, and is not run. Read {file}, and "
            "move it to a folder of yours if you trust it"
        )
