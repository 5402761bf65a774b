"""AnoGAN: a GAN learns normal images; an image is anomalous if no latent vector generates it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import cos, pi
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.models.base import (
    RECONSTRUCTION_SCORES,
    Model,
    Noise,
    Phase,
    gan_diagnostics,
    reconstruction_scores,
)
from benchmark.models.choices import Network, Schedule
from benchmark.models.networks import Decoder, Encoder, ImageShape


class AnoGAN(Model):
    """Generative adversarial network, and for each image a search of the latent vector that generates it best.

    Training: min_G max_D V = E[log D(x)] + E[log(1 - D(G(z)))], z ~ N(0, I); the generator's loss is
    E[log(1 - D(G(z)))] (``minimax``) or -E[log D(G(z))] (``non_saturating``); ``discriminator_steps`` updates of D for
    each of G. At the optimum D = 1/2 and V = -log 4.

    Search, with G and D fixed: z^ = argmin_z (1 - lambda) sum|x - G(z)| + lambda sum|f(x) - f(G(z))|, f the features of
    layer ``feature_layer`` of D (counted from its end). Every image has its own z; Adam, ``search_steps`` steps, from
    the ``restarts`` candidates nearest to the image among ``candidates`` fixed draws of z.

    Scores: ``residual`` sum|x - G(z^)|; ``discrimination`` sum|f(x) - f(G(z^))|; ``total``, the weighted sum A(x) of
    the paper; and the distances of ``reconstruction_scores`` with x' = G(z^).

    References
    ----------
    Schlegl et al. 2017, Unsupervised Anomaly Detection with Generative Adversarial Networks to Guide Marker
    Discovery, arXiv:1703.05921 (sections 2.1, 2.2). Goodfellow et al. 2014, Generative Adversarial Nets,
    arXiv:1406.2661. Radford et al. 2016, DCGAN, arXiv:1511.06434 (section 3, ``network=conv``).

    Differences from the papers
    ---------------------------
    1. z ~ N(0, I) in place of a uniform prior; pixels in [0, 1] by a sigmoid in place of tanh.
    2. The search starts from the nearest of many fixed draws instead of from one random draw, and its learning rate
       falls along a half cosine; ``candidates=1 restarts=1`` starts every image from the same draw, as the paper does.
    3. With several restarts the one with the least A(x) counts.
    4. A dense generator and discriminator as an alternative to DCGAN.
    """

    score_names = ("residual", "discrimination", "total", *RECONSTRUCTION_SCORES)

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "total",
        network: Network = "dense",
        hidden: Sequence[int] = (256,),
        discriminator_hidden: Sequence[int] = (256,),
        channels: Sequence[int] = (32, 64),
        latent: int = 16,
        generator_loss: Literal["non_saturating", "minimax"] = "non_saturating",
        discriminator_steps: int = 1,
        batch_norm: bool = True,
        epochs: int = 20,
        batch_size: int = 64,
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float = 2e-4,
        betas: Sequence[float] = (0.5, 0.999),
        schedule: Schedule = "constant",
        search_lambda: float = 0.1,
        feature_layer: int = 1,
        search_steps: int = 40,
        search_learning_rate: float = 0.05,
        candidates: int = 512,
        restarts: int = 1,
    ) -> None:
        super().__init__()
        if not 1 <= restarts <= candidates:
            raise ValueError(f"restarts must be between 1 and candidates={candidates}, got {restarts}")
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.generator_loss, self.search_lambda = generator_loss, search_lambda
        self.search_steps, self.search_learning_rate, self.restarts = (
            search_steps,
            search_learning_rate,
            restarts,
        )
        self.generator = Decoder(image_shape, latent, network, hidden, channels, "relu", batch_norm)
        conv = network == "conv"  # batch normalisation of D: DCGAN only
        self.discriminator = Encoder(
            image_shape, 1, network, discriminator_hidden, channels, "leaky_relu", batch_norm and conv
        )
        self.feature_end = self._feature_end(feature_layer)
        rate, d_rate, (beta1, beta2) = learning_rate, discriminator_learning_rate, betas
        self.phases = (
            Phase(
                "discriminator",
                ("discriminator",),
                d_rate,
                (beta1, beta2),
                repeats=discriminator_steps,
                noise={"z": Noise((latent,))},
            ),
            Phase("generator", ("generator",), rate, (beta1, beta2), noise={"z": Noise((latent,))}),
        )
        self.diagnostic_noise = {"z": Noise((latent,))}
        self.score_noise = {"candidates": Noise((candidates, latent))}

    def _feature_end(self, feature_layer: int) -> int:
        """Where in the discriminator's body the features of the given layer, counted from its end, are complete."""
        activations = [i for i, layer in enumerate(self.discriminator.body) if isinstance(layer, nn.LeakyReLU)]
        if not 1 <= feature_layer <= len(activations):
            raise ValueError(f"feature_layer must be between 1 and {len(activations)}, got {feature_layer}")
        return activations[-feature_layer] + 1

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        fake_logit = self.discriminator(self.decode(noise["z"])).float()  # (B, 1)
        if phase == "generator":
            saturating = self.generator_loss == "minimax"
            value = -F.softplus(fake_logit).mean() if saturating else F.softplus(-fake_logit).mean()
            return value, {"generator_loss": value}
        real_logit = self.discriminator(images).float()  # (B, 1)
        value = F.softplus(-real_logit).mean() + F.softplus(fake_logit).mean()  # -V
        return value, {
            "discriminator_loss": value,
            "gan_value": -value,
            "d_real": real_logit.sigmoid().mean(),
            "d_fake": fake_logit.sigmoid().mean(),
        }

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        repeated = images.repeat_interleave(self.restarts, dim=0)  # (B*R, C, H, W)
        features = self.features(repeated)
        codes = self.search(self.nearest(images, noise["candidates"]), repeated, features)  # (B*R, D)
        residual, discrimination = self.distances(codes, repeated, features)  # (B*R,) twice
        total = (1 - self.search_lambda) * residual + self.search_lambda * discrimination
        best = total.view(-1, self.restarts).argmin(1, keepdim=True)  # (B, 1)

        def pick(values: Tensor) -> Tensor:
            return values.view(-1, self.restarts).gather(1, best).squeeze(1)

        index = best.unsqueeze(-1).expand(-1, -1, codes.shape[1])
        code = codes.view(-1, self.restarts, codes.shape[1]).gather(1, index).squeeze(1)  # (B, D)
        reconstruction = self.decode(code)
        scores = {
            "residual": pick(residual),
            "discrimination": pick(discrimination),
            "total": pick(total),
            **reconstruction_scores(images, reconstruction),
        }
        return {"scores": scores, "reconstruction": reconstruction, "code": code}

    def diagnostics(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        real = self.discriminator(images).float()  # (B, 1)
        fake = self.discriminator(self.decode(noise["z"])).float()
        return gan_diagnostics(real, fake)

    def nearest(self, images: Tensor, candidates: Tensor) -> Tensor:
        """The candidates (of shape (M, D)) whose images are nearest in squared error: (B, C, H, W) -> (B*R, D)."""
        generated = self.decode(candidates).flatten(1).float()  # (M, C*H*W)
        distance = generated.square().sum(1) - 2 * images.flatten(1) @ generated.T  # (B, M), up to |x|^2
        return candidates[distance.topk(self.restarts, dim=1, largest=False).indices.flatten()]

    def search(self, codes: Tensor, images: Tensor, features: Tensor) -> Tensor:
        """Move each code (B, D) to where it generates its image best, by Adam on the summed loss."""

        def loss(z: Tensor) -> Tensor:
            residual, discrimination = self.distances(z, images, features)
            return ((1 - self.search_lambda) * residual + self.search_lambda * discrimination).sum()

        gradient = torch.func.grad(loss)  # each code's gradient is its own: the images do not interact
        mean, square = torch.zeros_like(codes), torch.zeros_like(codes)
        for step in range(self.search_steps):
            g = gradient(codes)
            mean = 0.9 * mean + 0.1 * g
            square = 0.999 * square + 0.001 * g * g
            rate = self.search_learning_rate * 0.5 * (1 + cos(pi * step / self.search_steps))
            unbiased = (square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            codes = codes - rate * mean / (1 - 0.9 ** (step + 1)) / unbiased
        return codes

    def distances(self, codes: Tensor, images: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Residual and discrimination loss of each code against its image and the image's features: (B,) twice."""
        generated = self.decode(codes)
        residual = (generated - images).abs().flatten(1).sum(1)
        return residual, (self.features(generated) - features).abs().flatten(1).sum(1)

    def features(self, images: Tensor) -> Tensor:
        """Features f(x) of the discriminator: (B, C, H, W) -> (B, features)."""
        return self.discriminator.body[: self.feature_end](images).flatten(1).float()

    def decode(self, codes: Tensor) -> Tensor:
        return torch.sigmoid(self.generator(codes).float())

    def sample(self, noise: Tensor) -> Tensor:
        return self.decode(noise)
