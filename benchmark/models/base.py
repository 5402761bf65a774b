"""What the engine asks of a model: phases with pure losses, and one assessment of images.

Letters used for shapes in this package: B images, C channels, H x W pixels, D latent dimensions, K samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Noise:
    """Random numbers that the engine draws and hands in; a model never draws any itself."""

    shape: tuple[int, ...]
    kind: Literal["normal", "uniform"] = "normal"  # N(0, 1) or U(0, 1)

    def draw(self, *leading: int, generator: torch.Generator) -> Tensor:
        """Draw noise of shape (*leading, *shape) in float32 on the CPU."""
        draw = torch.randn if self.kind == "normal" else torch.rand
        return draw(*leading, *self.shape, generator=generator)


@dataclass(frozen=True)
class Phase:
    """One optimiser update inside a training step: which modules move, and how (Adam)."""

    name: str
    modules: tuple[str, ...]  # names of the submodules whose parameters this phase updates
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    repeats: int = 1  # updates a training step, each on a batch of its own
    begin: float = 0.0  # the share of the epochs after which it starts, and the share after which it ends:
    end: float = 1.0  # a schedule of the learning rate runs from the one to the other
    clip: float | None = None  # after each update its parameters are cut to [-clip, clip]
    noise: Mapping[str, Noise] = field(default_factory=dict)  # shapes are per image

    def epochs(self, total: int) -> range:
        """The epochs, counted from 1, that it takes part in: at least one.

        >>> list(Phase("encoder", ("encoder",), 1e-3, begin=0.75).epochs(8))
        [7, 8]
        """
        first = min(round(self.begin * total) + 1, total)
        return range(first, max(round(self.end * total), first) + 1)


class Model(nn.Module):
    """An anomaly detector, written for one cell.

    A subclass either declares ``phases`` and ``loss``, or overrides ``fit`` (scikit-learn baselines). Its file is
    ``benchmark/models/<name>.py``, its configuration ``conf/model/<name>.yaml`` with the constructor's keywords.
    """

    headline: str  # name of the configured headline score
    epochs: int = 0
    batch_size: int = 1
    schedule: str = "constant"  # constant | cosine: learning rate over the training
    phases: tuple[Phase, ...] = ()
    score_noise: Mapping[str, Noise] = {}  # noise that scoring uses, drawn once, the same for every image
    diagnostic_noise: Mapping[str, Noise] = {}  # noise that diagnostics use; shapes are per image
    score_names: tuple[str, ...] = ()
    # The score that training lowers on normal images not trained on; None: none, but samples come nearer to them.
    learnt: ClassVar[str | None] = "reconstruction"
    sample_shape: tuple[int, ...] = ()  # of the noise that ``sample`` takes, per image; (): that of the code
    frozen: ClassVar[Mapping[str, str]] = {}  # parameters that never change -> why
    vmappable: ClassVar[bool] = True  # False: only the loop strategy
    one_by_one: bool = False  # True: scored cell by cell, as its images take ways of their own through the program
    pixelwise: ClassVar[str] = ""  # why it takes every pixel on its own, if it does: no pixel tells it of another
    random: ClassVar[bool] = True  # False: another seed gives the same numbers
    samples_slowly: bool = False  # True: no generation metrics, 2,000 images would take minutes
    label_share: float = 0.0  # of the normal training images, those whose class the losses are told

    def forward(self, *args: Any, method: str = "score", **more: Any) -> Any:
        """``model(images)`` is ``score``; by ``method`` the engine reaches a model with parameters of its choice."""
        return getattr(self, method)(*args, **more)

    def score(self, images: Tensor, seed: int = 0) -> Tensor:
        """Headline scores (B,) of images (B, C, H, W) with pixels in [0, 1], larger = more anomalous.

        In evaluation mode and without gradients. ``seed`` is that of the scoring noise.
        """
        generator, training = torch.Generator().manual_seed(seed), self.training
        drawn = {name: noise.draw(generator=generator) for name, noise in sorted(self.score_noise.items())}
        self.eval()
        try:
            with torch.no_grad():
                found = self.assess(images, {name: value.to(images.device) for name, value in drawn.items()})
        finally:
            self.train(training)
        return found["scores"][self.headline]

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of ``phase`` and quantities to log.

        ``images`` has shape (B, C, H, W) with pixels in [0, 1]; each noise has shape (B, *its shape). A model with a
        ``label_share`` above 0 finds in ``noise["label"]`` the class of each image, int64 (B,), -1 where it is not
        told. Returns a scalar and a dict of scalars. A function of its arguments, the parameters and buffers alone;
        running statistics of the training images, as those of batch normalisation, are the only thing it may write.
        """
        raise NotImplementedError

    def initialise(self, images: Tensor, seed: int) -> None:
        """Set parameters and buffers from the training images (N, C, H, W) before the first update, in place.

        For models with phases whose start depends on the data; draws come from ``seed``. Nothing by default.
        """

    def fit(self, images: Tensor, seed: int) -> None:
        """Fit in one call to images (N, C, H, W); for models without phases; draws come from ``seed``."""
        raise NotImplementedError

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        """Score images (B, C, H, W), each on its own, larger = more anomalous.

        ``noise`` is one draw of ``score_noise``, the same for every image. Returns ``scores`` (name -> (B,)), and where
        the model has them ``reconstruction`` (B, C, H, W), ``kl`` (B,), ``bits_per_dim`` (B,) and ``code`` (B, D).
        """
        raise NotImplementedError

    def diagnostics(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars worth recording of a trained model on normal images (B, C, H, W), under their metric keys.

        A model with a ``label_share`` above 0 finds the images' classes in ``noise["label"]``, int64 (B,).
        """
        return {}

    def decode(self, codes: Tensor) -> Tensor | None:
        """Images (B, C, H, W) of latent codes (B, D); None for a model without a decoder."""
        return None

    def sample(self, noise: Tensor) -> Tensor | None:
        """Generated images (B, C, H, W) from noise (B, *sample_shape) ~ N(0, I); None if it generates none."""
        return None

    def styles(self, noise: Tensor) -> Tensor | None:
        """Images (R, K, C, H, W) of every style (R, D) ~ N(0, I) in each of K classes; None without such codes."""
        return None


RECONSTRUCTION_SCORES = (
    "reconstruction",
    "reconstruction_l1",
    "reconstruction_cosine",
    "reconstruction_bernoulli",
)


def reconstruction_scores(images: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
    """Four distances of images from their reconstruction, (B, C, H, W) twice -> (B,) each.

    ``reconstruction``: squared error summed over pixels. ``reconstruction_l1``: absolute error summed over pixels.
    ``reconstruction_cosine``: 1 - cosine similarity. ``reconstruction_bernoulli``: KL(Bernoulli(x) || Bernoulli(x'))
    in nats summed over pixels, which is the Bernoulli loss less each image's own entropy.
    """
    x, y = images.flatten(1).float(), reconstruction.flatten(1).float()  # (B, C*H*W)
    return {
        "reconstruction": (x - y).square().sum(1),
        "reconstruction_l1": (x - y).abs().sum(1),
        "reconstruction_cosine": 1 - nn.functional.cosine_similarity(x, y, dim=1, eps=1e-6),
        "reconstruction_bernoulli": bernoulli_divergence(x, y).sum(1),
    }


def gan_diagnostics(real_logit: Tensor, fake_logit: Tensor) -> dict[str, Tensor]:
    """V(G, D) = E[log D(real)] + E[log(1 - D(fake))], its optimum, and the mean of D, from logits (B, 1)."""
    softplus = nn.functional.softplus
    return {
        "gan/value": -softplus(-real_logit).mean() - softplus(fake_logit).mean(),
        "gan/value_at_optimum": real_logit.new_tensor(-log(4)),
        "gan/d_real": real_logit.sigmoid().mean(),
        "gan/d_fake": fake_logit.sigmoid().mean(),
    }


def bernoulli_divergence(x: Tensor, y: Tensor, eps: float = 1e-6) -> Tensor:
    """KL(Bernoulli(x) || Bernoulli(y)) for each element, in nats; y is kept ``eps`` away from 0 and 1."""
    y = y.clamp(eps, 1 - eps)
    return torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x) - x * y.log() - (1 - x) * (1 - y).log()
