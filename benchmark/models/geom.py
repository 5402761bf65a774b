"""GEOM: a classifier of how a normal image was flipped, shifted and turned, which is at a loss with an anomaly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from benchmark.models.base import Model, Noise, Phase
from benchmark.models.keywords import Activation, Count, Network, NotNegative, Positive, Range, Schedule, Widths
from benchmark.models.parts.fitted import exact
from benchmark.models.parts.networks import ACTIVATIONS, Encoder, ImageShape

ShiftShare = Annotated[float, Range(0, 0.5, with_high=False)]
SUMS = 1e-3, 1e6  # of a Dirichlet distribution's parameters, least and largest: more is as good as certain
HALVINGS = 40  # of that range on a logarithmic scale: to a relative error of 1e-11


class Geom(Model):
    """Softmax y(x) over K geometric transformations, trained to tell which of them an image went through.

    Transformations T_0, the identity, to T_{K-1}: every combination of flipping left and right (``flips``), of shifting
    by ``shift`` of the side, or not, down or up and right or left (nine ways, mirrored at the edge), and of quarter
    turns (``turns``; four). All together are the paper's 72.
    Objective: min E_x E_j[-log y_j(T_j(x))], with one j an image, spread evenly over the batch.

    Scores: ``softmax``, the mean over i of 1 - y_i(T_i(x)), the paper's simplified score; ``log_softmax``, the mean of
    -log y_i(T_i(x)), which training lowers; ``dirichlet``, the mean of -sum_j (a_ij - 1) log y_j(T_i(x)), where a_i are
    the parameters, of greatest likelihood, of the Dirichlet distribution that y(T_i(x)) of normal images follows.

    No image is generated or reconstructed: it stands beside generative models as what they are measured against.

    References
    ----------
    Golan & El-Yaniv 2018, Deep Anomaly Detection Using Geometric Transformations, arXiv:1805.10917 (sections 4, 5;
    algorithm 1). Minka 2000, Estimating a Dirichlet Distribution, technical report, MIT (equation 9).

    Differences from the paper
    --------------------------
    1. Strided convolutions, or dense layers, instead of a wide residual network; no dropout.
    2. As shipped 36 of the transformations, without flips, and the simplified score as headline: see the YAML.
    3. One transformation of an image a step instead of all K, and so many epochs instead of ceil(200 / K).
    4. The means of log y that the Dirichlet distributions are fitted to run along with training, over about its last
       100 steps, as statistics of batch normalisation do, instead of one pass over the training images after it. The
       learning rate is almost 0 by then.
    5. ``log_softmax`` is an addition.
    """

    score_names = ("softmax", "log_softmax", "dirichlet")
    learnt = "log_softmax"
    MOMENTUM = 0.01

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "softmax",
        flips: bool = False,
        shift: ShiftShare = 0.25,
        turns: bool = True,
        network: Network = "conv",
        hidden: Widths = (256,),
        channels: Widths = (16, 32),
        latent: Count = 64,
        activation: Activation = "relu",
        batch_norm: bool = True,
        epochs: Count = 20,
        batch_size: Count = 128,
        learning_rate: Positive = 2e-3,
        weight_decay: NotNegative = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        table = transformations(*image_shape[1:], flips, shift, turns)
        count = len(table)
        self.register_buffer("table", table, persistent=False)  # (K, H*W)
        self.register_buffer("log_sums", torch.zeros(count, count))  # of log y(T_i(x)), recent images for more: (K, K)
        self.register_buffer("counts", torch.zeros(count))  # of these images, in the same way: (K,)
        encoder = Encoder(image_shape, latent, network, hidden, channels, activation, batch_norm)
        self.classifier = nn.Sequential(encoder, ACTIVATIONS[activation](), nn.Linear(latent, count))
        self.phases = (
            Phase(
                "classifier",
                ("classifier",),
                learning_rate,
                weight_decay=weight_decay,
                noise={"first": Noise((), "uniform")},
            ),
        )

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        count = len(self.table)
        first = (noise["first"][0] * count).long()
        chosen = (first + torch.arange(len(images), device=images.device)) % count  # (B,)
        logs = self.log_softmax(self.transformed(images, self.table[chosen]))  # (B, K)
        told = (chosen.unsqueeze(1) == torch.arange(count, device=images.device)).to(logs.dtype)  # (B, K)
        for held, now in ((self.log_sums, (told.T @ logs.detach()).float()), (self.counts, told.sum(0))):
            held.mul_(1 - self.MOMENTUM).add_(self.MOMENTUM * now)
        value = -(told * logs).sum(1).mean()
        right = logs.argmax(1) == chosen
        return value, {"loss": value, "accuracy": right.to(logs.dtype).mean()}

    def transformed(self, images: Tensor, places: Tensor) -> Tensor:
        """Images (B, C, H, W) with their pixels taken from places (B, H*W) of their own."""
        flat = images.flatten(2)
        return flat.gather(2, places.unsqueeze(1).expand_as(flat)).view_as(images)

    def log_softmax(self, images: Tensor) -> Tensor:
        """log y of images: (B, C, H, W) -> (B, K)."""
        return self.classifier(images).float().log_softmax(1)

    def dirichlets(self) -> Tensor:
        """Parameters a of the distributions of y(T_i(x)) of normal images: (K, K), row i those of T_i.

        A transformation that no image went through yet has that of even chances.
        """
        seen = self.counts > 0
        means = self.log_sums / torch.where(seen, self.counts, 1.0).unsqueeze(1)
        return torch.where(seen.unsqueeze(1), fit_dirichlet(means), 1.0)

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        excess = self.dirichlets() - 1  # (K, K)
        normality, right, wrong = (torch.zeros_like(images[:, 0, 0, 0], dtype=torch.float32) for _ in range(3))  # (B,)
        for i, places in enumerate(self.table):
            logs = self.log_softmax(self.transformed(images, places.expand(len(images), -1)))
            normality = normality + (excess[i] * logs).sum(1)
            right = right + logs[:, i]
            wrong = wrong - torch.expm1(logs[:, i])
        scores = {"softmax": wrong, "log_softmax": -right, "dirichlet": -normality}
        return {
            "scores": {name: value / len(self.table) for name, value in scores.items()},
            "code": self.classifier[0](images).float(),
        }


def transformations(height: int, width: int, flips: bool, shift: float, turns: bool) -> Tensor:
    """Where each pixel of a transformed image comes from: int64 (K, height * width), the first row the identity.

    An image is flipped first, then shifted, then turned. Raises ``ValueError`` where nothing is left to tell apart, and
    for quarter turns of an image that is not square.
    """
    down, right = round(shift * height), round(shift * width)
    if turns and height != width:
        raise ValueError(
            f"a quarter turn of a {height} x {width} image has another shape. Type model.turns=false for such images"
        )
    if not (flips or turns or down or right):
        raise ValueError(
            "flips=false, turns=false and this shift leave every image as it is: there is nothing to tell apart. "
            "Type for example model.turns=true"
        )
    places = torch.arange(height * width).view(height, width)
    found = []
    for flipped in (places, places.flip(1)) if flips else (places,):
        for y in sorted({0, -down, down}, key=abs):
            for x in sorted({0, -right, right}, key=abs):
                moved = flipped[_mirrored(height, y)][:, _mirrored(width, x)]
                found += [moved.rot90(quarter).flatten() for quarter in (range(4) if turns else (0,))]
    return torch.stack(found)


def _mirrored(length: int, shift: int) -> Tensor:
    """Places 0..length - 1 shifted by less than that, those that come from outside mirrored at the edge: (length,)."""
    place = torch.arange(length) - shift
    place = torch.where(place < 0, -1 - place, place)
    return torch.where(place >= length, 2 * length - 1 - place, place)


def fit_dirichlet(mean_log: Tensor) -> Tensor:
    """Dirichlet distributions of greatest likelihood for mean logarithms (..., K) of their draws: their parameters.

    There psi(a_j) = psi(s) + mean_log_j for every j, with s the sum of a (Minka's equation 9). Iterated, that takes
    thousands of rounds where a classifier is sure of itself; s is bisected instead, between ``SUMS``, as a sum that is
    too small gives parameters of a larger sum, one that is too large those of a smaller. In float64 where the device
    has it; returns float32.
    """
    mean_log = exact(mean_log)
    low, high = (torch.full_like(mean_log[..., :1], end).log() for end in SUMS)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        larger = _parameters(mean_log, middle.exp()).sum(-1, keepdim=True).log() > middle
        low, high = torch.where(larger, middle, low), torch.where(larger, high, middle)
    return _parameters(mean_log, low.exp()).float()


def _parameters(mean_log: Tensor, total: Tensor) -> Tensor:
    """The parameters (..., K) that a sum (..., 1) of them asks for."""
    return inverse_digamma(torch.digamma(total) + mean_log)


def inverse_digamma(value: Tensor) -> Tensor:
    """x > 0 with digamma(x) = value, by five steps of Newton from Minka's start (appendix C)."""
    x = torch.where(
        value >= -2.22, value.clamp(max=50).exp() + 0.5, -1 / (value - torch.digamma(torch.ones_like(value)))
    )
    for _ in range(5):
        x = x - (torch.digamma(x) - value) / torch.polygamma(1, x)
    return x
