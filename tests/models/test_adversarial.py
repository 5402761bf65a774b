"""GAN objectives against their formulas, and what each option must do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from benchmark.data.images import ImageData
from benchmark.engine.diagnostics import diagnostics
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.score import draw_noise
from benchmark.engine.state import Batches, Settings
from benchmark.engine.train import Member, train
from benchmark.models.parts.adversarial import Game, gradient_penalty, one_hot, round_robin
from benchmark.models.parts.discriminator import Discriminator, judge_batches
from tests.models.test_models import fitted, loaded
from tests.tiny_models import build

OPTIONS = [
    {"objective": "minimax"},
    {"objective": "wasserstein_clipping"},
    {"objective": "wasserstein_penalty"},
    {"closeness": 3},
    {"unrolled_steps": 2},
    {"conditional": True},
]


def test_wasserstein_losses_in_closed_form() -> None:
    """A critic that says <a, x>: its loss is <a, E[G] - E[x]>, the generator's -<a, E[G]>."""
    model = build("gan", objective="wasserstein_clipping")
    images, z = torch.rand(8, 1, 28, 28), torch.randn(8, 4)
    fake = torch.sigmoid(model.generator(z)).flatten(1)
    model.discriminator.body, model.discriminator.head = nn.Flatten(), nn.Linear(784, 1, bias=False)
    a = model.discriminator.head.weight[0]
    value, logged = model.game.loss("discriminator", images, {"z": z}, model.generator, model.discriminator)
    expected = (fake.mean(0) - images.flatten(1).mean(0)) @ a
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logged["wasserstein_distance"], -expected, rtol=1e-4, atol=1e-5)
    value, _ = model.game.loss("generator", images, {"z": z}, model.generator, model.discriminator)
    torch.testing.assert_close(value, -(fake.mean(0) @ a), rtol=1e-4, atol=1e-5)


