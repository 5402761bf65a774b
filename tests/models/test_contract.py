"""What every model must do, whatever it is. A new model is found and tested by its file alone."""

from __future__ import annotations

import io

import pytest
import torch
import yaml
from torch import Tensor

from benchmark.config import CONF_DIR
from benchmark.data.images import ImageData
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.metrics import auroc
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Settings, Training
from benchmark.engine.train import Member, train, train_in_company
from benchmark.models import constructor, model_class, model_names
from benchmark.sweep.fleets import make_plan
from tests.tiny_models import build, tiny

VARIANTS = [
    (name, network)
    for name in model_names()
    for network in (("dense", "conv") if "network" in constructor(name) else (None,))
]
STACKED = [variant for variant in VARIANTS if model_class(variant[0]).vmappable]  # may train as fleets of several
MEMBERS = [(0, 1), (3, 2), (7, 5)]  # normal class and seed of a fleet's cells


def named(variant: tuple[str, str | None]) -> str:
    return f"{variant[0]}-{variant[1]}" if variant[1] else variant[0]


@pytest.fixture(params=VARIANTS, ids=named)
def variant(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    name, network = request.param
    return name, {} if network is None else {"network": network}


def rows(data: ImageData, label: int) -> Tensor:
    return (data.train_labels == label).nonzero().flatten()


def trained(
    variant: tuple[str, dict[str, object]],
    data: ImageData,
    members: list[tuple[int, int]],
    epochs: int = 3,
) -> tuple[Fleet, list[Training]]:
    name, changes = variant
    fleet = Fleet([build(name, seed, **changes) for _, seed in members])
    those = [Member(rows(data, label), seed, seed + 100) for label, seed in members]
    return fleet, train(fleet, data.train_images, those, Settings(epochs, 32, 120))


def scores(fleet: Fleet, images: Tensor, batch_size: int = 256, index: Tensor | None = None) -> list[dict[str, Tensor]]:
    chosen = torch.arange(len(images)) if index is None else index
    found = score_images(fleet, images, [View(chosen, 11)] * fleet.size, Scoring(batch_size))
    return [dict(cell.scores) for cell in found]


@pytest.fixture(scope="module")
def _cache() -> dict[str, Fleet]:
    return {}


@pytest.fixture
def fleet(variant: tuple[str, dict[str, object]], digits: ImageData, _cache: dict[str, Fleet]) -> Fleet:
    key = str(variant)
    if key not in _cache:
        _cache[key] = trained(variant, digits, MEMBERS[:1])[0]
    return _cache[key]


@pytest.fixture
def images(digits: ImageData) -> Tensor:
    return digits.test_images[:60]


def test_configuration_mirrors_the_constructor() -> None:
    for name in model_names():
        written = yaml.safe_load((CONF_DIR / "model" / f"{name}.yaml").read_text())
        assert written.pop("name") == name
        assert list(written) == list(constructor(name))
        for key, value in written.items():
            default = constructor(name)[key].default
            assert constructor(name)[key].accepts(value), f"{name}.{key}={value}"
            assert value == (list(default) if isinstance(default, tuple) else default), f"{name}.{key}"


def test_headline_is_a_named_score(variant: tuple[str, dict[str, object]], fleet: Fleet, images: Tensor) -> None:
    found = scores(fleet, images)[0]
    assert tuple(found) == fleet.model.score_names
    assert fleet.model.headline in found


def test_docstring_cites_and_scores(variant: tuple[str, dict[str, object]]) -> None:
    text = model_class(variant[0]).__doc__ or ""
    assert "References" in text
    assert "Scores:" in text


def test_every_parameter_moves(variant: tuple[str, dict[str, object]], digits: ImageData) -> None:
    before = Fleet([build(variant[0], 1, **variant[1])])
    after, _ = trained(variant, digits, MEMBERS[:1], epochs=1)
    for name, value in before.parameters.items():
        if name not in after.model.frozen:
            assert not torch.equal(value, after.parameters[name]), f"{name} did not change and is not listed as frozen"


def test_every_parameter_belongs_to_a_phase(variant: tuple[str, dict[str, object]]) -> None:
    model = build(variant[0], **variant[1])
    modules = {module for phase in model.phases for module in phase.modules}
    assert {name.split(".")[0] for name, _ in model.named_parameters()} <= modules | set(model.frozen)


def test_training_improves_what_it_is_for_on_normal_images(
    variant: tuple[str, dict[str, object]], digits: ImageData
) -> None:
    """After training, held-out normal images score lower than at the start: are reconstructed better, for most.

    Where a model has no such score, its samples must have come nearer to these images. A model fitted in one call has
    no scores at the start: most images score lower than under the same model fitted to another class.
    """
    held_out = digits.test_images[digits.test_labels == 0]
    start = Fleet([build(variant[0], 1, **variant[1])])
    end, _ = trained(variant, digits, MEMBERS[:1], epochs=30)
    if not start.model.phases:
        other, _ = trained(variant, digits, MEMBERS[1:2])
        own, foreign = (scores(fleet, held_out)[0][end.model.learnt] for fleet in (end, other))
        assert (own < foreign).float().mean() > 0.75
        return
    assert what_training_lowers(end, held_out) < 0.8 * what_training_lowers(start, held_out)


def what_training_lowers(fleet: Fleet, held_out: Tensor) -> float:
    model = fleet.model
    if model.learnt is not None:
        return float(scores(fleet, held_out)[0][model.learnt].mean())
    model.load_state_dict(fleet.state(0))
    with torch.no_grad():
        noise = torch.randn(256, *model.sample_shape, generator=torch.Generator().manual_seed(0))
        samples = model.eval().sample(noise).flatten(1)
    return float(torch.cdist(to_pixels(held_out).flatten(1), samples).square().min(1).values.mean())


def test_losses_are_recorded_and_finite(variant: tuple[str, dict[str, object]], digits: ImageData) -> None:
    fleet, (training,) = trained(variant, digits, MEMBERS[:1])
    assert training.diverged is None
    assert len(training.history) == (3 if fleet.model.phases else 0)
    for row in training.history:
        assert all(torch.isfinite(torch.tensor(value)) for value in row.values())
        assert len(row) > 2


def test_scores_are_finite_and_not_constant(fleet: Fleet, images: Tensor) -> None:
    for name, values in scores(fleet, images)[0].items():
        assert values.shape == (len(images),)
        assert torch.isfinite(values).all(), name
        assert values.std() > 0, f"{name} is the same for every image"


def test_scores_are_the_same_when_asked_twice(fleet: Fleet, images: Tensor) -> None:
    first, second = scores(fleet, images)[0], scores(fleet, images)[0]
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_scores_do_not_depend_on_the_batch(fleet: Fleet, images: Tensor) -> None:
    together, alone = scores(fleet, images[:24], 256)[0], scores(fleet, images[:24], 1)[0]
    for name in together:
        torch.testing.assert_close(together[name], alone[name], rtol=2e-3, atol=2e-3, msg=lambda m, n=name: f"{n}: {m}")


def test_scores_do_not_depend_on_the_order(fleet: Fleet, images: Tensor) -> None:
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    plain, shuffled = scores(fleet, images, 16)[0], scores(fleet, images, 16, order)[0]
    for name in plain:
        torch.testing.assert_close(plain[name][order], shuffled[name], rtol=2e-3, atol=2e-3)


def test_scores_survive_saving_and_loading(
    variant: tuple[str, dict[str, object]], fleet: Fleet, images: Tensor
) -> None:
    file = io.BytesIO()
    torch.save(fleet.state(0), file)
    file.seek(0)
    model = build(variant[0], seed=99, **variant[1])
    model.load_state_dict(torch.load(file, weights_only=True))
    kept, loaded = scores(fleet, images)[0], scores(Fleet([model]), images)[0]
    for name in kept:
        assert torch.equal(kept[name], loaded[name]), name


def test_scoring_changes_nothing(fleet: Fleet, images: Tensor) -> None:
    before = fleet.state(0)
    scores(fleet, images)
    after = fleet.state(0)
    assert before.keys() == after.keys()
    for name in before:
        assert torch.equal(before[name], after[name]), name


def test_same_seed_same_scores_other_seed_others(
    variant: tuple[str, dict[str, object]], digits: ImageData, images: Tensor
) -> None:
    one, again = (scores(trained(variant, digits, [(0, 1)])[0], images)[0] for _ in range(2))
    for name in one:
        assert torch.equal(one[name], again[name]), name
    other = scores(trained(variant, digits, [(0, 2)])[0], images)[0]
    assert any(not torch.equal(one[name], other[name]) for name in one) == model_class(variant[0]).random


@pytest.mark.parametrize("variant", STACKED, ids=named, indirect=True)
def test_a_fleet_gives_what_its_cells_give_alone(variant: tuple[str, dict[str, object]], digits: ImageData) -> None:
    """Three cells as one program against one by one: scores within 2% for 95% of the images, AUROC within 0.005
    over the three.

    The bound is loose because Adam and AnoGAN's search magnify rounding; the per-step losses below are tight.
    """
    images, labels = digits.test_images[:200], digits.test_labels[:200]
    together, _ = trained(variant, digits, MEMBERS, epochs=2)
    found = scores(together, images)
    differences: dict[str, list[float]] = {name: [] for name in found[0]}
    for i, member in enumerate(MEMBERS):
        alone, _ = trained(variant, digits, [member], epochs=2)
        for name, values in scores(alone, images)[0].items():
            near = torch.isclose(found[i][name], values, rtol=2e-2, atol=2e-2).float().mean()
            assert near >= 0.95, f"{name} of cell {i} is the same for {near:.0%} of the images only"
            anomalous = (labels != member[0]).numpy()
            differences[name].append(auroc(anomalous, found[i][name].numpy()) - auroc(anomalous, values.numpy()))
    for name, each in differences.items():
        assert abs(sum(each) / len(each)) < 0.005, f"AUROC of {name}"


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v not in STACKED], ids=named, indirect=True)
def test_models_of_the_loop_strategy_never_share_a_program(variant: tuple[str, dict[str, object]]) -> None:
    name, changes = variant
    assert make_plan(build(name, 0, **changes), "cuda", 3, "vmap").size == 1
    with pytest.raises(ValueError, match="its fleets have one cell, not 3"):
        Fleet([build(name, seed, **changes) for seed in range(3)])


