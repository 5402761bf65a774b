"""Where in an image its score comes from: what is left of it when a part of the image is as it should be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from benchmark.detect.scorer import Scorer

GRID = 7  # parts along a side


def origin(scorer: Scorer, image: Tensor, reconstruction: Tensor | None) -> np.ndarray:
    """By how much the score falls when a part is replaced: float64 (GRID, GRID), 0 where it does not fall.

    ``image`` is uint8 (C, H, W). A part is replaced by what the model makes of it, or where the model makes nothing by
    the mean of the pixels around it. It works for every model and rule, as it asks for scores alone (occlusion; Zeiler
    & Fergus 2014, arXiv:1311.2901, section 4.2, who replace by grey).
    """
    rows, columns = (_edges(size) for size in image.shape[-2:])
    variants = [image]
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            variant = image.clone()
            part = (slice(None), slice(top, bottom), slice(left, right))
            variant[part] = _instead(image, part, reconstruction)
            variants.append(variant)
    scores = scorer.scores(torch.stack(variants)).astype(np.float64)
    return np.clip(scores[0] - scores[1:], 0, None).reshape(len(rows) - 1, len(columns) - 1)


def _edges(size: int) -> list[int]:
    count = min(GRID, size)
    return [round(size * i / count) for i in range(count + 1)]


def _instead(image: Tensor, part: tuple[slice, ...], reconstruction: Tensor | None) -> Tensor:
    if reconstruction is not None:
        return (reconstruction[part] * 255).round().clamp(0, 255).byte()
    _, rows, columns = part
    wide = image[:, max(rows.start - 2, 0) : rows.stop + 2, max(columns.start - 2, 0) : columns.stop + 2].float()
    inner = image[part].float()
    around = wide.flatten(1).sum(1) - inner.flatten(1).sum(1)
    count = max(wide[0].numel() - inner[0].numel(), 1)
    return (around / count).round().byte().view(-1, 1, 1).expand_as(inner)