def test_gradient_penalty_of_a_quadratic_critic() -> None:
    """l(x) = ||x||^2 / 2 has the slope x^, so the penalty is E[(||x^|| - 1)^2], and its gradient is that of this."""

    class Quadratic(nn.Module):
        def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
            return 0.5 * images.flatten(1).square().sum(1, keepdim=True)

    real, fake = torch.rand(6, 1, 4, 4).double(), torch.rand(6, 1, 4, 4).double()
    mix = torch.rand(6).double()
    between = mix.view(-1, 1, 1, 1) * real + (1 - mix.view(-1, 1, 1, 1)) * fake
    expected = (between.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(gradient_penalty(Quadratic(), real, fake, mix), expected)


def test_gradient_penalty_trains_the_critic() -> None:
    """The penalty is differentiated through the slope: l(x) = s ||x||^2 / 2 has the derivative in s in closed form."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.s = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

        def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
            return self.s * 0.5 * images.flatten(1).square().sum(1, keepdim=True)

    critic, images = Scaled(), torch.rand(6, 1, 4, 4).double()
    norm = images.flatten(1).norm(dim=1)
    (found,) = torch.autograd.grad(gradient_penalty(critic, images, images, torch.rand(6).double()), critic.s)
    torch.testing.assert_close(found, (2 * (0.7 * norm - 1) * norm).mean(), rtol=1e-5, atol=1e-5)


def test_clipping_bounds_the_critic_alone(digits: ImageData) -> None:
    fleet = fitted("gan", digits, epochs=2, objective="wasserstein_clipping", clip=0.01)
    largest = {name: float(value.abs().max()) for name, value in fleet.parameters.items()}
    assert all(value <= 0.01 for name, value in largest.items() if name.startswith("discriminator"))
    assert any(value > 0.02 for name, value in largest.items() if name.startswith("generator"))


def test_nearness_is_the_papers_sum() -> None:
    critic = Discriminator((1, 6, 6), "dense", [8], [], False, closeness=3)
    features = torch.randn(4, 8)
    found = critic.nearness(features)
    rows = critic.closeness_map(features).view(4, 3, 5)
    for i in range(4):
        for a in range(3):
            expected = sum(float((-(rows[i, a] - rows[j, a]).abs().sum()).exp().detach()) for j in range(4) if j != i)
            assert float(found[i, a].detach()) == pytest.approx(expected, abs=1e-5)


def test_minibatch_discrimination_sees_the_batch_in_training_only() -> None:
    critic = Discriminator((1, 6, 6), "dense", [8], [], False, closeness=3)
    images = torch.rand(4, 1, 6, 6)
    alike = images[:1].expand(4, -1, -1, -1)
    with torch.no_grad():
        assert not torch.allclose(critic(images)[:1], critic(alike)[:1], atol=1e-4)
        critic.eval()
        torch.testing.assert_close(critic(images)[:1], critic(alike)[:1])
    with pytest.raises(ValueError, match="closeness"):
        build("gan", closeness=3, objective="wasserstein_penalty")


def unrolled_loss(steps: int) -> tuple[Game, Discriminator, Tensor, Tensor]:
    torch.manual_seed(0)
    game = Game("non_saturating", 4, unrolled_steps=steps, unrolled_learning_rate=0.3)
    critic = game.discriminator((1, 3, 3), "dense", [5], [], False).double()
    return game, critic, torch.rand(6, 1, 3, 3).double(), torch.rand(6, 1, 3, 3).double()


def test_unrolled_discriminator_is_the_one_that_gradient_descent_gives() -> None:
    """Three steps by hand with autograd: the same logits, and the true derivative with respect to the images of G."""
    game, critic, real, fake = unrolled_loss(3)
    fake = fake.requires_grad_()
    found = game.unrolled(critic, real, fake, None)(fake, None)
    weights = dict(critic.named_parameters())

    def judge(own: dict[str, Tensor], images: Tensor) -> Tensor:
        return torch.func.functional_call(critic, own, (images,)).float()

    for _ in range(3):
        loss = game.discriminator_loss(judge(weights, real), judge(weights, fake))
        slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        weights = {name: w - 0.3 * s for (name, w), s in zip(weights.items(), slopes, strict=True)}
    expected = judge(weights, fake)
    torch.testing.assert_close(found, expected)
    through = [
        torch.autograd.grad(game.generator_loss(logit), fake, retain_graph=True)[0] for logit in (found, expected)
    ]
    torch.testing.assert_close(through[0], through[1])
    held = {name: w.detach() for name, w in weights.items()}
    (without,) = torch.autograd.grad(game.generator_loss(judge(held, fake)), fake)
    assert not torch.allclose(through[0], without, rtol=1e-2), "the updates were not differentiated"


def test_labels_run_through_the_seen_classes() -> None:
    seen = torch.tensor([0.0, 1, 0, 1, 1])
    assert round_robin(seen, 7).argmax(1).tolist() == [1, 3, 4, 1, 3, 4, 1]
    assert round_robin(torch.zeros(5), 3).sum() == 0
    assert one_hot(torch.tensor([2, -1]), 3).tolist() == [[0, 0, 1], [0, 0, 0]]


def leave_one_out(name: str, data: ImageData, left_out: int, epochs: int, **changes: object) -> Fleet:
    """A tiny model told the classes of all images but those of one class, which it does not see."""
    fleet = Fleet([build(name, 3, **changes)])
    index = (data.train_labels != left_out).nonzero().flatten()
    member = Member(index, 1, 2, data.train_labels[index])
    train(fleet, data.train_images, [member], Settings(epochs, 32, len(index)))
    return fleet


def test_a_conditional_generator_draws_the_class_it_is_told(digits: ImageData) -> None:
    """Samples of a class lie nearer to the mean image of that class than to those of the others, for most classes."""
    fleet = leave_one_out("anogan", digits, 9, 15, conditional=True, latent=4)
    model = loaded(fleet)
    assert model.discriminator.seen.tolist() == [1] * 9 + [0]
    with torch.no_grad():
        samples = model.sample(torch.randn(90, 4, generator=torch.Generator().manual_seed(0))).flatten(1)
    pixels = to_pixels(digits.train_images).flatten(1)
    means = torch.stack([pixels[digits.train_labels == k].mean(0) for k in range(9)])
    nearest = torch.cdist(samples.view(10, 9, -1).mean(0), means).argmin(1)
    assert (nearest == torch.arange(9)).sum() >= 6
    noise = {"candidates": torch.randn(32, 4)}
    code = model.assess(to_pixels(digits.test_images[:40]), noise)["code"]
    assert code[:, 4:].sum(1).tolist() == [1.0] * 40
    assert code[:, 13].sum() == 0, "the class left out was searched"


def test_the_discriminator_knows_normal_images_from_others(digits: ImageData) -> None:
    from benchmark.engine.metrics import auroc

    fleet = fitted("gan", digits, epochs=40, discriminator_learning_rate=5e-4, learning_rate=5e-4)
    model = loaded(fleet)
    label = (digits.test_labels != 0).numpy()
    with torch.no_grad():
        scores = model.assess(to_pixels(digits.test_images), {})["scores"]
    for name, values in scores.items():
        assert auroc(label, values.numpy()) > 0.8, name


def test_the_running_mean_is_the_mean_of_the_features(digits: ImageData) -> None:
    """Where the discriminator stands still."""
    model = loaded(fitted("gan", digits, epochs=10, discriminator_learning_rate=1e-7))
    with torch.no_grad():
        mean = model.features(to_pixels(digits.train_images[digits.train_labels == 0])).mean(0)
    assert (model.feature_mean - mean).norm() < 0.02 * mean.norm()


def test_gradient_norms_are_those_of_autograd() -> None:
    model = build("gan", log_gradients=True)
    images, z = torch.rand(8, 1, 28, 28), torch.randn(8, 4)
    _, logged = model.loss("generator", images, {"z": z})
    for name in ("minimax", "non_saturating"):
        other = build("gan", objective=name)
        value, _ = other.loss("generator", images, {"z": z})
        slopes = torch.autograd.grad(value, list(other.generator.parameters()))
        expected = torch.cat([s.flatten() for s in slopes]).norm()
        torch.testing.assert_close(logged[f"gradient_norm_{name}"].detach(), expected, rtol=1e-4, atol=1e-6)


def test_the_minimax_gradient_vanishes_where_the_discriminator_is_sure() -> None:
    """log(1 - D) has the slope D, -log D the slope 1 - D: their ratio is D / (1 - D) = e^l for a constant logit l."""
    model = build("gan")
    images, z = torch.rand(8, 1, 28, 28), torch.randn(8, 4)
    torch.nn.init.constant_(model.discriminator.head.bias, -9.0)
    model.discriminator.head.weight.data *= 1e-3
    found = model.eval().diagnostics(images, {"z": z})
    assert not model.discriminator.training
    ratio = found["gan/gradient_norm_minimax"] / found["gan/gradient_norm_non_saturating"]
    assert float(ratio.detach()) == pytest.approx(2.718281828**-9, rel=1e-2)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("network", ["dense", "conv"])
def test_every_option_trains_in_a_fleet_as_alone(options: dict[str, object], network: str, digits: ImageData) -> None:
    """Six steps: every parameter moves, and two cells together give what each gives alone.

    At a small rate, since Adam magnifies the rounding of slopes that cancel in the loss.
    """
    members = [(0, 1), (3, 2)]
    settings = Settings(2, 16, 48)
    rates = {"learning_rate": 1e-4, "discriminator_learning_rate": 1e-4}

    def run(chosen: list[tuple[int, int]]) -> tuple[Fleet, list[dict[str, float]]]:
        fleet = Fleet([build("anogan", seed, network=network, **rates, **options) for _, seed in chosen])
        those = []
        for label, seed in chosen:
            rows = (digits.train_labels == label).nonzero().flatten()
            those.append(Member(rows, seed, seed, digits.train_labels[rows] if fleet.model.label_share > 0 else None))
        before = {name: value.clone() for name, value in fleet.parameters.items()}
        game = fleet.model.game
        found = train(fleet, digits.train_images, those, settings)
        for name, value in before.items():
            free = "wasserstein" in game.objective and name == "discriminator.head.bias"  # it cancels in the loss
            assert free or not torch.equal(value, fleet.parameters[name]), name
        return fleet, [training.history[-1] for training in found]

    _, together = run(members)
    for ours, member in zip(together, members, strict=True):
        assert ours == pytest.approx(run([member])[1][0], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("name", ["gan", "anogan"])
def test_the_discriminators_running_statistics_are_those_of_real_batches(name: str, digits: ImageData) -> None:
    """Against a loop over the same batches: with D and G at rest, generated images leave no trace, in either phase."""
    fleet = Fleet([build(name, 3, network="conv", learning_rate=1e-12, discriminator_learning_rate=1e-12)])
    reference = build(name, 3, network="conv").discriminator
    index = (digits.train_labels == 0).nonzero().flatten()
    train(fleet, digits.train_images, [Member(index, 1, 2)], Settings(2, 32, 96))
    stream = Batches(index, 1)
    for rows in stream.take(6 * 32).view(6, 32):
        reference(to_pixels(digits.train_images[rows]))
    assert float(fleet.buffers["discriminator.body.3.num_batches_tracked"][0]) == 6
    for key, value in reference.named_buffers():
        torch.testing.assert_close(fleet.buffers[f"discriminator.{key}"][0], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", ["dense", "conv"])
@pytest.mark.parametrize("options", [{"closeness": 3}, {"conditional": True}, {"closeness": 3, "conditional": True}])
def test_diagnostics_are_those_of_the_trained_discriminator(options: dict[str, object], network: str) -> None:
    """V and D by hand: batches as in training, each image with its own label, a generated one with that of its draw.

    7 images in batches of 3: the seventh is left out.
    """
    torch.manual_seed(0)
    model = build("gan", 1, network=network, batch_size=3, **options).eval()
    if "conditional" in options:
        torch.nn.init.normal_(model.discriminator.label_weight.weight)
        model.discriminator.seen.fill_(1)
    images, noise = torch.rand(7, 1, 28, 28), {"z": torch.randn(7, 4), "label": torch.tensor([1, 2, 3, 1, 2, 3, 4])}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        found = model.diagnostics(images, noise)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    label = one_hot(noise["label"], 10) if "conditional" in options else None
    with torch.no_grad():
        shown = noise["z"] if label is None else torch.cat([noise["z"], label], 1)
        fake = model.generator(shown).sigmoid()
        model.discriminator.train()
        value, means = torch.zeros(()), []
        for pixels, sign in ((images, 1.0), (fake, -1.0)):
            parts = [slice(0, 3), slice(3, 6)]
            told = [None if label is None else label[part] for part in parts]
            logit = torch.cat([model.discriminator(pixels[p], k) for p, k in zip(parts, told, strict=True)])
            value = value + (sign * logit).sigmoid().log().mean()
            means.append(logit.sigmoid().mean())
    torch.testing.assert_close(found["gan/value"], value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.stack([found["gan/d_real"], found["gan/d_fake"]]), torch.stack(means))


def test_an_image_is_judged_among_its_batch() -> None:
    critic = Discriminator((1, 6, 6), "dense", [8], [], False, closeness=3).eval()
    torch.nn.init.normal_(critic.closeness_map.weight, std=0.1)
    images = torch.rand(8, 1, 6, 6)
    with torch.no_grad():
        halves, whole = judge_batches(critic, images, None, 4), judge_batches(critic, images, None, 8)
        plain = critic(images)
        by_hand = plain + critic.closeness_head(critic.nearness(critic.body(images)))
    torch.testing.assert_close(whole, by_hand)
    assert not torch.allclose(halves, whole, atol=1e-4)
    assert not critic.training


@pytest.mark.parametrize("name", ["gan", "anogan"])
def test_convolutional_gans_start_from_dcgans_weights(name: str) -> None:
    """N(0, 0.02^2) and N(1, 0.02^2) within five standard errors, biases 0; dense networks keep PyTorch's own."""
    model = build(name, 4, network="conv", channels=[16, 32])
    scales = 0
    for part in (model.generator, model.discriminator):
        for layer in part.modules():
            if not hasattr(layer, "weight"):
                continue
            center = float(isinstance(layer, nn.BatchNorm2d))
            count, scales = layer.weight.numel(), scales + int(center)
            assert abs(float(layer.weight.detach().mean()) - center) < 5 * 0.02 / count**0.5
            assert abs(float(layer.weight.detach().std()) - 0.02) < 5 * 0.02 / (2 * count) ** 0.5
            assert layer.bias is None or not layer.bias.any()
    assert scales >= 2
    weight = build(name, 4).generator.layers[0][0].weight
    assert float(weight.detach().abs().max()) > 0.2  # uniform within 1 / sqrt(4)


def test_recorded_diagnostics_judge_each_image_with_its_own_class(digits: ImageData) -> None:
    """The first 20 training images of a conditional GAN as evaluation hands them in, beside labels by hand."""
    fleet = Fleet([build("gan", 3, conditional=True, batch_size=10)])
    fleet.parameters["discriminator.label_weight.weight"].normal_(generator=torch.Generator().manual_seed(0))
    fleet.model.eval()  # as after scoring
    split = SimpleNamespace(train_index=torch.arange(20), train_label=torch.zeros(20))
    cells = [SimpleNamespace(stream=lambda name: 5, split=split)]
    (found,) = diagnostics(fleet, cells, digits.train_images, digits.train_labels, "fp32")
    model, noise = loaded(fleet), draw_noise(fleet.model.diagnostic_noise, [5], 20)
    noise = {"z": noise["z"][0], "label": digits.train_labels[:20]}
    with torch.no_grad():
        expected = model.diagnostics(to_pixels(digits.train_images[:20]), noise)
        untold = model.diagnostics(to_pixels(digits.train_images[:20]), {"z": noise["z"]})
    for name in ("gan/value", "gan/d_real", "gan/d_fake"):
        assert found[name] == pytest.approx(float(expected[name]), rel=1e-4)
    assert abs(float(untold["gan/value"]) - found["gan/value"]) > 1e-2