@pytest.mark.parametrize("variant", STACKED, ids=named, indirect=True)
def test_per_step_losses_in_a_fleet_are_those_alone(variant: tuple[str, dict[str, object]], digits: ImageData) -> None:
    """Twenty steps, each an epoch of its own, within 1e-5 relative, trained as the runner trains on a CPU.

    Convolutions are never stacked there, and round otherwise when they are: 1e-5 over ten steps, 1e-3 over twenty.
    """
    name, changes = variant
    settings = Settings(20, 32, 32)

    def histories(members: list[tuple[int, int]]) -> list[list[dict[str, float]]]:
        fleet = Fleet([build(name, seed, **changes) for _, seed in members])
        those = [Member(rows(digits, label), seed, seed) for label, seed in members]
        found = train_in_company(fleet, digits.train_images, those, settings)
        return [training.history for training in found]

    members = [*MEMBERS, (5, 3)]
    together = histories(members)
    for i, member in enumerate(members[1:3], 1):
        for ours, alone in zip(together[i], histories([member])[0], strict=True):
            late = changes.get("network") == "conv" and ours["epoch"] > 10
            assert ours == pytest.approx(alone, rel=1e-3 if late else 1e-5, abs=1e-6)


@pytest.mark.parametrize("variant", STACKED, ids=named, indirect=True)
def test_products_in_bf16_train_a_fleet_as_fp32_does(variant: tuple[str, dict[str, object]], digits: ImageData) -> None:
    """An epoch's means are near those of fp32, and the scores rank the images alike; parameters stay in fp32."""
    name, changes = variant
    means, fleets = [], []
    for precision in ("fp32", "bf16"):
        fleet = Fleet([build(name, seed, **changes) for _, seed in MEMBERS[:2]])
        those = [Member(rows(digits, label), i, i + 2) for i, (label, _) in enumerate(MEMBERS[:2], 1)]
        trainings = train(fleet, digits.train_images, those, Settings(1, 32, 120, precision))
        means.append(trainings[0].history[-1] if trainings[0].history else {})
        fleets.append(fleet)
    assert all(value.dtype == torch.float32 for value in fleets[1].parameters.values())
    assert means[1] == pytest.approx(means[0], rel=0.1, abs=0.02)
    views = [View(torch.arange(60), seed) for seed in (5, 6)]
    ours, exact = (
        score_images(fleets[0], digits.test_images, views, Scoring(30, precision))[0].scores
        for precision in ("bf16", "fp32")
    )
    for score, values in exact.items():
        both = torch.stack([ours[score], values]).argsort(1).argsort(1).float()  # ranks
        assert ours[score].dtype == torch.float32
        assert torch.corrcoef(both)[0, 1] > 0.9, score


def test_a_cell_sees_only_its_own_images(variant: tuple[str, dict[str, object]], digits: ImageData) -> None:
    """Changing every image of other classes changes nothing."""
    name, changes = variant
    spoiled = digits.train_images.clone()
    spoiled[digits.train_labels != 0] = 255
    states = []
    for images in (digits.train_images, spoiled):
        fleet = Fleet([build(name, 1, **changes)])
        train(fleet, images, [Member(rows(digits, 0), 1, 2)], Settings(1, 32, 120))
        states.append(fleet.state(0))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_tiny_keywords_are_accepted() -> None:
    for name in model_names():
        assert all(constructor(name)[key].accepts(value) for key, value in tiny(name).items())
