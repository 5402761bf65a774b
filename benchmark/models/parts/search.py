"""The search of latent vectors that generate given images best: one Adam for all, each vector on its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad_and_value

from benchmark.models.parts.schedule import half_cosine

LEAST_FALL = 1e-3  # of an image's lowest loss so far: what counts as falling

Losses = Callable[[Tensor, Tensor | None], Tensor]  # codes (b, D) and their rows, None for all of them -> (b,)


def nearest(images: Tensor, generated: Tensor, count: int) -> Tensor:
    """For each image (B, C, H, W) the rows of the ``count`` generated images (M, C, H, W) nearest in squared error.

    Returns (B * count,), an image's rows behind one another.
    """
    drawn = generated.flatten(1).float()  # (M, C*H*W)
    distance = drawn.square().sum(1) - 2 * images.flatten(1) @ drawn.T  # (B, M), up to |x|^2
    return distance.topk(count, dim=1, largest=False).indices.flatten()


def descend(losses: Losses, codes: Tensor, steps: int, learning_rate: float, patience: int = 0) -> Tensor:
    """Codes (B, D) after ``steps`` steps of Adam on their own losses, the rate falling along a half cosine.

    With ``patience`` > 0 a code stays where it is once its loss has not fallen by a thousandth for so many steps, and
    the others go on without it. That takes another way through the program for every image, which ``torch.func.vmap``
    cannot: such a model is scored cell by cell.
    """

    def summed(codes: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        each = losses(codes, rows)
        return each.sum(), each.detach()

    slopes = grad_and_value(summed, has_aux=True)
    mean, square = torch.zeros_like(codes), torch.zeros_like(codes)
    kept = codes.clone() if patience > 0 else codes
    rows = torch.arange(len(codes), device=codes.device) if patience > 0 else None
    best, stale = codes.new_full((len(codes),), torch.inf), torch.zeros(len(codes), device=codes.device)
    for step in range(steps):
        g, (_, each) = slopes(codes, rows)
        if rows is not None:
            stale = torch.where(each < (1 - LEAST_FALL) * best, 0, stale + 1)
            best = torch.minimum(best, each)
            if (stale >= patience).any():
                going = (stale < patience).nonzero().flatten()
                kept[rows] = codes
                rows, codes, g, mean, square, best, stale = (
                    t[going] for t in (rows, codes, g, mean, square, best, stale)
                )
                if len(rows) == 0:
                    break
        mean = 0.9 * mean + 0.1 * g
        square = 0.999 * square + 0.001 * g * g
        rate = learning_rate * half_cosine(step, steps)
        unbiased = (square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
        codes = codes - rate * mean / (1 - 0.9 ** (step + 1)) / unbiased
    if rows is None:
        return codes
    kept[rows] = codes
    return kept
