"""Deep SVDD: that it learns on real digits, and that its codes do not end in one point."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from benchmark.data import load_dataset_config
from benchmark.data.images import ImageData, load_images
from benchmark.engine.contract import OF_FLEETS, Subject
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.metrics import auroc
from benchmark.engine.state import Settings, Training
from benchmark.engine.train import Member, train
from benchmark.models import deep_svdd
from benchmark.models.deep_svdd import DeepSVDD, contrasted, quantile, refuse_biases
from benchmark.models.parts.networks import Encoder
from tests.tiny_models import build

EPOCHS = 4
NOT_COLLAPSED = 0.08  # least mean distance of other digits, in units of what codes of the same length as c would have


class Digits(NamedTuple):
    """MNIST's 3: what a cell trains on, and 500 test images of it and of the other digits."""

    images: Tensor  # uint8 (N, 1, 28, 28)
    own: Tensor  # rows of the training images
    test: Tensor  # (1000, 1, 28, 28), pixels in [0, 1]
    anomalous: Tensor  # bool (1000,)


@pytest.fixture(scope="module")
def threes(data_dir: Path) -> Digits:
    data = load_images(load_dataset_config("mnist"), data_dir)
    normal, other = ((data.test_labels == 3) == same for same in (True, False))
    rows = torch.cat([normal.nonzero()[:500, 0], other.nonzero()[:500, 0]])
    own = (data.train_labels == 3).nonzero().flatten()
    return Digits(data.train_images, own, to_pixels(data.test_images[rows]), data.test_labels[rows] != 3)


