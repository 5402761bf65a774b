"""What generative adversarial networks share: objectives, phases and diagnostics.

Letters: B images, D latent dimensions, K classes, F features of the discriminator. A label is one-hot, (B, K), all zero
where the class is not told.

Objectives, with l = D's output before the sigmoid (for Wasserstein the critic's value):

- minimax and non_saturating (Goodfellow et al. 2014, arXiv:1406.2661, section 3): D minimises
  -E[log D(x)] - E[log(1 - D(G(z)))]; G minimises E[log(1 - D(G(z)))] or -E[log D(G(z))].
- wasserstein_clipping (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1): the critic minimises E[l(G(z))] - E[l(x)],
  its weights cut to [-clip, clip] after each update; G minimises -E[l(G(z))].
- wasserstein_penalty (Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1): instead of cutting, the critic also
  minimises penalty_weight E[(||grad l(x^)|| - 1)^2], x^ uniform on the lines between real and generated images.

Differences from these papers, the same for every model here: networks of 256 units as shipped instead of DCGAN's;
``discriminator_steps`` is 1 or 2 and not the 5 critic steps of both Wasserstein papers; Adam, where clipping takes
RMSProp at 5e-5 and its authors warn of momentum (here betas 0.5, 0.999 at 2e-4), the gradient penalty Adam at 1e-4 with
betas 0, 0.9, and Goodfellow SGD with momentum. DCGAN's own Adam (2e-4, betas 0.5, 0.999) is the one here.

In training D normalises every batch, real or generated, by that batch's own statistics (``batch_norm`` with
``network=conv``). Its running statistics, which stand in for them when an image is scored, are of real batches alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn import functional as F

from benchmark.models.base import Noise, Phase, gan_diagnostics
from benchmark.models.keywords import GanObjective, Network
from benchmark.models.parts.discriminator import Discriminator, aside, copied_buffers, judge_batches
from benchmark.models.parts.networks import Decoder, ImageShape, initialise_as_dcgan

Judge = Callable[[Tensor, Tensor | None], Tensor]  # images (B, C, H, W) and their label -> logits (B, 1)
RUNNING = 0.01  # weight of a new batch in a running mean over training images


@dataclass(frozen=True)
class Game:
    """The losses of generator and discriminator: an objective and what may be added to it.

    ``unrolled_steps`` > 0: G minimises its loss against the discriminator that k further steps of gradient descent on
    this batch would give, and is differentiated through these steps (Metz et al. 2017, arXiv:1611.02163, section 2).
    ``classes`` > 0: generator and discriminator are told the class (Mirza & Osindero 2014, arXiv:1411.1784).
    """

    objective: GanObjective
    latent: int
    clip: float = 0.01
    penalty_weight: float = 10.0
    unrolled_steps: int = 0
    unrolled_learning_rate: float = 0.1
    classes: int = 0
    gradients: bool = False  # log the norms of G's gradient under the minimax and the non-saturating loss

    @property
    def wasserstein(self) -> bool:
        return self.objective.startswith("wasserstein")

    def generator(
        self,
        image_shape: ImageShape,
        network: Network,
        hidden: Sequence[int],
        channels: Sequence[int],
        batch_norm: bool,
    ) -> Decoder:
        """G: latent vectors and labels (B, D + K) -> logits of pixels (B, C, H, W)."""
        generator = Decoder(image_shape, self.latent + self.classes, network, hidden, channels, "relu", batch_norm)
        if network == "conv" and batch_norm:
            initialise_as_dcgan(generator)
        return generator

    def discriminator(
        self,
        image_shape: ImageShape,
        network: Network,
        hidden: Sequence[int],
        channels: Sequence[int],
        batch_norm: bool,
        closeness: int = 0,
    ) -> Discriminator:
        """The discriminator that the objective wants: under a gradient penalty every image is judged on its own.

        Raises ``ValueError`` for minibatch discrimination under a gradient penalty.
        """
        alone = self.objective == "wasserstein_penalty"
        if alone and closeness > 0:
            raise ValueError(
                "closeness compares the images of a batch, wasserstein_penalty needs each judged on its own: "
                "type model.closeness=0 or another model.objective"
            )
        return Discriminator(image_shape, network, hidden, channels, batch_norm and not alone, self.classes, closeness)

    def phases(
        self, rates: tuple[float, float], betas: Sequence[float], steps: int, end: float = 1.0
    ) -> tuple[Phase, Phase]:
        """``discriminator``, ``steps`` times for each ``generator``; ``rates`` are those of D and G."""
        noise = {"z": Noise((self.latent,))}
        more = {"mix": Noise((), "uniform")} if self.objective == "wasserstein_penalty" else {}
        pair = (betas[0], betas[1])
        clip = self.clip if self.objective == "wasserstein_clipping" else None
        return (
            Phase(
                "discriminator",
                ("discriminator",),
                rates[0],
                pair,
                repeats=steps,
                end=end,
                noise={**noise, **more},
                clip=clip,
            ),
            Phase("generator", ("generator",), rates[1], pair, end=end, noise=noise),
        )

    def loss(
        self,
        phase: str,
        images: Tensor,
        noise: Mapping[str, Tensor],
        generator: nn.Module,
        discriminator: Discriminator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of ``discriminator`` or ``generator`` on images (B, C, H, W), and quantities to log."""
        label = self.label(noise)
        fake = generate(generator, noise["z"], label)
        if phase == "generator":
            judge = self.unrolled(discriminator, images, fake, label)
            value = self.generator_loss(judge(fake, label).float())
            logged = {"generator_loss": value}
            if self.gradients:
                logged |= generator_gradients(generator, discriminator, noise["z"], label, len(images))
            return value, logged
        if label is not None:
            discriminator.seen.copy_(torch.maximum(discriminator.seen, label.amax(0)))
        fake_logit = aside(discriminator, fake, label).float()  # (B, 1)
        real_logit = discriminator(images, label).float()
        value = self.discriminator_loss(real_logit, fake_logit)
        logged = {"discriminator_loss": value, **self.values(real_logit, fake_logit, value)}
        if self.objective == "wasserstein_penalty":
            penalty = gradient_penalty(discriminator, images, fake, noise["mix"], label)
            value = value + self.penalty_weight * penalty
            logged["gradient_penalty"] = penalty
        return value, logged

    def label(self, noise: Mapping[str, Tensor]) -> Tensor | None:
        """One-hot labels (B, K) of ``noise["label"]``, all zero where the class is not told; None without classes."""
        if self.classes == 0:
            return None
        told = noise["label"] if "label" in noise else noise["z"].new_full((len(noise["z"]),), -1)
        return one_hot(told, self.classes)

    def generator_loss(self, fake_logit: Tensor) -> Tensor:
        if self.wasserstein:
            return -fake_logit.mean()
        saturating = self.objective == "minimax"
        return -F.softplus(fake_logit).mean() if saturating else F.softplus(-fake_logit).mean()

    def discriminator_loss(self, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        if self.wasserstein:
            return fake_logit.mean() - real_logit.mean()
        return F.softplus(-real_logit).mean() + F.softplus(fake_logit).mean()  # -V

    def values(self, real_logit: Tensor, fake_logit: Tensor, loss: Tensor) -> dict[str, Tensor]:
        """What to log of D: the estimate of Wasserstein's distance, or V and the means of D."""
        if self.wasserstein:
            return {"wasserstein_distance": -loss}
        return {"gan_value": -loss, "d_real": real_logit.sigmoid().mean(), "d_fake": fake_logit.sigmoid().mean()}

    def unrolled(self, discriminator: Discriminator, images: Tensor, fake: Tensor, label: Tensor | None) -> Judge:
        """The discriminator after ``unrolled_steps`` steps of gradient descent, differentiable in ``fake``."""
        if self.unrolled_steps == 0:
            return lambda shown, label: aside(discriminator, shown, label)
        weights = dict(discriminator.named_parameters())

        def judge(own: dict[str, Tensor], shown: Tensor) -> Tensor:
            return functional_call(discriminator, {**own, **copied_buffers(discriminator)}, (shown, label)).float()

        def loss(own: dict[str, Tensor]) -> Tensor:
            return self.discriminator_loss(judge(own, images), judge(own, fake))

        for _ in range(self.unrolled_steps):
            slope = grad(loss)(weights)
            weights = {name: value - self.unrolled_learning_rate * slope[name] for name, value in weights.items()}
        return lambda shown, _: judge(weights, shown)

    def diagnostics(
        self,
        images: Tensor,
        noise: Mapping[str, Tensor],
        generator: nn.Module,
        discriminator: Discriminator,
        batch_size: int,
    ) -> dict[str, Tensor]:
        """The value function and D on real and generated images, and G's gradient under both losses.

        D is the one that was trained: it judges batches of ``batch_size``, with their closeness and their own
        statistics of batch normalisation, and each image with its own label, a generated one with the label it was
        drawn with. An incomplete last batch is left out, unless it is the only one.
        """
        count = len(images) - len(images) % min(batch_size, len(images))
        label = self.label(noise)
        images, z, label = images[:count], noise["z"][:count], None if label is None else label[:count]
        fake = generate(generator, z, label)
        with torch.no_grad():
            real_logit = judge_batches(discriminator, images, label, batch_size)
            fake_logit = judge_batches(discriminator, fake, label, batch_size)
        if self.wasserstein:
            return {"gan/wasserstein_distance": real_logit.mean() - fake_logit.mean()}
        slopes = generator_gradients(generator, discriminator, z, label, batch_size)
        return {
            **gan_diagnostics(real_logit, fake_logit),
            **{f"gan/{name}": value for name, value in slopes.items()},
        }


def one_hot(label: Tensor, classes: int) -> Tensor:
    """Labels (B,) -> (B, K) float32; a row of zeros for a label outside 0..K-1."""
    return (label.unsqueeze(1) == torch.arange(classes, device=label.device)).float()


def round_robin(seen: Tensor, count: int) -> Tensor:
    """One-hot labels (count, K) that run through the seen classes in turn; all zero if none was seen."""
    order = seen.argsort(descending=True, stable=True)  # the seen ones first
    turn = torch.arange(count, device=seen.device) % seen.sum().long().clamp(min=1)  # (count,)
    chosen = order.gather(0, turn)
    return one_hot(chosen, len(seen)) * seen


def generate(generator: nn.Module, z: Tensor, label: Tensor | None = None) -> Tensor:
    """Images (B, C, H, W) in [0, 1] of latent vectors (B, D) and labels (B, K)."""
    return torch.sigmoid(generator(z if label is None else torch.cat([z, label], 1)).float())


def gradient_penalty(
    critic: Discriminator, images: Tensor, fake: Tensor, mix: Tensor, label: Tensor | None = None
) -> Tensor:
    """E[(||grad l(x^)|| - 1)^2], x^ = mix x + (1 - mix) G(z), from two batches (B, C, H, W) and mix (B,) in [0, 1]."""
    share = mix.view(-1, 1, 1, 1)
    between = share * images + (1 - share) * fake
    slope = grad(lambda x: critic(x, label).float().sum())(between)  # each image's own: D has no batch normalisation
    norm = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()  # the root has a slope at 0
    return (norm - 1).square().mean()


def generator_gradients(
    generator: nn.Module, discriminator: Discriminator, z: Tensor, label: Tensor | None, batch_size: int
) -> dict[str, Tensor]:
    """Norm of G's gradient, over all its parameters, under the minimax and under the non-saturating loss.

    D judges batches of ``batch_size`` as in training; the loss is the mean over all of them.
    """
    found = {}
    for name, sign in (("minimax", 1), ("non_saturating", -1)):

        def loss(own: dict[str, Tensor], sign: int = sign) -> Tensor:
            shown = z if label is None else torch.cat([z, label], 1)
            fake = functional_call(generator, {**own, **copied_buffers(generator)}, (shown,)).float().sigmoid()
            logit = judge_batches(discriminator, fake, label, batch_size)
            return -sign * F.softplus(sign * logit).mean()

        slopes = grad(loss)({key: value.detach() for key, value in generator.named_parameters()})
        found[f"gradient_norm_{name}"] = sum(s.square().sum() for s in slopes.values()).sqrt()
    return found


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """The modules as they are outside training: batch normalisation uses its running statistics and keeps them."""
    before = [module.training for module in modules]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for module, training in zip(modules, before, strict=True):
            module.train(training)
