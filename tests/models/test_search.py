"""The search of latent vectors: where it ends, and what ending early saves and changes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmark.data.images import ImageData
from benchmark.engine.fleet import Fleet, to_pixels
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train
from benchmark.models.parts.search import descend
from tests.tiny_models import build


def test_it_finds_the_minimum_of_every_code() -> None:
    target = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    found = descend(lambda codes, rows: (codes - target).square().sum(1), torch.zeros(5, 3), 400, 0.05)
    torch.testing.assert_close(found, target, rtol=0.02, atol=0.02)


def test_it_is_adam_with_a_cosine_schedule() -> None:
    """Against torch.optim.Adam, code by code."""
    target = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = descend(lambda codes, rows: (codes - target).pow(4).sum(1), torch.zeros(4, 3).double(), 30, 0.05)
    code = torch.zeros(4, 3).double().requires_grad_()
    adam = torch.optim.Adam([code], 0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 30)
    for _ in range(30):
        adam.zero_grad()
        (code - target).pow(4).sum().backward()
        adam.step()
        schedule.step()
    torch.testing.assert_close(found, code.detach(), rtol=1e-9, atol=1e-9)


def test_a_code_whose_loss_no_longer_falls_stays_and_costs_nothing_more() -> None:
    target = torch.tensor([[0.0], [0.0], [3.0]])  # two codes start where they end
    asked: list[int] = []

    def losses(codes: Tensor, rows: Tensor | None) -> Tensor:
        assert rows is not None
        asked.append(len(rows))
        return (codes - target[rows]).square().sum(1) + 1

    found = descend(losses, torch.tensor([[0.0], [0.0], [0.0]]), 50, 0.1, patience=4)
    assert asked[:5] == [3] * 5
    assert set(asked[5:]) == {1}
    assert found[:2].tolist() == [[0.0], [0.0]]
    alone = descend(lambda codes, rows: (codes - 3).square().sum(1) + 1, torch.zeros(1, 1), 50, 0.1, patience=4)
    assert torch.equal(found[2:], alone)


def test_patience_beyond_the_search_changes_nothing_and_a_little_ends_earlier(digits: ImageData) -> None:
    index = (digits.train_labels == 0).nonzero().flatten()
    fleet = Fleet([build("anogan", 1)])
    train(fleet, digits.train_images, [Member(index, 1, 2)], Settings(5, 32, 120))
    images = to_pixels(digits.test_images[:40])
    noise = {"candidates": torch.randn(32, 4, generator=torch.Generator().manual_seed(0))}

    def total(**changes: int) -> Tensor:
        model = build("anogan", 1, search_steps=60, **changes)
        model.load_state_dict(fleet.state(0))
        with torch.no_grad():
            return model.eval().assess(images, noise)["scores"]["total"]

    plain = total()
    assert torch.equal(total(search_patience=61), plain)
    early = total(search_patience=3)
    assert not torch.equal(early, plain)
    assert early.mean() == pytest.approx(float(plain.mean()), rel=0.1)
    assert build("anogan", search_patience=3).one_by_one
    assert not build("anogan").one_by_one
