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
    now = {"codes": codes, "mean": torch.zeros_like(codes), "square": torch.zeros_like(codes)}  # of those that go on
    kept = codes.clone() if patience > 0 else codes
    rows = torch.arange(len(codes), device=codes.device) if patience > 0 else None
    if rows is not None:
        now |= {"rows": rows, "best": codes.new_full((len(codes),), torch.inf)}
        now["stale"] = torch.zeros(len(codes), device=codes.device)
    for step in range(steps):
        now["slope"], (_, each) = slopes(now["codes"], now.get("rows"))
        if patience > 0:
            now["stale"] = torch.where(each < (1 - LEAST_FALL) * now["best"], 0, now["stale"] + 1)
            now["best"] = torch.minimum(now["best"], each)
            if (now["stale"] >= patience).any():
                kept[now["rows"]] = now["codes"]
                going = (now["stale"] < patience).nonzero().flatten()
                now = {name: values[going] for name, values in now.items()}
                if len(going) == 0:
                    break
        slope = now["slope"]
        now["mean"] = 0.9 * now["mean"] + 0.1 * slope
        now["square"] = 0.999 * now["square"] + 0.001 * slope * slope
        rate = learning_rate * half_cosine(step, steps)
        unbiased = (now["square"] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
        now["codes"] = now["codes"] - rate * now["mean"] / (1 - 0.9 ** (step + 1)) / unbiased
    if patience == 0:
        return now["codes"]
    kept[now["rows"]] = now["codes"]
    return kept
