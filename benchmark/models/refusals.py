"""What is refused of a model's configuration and of its class, in one line that says what to type."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from benchmark.chosen import choices_of
from benchmark.config import CONF_DIR, UsageError
from benchmark.models import constructor, model_class, model_names
from benchmark.models.keywords import AUTO, Keyword, Network

RESERVED = ("name", "_target_")  # keys of a model that are no keywords of its constructor
MOST_PIXELS = 10_000  # of images whose principal axes are taken from their covariance
NETWORK = "network"  # of a model that has a dense and a convolutional one


def arguments_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords in a model's configuration: all but its name and class."""
    return {key: value for key, value in model.items() if key not in RESERVED}


def refuse_model(model: Any) -> None:
    """Raise ``UsageError`` for a model that is none, and for a keyword or value that its constructor does not take.

    ``model`` is the composed configuration of it. What stands there as in our own YAML needs no look at the class,
    which would import torch.
    """
    name, target = model.get("name"), model.get("_target_")
    shipped = _shipped(name)
    if name in model_names() and target != shipped.get("_target_"):
        raise UsageError(
            f"model.name={name} is the name of a model of this package, with _target_: {shipped.get('_target_')}. "
            "Give yours another name"
        )
    _refuse_names(name, target)
    if is_shipped(model):
        return
    plain = {key: _plain(value) for key, value in model.items()}
    if not shipped:
        refuse_class(target)
    keywords = constructor(target)
    for key, value in arguments_of(plain).items():
        if key not in keywords:
            near = get_close_matches(key, keywords, 1)
            hint = f"did you mean model.{near[0]}? " if near else ""
            raise UsageError(f"model.{key}: model {name} has no such key; {hint}It has: {', '.join(keywords)}")
        also = f", {AUTO}" if chooses_network(keywords, key) else ""
        if value == AUTO and also:  # the images decide, once they are there
            continue
        if (allowed := keywords[key].allowed(value)) is not None:
            example = f"model.{key}={keywords[key].written}"
            raise UsageError(
                f"model.{key}={value} is not allowed: it must be {allowed}{also}. Type for example: {example}"
            )
    if missing := [key for key in keywords if key not in plain]:
        line = f"{missing[0]}: {keywords[missing[0]].written}"
        if missing[0] in shipped:
            raise UsageError(f"~model.{missing[0]}: model.{missing[0]} cannot be left out. Type model.{missing[0]}=...")
        raise UsageError(f"model/{name}.yaml lacks {', '.join(missing)}. Write there: {line}")
    if model.get("closeness", 0) > 0 and model.get("objective") == "wasserstein_penalty":
        raise UsageError(
            f"model.closeness={model.closeness} compares the images of a batch, wasserstein_penalty needs each judged "
            "on its own. Type: model.closeness=0, or another model.objective"
        )


def refuse_class(target: str) -> None:
    """Raise ``UsageError`` for a class that lacks what every model says of itself."""
    from benchmark.models.base import Model

    cls, keywords = model_class(target), constructor(target)
    if not cls.score_names or not all(isinstance(name, str) for name in cls.score_names):
        raise UsageError(f'{target} names no scores. Write in the class: score_names = ("reconstruction",)')
    if "headline" not in keywords or keywords["headline"].default not in cls.score_names:
        raise UsageError(
            f"{target}.__init__ has no headline score. Write behind image_shape: "
            f'headline: str = "{cls.score_names[0]}" (one of score_names)'
        )
    if cls.learnt is not None and cls.learnt not in cls.score_names:
        raise UsageError(
            f"{target}.learnt is {cls.learnt!r}, which is none of its scores. Write in the class: "
            f'learnt = "{cls.score_names[0]}", the score that training lowers, or learnt = None'
        )
    if cls.assess is Model.assess:
        raise UsageError(f"{target} has no assess. Write: def assess(self, images, noise), which returns its scores")
    if cls.fit is Model.fit and cls.loss is Model.loss:
        raise UsageError(
            f"{target} cannot be trained. Write: def loss(self, phase, images, noise), with phases = (Phase(...),) set "
            "in __init__; or def fit(self, images, seed)"
        )


def refuse_built(model: Any) -> None:
    """Raise ``ValueError`` for a model whose phases do not fit its modules."""
    from benchmark.models.base import Model

    if not model.phases and type(model).fit is Model.fit:
        raise ValueError(
            "it has a loss but no phases. Write in __init__: self.phases = (Phase(name, modules, learning_rate),)"
        )
    if model.phases and type(model).loss is Model.loss:
        raise ValueError("it has phases but no loss. Write: def loss(self, phase, images, noise)")
    _refuse_axes(model)
    modules = {name.split(".")[0] for name, _ in model.named_parameters()}
    for phase in model.phases:
        for name in phase.modules:
            if name not in modules:
                raise ValueError(
                    f"phase {phase.name} trains {name}, which it lacks; it has {', '.join(sorted(modules))}"
                )
    if model.epochs < 1 and model.phases:
        raise ValueError("its epochs are not set. Write in __init__: self.epochs, self.batch_size = epochs, batch_size")


def _refuse_axes(model: Any) -> None:
    """Raise ``ValueError`` for principal axes of images whose covariance is too large to take its eigenvectors."""
    from benchmark.models.parts.fitted import Fitted

    if not isinstance(model, Fitted) or model.features != "pca" or type(model)._fit_axes is not Fitted._fit_axes:
        return
    if (pixels := model.pixel_mean.numel()) > MOST_PIXELS:
        raise ValueError(
            f"features=pca takes the eigenvectors of a covariance of {pixels:,} x {pixels:,}: minutes and gigabytes. "
            "Type model.features=pixels, or a smaller dataset.image_size"
        )


def chooses_network(keywords: Mapping[str, Keyword], key: str = NETWORK) -> bool:
    """Whether a keyword of a constructor chooses between a dense and a convolutional network."""
    return key == NETWORK and key in keywords and keywords[key].annotation == Network


def is_shipped(model: Any) -> bool:
    """Whether every setting of a model stands as in our own YAML, or as was chosen over it for a data set."""
    name, plain = model.get("name"), {key: _plain(value) for key, value in model.items()}
    shipped = _shipped(name)
    return plain == shipped or (
        bool(shipped) and any(plain == shipped | chosen.settings for chosen in choices_of(name))
    )


def _refuse_names(name: Any, target: Any) -> None:
    from benchmark.config import LONGEST, is_plain_name

    if name is None and target is None:
        raise UsageError(
            "the model has no name and no _target_. Write into its YAML: name: mine, and _target_: my_models.mine.Mine"
        )
    if not isinstance(name, str) or not is_plain_name(name):
        raise UsageError(
            f"model.name={name} is not allowed: it must be a name for a folder, without / and not beginning with a "
            f"dot, of at most {LONGEST} bytes. Write into the model's YAML: name: mine"
        )
    if not isinstance(target, str):
        raise UsageError(
            f"model/{name}.yaml has no _target_. Write there the path of its class: _target_: my_models.mine.Mine"
        )


def _shipped(name: Any) -> dict[str, Any]:
    """Our own YAML of a model; {} if it is none of ours."""
    from omegaconf import OmegaConf

    path = Path(CONF_DIR, "model", f"{name}.yaml")
    return dict(OmegaConf.to_container(OmegaConf.load(path))) if name in model_names() else {}  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    return list(value) if type(value).__name__ == "ListConfig" else value


def shipped_keywords(name: str) -> list[str]:
    """The keywords of one of our models as its YAML has them: without torch."""
    return list(arguments_of(_shipped(name)))