def shipped(cls: type[DeepSVDD] = DeepSVDD, **changes: object) -> DeepSVDD:
    """The model with its shipped settings but for these, and fewer epochs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cls((1, 28, 28), **{"epochs": EPOCHS, **changes})


def fitted(model: DeepSVDD, digits: Digits, epochs: int = EPOCHS) -> tuple[DeepSVDD, Training]:
    fleet = Fleet([model])
    (training,) = train(fleet, digits.images, [Member(digits.own, 1, 2)], Settings(epochs, 128, 3000))
    fleet.model.load_state_dict(fleet.state(0))
    return fleet.model.eval(), training


def said(model: DeepSVDD, images: Tensor) -> tuple[Tensor, Tensor]:
    """Score and code of images: (B,), (B, D)."""
    with torch.no_grad():
        found = model.eval().assess(images, {})
    return found["scores"]["distance"], found["code"]


@pytest.fixture(scope="module")
def trained(threes: Digits) -> tuple[DeepSVDD, Training]:
    return fitted(shipped(), threes)


def test_it_learns(trained: tuple[DeepSVDD, Training], threes: Digits) -> None:
    """Weights move, the loss falls, and the AUROC is above that of the untrained network and of the mean image."""
    (model, training), start = trained, shipped()
    start.initialise(to_pixels(threes.images[threes.own]), 0)
    for name, weights in start.encoder.named_parameters():
        assert (model.encoder.get_parameter(name) - weights).abs().mean() > 0.02 * weights.abs().mean(), name
    losses = [row["train/loss"] for row in training.history]
    assert losses[-1] < 0.3 * losses[0]
    anomalous = threes.anomalous.numpy()
    before, after = (auroc(anomalous, said(m, threes.test)[0].numpy()) for m in (start, model))
    mean = to_pixels(threes.images[threes.own]).mean(0)
    floor = auroc(anomalous, (threes.test - mean).square().flatten(1).sum(1).numpy())
    assert after > before + 0.05
    assert after > floor + 0.02


def test_its_codes_are_not_in_one_point(trained: tuple[DeepSVDD, Training], threes: Digits) -> None:
    """Codes of other digits stay away from c, those of 3 differ from each other, and the first are farther away."""
    model, _ = trained
    distance, code = said(model, threes.test)
    size, normal = float(model.centre().square().sum()), ~threes.anomalous
    assert float(distance[threes.anomalous].mean()) > NOT_COLLAPSED * size
    assert float(distance[threes.anomalous].mean()) > 1.5 * float(distance[normal].mean())
    spread = (code[normal] - code[normal].mean(0)).square().sum(1).mean()
    assert float(spread) > 0.01 * size
    assert len(distance.unique()) > 990
    with torch.no_grad():
        reported = model.diagnostics(threes.test[normal], {})["svdd/code_spread"]
    assert float(reported) == pytest.approx(float(spread) / size, rel=1e-4)


class AtZero(DeepSVDD):
    """The mistake: a centre that weights 0 reach."""

    def centre(self) -> Tensor:
        return torch.zeros_like(self.mean_code)


def test_a_centre_at_zero_would_collapse_and_the_test_above_would_see_it(threes: Digits) -> None:
    changes = {"network": "dense", "hidden": [64], "batch_norm": False, "learning_rate": 0.01, "epochs": 8}
    start, other = shipped(AtZero, **changes), threes.test[threes.anomalous]
    size = float(said(start, other)[1].square().sum(1).mean())  # of codes as they were
    collapsed, sound = (fitted(shipped(cls, **changes), threes, 8)[0] for cls in (AtZero, DeepSVDD))
    assert float(said(collapsed, other)[0].mean()) < 0.4 * NOT_COLLAPSED * size
    assert float(said(sound, other)[0].mean()) > NOT_COLLAPSED * float(sound.centre().square().sum())


def test_a_bias_is_refused_because_it_could_bring_every_image_to_the_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(6, 1, 28, 28)
    model = build("deep_svdd", network="dense", batch_norm=False)
    model.initialise(images, 0)
    with torch.no_grad():
        for weights in model.encoder.parameters():
            weights.zero_()
        assert float(model.loss("one_class", images, {})[0]) == pytest.approx(float(model.centre().square().sum()))
        model.encoder.head.bias = torch.nn.Parameter(model.centre())
        assert float(model.loss("one_class", images, {})[0]) == 0
    with pytest.raises(ValueError, match=r"head\.bias could bring every image to the centre"):
        refuse_biases(model.encoder)
    for network, batch_norm in (("dense", False), ("conv", False), ("conv", True)):
        refuse_biases(build("deep_svdd", network=network, batch_norm=batch_norm).encoder)
        with pytest.raises(ValueError, match="bias could bring"):
            refuse_biases(Encoder((1, 28, 28), 4, network, [8], [4, 8], "relu", batch_norm))
    monkeypatch.setattr(deep_svdd, "without_biases", lambda network: network)
    with pytest.raises(ValueError, match="bias could bring"):
        build("deep_svdd")


def test_the_centre_is_the_mean_code_away_from_zero() -> None:
    model, images = build("deep_svdd", network="dense", batch_norm=False, centre_margin=0.1), torch.rand(40, 1, 28, 28)
    model.initialise(images, 0)
    with torch.no_grad():
        mean = model.encoder(images).mean(0)
    torch.testing.assert_close(model.mean_code, mean)
    model.mean_code.copy_(torch.tensor([0.03, -0.03, 0.5, -0.5]))
    torch.testing.assert_close(model.centre(), torch.tensor([0.1, -0.1, 0.5, -0.5]))
    model.mean_code.zero_()
    assert float(model.centre().abs().min()) == pytest.approx(0.1)


def test_losses_and_scores_are_the_papers_sums() -> None:
    model, images = build("deep_svdd", objective="soft_boundary", nu=0.25).double(), torch.rand(8, 1, 28, 28).double()
    model.initialise(images, 0)
    with torch.no_grad():
        distances = (model.encoder(images).float() - model.centre()).square().sum(1)  # (8,)
        assert float(model.loss("one_class", images, {})[0]) == pytest.approx(float(distances.mean()))
        model.radius_squared.fill_(float(distances.median()))
        beyond = [max(0.0, float(d) - float(model.radius_squared)) for d in distances]
        expected = float(model.radius_squared) + sum(beyond) / 8 / 0.25
        assert float(model.loss("soft_boundary", images, {})[0]) == pytest.approx(expected)
        assert float(model.radius_squared) == pytest.approx(float(distances.sort().values[5]))  # 6 of 8 are inside
        found = model.eval().assess(images, {})
        own = (found["code"] - model.centre()).square().sum(1) - model.radius_squared
    torch.testing.assert_close(found["scores"]["distance"], own)


def test_a_quantile_leaves_its_share_below() -> None:
    values = torch.randperm(100).float()
    for share, expected in ((0.9, 89), (0.5, 49), (0.001, 0), (1.0, 99), (0.0, 0)):
        assert float(quantile(values, share)) == expected


def test_a_soft_boundary_has_its_share_of_normal_images_outside(threes: Digits) -> None:
    model, training = fitted(shipped(objective="soft_boundary", nu=0.2), threes)
    assert "train/radius_squared" not in training.history[0]  # in the warm-up there is none
    assert float(model.radius_squared) > 0
    scores = said(model, threes.test)[0]
    assert 0.1 < float((scores[~threes.anomalous] > 0).float().mean()) < 0.35
    assert float((scores[threes.anomalous] > 0).float().mean()) > 0.5


def test_after_a_pretraining_the_centre_is_that_of_its_network(digits: ImageData) -> None:
    """The encoder stands still while its mean code is taken, and moves again afterwards."""
    index, states = (digits.train_labels == 0).nonzero().flatten(), {}
    changes = {"network": "dense", "batch_norm": False, "epochs": 4, "pretrain_share": 0.5}
    model = build("deep_svdd", 3, **changes)
    assert [(phase.name, list(phase.epochs(4))) for phase in model.phases] == [
        ("pretraining", [1, 2]),
        ("centre", [3]),
        ("one_class", [4]),
    ]
    fleet = Fleet([model])

    class Watch:
        keep = stop = None

        @staticmethod
        def on_epoch(epoch: int, trainings: object) -> None:
            states[epoch] = fleet.state(0)

    train(fleet, digits.train_images, [Member(index, 1, 2)], Settings(4, 32, 32 * (len(index) // 32)), Watch)

    def encoder(state: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([value.flatten() for name, value in state.items() if name.startswith("encoder")])

    assert torch.equal(encoder(states[2]), encoder(states[3]))
    assert not torch.equal(encoder(states[3]), encoder(states[4]))
    assert torch.equal(states[3]["mean_code"], states[4]["mean_code"])
    model.load_state_dict(states[3])
    with torch.no_grad():
        mean = model.codes(to_pixels(digits.train_images[index])).mean(0)
    torch.testing.assert_close(states[3]["mean_code"], mean, rtol=0.05, atol=0.05 * float(mean.abs().max()))
    assert (states[2]["mean_code"] == 0).all()


def test_contrast_takes_brightness_and_scale_out_of_an_image() -> None:
    images = torch.rand(5, 1, 28, 28)
    torch.testing.assert_close(contrasted(images), contrasted(0.3 * images + 0.2), rtol=1e-4, atol=1e-4)
    assert (contrasted(torch.full((1, 1, 28, 28), 0.4)).abs() < 0.1).all()
    model = build("deep_svdd", contrast=True)
    model.initialise(images, 0)
    seen = model.prepared(images)
    assert float(seen.min()) == pytest.approx(0, abs=1e-5)
    assert float(seen.max()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("check", OF_FLEETS, ids=lambda check: check.__name__)
def test_all_that_it_can_do_works_in_fleets(check: object, digits: ImageData) -> None:
    """Pre-training, centre and radius are each cell's own."""
    changes = {"network": "dense", "objective": "soft_boundary", "pretrain_share": 0.3, "contrast": True, "epochs": 4}
    check(Subject(lambda seed: build("deep_svdd", seed, **changes), digits))  # type: ignore[operator]
