"""ConvLSTM autoencoder: frames, or the patches of a still image, read into one state and written down again from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.models.ae import pixel_loss
from benchmark.models.base import RECONSTRUCTION_SCORES, Model, Phase, reconstruction_scores
from benchmark.models.keywords import Count, NotNegative, PixelLoss, Positive, Schedule, ShareBelow1
from benchmark.models.parts.networks import ImageShape
from benchmark.models.parts.recurrent import ConvLSTMCell, State


class ConvLSTMAE(Model):
    """Autoencoder of two ConvLSTMs over the T frames of a sequence, or over the T patches of a still image.

    Images with several channels are sequences, a channel a frame. An image with one channel is cut into square patches
    of ``patch`` pixels, read row by row. Blocks of ``fold`` x ``fold`` pixels of a frame become channels.

    Objective: min E[L(x, x')], L summed over pixels and frames as in AE. ``target`` reconstruction: the encoder reads
    all frames, the decoder writes them in the order T, ..., 1. ``target`` forecast: the encoder reads the first half of
    the frames, the decoder writes the second half. The encoder's last state becomes the decoder's first, through a
    linear map to ``latent`` numbers and back, or as it is (``bottleneck`` false, as in the paper).

    With ``brightness`` b > 0 the output's bias starts at log(b / (1 - b)): an untrained decoder writes pixels of about
    b. Where nearly all pixels are black, as in frames with one small digit, training otherwise drives the states into
    saturation to get there, and hardly comes back.

    Scores: four distances of the written frames from the true ones, see ``benchmark.models.base.reconstruction_scores``
    (``reconstruction``: the squared error of each frame, summed over frames); ``worst_frame``, the largest squared
    error of a frame.

    References
    ----------
    Shi et al. 2015, Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting,
    arXiv:1506.04214 (sections 3.1, 3.2; 4.1 for ``fold``).
    Srivastava et al. 2015, Unsupervised Learning of Video Representations using LSTMs, arXiv:1502.04681 (reversed
    reconstruction).

    Differences from the papers
    ---------------------------
    1. One layer instead of up to three; a code between encoder and decoder, unless ``bottleneck`` is false.
    2. ``peepholes`` are off as shipped; Shi's forecaster is fed no input, as here.
    3. Adam instead of RMSProp; a squared error instead of the cross-entropy, which ``loss`` bernoulli gives.
    4. The forget gates' biases are 1 at first (Jozefowicz et al. 2015).
    5. Patches of a still image as a sequence are not in the papers, nor is ``brightness``.
    """

    score_names = (*RECONSTRUCTION_SCORES, "worst_frame")

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "reconstruction",
        target: Literal["reconstruction", "forecast"] = "reconstruction",
        patch: Count = 14,
        fold: Count = 2,
        units: Count = 16,
        kernel: Count = 3,
        peepholes: bool = False,
        latent: Count = 16,
        bottleneck: bool = True,
        brightness: ShareBelow1 = 0.0,
        loss: PixelLoss = "l2",
        epochs: Count = 15,
        batch_size: Count = 32,
        learning_rate: Positive = 5e-3,
        weight_decay: NotNegative = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.image_shape, self.target, self.patch, self.fold = image_shape, target, patch, fold
        self.units, self.loss_name, self.bottleneck = units, loss, bottleneck
        channels, height, width = image_shape
        side = (patch, patch) if channels == 1 else (height, width)  # of a frame
        if height % side[0] or width % side[1] or side[0] % fold or side[1] % fold:
            raise ValueError(
                f"model.patch={patch} and model.fold={fold} do not divide images of {height} x {width}: the patch must "
                f"divide height and width (images of one channel), the fold a frame's or patch's"
            )
        self.length = height * width // patch**2 if channels == 1 else channels  # T
        if target == "forecast" and self.length < 2:
            raise ValueError(f"model.target=forecast needs two frames or patches, there is {self.length}")
        self.seen = self.length // 2 if target == "forecast" else self.length  # frames that the encoder reads
        self.size = side[0] // fold, side[1] // fold  # of a state
        self.reader = ConvLSTMCell(fold**2, units, kernel, self.size, peepholes)
        self.writer = ConvLSTMCell(0, units, kernel, self.size, peepholes)
        self.pixels = nn.Conv2d(units, fold**2, 1)
        if brightness > 0:
            nn.init.constant_(self.pixels.bias, math.log(brightness / (1 - brightness)))
        modules = ("reader", "writer", "pixels")
        if bottleneck:
            numbers = 2 * units * self.size[0] * self.size[1]
            self.to_code, self.to_state = nn.Linear(numbers, latent), nn.Linear(latent, numbers)
            modules += ("to_code", "to_state")
        self.phases = (Phase("reconstruction", modules, learning_rate, weight_decay=weight_decay),)

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        frames = self.frames(images)
        value = pixel_loss(self.loss_name, self.write(self.read(frames)), self.aim(frames)).mean()
        return value, {"loss": value}

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        frames = self.frames(images)  # (B, T, h, w)
        code = self.read(frames)  # (B, D)
        written, aim = torch.sigmoid(self.write(code)), self.aim(frames)
        scores = reconstruction_scores(aim, written)
        scores["worst_frame"] = (aim - written).float().square().sum((2, 3)).amax(1)
        whole = torch.cat([frames[:, : self.seen], written], dim=1) if self.target == "forecast" else written
        found = {"scores": scores, "reconstruction": self.image(whole)}
        return {**found, "code": code} if self.bottleneck else found

    def decode(self, codes: Tensor) -> Tensor | None:
        """Images of codes (B, D); None for a forecaster, whose code says nothing of the frames that it has seen."""
        return None if self.target == "forecast" else self.image(torch.sigmoid(self.write(codes)))

    def frames(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) as sequences (B, T, h, w)."""
        if self.image_shape[0] > 1:
            return images
        patches = images.squeeze(1).unflatten(1, (-1, self.patch)).unflatten(3, (-1, self.patch))
        return patches.transpose(2, 3).flatten(1, 2)  # from (B, rows, patch, columns, patch)

    def image(self, frames: Tensor) -> Tensor:
        """The inverse of ``frames``: (B, T, h, w) -> (B, C, H, W)."""
        if self.image_shape[0] > 1:
            return frames
        rows = frames.unflatten(1, (self.image_shape[1] // self.patch, -1)).transpose(2, 3)
        return rows.flatten(3, 4).flatten(1, 2).unsqueeze(1)

    def aim(self, frames: Tensor) -> Tensor:
        """The frames that are to be written: all, or those that the encoder has not seen."""
        return frames[:, self.seen :] if self.target == "forecast" else frames

    def read(self, frames: Tensor) -> Tensor:
        """The code of sequences (B, T, h, w): (B, D), or all of the last state without a bottleneck."""
        folded = F.pixel_unshuffle(frames.unsqueeze(2), self.fold)  # (B, T, fold * fold, *size)
        empty = frames.new_zeros(len(frames), self.units, *self.size)
        state: State = empty, empty
        for frame in folded.unbind(1)[: self.seen]:
            state = self.reader(frame, state)
        last = torch.cat(state, dim=1).flatten(1)
        return self.to_code(last) if self.bottleneck else last

    def write(self, codes: Tensor) -> Tensor:
        """Logits of frames (B, T or the unseen half, h, w) from codes (B, D)."""
        numbers = self.to_state(codes) if self.bottleneck else codes
        hidden, memory = numbers.unflatten(1, (2 * self.units, *self.size)).chunk(2, dim=1)
        written = []
        for _ in range(self.length if self.target == "reconstruction" else self.length - self.seen):
            hidden, memory = self.writer(None, (hidden, memory))
            written.append(F.pixel_shuffle(self.pixels(hidden), self.fold).squeeze(1))
        return torch.stack(written[::-1] if self.target == "reconstruction" else written, dim=1)
