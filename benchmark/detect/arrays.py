"""What somebody hands in as images, as the engine takes them: uint8 (N, C, H, W)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

Shape = tuple[int, int, int]


def as_images(images: Any, shape: Shape) -> Tensor:
    found = np.asarray(images)
    return torch.from_numpy(np.ascontiguousarray(found)).reshape(-1, *shape)
