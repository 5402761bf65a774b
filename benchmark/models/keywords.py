"""What a model's keywords may be: kinds that annotate its constructor, and how a constructor is read.

    def __init__(self, image_shape: ImageShape, headline: str = "reconstruction", latent: Count = 16) -> None:

A kind is a type with a ``Range``; ``int``, ``float``, ``str``, ``bool``, ``Literal[...]``, lists of these and
``| None`` do as well. Torch is not imported here. What depends on several keywords or on the images is left to the
constructors, whose ``ValueError`` is shown before any work.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from benchmark.config import UsageError


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, with or without the ends; never nan or infinite."""

    low: float
    high: float = math.inf
    with_low: bool = True
    with_high: bool = True
    length: int | None = None  # of a list, where it is fixed

    def holds(self, value: float) -> bool:
        above = self.low <= value if self.with_low else self.low < value
        below = value <= self.high if self.with_high else value < self.high
        return math.isfinite(value) and above and below

    def accepts(self, value: Any) -> bool:
        """Whether a number, or every number of a list, is in the range."""
        if not isinstance(value, Sequence):
            return self.holds(value)
        return all(self.holds(part) for part in value) and self.length in (None, len(value))

    def describe(self, whole: bool, several: bool) -> str:
        """The range in words.

        >>> Range(1).describe(whole=True, several=False), Range(0, 1, False, False).describe(whole=False, several=False)
        ('a whole number of at least 1', 'a number above 0 and below 1')
        """
        low = f"of at least {self.low:g}" if self.with_low else f"above {self.low:g}"
        high = f"at most {self.high:g}" if self.with_high else f"below {self.high:g}"
        if math.isfinite(self.high):
            low = f"from {self.low:g} to {self.high:g}" if self.with_low and self.with_high else f"{low} and {high}"
        kind = "whole number" if whole else "number"
        if not several:
            return f"a {kind} {low}"
        count = "" if self.length is None else f"{self.length} "
        return f"a list of {count}{kind}s, each {low.removeprefix('of ')}"


Network = Literal["dense", "conv"]  # in YAML also AUTO
AUTO = "auto"
COLOURS, WIDE = 3, 48  # channels of images, and pixels of width from which on, that AUTO makes convolutional
Activation = Literal["relu", "leaky_relu", "silu"]
Schedule = Literal["constant", "cosine"]
PixelLoss = Literal["l2", "l1", "bernoulli"]
GanObjective = Literal["non_saturating", "minimax", "wasserstein_clipping", "wasserstein_penalty"]
SearchStart = Literal["encoder", "candidates"]
SearchLoss = Literal["squared", "absolute"]
Features = Literal["pixels", "pca"]

