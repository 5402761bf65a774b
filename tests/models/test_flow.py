"""The flow's density: it sums to 1, is the change of variables, starts at the histograms and reads every pixel."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchmark.data.images import ImageData
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.score import Scoring, View, score_images
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from benchmark.models.flow import Flow, MaskedNetwork
from tests.tiny_models import build


def small(shape: tuple[int, int, int], hidden: tuple[int, ...] = (16,), scale: float = 0.4) -> Flow:
    """A flow in float64 with histograms of random images and weights far from their start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = Flow(shape, hidden=hidden, bins=6).double().eval()
        model.initialise((torch.rand(50, *shape).square() * 255).round().double() / 255, 0)
        for parameter in model.parameters():
            parameter.data += scale * torch.randn_like(parameter)
    return model


def greys(count: int, shape: tuple[int, int, int], seed: int = 1) -> Tensor:
    return torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(seed)).double() / 255


def nll(model: Flow, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model.assess(images, {})["scores"]["negative_log_likelihood"]


def test_probabilities_of_all_images_sum_to_one() -> None:
    """Two pixels: 65,536 images."""
    levels = torch.arange(256).double() / 255
    images = torch.cartesian_prod(levels, levels).view(-1, 1, 1, 2)
    model = small((1, 1, 2))
    assert float((-nll(model, images)).exp().sum()) == pytest.approx(1, abs=1e-9)
    found = model.levels(images)
    background = model.neighbours[model.around(model.bin_of[found])]
    assert float(model.log_probability(found, background).exp().sum()) == pytest.approx(1, abs=1e-6)


def test_density_is_the_change_of_variables_by_autograd() -> None:
    """log N(z; 0, I) + log |det dz/ds| is log P(k) + D log 256; between grey levels dz/ds is diagonal."""
    model = small((1, 3, 2))
    for image in greys(4, (1, 3, 2)):
        u = torch.rand(1, 3, 2, generator=torch.Generator().manual_seed(2)).double()
        slope = 256 * torch.autograd.functional.jacobian(lambda u, image=image: model.latent(image[None], u)[0], u)
        z = model.latent(image[None], u)[0].detach()
        log_density = -0.5 * z.square().sum() - 3 * math.log(2 * math.pi)
        log_density += torch.linalg.slogdet(slope.reshape(6, 6)).logabsdet
        torch.testing.assert_close(log_density - 6 * math.log(256), -nll(model, image[None])[0], rtol=1e-9, atol=1e-8)


def test_the_map_is_inverted_by_sampling() -> None:
    model = small((1, 4, 3), scale=0.1)
    images = greys(9, (1, 4, 3))
    u = 0.01 + 0.98 * torch.rand(9, 1, 4, 3, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        z = model.latent(images, u)
        torch.testing.assert_close(model.dequantised(z), (255 * images + u) / 256, rtol=0, atol=1e-6)
        torch.testing.assert_close(model.sample(z), images, rtol=0, atol=1e-12)  # the grey levels come back exactly


def test_samples_have_the_frequencies_of_the_density() -> None:
    model = small((1, 1, 2), scale=1.0)
    with torch.no_grad():
        drawn = model.bin_of[model.levels(model.sample(torch.randn(40_000, 2).double()))]
        pairs = torch.bincount(drawn[:, 0] * 6 + drawn[:, 1], minlength=36) / 40_000
        levels = torch.arange(256).double() / 255
        images = torch.cartesian_prod(levels, levels).view(-1, 1, 1, 2)
        found = model.bin_of[model.levels(images)]
        expected = torch.zeros(36).double().index_add_(0, found[:, 0] * 6 + found[:, 1], (-nll(model, images)).exp())
    torch.testing.assert_close(pairs.double(), expected, rtol=0, atol=0.01)


@pytest.mark.parametrize("hidden", [(784,), (64,), (900, 100)])
def test_every_pixel_of_a_real_image_moves_other_latents(hidden: tuple[int, ...]) -> None:
    """Changing a pixel moves latents after it, and none before it; the last one is moved by the others.

    Masked affine maps of zuko with 256 hidden units failed this: pixels 256 to 527 moved their own latent alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Flow((1, 28, 28), hidden=hidden).double().eval()
        for parameter in model.parameters():
            parameter.data = torch.rand_like(parameter) / 100  # no two ways cancel out
    image = greys(1, (1, 28, 28))
    changed = image.flatten().repeat(784, 1)
    changed.diagonal().copy_((changed.diagonal() + 0.5).remainder(1))
    with torch.no_grad():
        here = model.conditionals(model.levels(image))
        moved = torch.cat(
            [
                ((model.conditionals(model.levels(part)) - here).abs() > 1e-9).any(2)
                for part in changed.view(-1, 1, 28, 28).split(98)
            ]
        )  # [changed pixel, pixel whose conditional distribution moved]
    assert not moved.tril().any()
    assert moved.any(1)[:-1].all()
    assert moved[:-1, -1].all()
    if hidden == (784,):
        assert bool((moved | ~torch.ones_like(moved).triu(1)).all())  # every pair


def test_masks_keep_the_order() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MaskedNetwork(5, (7, 3), 2).double()
        for parameter in network.parameters():
            parameter.data = torch.rand_like(parameter)
    jacobian = torch.autograd.functional.jacobian(network, torch.rand(1, 5).double())[0, :, 0].view(5, 2, 5)
    assert (jacobian.permute(1, 0, 2).triu() == 0).all()
    assert (jacobian[-1, :, :-1] > 0).all()
    x = torch.rand(3, 5).double()
    torch.testing.assert_close(network(x, 3), network(x)[:, 6:8])


def test_it_starts_at_the_histogram_of_every_pixel(digits: ImageData) -> None:
    """Bits per dimension before the first update: bins counted pixel by pixel, levels within a bin over all pixels."""
    images = digits.train_images[digits.train_labels == 0]
    held_out = digits.test_images[digits.test_labels == 0][:12]
    model = build("flow", bins=10)
    model.initialise(to_pixels(images), 0)
    groups = torch.bucketize(torch.arange(256), torch.tensor([1, 33, 65, 96, 128, 160, 192, 223, 255]), right=True)
    assert model.bin_of.unique().tolist() == groups.unique().tolist()
    expected = torch.zeros(len(held_out))
    bins, size = model.bin_of, torch.bincount(model.bin_of).double()
    pooled = torch.bincount(images.flatten().long(), minlength=256).double() + 0.02
    for row in range(28):
        for column in range(28):
            count = torch.bincount(bins[images[:, 0, row, column].long()], minlength=10) + 0.02 * size
            k = held_out[:, 0, row, column].long()
            share = count[bins[k]] / count.sum() * pooled[k] / torch.stack([pooled[bins == bins[i]].sum() for i in k])
            expected -= share.log2().float() / 784
    found = model.eval().assess(to_pixels(held_out), {})["bits_per_dim"]
    torch.testing.assert_close(found.mean(), expected.mean(), rtol=0, atol=1e-3)


def test_a_uniform_density_has_eight_bits_a_pixel() -> None:
    model = build("flow").eval()
    found = model.assess(greys(5, (1, 28, 28)).float(), {})
    torch.testing.assert_close(found["bits_per_dim"], torch.full((5,), 8.0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found["scores"]["likelihood_ratio"], torch.zeros(5), rtol=0, atol=1e-2)


def test_the_background_is_the_table_of_neighbours_left_above_and_above_left() -> None:
    model = small((1, 5, 4))
    images = greys(3, (1, 5, 4))
    bins = model.bin_of[model.levels(images)].view(3, 5, 4)
    rows = model.around(model.bin_of[model.levels(images)]).view(3, 5, 4)
    assert int(rows[1, 3, 2]) == int(bins[1, 3, 1] * 36 + bins[1, 2, 2] * 6 + bins[1, 2, 1])
    assert rows[:, 0, 0].tolist() == [0, 0, 0]
    assert int(rows[2, 0, 3]) == int(bins[2, 0, 2] * 36)


def test_bins_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="bins must be from 3"):
        Flow((1, 4, 4), bins=2)


def test_typicality_is_the_distance_from_the_training_mean(digits: ImageData) -> None:
    fleet = Fleet([build("flow", 3)])
    rows = (digits.train_labels == 0).nonzero().flatten()
    (training,) = train(fleet, digits.train_images, [Member(rows, 1, 2)], Settings(6, 32, len(rows)))
    (found,) = score_images(fleet, digits.test_images, [View(torch.arange(100), 0)], Scoring(50))
    model = fleet.model
    model.load_state_dict(fleet.state(0))
    mean = model.mean_training_nll()
    epochs = torch.tensor([row["train/loss"] for row in training.history])
    weights = (1 - model.MOMENTUM) ** (training.steps / len(epochs) * torch.arange(len(epochs)).flip(0))
    assert float(mean) == pytest.approx(float((weights * epochs).sum() / weights.sum()), rel=0.03)
    scores = found.scores
    torch.testing.assert_close(scores["typicality"], (scores["negative_log_likelihood"] - mean).abs())
    torch.testing.assert_close(
        found.quantities["bits_per_dim"], scores["negative_log_likelihood"] / (784 * math.log(2))
    )


def test_running_mean_of_the_first_update_is_unbiased(digits: ImageData) -> None:
    model = build("flow").train()
    value, _ = model.loss("likelihood", to_pixels(digits.train_images[:16]), {})
    torch.testing.assert_close(model.mean_training_nll(), value.detach(), rtol=1e-5, atol=1e-2)
