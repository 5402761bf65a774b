"""Which of many images are looked at where all would be too many."""

from __future__ import annotations

import torch
from torch import Tensor


def evenly_spaced(rows: Tensor, most: int) -> Tensor:
    """At most ``most`` of the rows (N, ...), evenly spaced, the first and the last among them.

    >>> evenly_spaced(torch.arange(10), 4).tolist(), evenly_spaced(torch.arange(3), 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    if len(rows) <= most:
        return rows
    return rows[torch.linspace(0, len(rows) - 1, most, device=rows.device).long()]
