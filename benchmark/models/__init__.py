"""One file a model. ``model_class`` finds a model by its name; ``constructor`` reads its keywords without torch."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from benchmark.code_hash import model_code

if TYPE_CHECKING:
    from benchmark.models.base import Model

_MODEL = re.compile(r"^class \w+\((?:\w+, )*Model\):", re.MULTILINE)


@cache
def model_names() -> tuple[str, ...]:
    """Names of all models, sorted: the modules of this package that define a subclass of ``Model``."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return tuple(path.stem for path in modules if _MODEL.search(path.read_text(encoding="utf-8")))


def model_class(name: str) -> type[Model]:
    """The class of the model ``name``, found in its module; its code is noted before it is imported."""
    from importlib import import_module

    model_code(name)
    from benchmark.models.base import Model

    module = import_module(f"benchmark.models.{name}")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Model) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must define one subclass of Model, it defines {len(found)}")
    return found[0]


@dataclass(frozen=True)
class Keyword:
    """A keyword of a model's constructor: its name, its annotation and its default."""

    name: str
    annotation: Any
    default: Any

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers: one, or a list of them."""
        return self.annotation in (int, float, Sequence[int], Sequence[float])

    @property
    def is_whole(self) -> bool:
        return self.annotation in (int, Sequence[int])

    def describe(self) -> str:
        """What values are allowed, in words."""
        return describe(self.annotation)

    def accepts(self, value: Any) -> bool:
        return accepts(value, self.annotation)


@cache
def constructor(name: str) -> dict[str, Keyword]:
    """The keywords of the constructor of model ``name``, read from its source: importing torch takes seconds.

    >>> constructor("pca")["components"]
    Keyword(name='components', annotation=<class 'int'>, default=32)
    """
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    init = next(
        node
        for cls in tree.body
        if isinstance(cls, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id == "Model" for b in cls.bases)
        for node in cls.body
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
    )
    arguments = init.args.args[2:]  # without self and image_shape
    return {
        argument.arg: Keyword(argument.arg, _annotation(ast.unparse(argument.annotation)), ast.literal_eval(default))
        for argument, default in zip(arguments, init.args.defaults, strict=True)
    }


def _annotation(text: str) -> Any:
    from benchmark.models.parts import choices

    return eval(text, {"Literal": Literal, "Sequence": Sequence, **vars(choices)})


def accepts(value: Any, annotation: Any) -> bool:
    """Whether a value from YAML fits an annotation: a number, a string, a boolean, one of a list, or a list of these.

    >>> accepts(3, float), accepts(True, int), accepts([400, 200], Sequence[int]), accepts("l3", Literal["l1", "l2"])
    (True, False, True, False)
    """
    if get_origin(annotation) is Literal:
        return value in get_args(annotation)
    if annotation is str:
        return isinstance(value, str)
    if annotation is bool:
        return isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    (item,) = get_args(annotation)  # Sequence[item]
    return isinstance(value, list | tuple) and all(accepts(part, item) for part in value)


def describe(annotation: Any) -> str:
    """An annotation in words."""
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(annotation)))
    names = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}
    if annotation in names:
        return names[annotation]
    (item,) = get_args(annotation)
    return {int: "a list of whole numbers such as [400,200]", float: "a list of numbers such as [0.5,0.999]"}[item]
