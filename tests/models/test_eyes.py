"""Every model, as it is shipped and at the size of real images, sees every pixel that varies in training.

One pixel at a time is changed, and something else than its own residual must move: the code, other pixels of the
reconstruction, or, where a model returns neither, what its headline score makes of the pixel's neighbours. Tiny images
and tiny networks hide a model that is blind to a part of the image, so nothing here is tiny but the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from benchmark.config import CONF_DIR
from benchmark.data import load_dataset_config
from benchmark.data.images import load_images
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.score import draw_noise
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from benchmark.models import constructor, model_class, model_names
from benchmark.models.base import Model

SHORT = {  # searches and chains are short; networks and what they see are as shipped
    "search_steps": 3, "candidates": 16, "restarts": 1, "bound_steps": 1, "denoise_steps": 1, "noise_draws": 1,
    "score_samples": 1,
}  # fmt: skip
CONTEXTS = 30
STEP = 128 / 255  # half of the grey levels, up or down


@pytest.fixture(scope="module")
def threes(data_dir: Path) -> Tensor:
    """Training images of MNIST's 3: uint8 (256, 1, 28, 28)."""
    data = load_images(load_dataset_config("mnist"), data_dir)
    return data.train_images[data.train_labels == 3][:256]


def trained(name: str, images: Tensor, **changes: object) -> Model:
    """The shipped model after one epoch on a few images."""
    shipped = yaml.safe_load((CONF_DIR / "model" / f"{name}.yaml").read_text("utf-8"))
    keywords = {key: value for key, value in {**shipped, **SHORT, **changes}.items() if key in constructor(name)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fleet = Fleet([model_class(name)((1, 28, 28), **keywords)])
    member = Member(torch.arange(len(images)), 1, 2, torch.full((len(images),), 3))
    train(fleet, images, [member], Settings(1, 64, 200))
    fleet.model.load_state_dict(fleet.state(0))
    return fleet.model.eval()


def unseen(model: Model, images: Tensor) -> list[int]:
    """The pixels that vary among uint8 ``images`` and of which ``model`` sees nothing but their own residuals.

    A pixel counts as seen if it is in one of the first ``CONTEXTS`` images: trees look at few pixels of each.
    """
    kind, least = (torch.float32, 1e-6) if model.phases and seen_by_layers(model) else (torch.float64, 1e-11)
    model.to(kind)
    noise = {name: value[0].to(kind) for name, value in draw_noise(model.score_noise, [7]).items()}
    blind = varying(images)
    for image in to_pixels(images[:CONTEXTS]).to(kind):
        if len(blind):
            with torch.no_grad():
                blind = blind[moved(model, image, blind, noise) < least]
    return blind.tolist()


def varying(images: Tensor) -> Tensor:
    """The pixels of (N, 1, 28, 28) that are black, or not, in a twentieth of the images at least: (P,).

    A forest of random trees may never look at a rarer one.
    """
    share = (images.flatten(1) > 0).float().mean(0)
    return ((share >= 0.05) & (share <= 0.95)).nonzero().flatten()


def moved(model: Model, image: Tensor, pixels: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
    """How far something else than its own residual moves when a pixel of (1, 28, 28) is changed: (P,) of (P,)."""
    own = torch.zeros(len(pixels), 784, dtype=torch.bool)
    own[torch.arange(len(pixels)), pixels] = True

    def assess(changed: Tensor) -> dict[str, Tensor]:
        """What the model says of ``image`` with half of the grey levels added to or taken from pixels (P, 784)."""
        stepped = torch.where(image < 0.5, image + STEP, image - STEP)
        found = model.assess(torch.where(changed.view(-1, 1, 28, 28), stepped, image), noise)
        return {"score": found["scores"][model.headline], **found}

    before, after = assess(torch.zeros(1, 784, dtype=torch.bool)), assess(own)
    if "code" in after:
        return (after["code"] - before["code"]).abs().amax(1)
    if "reconstruction" in after:
        return (after["reconstruction"] - before["reconstruction"]).flatten(1).abs().masked_fill(own, 0).amax(1)
    around = neighbours(own)  # does it matter for the pixel's part in the score what these are?
    together = assess(own | around)["score"] - assess(around)["score"]
    return (together - (after["score"] - before["score"])).abs() / before["score"].abs()


def seen_by_layers(model: Model) -> bool:
    """Whether the model returns more than scores: what moves there is far above float32's rounding."""
    return "reconstruction" in model.score_names


def neighbours(pixels: Tensor) -> Tensor:
    """The two pixels or fewer in each direction around each of (P, 784), without the pixel itself: (P, 784)."""
    square = pixels.view(-1, 1, 28, 28).float()
    return (torch.nn.functional.max_pool2d(square, 5, 1, 2) > 0).flatten(1) & ~pixels


@pytest.mark.parametrize("name", model_names())
def test_it_sees_every_pixel_that_varies(name: str, threes: Tensor) -> None:
    model = trained(name, threes)
    blind = unseen(model, threes)
    count = len(varying(threes))
    assert count > 300
    if model.pixelwise:
        assert len(blind) == count
    else:
        assert blind == [], f"{name} is blind to {len(blind)} of {count} pixels"
