"""What every rule must do, whatever it is. A new rule is found and tested by its configuration alone."""

from __future__ import annotations

import io
from inspect import signature

import pytest
import torch
import yaml
from torch import Tensor
from torch.func import vmap
from torch.utils._pytree import tree_map

from benchmark.config import CONF_DIR
from benchmark.rules import load_rule, rule_class, rule_names
from benchmark.rules.base import Rule, Seen, State, missing, stacked
from tests.rules.conftest import World

NAMES = rule_names()


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def rule(name: str) -> Rule:
    return load_rule(name)


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as every program on a CPU has
    yield
    torch.set_num_threads(before)


def fitted(rule: Rule, world: World) -> State:
    return rule.fit(world.reference, world.calibration)


def rows(seen: Seen, index: Tensor | slice) -> Seen:
    return Seen(*tree_map(lambda t: t[index], tuple(seen)))


def test_configuration_mirrors_the_constructor(name: str) -> None:
    written = yaml.safe_load((CONF_DIR / "rule" / f"{name}.yaml").read_text())
    assert written.pop("name") == name
    cls = rule_class(written.pop("_target_"))
    assert list(written) == list(signature(cls).parameters)


def test_every_formula_has_a_rule_and_cites() -> None:
    targets = {yaml.safe_load((CONF_DIR / "rule" / f"{name}.yaml").read_text())["_target_"] for name in NAMES}
    folder = CONF_DIR.parent / "benchmark" / "rules"
    assert {target.split(".")[2] for target in targets} == {path.stem for path in folder.glob("*.py")} - {
        "__init__",
        "base",
    }
    for target in targets:
        assert "References" in (rule_class(target).__doc__ or ""), target


def test_scores_are_finite_floats_that_differ(rule: Rule, world: World) -> None:
    seen = world.see(world.images)
    assert missing(rule, seen.said) == ()
    scores = rule.score(*seen, fitted(rule, world))
    assert scores.shape == (len(world.images),)
    assert scores.dtype == torch.float32
    assert torch.isfinite(scores).all()
    assert scores.std() > 0


def test_images_of_another_kind_score_higher(rule: Rule, world: World) -> None:
    """Ones against noughts, each of them: a sign that is wrong, or a state that is not used, is seen here."""
    state = fitted(rule, world)
    usual, other = (rule.score(*world.see(images), state) for images in (world.images, world.others))
    assert other.min() > usual.max()


def test_an_image_like_those_trained_on_scores_as_they_do(rule: Rule, world: World) -> None:
    """Normal images not trained on lie among the calibration images: most below their largest score."""
    state = fitted(rule, world)
    usual, known = (rule.score(*seen, state) for seen in (world.see(world.images), world.calibration))
    assert (usual <= known.max()).float().mean() >= 0.8


@pytest.mark.parametrize("size", [1, 2, 7])
def test_bits_do_not_depend_on_the_batch(rule: Rule, world: World, size: int) -> None:
    seen, state = world.see(world.images), fitted(rule, world)
    together = rule.score(*seen, state)
    count = len(world.images)
    parts = [rule.score(*rows(seen, slice(i, i + size)), state) for i in range(0, count, size)]
    assert torch.equal(torch.cat(parts), together)


def test_a_permutation_permutes_the_bits(rule: Rule, world: World, draw: torch.Generator) -> None:
    seen, state = world.see(world.images), fitted(rule, world)
    order = torch.randperm(len(world.images), generator=draw)
    assert torch.equal(rule.score(*rows(seen, order), state), rule.score(*seen, state)[order])


def test_a_fleet_has_the_bits_of_its_cells_alone(rule: Rule, worlds: list[World]) -> None:
    """Cells with different numbers of images trained on."""
    states = [fitted(rule, world) for world in worlds]
    seen = [world.see(world.images) for world in worlds]
    together = tree_map(lambda *pair: torch.stack(pair), *(tuple(each) for each in seen))
    found = vmap(rule.score, randomness="error")(*together, stacked(states))
    for i, (each, state) in enumerate(zip(seen, states, strict=True)):
        assert torch.equal(found[i], rule.score(*each, state))


def test_asked_twice_it_says_the_same_and_changes_nothing(rule: Rule, world: World) -> None:
    seen, state = world.see(world.images), fitted(rule, world)
    before = tree_map(torch.clone, (tuple(seen), state))
    first, second = rule.score(*seen, state), rule.score(*seen, state)
    assert torch.equal(first, second)
    for kept, now in zip(*(torch.utils._pytree.tree_leaves(t) for t in (before, (tuple(seen), state))), strict=True):
        assert torch.equal(kept, now)


def test_the_state_survives_saving_and_loading(rule: Rule, world: World) -> None:
    seen, state = world.see(world.images), fitted(rule, world)
    assert all(isinstance(value, Tensor) for value in state.values())
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    assert torch.equal(rule.score(*seen, torch.load(file, weights_only=True)), rule.score(*seen, state))


def test_fitted_twice_the_state_has_the_same_bits(rule: Rule, world: World) -> None:
    first, second = fitted(rule, world), fitted(rule, world)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_only_a_rule_that_says_so_reads_the_images_trained_on(rule: Rule, world: World) -> None:
    nothing = Seen(*tree_map(lambda t: t[:0], tuple(world.reference)))
    if not rule.referred:
        first, second = (rule.fit(seen, world.calibration) for seen in (world.reference, nothing))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
        return
    half = Seen(*tree_map(lambda t: t[: len(world.reference.images) // 2], tuple(world.reference)))
    first, second = (rule.fit(seen, world.calibration) for seen in (world.reference, half))
    assert any(first[key].shape != second[key].shape or not torch.equal(first[key], second[key]) for key in first)


def test_only_a_calibrated_rule_reads_the_calibration_images(rule: Rule, world: World) -> None:
    other = Seen(*tree_map(lambda t: t * 0.5, tuple(world.calibration)))
    first, second = rule.fit(world.reference, world.calibration), rule.fit(world.reference, other)
    assert any(not torch.equal(first[key], second[key]) for key in first) == rule.calibrated
