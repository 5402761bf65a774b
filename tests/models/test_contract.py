"""What every model must do, whatever it is (``benchmark/engine/contract.py``). A new one is found by its file alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import yaml

from benchmark.config import CONF_DIR
from benchmark.data.images import ImageData
from benchmark.engine.contract import CHECKS, IN_BRIEF, OF_FLEETS, Subject
from benchmark.engine.fleet import Fleet
from benchmark.models import constructor, model_class, model_names
from benchmark.models.keywords import AUTO, network_for
from benchmark.models.refusals import chooses_network
from benchmark.sweep.fleets import lay_out_fleets
from tests.tiny_models import build, tiny

VARIANTS = [
    (name, network)
    for name in model_names()
    for network in (("dense", "conv") if "network" in constructor(name) else (None,))
]
STACKED = [variant for variant in VARIANTS if model_class(variant[0]).vmappable]  # may train as fleets of several


def named(value: object) -> str:
    if isinstance(value, tuple):
        return "-".join(part for part in value if part)
    return getattr(value, "__name__", str(value))


BY_VARIANT = [  # all checks of one on the same worker, which then trains it once
    pytest.param(variant, marks=pytest.mark.xdist_group(f"contract of {named(variant)}")) for variant in VARIANTS
]


def changes(variant: tuple[str, str | None]) -> dict[str, object]:
    return {} if variant[1] is None else {"network": variant[1]}


@pytest.fixture(scope="module")
def subjects(digits: ImageData) -> dict[tuple[str, str | None], Subject]:
    """Every variant as a tiny model; what one of them has trained serves several checks."""
    return {
        variant: Subject(lambda seed, v=variant: build(v[0], seed, **changes(v)), digits, variant[1] == "conv")
        for variant in VARIANTS
    }


@pytest.mark.parametrize("check", CHECKS, ids=named)
@pytest.mark.parametrize("variant", BY_VARIANT, ids=named)
def test_every_model(variant: tuple[str, str | None], check: Callable[[Subject], None], subjects: dict) -> None:
    check(subjects[variant])


@pytest.mark.parametrize("check", OF_FLEETS, ids=named)
@pytest.mark.parametrize("variant", STACKED, ids=named)
def test_every_model_of_fleets(
    variant: tuple[str, str | None], check: Callable[[Subject], None], subjects: dict
) -> None:
    check(subjects[variant])


FEW = {"classes": 2, "bound_steps": 2, "sample_steps": 2, "search_steps": 3, "candidates": 8}  # large images are slow


@pytest.fixture(scope="module")
def in_colour() -> dict[tuple[str, str | None], Subject]:
    """Every variant on images of 3 x 64 x 64: stripes, upright or lying, in a colour of each image's own."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(48) % 2
    wave = 0.5 + 0.4 * (torch.arange(64) / 3 + 6 * torch.rand(48, 1, generator=draw)).sin()  # (48, 64)
    plain = torch.where(labels[:, None, None] == 1, wave[:, :, None], wave[:, None, :])  # (48, 64, 64)
    colour = 0.3 + 0.7 * torch.rand(48, 3, 1, 1, generator=draw)
    noise = 0.1 * torch.rand(48, 3, 64, 64, generator=draw)
    pixels = ((plain.unsqueeze(1) * colour + noise) * 255).clamp(0, 255).byte()
    data = ImageData("stripes", ("lying", "upright"), pixels[:36], labels[:36], pixels[36:], labels[36:], "0")
    return {
        (name, network): Subject(
            lambda seed, n=name, v=(name, network): build(n, seed, data.image_shape, **FEW, **changes(v)),
            data,
            brief=True,
        )
        for name, network in VARIANTS
    }


@pytest.mark.parametrize("check", IN_BRIEF, ids=named)
@pytest.mark.parametrize("variant", BY_VARIANT, ids=named)
def test_every_model_on_images_of_64_pixels_in_colour(
    variant: tuple[str, str | None], check: Callable[[Subject], None], in_colour: dict
) -> None:
    check(in_colour[variant])


def test_configuration_mirrors_the_constructor() -> None:
    for name in model_names():
        written = yaml.safe_load((CONF_DIR / "model" / f"{name}.yaml").read_text())
        assert written.pop("name") == name
        cls = model_class(name)
        assert written.pop("_target_") == f"{cls.__module__}.{cls.__qualname__}"
        assert list(written) == list(constructor(name))
        if chooses_network(constructor(name)) and written["network"] == AUTO:
            written["network"] = network_for((1, 28, 28))
        defaults = {key: keyword.default for key, keyword in constructor(name).items()}
        assert {key: tuple(v) if isinstance(v, list) else v for key, v in written.items()} == defaults
        assert all(constructor(name)[key].accepts(value) for key, value in written.items())


@pytest.mark.parametrize("name", model_names())
def test_docstring_cites_and_scores(name: str) -> None:
    text = model_class(name).__doc__ or ""
    for part in ("Scores:", "References\n    ----------\n"):
        assert part in text, f"the docstring of the class of {name} lacks {part.splitlines()[0]}"


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v not in STACKED], ids=named)
def test_models_of_the_loop_strategy_never_share_a_program(variant: tuple[str, str | None]) -> None:
    assert lay_out_fleets(build(variant[0], 0, **changes(variant)), "cuda", 3, "vmap").size == 1
    with pytest.raises(ValueError, match="its fleets have one cell, not 3"):
        Fleet([build(variant[0], seed, **changes(variant)) for seed in range(3)])


def test_tiny_keywords_are_accepted() -> None:
    for name in model_names():
        assert all(constructor(name)[key].accepts(value) for key, value in tiny(name).items())
