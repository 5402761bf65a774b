"""Classes and functions by their dotted path (``_target_`` of a YAML): found, imported, and refused in one line.

What somebody writes for himself lies in the folder that the command is typed in, or where PYTHONPATH says.
"""

from __future__ import annotations

import os
import sys
import traceback
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmark.config import UsageError


def load_target(target: str, what: str) -> Any:
    """The object with the dotted path ``target``; ``what`` names the setting in refusals: ``model.mine._target_``.

    Raises ``UsageError`` with file and line if its module cannot be imported, and if it does not have that name.
    """
    module, dot, name = target.rpartition(".")
    if not dot or not all(part.isidentifier() for part in target.split(".")):
        raise UsageError(f"{what}={target} is no dotted path. Write for example: _target_: my_models.mine.Mine")
    _look_here()
    if module_file(module) is None:
        raise UsageError(
            f"{what}={target}: there is no module {module} in this folder or on PYTHONPATH. Type the command in the "
            f"folder that holds {module.split('.')[0]}, or set PYTHONPATH to it"
        )
    try:
        found = import_module(module)
    except Exception as error:
        raise UsageError(f"{what}={target} cannot be imported: {_where(error, module)}") from error
    if not hasattr(found, name):
        own = [key for key, value in vars(found).items() if getattr(value, "__module__", None) == module]
        raise UsageError(f"{what}={target}: {found.__file__} has no {name}. It has: {', '.join(own) or 'nothing'}")
    return getattr(found, name)


@cache
def module_file(module: str) -> Path | None:
    """The file of a module or package, found without importing anything; None if there is none."""
    _look_here()
    top, *rest = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest and spec.origin is not None:
        return Path(spec.origin) if Path(spec.origin).suffix == ".py" else None
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *rest)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def _look_here() -> None:
    """Let modules of the current folder be found by installed commands too; after all others."""
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())


def _where(error: Exception, module: str) -> str:
    """An error of an import in one line, with file and line."""
    said = " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if frame.filename != __file__]
    if not own:
        return said
    return f"{own[-1].filename}, line {own[-1].lineno}: {type(error).__name__}: {said}"
