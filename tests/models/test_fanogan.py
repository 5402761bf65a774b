"""f-AnoGAN: what its encoder learns, and a search that starts from it."""

from __future__ import annotations

import pytest
import torch

from benchmark.data.images import ImageData
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from tests.models.test_models import fitted, loaded
from tests.tiny_models import build


@pytest.fixture(scope="module")
def fleet(digits: ImageData) -> Fleet:
    return fitted("fanogan", digits, epochs=30, gan_share=0.3, search_steps=0)


def test_the_encoder_codes_the_image_it_is_shown(fleet: Fleet, digits: ImageData) -> None:
    """G(E(x)) is much nearer to a held-out x than a random sample is, in the mean."""
    model = loaded(fleet)
    images = to_pixels(digits.test_images[digits.test_labels == 0])
    with torch.no_grad():
        found = model.assess(images, {})["scores"]["reconstruction"].mean()
        samples = model.sample(torch.randn(200, 4, generator=torch.Generator().manual_seed(0)))
        anything = torch.cdist(images.flatten(1), samples.flatten(1)).square().mean()
    assert found < 0.85 * anything


def test_a_search_from_the_encoders_code_lowers_the_score(fleet: Fleet, digits: ImageData) -> None:
    model, images = loaded(fleet), to_pixels(digits.test_images[:48])
    totals, model.search_learning_rate = [], 0.03
    for steps in (0, 20, 150):
        model.search_steps = steps
        with torch.no_grad():
            totals.append(float(model.assess(images, {})["scores"]["total"].mean()))
    model.search_steps = 0
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < 0.97 * totals[0]


def test_total_is_the_papers_sum(fleet: Fleet, digits: ImageData) -> None:
    model, images = loaded(fleet), to_pixels(digits.test_images[:8])
    model.kappa = 3.0
    with torch.no_grad():
        found = model.assess(images, {})
        features = [model.discriminator.body(x) for x in (images, found["reconstruction"])]
    model.kappa = 1.0
    by_hand = (images - found["reconstruction"]).square().flatten(1).mean(1)
    by_hand = by_hand + 3.0 * (features[0] - features[1]).square().mean(1)
    torch.testing.assert_close(found["scores"]["total"], by_hand)


def test_the_encoders_phase_leaves_generator_and_critic_as_they_are(digits: ImageData) -> None:
    """Running statistics of batch normalisation included: the last epochs change nothing but the encoder."""
    states = []
    for epochs in (2, 4):  # with a share of 1/2 and of 1/4 the GAN trains for one epoch
        fleet = Fleet([build("fanogan", 3, gan_share=1 / epochs)])
        index = (digits.train_labels == 0).nonzero().flatten()
        train(fleet, digits.train_images, [Member(index, 1, 2)], Settings(epochs, 32, 64))
        states.append(fleet.state(0))
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]) != name.startswith("encoder"), name


def test_gan_share_is_checked() -> None:
    with pytest.raises(ValueError, match="gan_share must be between 0 and 1"):
        build("fanogan", gan_share=1.0)


def test_phases_count_what_they_used(digits: ImageData) -> None:
    """Two epochs of the GAN with three batches a step, two of the encoder with one: 4 steps each."""
    fleet = Fleet([build("fanogan", 3, discriminator_steps=3, gan_share=0.5)])
    index = (digits.train_labels == 0).nonzero().flatten()
    (training,) = train(fleet, digits.train_images, [Member(index, 1, 2)], Settings(4, 16, 64))
    assert training.steps == 16
    assert training.images == 16 * (2 * 4 * 3 + 2 * 4)


def test_equal_seeds_train_equal_generators_whatever_the_search(digits: ImageData) -> None:
    states = []
    for changes in ({}, {"start": "candidates", "search_steps": 5, "search_loss": "absolute"}):
        states.append(fitted("fanogan", digits, epochs=2, **changes).state(0))
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_search_from_candidates_is_anogans_on_the_same_generator(fleet: Fleet, digits: ImageData) -> None:
    """AnoGAN with this generator and critic finds the same codes and gives the same A(x)."""
    shared = {"search_steps": 12, "search_learning_rate": 0.05, "candidates": 32}
    ours = build("fanogan", start="candidates", search_loss="absolute", **shared).eval()
    ours.load_state_dict(fleet.state(0))
    theirs = build("anogan", objective="wasserstein_penalty", **shared).eval()
    theirs.load_state_dict({name: v for name, v in fleet.state(0).items() if not name.startswith("encoder")})
    images = to_pixels(digits.test_images[:24])
    noise = {"candidates": torch.randn(32, 4, generator=torch.Generator().manual_seed(0))}
    assert {name: spec.shape for name, spec in ours.score_noise.items()} == {"candidates": (32, 4)}
    with torch.no_grad():
        found, expected = ours.assess(images, noise), theirs.assess(images, noise)
    torch.testing.assert_close(found["code"], expected["code"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["scores"]["total_absolute"], expected["scores"]["total"], rtol=1e-4, atol=1e-3)


def test_a_search_lowers_the_distance_that_it_is_told(fleet: Fleet, digits: ImageData) -> None:
    images, totals = to_pixels(digits.test_images[:48]), {}
    for loss in ("squared", "absolute"):
        model = build("fanogan", search_steps=60, search_learning_rate=0.05, search_loss=loss).eval()
        model.load_state_dict(fleet.state(0))
        with torch.no_grad():
            scores = model.assess(images, {})["scores"]
        totals[loss] = [float(scores[name].mean()) for name in ("total", "total_absolute")]
    assert totals["squared"][0] < totals["absolute"][0]
    assert totals["absolute"][1] < totals["squared"][1]
