"""One file a model. A model is named as shipped (``vae``) or by the dotted path of its class (``my_models.Mine``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.code_hash import model_code
from benchmark.config import UsageError
from benchmark.models.keywords import Keyword, read_constructor
from benchmark.targets import load_target

if TYPE_CHECKING:
    from benchmark.models.base import Model

NO_MODELS = ("__init__", "base", "keywords", "refusals")


@cache
def model_names() -> tuple[str, ...]:
    """Names of the models of this package, sorted: one for each of its modules."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NO_MODELS))


@cache
def model_class(model: str) -> type[Model]:
    """The class of a model of this package (``vae``) or of a dotted path; its code is noted before it is imported.

    Raises ``UsageError`` if there is none, or if it cannot be one.
    """
    from benchmark.models.base import Model

    if "." in model:
        model_code(model)
        found = load_target(model, "_target_")
        if not (isinstance(found, type) and issubclass(found, Model)):
            raise UsageError(
                f"_target_={model} is no model: write class {model.rpartition('.')[2]}(Model), with "
                "from benchmark.models.base import Model"
            )
        return found
    from importlib import import_module

    model_code(model)
    module = import_module(f"benchmark.models.{model}")
    (only,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Model) and value.__module__ == module.__name__
    ]
    return only


@cache
def constructor(model: str) -> dict[str, Keyword]:
    """The keywords of the constructor of a model, named as for ``model_class``.

    >>> constructor("pca")["components"]
    Keyword(name='components', annotation=<class 'int'>, default=32, range=Range(low=1, high=inf, with_low=True, \
with_high=True, length=None))
    """
    return read_constructor(model_class(model))
