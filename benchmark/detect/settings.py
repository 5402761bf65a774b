"""A model's settings as they are given in Python: a configuration of it, or a refusal in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from benchmark.config import UsageError
from benchmark.models import constructor, model_class, model_names
from benchmark.models.keywords import AUTO, network_for
from benchmark.models.refusals import NETWORK, chooses_network


class BadSetting(UsageError, ValueError):
    """A setting that cannot be, in one line: a ``ValueError`` too, as scikit-learn expects."""


def model_settings(
    model: str, keywords: Mapping[str, Any], image_shape: tuple[int, int, int], name: str | None = None
) -> dict[str, Any]:
    """The configuration of a model as records have it: ``name``, ``_target_`` and every keyword.

    ``model`` is one of this package or a dotted path, ``name`` what the latter is called; None: as its class. As in a
    command, a network that nobody chose is convolutional for large images and colours; rows of numbers are neither.
    """
    cls, model = model_class(model), plain(model)
    defaults = {key: plain(keyword.default) for key, keyword in constructor(model).items()}
    given = {key: plain(value) for key, value in keywords.items()}
    if chooses_network(constructor(model)) and given.get(NETWORK, AUTO) == AUTO:
        given[NETWORK] = network_for(image_shape) if image_shape[1] > 1 else defaults[NETWORK]
    called = model if "." not in model else name or cls.__name__
    return {"name": called, "_target_": f"{cls.__module__}.{cls.__qualname__}", **defaults, **given}


def refuse_settings(model: Any, keywords: Mapping[str, Any], own: Iterable[str]) -> None:
    """Raise ``BadSetting`` for a model that is none, and for keywords and values that its constructor does not take.

    ``own`` are the detector's own parameters, which are named too where a keyword is none.
    """
    refuse_unknown(model, keywords, own)
    for key, given in keywords.items():
        value = plain(given)
        if value == AUTO and chooses_network(constructor(model), key):
            continue
        if (allowed := constructor(model)[key].allowed(value)) is not None:
            raise BadSetting(f"{key}={value!r} is not allowed for model {model}: it must be {allowed}")


def refuse_unknown(model: Any, keywords: Iterable[str], own: Iterable[str]) -> None:
    """Raise ``BadSetting`` for a model that is none, and for keywords that its constructor does not have."""
    if not isinstance(model, str) or ("." not in model and model not in model_names()):
        raise BadSetting(
            f"model={model!r}: there is no such model. There is: {', '.join(model_names())}, or the dotted path of a "
            "class of your own"
        )
    for key in keywords:
        if key not in (known := constructor(model)):
            near = get_close_matches(key, [*known, *own], 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise BadSetting(f"{key}: model {model} has no such keyword; {hint}It has: {', '.join(known)}")


def plain(value: Any) -> Any:
    """A setting of numpy's types as one of Python's own, as records, fingerprints and YAML have them.

    >>> plain((np.int64(400), 200)), plain(np.arange(2.0)), plain(np.bool_(True))
    ([400, 200], [0.0, 1.0], True)
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [plain(part) for part in value] if isinstance(value, tuple | list) else value
