"""Normalizing flow: an exact density of images, and how likely they are beside a plainer density of their strokes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, prod
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.models.base import Model, Phase
from benchmark.models.keywords import Count, NotNegative, Positive, Range, Schedule, Widths
from benchmark.models.parts.networks import ImageShape

LEVELS = 256  # grey levels k = 255 x of a pixel
Bins = Annotated[int, Range(3, 32)]  # the table of neighbours has their fourth power of numbers


class Flow(Model):
    """Autoregressive flow of piecewise-linear maps, which starts at the histogram of every pixel.

    Grey levels k = 255 x in 0..255 are dequantised, s = (k + u) / 256 with u ~ U(0, 1), and z_i = Phi^-1(F_i(s_i)) is
    to be N(0, 1), where the distribution function F_i is linear between grey levels and depends on the grey levels of
    the pixels before i, row by row. So log p(s) = log N(z; 0, I) + log |det dz/ds| = log P(k) + D log 256 over D
    pixels, whatever u is: -log P(k) is exact, no bound, and the flow is an autoregressive model of grey levels too.
    P(k_i | k_<i) is that of k_i's bin (black, white and ``bins`` - 2 ranges of grey between) times the share of k_i in
    its bin over all pixels; the bins' logits are the logarithm of pixel i's own histogram plus a masked network of the
    pixels before i, a combination of four functions of grey (``features``). Objective: min E[-log P(k)] in nats;
    divided by D log 2 it is bits per dimension. Histograms and shares are counted before training, and the network's
    last layer starts at 0. Samples are the inverse, one pass a pixel.

    Scores: ``likelihood_ratio``, log Q(k) - log P(k) in nats, where Q has one table for the whole image: a bin given
    those of the pixels to the left, above and above left. What makes every stroke or texture cost falls out, what stays
    is whether it stands where it does in normal images. ``negative_log_likelihood``, -log P(k) in nats.
    ``typicality``, its distance from the mean over training images: images may be too likely as well.
    ``prediction_error``, sum_i (x_i - E[x_i | x_<i])^2.

    References
    ----------
    Papamakarios, Pavlakou & Murray 2017, Masked Autoregressive Flow for Density Estimation, arXiv:1705.07057.
    Mueller et al. 2019, Neural Importance Sampling, arXiv:1808.03856 (piecewise-linear maps over bins).
    Germain et al. 2015, MADE: Masked Autoencoder for Distribution Estimation, arXiv:1502.03509 (the masks).
    Chen & Gopinath 2000, Gaussianization, NIPS 13 (every coordinate by its own distribution function).
    Theis, van den Oord & Bethge 2016, A Note on the Evaluation of Generative Models, arXiv:1511.01844 (section 3.1).
    Ren et al. 2019, Likelihood Ratios for Out-of-Distribution Detection, arXiv:1906.02845.
    Nalisnick et al. 2019, Detecting Out-of-Distribution Inputs to Deep Generative Models Using Typicality,
    arXiv:1906.02994.

    Differences from the papers
    ---------------------------
    1. One map, whose conditionals are bins and no affine maps; hidden units' degrees are spread evenly over all pixels,
       so that every pixel is read, in the images' order and no random one.
    2. The ratio's background Q is a table of neighbours counted on normal training images; the paper trains a second
       deep model on perturbed images.
    3. Typicality of one image (the paper's batches of size 1), with the training mean as a running mean over the last
       updates (weight ``MOMENTUM`` each), not a pass over the training images after the last one.
    4. ``prediction_error`` is in none of them.
    """

    score_names = ("likelihood_ratio", "negative_log_likelihood", "typicality", "prediction_error")
    learnt = "negative_log_likelihood"
    samples_slowly = True
    MOMENTUM = 0.02
    SMOOTHING = 0.02  # added to the count of every grey level

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "likelihood_ratio",
        hidden: Widths = (784,),
        bins: Bins = 10,
        epochs: Count = 12,
        batch_size: Count = 64,
        learning_rate: Positive = 3e-3,
        weight_decay: NotNegative = 0.0,
        schedule: Schedule = "cosine",
    ) -> None:
        super().__init__()
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.image_shape, self.dimensions, self.bins = image_shape, prod(image_shape), bins
        self.sample_shape = (self.dimensions,)
        self.network = MaskedNetwork(self.dimensions, hidden, 4)
        bin_of = 1 + (torch.arange(LEVELS) - 1) * (bins - 2) // (LEVELS - 2)  # int64 (256,)
        bin_of[0], bin_of[-1] = 0, bins - 1
        size = torch.bincount(bin_of, minlength=bins).float()
        grey = torch.zeros(bins).index_add_(0, bin_of, torch.arange(LEVELS) / (LEVELS - 1)) / size  # a bin's middle
        black, white = (grey == 0).float(), (grey == 1).float()
        self.register_buffer("bin_of", bin_of, persistent=False)
        self.register_buffer("features", torch.stack([black, white, grey, 4 * grey * (1 - grey)]), persistent=False)
        self.register_buffer("histogram", (size / LEVELS).log().repeat(self.dimensions, 1))  # log, (D, bins)
        self.register_buffer("within", -size[bin_of].log())  # log share of a level in its bin, (256,)
        self.register_buffer("neighbours", (size / LEVELS).log().repeat(bins**3, 1))  # log Q, (bins^3, bins)
        self.typical = nn.BatchNorm1d(1, affine=False, momentum=self.MOMENTUM)  # its running mean, nothing else
        self.phases = (Phase("likelihood", ("network",), learning_rate, weight_decay=weight_decay),)

    def initialise(self, images: Tensor, seed: int) -> None:
        """Count the histograms, the shares of levels within bins and the table of neighbours."""
        levels = self.levels(images)  # (N, D)
        found = self.bin_of[levels]
        size = torch.bincount(self.bin_of, minlength=self.bins)
        count = torch.zeros_like(self.histogram).scatter_add_(1, found.T, self.histogram.new_ones(found.T.shape))
        self.histogram.copy_(normalised(count + self.SMOOTHING * size))
        pooled = torch.bincount(levels.flatten(), minlength=LEVELS).to(self.within) + self.SMOOTHING
        in_bin = pooled.new_zeros(self.bins).index_add_(0, self.bin_of, pooled)
        self.within.copy_((pooled / in_bin[self.bin_of]).log())
        cells = (self.around(found) * self.bins + found).flatten()
        table = torch.bincount(cells, minlength=self.bins**4).view(-1, self.bins).to(self.within)
        self.neighbours.copy_(normalised(table + self.SMOOTHING * size))

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        levels = self.levels(images)
        nll = -self.log_probability(levels, self.conditionals(levels))  # (B,)
        self.typical(nll.detach().unsqueeze(1))
        value = nll.mean()
        return value, {"loss": value, "bits_per_dim": self.bits_per_dim(value)}

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        levels = self.levels(images)
        conditionals = self.conditionals(levels)
        nll = -self.log_probability(levels, conditionals)
        found = self.bin_of[levels]
        background = self.neighbours[self.around(found)]  # (B, D, bins)
        expected = conditionals.exp() @ self.middles()  # E[x_i | x_<i], (B, D)
        scores = {
            "likelihood_ratio": self.log_probability(levels, background) + nll,
            "negative_log_likelihood": nll,
            "typicality": (nll - self.mean_training_nll()).abs(),
            "prediction_error": (levels / (LEVELS - 1) - expected).square().sum(1),
        }
        return {"scores": scores, "bits_per_dim": self.bits_per_dim(nll)}

    def levels(self, images: Tensor) -> Tensor:
        """Grey levels 0..255 of images (B, C, H, W): int64 (B, D)."""
        return (images.flatten(1) * (LEVELS - 1)).round().long().clamp(0, LEVELS - 1)

    def conditionals(self, levels: Tensor) -> Tensor:
        """log P(bin of k_i | k_<i): (B, D) -> (B, D, bins)."""
        tilt = self.network(levels.to(self.histogram.dtype) / (LEVELS - 1)).unflatten(1, (self.dimensions, -1))
        return F.log_softmax(self.histogram + tilt @ self.features, -1)

    def log_probability(self, levels: Tensor, conditionals: Tensor) -> Tensor:
        """log P(k) in nats of grey levels (B, D), given the log probabilities (B, D, bins) of their bins: (B,)."""
        bins = conditionals.gather(2, self.bin_of[levels].unsqueeze(2)).squeeze(2)
        return (bins + self.within[levels]).sum(1)

    def around(self, found: Tensor) -> Tensor:
        """Rows of ``neighbours`` for bins (B, D): those to the left, above and above left, black outside the image."""
        padded = F.pad(found.unflatten(1, self.image_shape), (1, 0, 1, 0))
        left, above, corner = padded[..., 1:, :-1], padded[..., :-1, 1:], padded[..., :-1, :-1]
        return ((left * self.bins + above) * self.bins + corner).flatten(1)

    def middles(self) -> Tensor:
        """Mean x of a level drawn within each bin: (bins,)."""
        x = torch.arange(LEVELS).to(self.within) / (LEVELS - 1)
        return torch.zeros_like(self.features[0]).index_add(0, self.bin_of, x * self.within.exp())

    def bits_per_dim(self, nll: Tensor) -> Tensor:
        """Nats of an image as bits of one of its pixels."""
        return nll / (self.dimensions * log(2))

    def mean_training_nll(self) -> Tensor:
        """The running mean of the training images' negative log-likelihood, as Adam corrects its means: a scalar."""
        seen = 1 - (1 - self.MOMENTUM) ** self.typical.num_batches_tracked
        return self.typical.running_mean[0] / seen.clamp(min=self.MOMENTUM)

    def distribution(self, conditionals: Tensor) -> Tensor:
        """F at the upper edge of every grey level: log probabilities of bins (B, ..., bins) -> (B, ..., 256)."""
        return (conditionals[..., self.bin_of] + self.within).exp().cumsum(-1)

    def latent(self, images: Tensor, u: Tensor) -> Tensor:
        """z of images (B, C, H, W) dequantised by u, of that shape or of one image: (B, D)."""
        levels = self.levels(images)
        upper = self.distribution(self.conditionals(levels))
        lower = F.pad(upper, (1, 0)).gather(2, levels.unsqueeze(2)).squeeze(2)
        upper = upper.gather(2, levels.unsqueeze(2)).squeeze(2)
        return torch.special.ndtri(lower + u.flatten(-3) * (upper - lower))

    def dequantised(self, z: Tensor) -> Tensor:
        """s of latent vectors (B, D), the inverse of ``latent``: (B, C, H, W) in the unit cube."""
        share = torch.special.ndtr(z)
        x, s = torch.zeros_like(z), torch.zeros_like(z)  # the pixels so far, 0 after them
        for i in range(self.dimensions):
            logits = self.histogram[i] + self.network(x, i) @ self.features
            upper = self.distribution(F.log_softmax(logits, -1))  # (B, 256)
            level = (upper < share[:, i : i + 1]).sum(1, keepdim=True).clamp(max=LEVELS - 1)
            lower = F.pad(upper, (1, 0)).gather(1, level)
            part = (share[:, i : i + 1] - lower) / (upper.gather(1, level) - lower)
            here = F.one_hot(torch.tensor(i, device=z.device), self.dimensions)
            x = x + here * level / (LEVELS - 1)
            s = s + here * (level + part.clamp(0, 1)) / LEVELS
        return s.unflatten(1, self.image_shape)

    def sample(self, noise: Tensor) -> Tensor:
        return (LEVELS * self.dequantised(noise)).floor().clamp(0, LEVELS - 1) / (LEVELS - 1)


class MaskedNetwork(nn.Module):
    """Layers whose ``outputs`` numbers for input i depend on the inputs before i and on all of these (MADE).

    A hidden unit of degree d reads inputs 0..d-1. Degrees are spread evenly and end at D - 1: all but the last input
    are read, however few the units; with D - 1 and more units every degree has one.
    """

    def __init__(self, dimensions: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        widths = [dimensions, *hidden]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, hidden, strict=False))
        self.last = nn.Linear(hidden[-1], dimensions * outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        steps = [torch.arange(1, width + 1) * (dimensions - 1) for width in hidden]
        degrees = [torch.arange(1, dimensions + 1), *(-(-s // width) for s, width in zip(steps, hidden, strict=True))]
        for layer, degree in enumerate(degrees):  # of an input: that of the first unit that reads it
            self.register_buffer(f"degree_{layer}", degree, persistent=False)

    def forward(self, x: Tensor, only: int | None = None) -> Tensor:
        """(B, D) -> (B, D * outputs), or (B, outputs) for input ``only`` alone."""
        for number, layer in enumerate(self.layers):
            mask = self._degree(number + 1).unsqueeze(1) >= self._degree(number)
            x = F.relu(F.linear(x, layer.weight * mask, layer.bias))
        chosen = slice(None) if only is None else slice(only * self.outputs, (only + 1) * self.outputs)
        own = self.degree_0.repeat_interleave(self.outputs)[chosen].unsqueeze(1)
        mask = own > self._degree(len(self.layers))
        return F.linear(x, self.last.weight[chosen] * mask, self.last.bias[chosen])

    def _degree(self, layer: int) -> Tensor:
        return getattr(self, f"degree_{layer}")


def normalised(counts: Tensor) -> Tensor:
    """Logarithms of shares, row by row."""
    return (counts / counts.sum(1, keepdim=True)).log()
