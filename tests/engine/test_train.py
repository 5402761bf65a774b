"""The engine: batches, epochs, divergence, stopping, and Adam against a plain training loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from threading import Event

import pytest
import torch
from torch import Tensor, nn

from benchmark.engine.device import allow_tf32
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.state import Batches, Interrupted, Moment, Settings
from benchmark.engine.train import Member, Watch, train, train_in_company
from benchmark.models.base import Model, Noise, Phase
from tests.tiny_models import build

IMAGES = torch.randint(0, 256, (96, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
ALL = torch.arange(96)
PAIR = [Member(ALL, 1, 3), Member(ALL, 2, 4)]


def test_every_pass_shows_every_image_once() -> None:
    index = torch.tensor([4, 8, 15, 16, 23, 42])
    stream = Batches(index, seed=1)
    taken = torch.cat([stream.take(4) for _ in range(6)])  # 24 = four passes over six images
    for part in taken.split(6):
        assert part.sort().values.tolist() == index.tolist()
    assert taken[:6].tolist() != taken[6:12].tolist()


def test_an_epoch_is_a_number_of_updates_whatever_the_cells_size() -> None:
    settings = Settings(3, 16, 100)
    assert settings.steps_per_epoch == 6
    fleet = Fleet([build("ae", 0), build("ae", 1)])
    trainings = train(fleet, IMAGES, [Member(ALL[:40], 1, 3), Member(ALL, 2, 4)], settings)
    assert [t.steps for t in trainings] == [18, 18]
    assert [len(t.history) for t in trainings] == [3, 3]


def test_it_is_the_training_a_user_would_write() -> None:
    """Against a plain loop with torch.optim.Adam over the same batches: the same weights."""
    settings = Settings(2, 16, 64)
    fleet = Fleet([build("ae", 5, learning_rate=1e-3, schedule="constant")])
    train(fleet, IMAGES, [Member(ALL, 7, 8)], settings)
    model = build("ae", 5)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    stream = Batches(ALL, 7)
    for _ in range(2):
        for rows in stream.take(64).view(4, 16):
            pixels = to_pixels(IMAGES[rows])
            loss = (model.decode(model.encoder(pixels)) - pixels).square().flatten(1).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(fleet.state(0)[name], value, rtol=1e-4, atol=1e-6)


def test_cosine_schedule_ends_near_zero() -> None:
    """The last update of a long cosine schedule moves weights far less than the first."""
    states = []
    for epochs in (1, 29, 30):
        fleet = Fleet([build("ae", 5, schedule="cosine")])
        stop = epochs
        settings = Settings(30, 96, 96)

        def end(epoch: int, trainings: object, last: int = stop) -> None:
            if epoch == last:
                raise Interrupted

        with pytest.raises(Interrupted):
            train(fleet, IMAGES, [Member(ALL, 7, 8)], settings, Watch(end))
        states.append(fleet.state(0))
    start = build("ae", 5).state_dict()
    key = "decoder.layers.0.0.weight"
    first = (states[0][key] - start[key]).abs().mean()
    last = (states[2][key] - states[1][key]).abs().mean()
    assert last < 0.1 * first


def test_a_cell_that_diverges_leaves_the_others_alone() -> None:
    models = [build("ae", 0), build("ae", 1)]
    with torch.no_grad():
        models[0].encoder.head.bias.fill_(float("nan"))
    fleet = Fleet(models)
    bad, good = train(fleet, IMAGES, PAIR, Settings(2, 16, 96))
    assert bad.diverged == "loss of phase 'reconstruction' is nan in epoch 1"
    assert good.diverged is None
    alone = Fleet([build("ae", 1)])
    train(alone, IMAGES, [Member(ALL, 2, 4)], Settings(2, 16, 96))
    for name, value in alone.state(0).items():
        torch.testing.assert_close(fleet.state(1)[name], value, rtol=1e-2, atol=1e-3)


def test_a_fleet_of_diverged_cells_ends_early() -> None:
    model = build("ae", 0)
    with torch.no_grad():
        model.encoder.head.bias.fill_(float("inf"))
    (training,) = train(Fleet([model]), IMAGES, [Member(ALL, 1, 2)], Settings(50, 16, 96))
    assert len(training.history) == 1


def test_it_stops_when_asked() -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Interrupted):
        train(Fleet([build("ae")]), IMAGES, [Member(ALL, 1, 2)], Settings(1, 16, 96), Watch(stop=stop))


def test_bf16_trains_and_stays_near_fp32() -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        fleet = Fleet([build("vae", 5)])
        (training,) = train(fleet, IMAGES, [Member(ALL, 7, 8)], Settings(3, 16, 96, precision))
        losses.append(training.history[-1]["train/loss"])
        assert all(value.dtype == torch.float32 for value in fleet.parameters.values())
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]


def test_compiled_gradients_train_as_plain_ones_do() -> None:
    histories = []
    for compiled in (False, True):
        fleet = Fleet([build("ae", 0, hidden=[8]), build("ae", 1, hidden=[8])])
        settings = Settings(3, 16, 96, compile=compiled)
        histories.append([t.history for t in train(fleet, IMAGES, PAIR, settings)])
    for plain, other in zip(histories[0], histories[1], strict=True):
        for ours, theirs in zip(plain, other, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)


def test_fp32_is_not_rounded_to_tf32_behind_the_users_back() -> None:
    for precision, rounded in (("tf32", True), ("bf16", False), ("fp32", False)):
        allow_tf32(precision)
        assert torch.backends.cudnn.allow_tf32 is rounded
        assert torch.backends.cuda.matmul.allow_tf32 is rounded


class Staged(Model):
    """Gradients of 1 everywhere, so that each update of a phase moves its weights by the learning rate."""

    schedule = "cosine"

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(1, 1), nn.Linear(1, 1)
        self.phases = (
            Phase("first", ("first",), 0.1, end=0.5),
            Phase("second", ("second",), 0.1, begin=0.5, noise={"z": Noise((1,))}),
        )

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        layer = self.first if phase == "first" else self.second
        logged = {phase: noise["label"].float().mean()} if "label" in noise else {phase: images.mean()}
        return layer.weight.sum() + layer.bias.sum(), logged


def test_a_phase_takes_part_in_its_own_epochs_alone_with_a_schedule_of_its_own() -> None:
    weights: dict[int, tuple[float, float]] = {}
    fleet = Fleet([Staged(), Staged()])

    def keep(epoch: int, _: object) -> None:
        weights[epoch] = tuple(float(fleet.parameters[f"{name}.weight"][0]) for name in ("first", "second"))

    start = tuple(float(fleet.parameters[f"{name}.weight"][0]) for name in ("first", "second"))
    trainings = train(fleet, IMAGES, PAIR, Settings(4, 96, 96), Watch(keep))
    rates = (0.1, 0.05)  # half a cosine over two updates; Adam moves by its rate where gradients are constant
    assert weights[1] == pytest.approx((start[0] - rates[0], start[1]), abs=1e-5)
    assert weights[2] == pytest.approx((start[0] - sum(rates), start[1]), abs=1e-5)
    assert weights[3] == pytest.approx((start[0] - sum(rates), start[1] - rates[0]), abs=1e-5)
    assert weights[4] == pytest.approx((start[0] - sum(rates), start[1] - sum(rates)), abs=1e-5)
    assert ["train/first" in row for row in trainings[0].history] == [True, True, False, False]
    assert ["train/second" in row for row in trainings[0].history] == [False, False, True, True]


def test_a_slope_in_another_layout_moves_the_right_weights() -> None:
    """The double backward of a convolution gives its slope with other strides than the weight has."""

    class Permuted(Model):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2, bias=False)
            self.phases = (Phase("only", ("layer",), 0.1),)

        def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
            signs = torch.tensor([[1.0, 1], [-1, 1], [-1, -1]])
            return (self.layer.weight.T * signs).sum(), {"nothing": images.mean()}

    fleet = Fleet([Permuted()])
    start = fleet.parameters["layer.weight"][0].clone()
    train(fleet, IMAGES, [Member(ALL, 1, 3)], Settings(1, 96, 96))
    signs = torch.tensor([[1.0, -1, -1], [1, 1, -1]])
    torch.testing.assert_close(fleet.parameters["layer.weight"][0], start - 0.1 * signs)


class Repeating(Model):
    """Counts its updates, and the sum of every batch that a phase saw, in the losses."""

    def __init__(self, repeats: int) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
        self.phases = (
            Phase("first", ("first",), 0.1, repeats=repeats, end=0.5),
            Phase("second", ("second",), 0.1, end=0.5),
            Phase("third", ("third",), 0.1, begin=0.5),
        )
        for name in ("first", "second", "third"):
            self.register_buffer(f"{name}_calls", torch.zeros(()))

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        calls = getattr(self, f"{phase}_calls")
        calls += 1
        return getattr(self, phase).weight.sum(), {phase: images.sum()}


def test_repeats_cost_batches_and_leave_the_other_phases_their_updates() -> None:
    """Two epochs with repeats, two of the third phase alone: only batches that a phase saw are drawn and counted."""
    for repeats in (1, 3):
        fleet = Fleet([Repeating(repeats)])
        (training,) = train(fleet, IMAGES, [Member(ALL, 1, 2)], Settings(4, 16, 96))
        calls = [int(fleet.buffers[f"{name}_calls"][0]) for name in ("first", "second", "third")]
        assert calls == [12 * repeats, 12, 12]
        assert training.steps == 24
        assert training.images == 16 * (12 * repeats + 12)
        stream = Batches(ALL, 1)
        stream.take(12 * repeats * 16)
        expected = to_pixels(IMAGES[stream.take(96)]).sum() / 6  # the third phase's epoch follows at once
        assert training.history[2]["train/third"] == pytest.approx(float(expected), rel=1e-5)


def test_every_phase_has_an_epoch_of_even_the_shortest_training() -> None:
    assert [list(Phase("x", (), 0.1, end=0.5).epochs(n)) for n in (1, 2, 3)] == [[1], [1], [1, 2]]
    assert [list(Phase("x", (), 0.1, begin=0.5).epochs(n)) for n in (1, 2, 3)] == [[1], [2], [3]]


def test_each_cell_is_told_the_classes_of_its_own_images() -> None:
    fleet = Fleet([Staged(), Staged()])
    halves = [ALL[:48], ALL[48:]]
    labels = [torch.full((48,), 3), torch.where(torch.arange(48) < 24, -1, 7)]
    members = [Member(halves[0], 1, 3, labels[0]), Member(halves[1], 2, 4, labels[1])]
    both = train(fleet, IMAGES, members, Settings(2, 48, 48))
    assert both[0].history[0]["train/first"] == 3
    assert both[1].history[0]["train/first"] == 3  # half of them 7, half not told
    (alone,) = train_in_company(Fleet([Staged()]), IMAGES, members[:1], Settings(2, 48, 48))
    assert alone.history[1]["train/second"] == 3


def test_a_model_that_starts_from_its_images_sees_its_own_alone() -> None:
    """Three cells together start where each starts alone: the flow's counts are the same bit for bit."""
    indices = [ALL[:40], ALL[30:80], ALL[50:]]
    members = [Member(index, cell + 1, cell + 4) for cell, index in enumerate(indices)]
    settings = Settings(1, 8, 8)
    fleet = Fleet([build("flow", seed) for seed in range(3)])
    train(fleet, IMAGES, members, settings)
    for cell, index in enumerate(indices):
        alone = Fleet([build("flow", cell)])
        train_in_company(alone, IMAGES, [members[cell]], settings)
        by_hand = build("flow", cell)
        by_hand.initialise(to_pixels(IMAGES[index]), cell + 4)
        for name in ("histogram", "within", "neighbours"):
            assert torch.equal(fleet.state(cell)[name], alone.state(0)[name])
            assert torch.equal(fleet.state(cell)[name], by_hand.state_dict()[name])
    assert not torch.equal(fleet.state(0)["histogram"], fleet.state(1)["histogram"])


def test_a_start_from_images_moves_parameters_too_and_happens_once() -> None:
    calls = []

    class Centred(Model):
        epochs, phases = 1, (Phase("own", ("layer",), 0.0),)

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def initialise(self, images: Tensor, seed: int) -> None:
            calls.append((len(images), seed))
            self.layer.bias.data.fill_(float(images.mean()))

        def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
            return self.layer(images.flatten(1).mean(1, keepdim=True)).square().mean(), {}

    fleet, kept = Fleet([Centred(), Centred()]), {}

    def keep(moment: Moment) -> None:
        kept.update({cell: moment.snapshot(cell) for cell in range(2)})

    members = [Member(ALL[:10], 1, 3), Member(ALL[20:50], 2, 4)]
    train(fleet, IMAGES, members, Settings(2, 5, 10), Watch(keep=keep))
    again = [replace(member, snapshot=kept[cell]) for cell, member in enumerate(members)]
    train(fleet, IMAGES, again, Settings(3, 5, 10))
    assert calls == [(10, 3), (30, 4)]
    for cell, rows in enumerate((ALL[:10], ALL[20:50])):
        torch.testing.assert_close(fleet.state(cell)["layer.bias"][0], to_pixels(IMAGES[rows]).mean())
