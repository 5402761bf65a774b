"""LSTM autoencoder: an image read row by row into one code, and written down again from it row by row."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from benchmark.models.ae import pixel_loss
from benchmark.models.base import RECONSTRUCTION_SCORES, Model, Phase, reconstruction_scores
from benchmark.models.keywords import Count, NotNegative, PixelLoss, Positive, Schedule
from benchmark.models.parts.networks import ImageShape
from benchmark.models.parts.recurrent import LSTMCell


class LSTMAE(Model):
    """Autoencoder of two LSTMs over the T rows of an image, or over its T frames.

    Objective: min E[L(x, x')], L summed over pixels as in AE. The encoder reads x_1, ..., x_T; its last state, h_T and
    c_T, is mapped linearly to a code of ``latent`` numbers and from there to the decoder's first state, or handed over
    as it is (``bottleneck`` false, the paper's way). The decoder writes the rows in the order T, ..., 1 (``order``
    reversed), so that what it writes first is what the encoder has seen last. An ``unconditional`` decoder runs on its
    state alone, a ``conditional`` one gets the row that it has just written as input.

    Scores: four distances between image and reconstruction, see ``benchmark.models.base.reconstruction_scores``;
    ``reconstruction`` is the squared error of each row (or frame), summed.

    References
    ----------
    Srivastava, Mansimov & Salakhutdinov 2015, Unsupervised Learning of Video Representations using LSTMs,
    arXiv:1502.04681 (sections 2.1 to 2.3).

    Differences from the paper
    ---------------------------
    1. Steps are the rows of one image; ``steps`` frames reads whole frames, as the paper does.
    2. A code between the two LSTMs, unless ``bottleneck`` is false; no future predictor.
    3. No peepholes; one layer of ``units`` cells; Adam instead of SGD with momentum.
    4. A conditional decoder is fed its own output in training as in scoring, its first input is 0.
    5. The forget gates' biases are 1 at first (Jozefowicz et al. 2015).
    """

    score_names = RECONSTRUCTION_SCORES

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "reconstruction",
        steps: Literal["rows", "frames"] = "rows",
        units: Count = 64,
        latent: Count = 16,
        bottleneck: bool = True,
        decoder: Literal["unconditional", "conditional"] = "unconditional",
        order: Literal["reversed", "forward"] = "reversed",
        loss: PixelLoss = "l2",
        epochs: Count = 12,
        batch_size: Count = 32,
        learning_rate: Positive = 5e-3,
        weight_decay: NotNegative = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.image_shape, self.steps, self.units = image_shape, steps, units
        self.loss_name, self.bottleneck, self.order = loss, bottleneck, order
        self.conditional = decoder == "conditional"
        self.length = image_shape[0] if steps == "frames" else image_shape[1]  # T
        width = prod(image_shape) // self.length  # pixels a step
        self.reader = LSTMCell(width, units)
        self.writer = LSTMCell(width if self.conditional else 0, units)
        self.pixels = nn.Linear(units, width)
        modules = ("reader", "writer", "pixels")
        if bottleneck:
            self.to_code = nn.Linear(2 * units, latent)
            self.to_state = nn.Linear(latent, 2 * units)
            modules += ("to_code", "to_state")
        self.phases = (Phase("reconstruction", modules, learning_rate, weight_decay=weight_decay),)

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        value = pixel_loss(self.loss_name, self.write(self.read(images)), images).mean()
        return value, {"loss": value}

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        code = self.read(images)  # (B, D)
        reconstruction = self.decode(code)
        return {
            "scores": reconstruction_scores(images, reconstruction),
            "reconstruction": reconstruction,
            "code": code,
        }

    def read(self, images: Tensor) -> Tensor:
        """The code of images (B, C, H, W): (B, D), or the last state (B, 2 U) without a bottleneck."""
        projected = self.reader.project(self.sequence(images))  # (B, T, 4 U)
        state = self._nothing(projected, self.units), self._nothing(projected, self.units)
        for step in projected.unbind(1):
            state = self.reader(step, state)
        last = torch.cat(state, dim=1)  # (B, 2 U)
        return self.to_code(last) if self.bottleneck else last

    def write(self, codes: Tensor) -> Tensor:
        """Logits of pixels (B, C, H, W) from codes (B, D)."""
        hidden, memory = (self.to_state(codes) if self.bottleneck else codes).chunk(2, dim=1)
        state = hidden, memory
        row = self._nothing(codes.unsqueeze(1), self.pixels.out_features)  # what was written last
        rows: list[Tensor] = []
        for _ in range(self.length):
            state = self.writer(self.writer.project(row) if self.conditional else self.writer.bias, state)
            rows.append(self.pixels(state[0]))
            if self.conditional:
                row = torch.sigmoid(rows[-1])
        return self.image(torch.stack(rows[::-1] if self.order == "reversed" else rows, dim=1))

    def decode(self, codes: Tensor) -> Tensor:
        return torch.sigmoid(self.write(codes))

    def sequence(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) as T steps of time: (B, T, pixels a step)."""
        return (images if self.steps == "frames" else images.transpose(1, 2)).flatten(2)

    def image(self, sequence: Tensor) -> Tensor:
        """The inverse of ``sequence``: (B, T, pixels a step) -> (B, C, H, W)."""
        channels, height, width = self.image_shape
        if self.steps == "frames":
            return sequence.unflatten(2, (height, width))
        return sequence.unflatten(2, (channels, width)).transpose(1, 2)

    @staticmethod
    def _nothing(like: Tensor, width: int) -> Tensor:
        """Zeros (B, width) of the kind of ``like`` (B, T, *)."""
        return like.new_zeros(len(like), width)