Count = Annotated[int, Range(1)]
CountOrNone = Annotated[int, Range(0)]  # 0: none
TwoOrMore = Annotated[int, Range(2)]
Widths = Annotated[Sequence[int], Range(1)]
Positive = Annotated[float, Range(0, with_low=False)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
OpenShare = Annotated[float, Range(0, 1, with_low=False, with_high=False)]
ShareAbove0 = Annotated[float, Range(0, 1, with_low=False)]
ShareBelow1 = Annotated[float, Range(0, 1, with_high=False)]
Betas = Annotated[Sequence[float], Range(0, 1, with_high=False, length=2)]  # Adam's


def network_for(image_shape: tuple[int, int, int]) -> Network:
    """What AUTO stands for on images of this shape (C, H, W): dense only for small ones of one colour, or sequences.

    A dense layer has a weight for each pixel of each channel and each hidden unit: 3 million for 256 of them on images
    of 3 x 64 x 64, and no notion of what is near to what.

    >>> network_for((1, 28, 28)), network_for((3, 32, 32)), network_for((1, 64, 64))
    ('dense', 'conv', 'conv')
    """
    channels, _, width = image_shape
    return "conv" if channels == COLOURS or width >= WIDE else "dense"


@dataclass(frozen=True)
class Keyword:
    """A keyword of a model's constructor: its name, its type, its default and its range, if it has one."""

    name: str
    annotation: Any
    default: Any
    range: Range | None = None

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers: one, or a list of them."""
        return self.annotation in (int, float, Sequence[int], Sequence[float])

    def allowed(self, value: Any) -> str | None:
        """What a value of YAML may be, in words, if it is not ``value``; None if it may be that."""
        if not accepts(value, self.annotation):
            return describe(self.annotation)
        if self.range is None or value is None or self.range.accepts(value):
            return None
        return self.range.describe(_has(self.annotation, int), isinstance(value, Sequence))

    def accepts(self, value: Any) -> bool:
        return self.allowed(value) is None

    @property
    def written(self) -> str:
        """The default as it is typed: ``[400,200]``, ``true``, ``16``."""
        if isinstance(self.default, list | tuple):
            return "[" + ",".join(map(str, self.default)) + "]"
        plain = {True: "true", False: "false", None: "null"}
        return plain[self.default] if self.default is None or isinstance(self.default, bool) else str(self.default)


def read_constructor(model: type) -> dict[str, Keyword]:
    """The keywords of a model's constructor behind ``image_shape``, from its signature.

    Raises ``UsageError`` in one line for what cannot be a setting in YAML: no default, no annotation, or another kind.
    """
    init, where = model.__init__, f"{model.__module__}.{model.__qualname__}"
    parameters = list(inspect.signature(init).parameters.values())[1:]  # without self
    if not parameters or parameters[0].name != "image_shape":
        raise UsageError(
            f"{where}.__init__ has no image_shape. Write: def __init__(self, image_shape: ImageShape, "
            'headline: str = "reconstruction", ...)'
        )
    try:
        hints = get_type_hints(init, include_extras=True)
    except Exception as error:
        raise UsageError(f"{where}.__init__: an annotation cannot be read ({error}). Import its name") from error
    return {p.name: _keyword(p, hints, where) for p in parameters[1:]}


def _keyword(parameter: inspect.Parameter, hints: dict[str, Any], where: str) -> Keyword:
    name, starred = parameter.name, {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    if parameter.kind in starred:
        star = starred[parameter.kind]
        raise UsageError(f"{where}.__init__ has {star}{name}: write every keyword by its name, as latent: Count = 16")
    if name not in hints:
        raise UsageError(
            f"{where}.__init__: {name} has no annotation. Write for example {name}: Count = 16 "
            "(kinds: benchmark/models/keywords.py)"
        )
    annotation = hints[name]
    if parameter.default is inspect.Parameter.empty:
        kind = getattr(annotation, "__name__", str(annotation))
        raise UsageError(
            f"{where}.__init__: {name} has no default. Write {name}: {kind} = <a value>, and the same value in its YAML"
        )
    ranges = [extra for extra in getattr(annotation, "__metadata__", ()) if isinstance(extra, Range)]
    plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if not _is_kind(plain):
        raise UsageError(
            f"{where}.__init__: {name} is annotated {plain}; allowed are int, float, str, bool, Literal[...], "
            "Sequence[...] of these, and the kinds of benchmark/models/keywords.py"
        )
    return Keyword(name, plain, parameter.default, ranges[0] if ranges else None)


def accepts(value: Any, annotation: Any) -> bool:
    """Whether a value from YAML fits an annotation: a number, a string, a boolean, one of a list, or a list of these.

    >>> accepts(3, float), accepts(True, int), accepts([400, 200], Sequence[int]), accepts("l3", Literal["l1", "l2"])
    (True, False, True, False)
    """
    if get_origin(annotation) is Literal:
        return value in get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return any(accepts(value, part) for part in get_args(annotation))
    if annotation in (NoneType, str, bool):
        return isinstance(value, annotation)
    if annotation in (int, float):
        return isinstance(value, int if annotation is int else int | float) and not isinstance(value, bool)
    item = get_args(annotation)[0]  # Sequence[item]
    return isinstance(value, list | tuple) and all(accepts(part, item) for part in value)


def _is_kind(annotation: Any) -> bool:
    """Whether ``accepts`` knows an annotation."""
    if get_origin(annotation) in (Union, UnionType, Sequence, list, tuple):
        return all(part is ... or _is_kind(part) for part in get_args(annotation))
    return get_origin(annotation) is Literal or annotation in (NoneType, str, bool, int, float)


def describe(annotation: Any) -> str:
    """An annotation in words."""
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(annotation)))
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(map(describe, get_args(annotation)))
    names = {str: "a string", bool: "true or false", int: "a whole number", float: "a number", NoneType: "null"}
    if annotation in names:
        return names[annotation]
    item = get_args(annotation)[0]
    known = {int: "a list of whole numbers such as [400,200]", float: "a list of numbers such as [0.5,0.999]"}
    return known.get(item, f"a list, each {describe(item)}")


def _has(annotation: Any, kind: type) -> bool:
    """Whether an annotation is ``kind``, or a list of it, or that or null."""
    return annotation is kind or any(_has(part, kind) for part in get_args(annotation) if isinstance(part, type))
