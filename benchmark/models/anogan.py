"""AnoGAN: a GAN learns normal images; an image is anomalous if no latent vector generates it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmark.models.base import RECONSTRUCTION_SCORES, Model, Noise, reconstruction_scores
from benchmark.models.keywords import (
    Betas,
    Count,
    CountOrNone,
    GanObjective,
    Network,
    NotNegative,
    Positive,
    Schedule,
    Share,
    Widths,
)
from benchmark.models.parts.adversarial import Game, generate, round_robin
from benchmark.models.parts.networks import ImageShape
from benchmark.models.parts.search import descend, nearest


class AnoGAN(Model):
    """Generative adversarial network, and for each image a search of the latent vector that generates it best.

    Training: min_G max_D V = E[log D(x)] + E[log(1 - D(G(z)))], z ~ N(0, I), or another ``objective`` of
    ``parts.adversarial``, ``discriminator_steps`` updates of D for each of G. At the optimum D = 1/2 and
    V = -log 4. Options, off as shipped: minibatch discrimination (``closeness``, the number of its features), an
    unrolled discriminator (``unrolled_steps``), and labels (``conditional``).

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
    1. z ~ N(0, I) in place of a bounded uniform prior. Nothing keeps the search inside it as shipped; with
       ``search_prior`` = w it descends on A(x) + w |z|^2 / 2, and stays where the prior has its mass. The scores are
       without that term. Pixels in [0, 1] by a sigmoid in place of tanh.
    2. The search starts from the nearest of many fixed draws instead of from one random draw, and its learning rate
       falls along a half cosine; ``candidates=1 restarts=1`` starts every image from the same draw, as the paper does.
    3. The search has 40 steps as shipped instead of 500, at rates whose sum is about 1: no coordinate of z moves much
       farther than that, and A(x) still falls after them.
    4. With several restarts the one with the least A(x) counts.
    5. Dense networks of 256 units as shipped instead of DCGAN's. ``network=conv`` has DCGAN's kind of layers, its
       initialisation and its Adam, in two halvings of 32 and 64 channels, with kernels of 4 x 4 (the authors' code:
       5 x 5). What differs under other objectives is listed in ``parts.adversarial``.
    6. With labels, a test image's class is unknown: the candidates run through all classes seen in training, and the
       search keeps the class of the candidate it starts from.
    """

    score_names = ("residual", "discrimination", "total", *RECONSTRUCTION_SCORES)

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "total",
        network: Network = "dense",
        hidden: Widths = (256,),
        discriminator_hidden: Widths = (256,),
        channels: Widths = (32, 64),
        latent: Count = 16,
        objective: GanObjective = "non_saturating",
        clip: Positive = 0.01,
        penalty_weight: NotNegative = 10.0,
        closeness: CountOrNone = 0,
        unrolled_steps: CountOrNone = 0,
        unrolled_learning_rate: Positive = 0.1,
        conditional: bool = False,
        classes: Count = 10,
        log_gradients: bool = False,
        discriminator_steps: Count = 1,
        batch_norm: bool = True,
        epochs: Count = 20,
        batch_size: Count = 64,
        learning_rate: Positive = 2e-4,
        discriminator_learning_rate: Positive = 2e-4,
        betas: Betas = (0.5, 0.999),
        schedule: Schedule = "constant",
        search_lambda: Share = 0.1,
        feature_layer: Count = 1,
        search_steps: CountOrNone = 40,
        search_learning_rate: Positive = 0.05,
        search_patience: CountOrNone = 0,
        search_prior: NotNegative = 0.0,
        candidates: Count = 512,
        restarts: Count = 1,
    ) -> None:
        super().__init__()
        if not 1 <= restarts <= candidates:
            raise ValueError(f"restarts must be between 1 and candidates={candidates}, got {restarts}")
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.search_lambda, self.search_prior, self.restarts = search_lambda, search_prior, restarts
        self.search_steps, self.search_learning_rate = search_steps, search_learning_rate
        self.search_patience, self.one_by_one = search_patience, search_patience > 0
        self.label_share = 1.0 if conditional else 0.0
        told = classes if conditional else 0
        self.game = Game(
            objective=objective,
            latent=latent,
            clip=clip,
            penalty_weight=penalty_weight,
            unrolled_steps=unrolled_steps,
            unrolled_learning_rate=unrolled_learning_rate,
            classes=told,
            gradients=log_gradients,
        )
        self.generator = self.game.generator(image_shape, network, hidden, channels, batch_norm)
        self.discriminator = self.game.discriminator(
            image_shape, network, discriminator_hidden, channels, batch_norm, closeness
        )
        self.feature_end = self.discriminator.feature_end(feature_layer)
        self.phases = self.game.phases((discriminator_learning_rate, learning_rate), betas, discriminator_steps)
        self.diagnostic_noise = {"z": Noise((latent,))}
        self.score_noise = {"candidates": Noise((candidates, latent))}

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return self.game.loss(phase, images, noise, self.generator, self.discriminator)

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        repeated = images.repeat_interleave(self.restarts, dim=0)  # (B*R, C, H, W)
        features = self.features(repeated)
        codes = self.search(self.nearest(images, self.with_labels(noise["candidates"])), repeated, features)
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
        return self.game.diagnostics(images, noise, self.generator, self.discriminator, self.batch_size)

    def nearest(self, images: Tensor, candidates: Tensor) -> Tensor:
        """The candidates (of shape (M, D)) whose images are nearest in squared error: (B, C, H, W) -> (B*R, D)."""
        return candidates[nearest(images, self.decode(candidates), self.restarts)]

    def search(self, codes: Tensor, images: Tensor, features: Tensor) -> Tensor:
        """Move each code (B, D + K) to where it generates its image best; its label stays."""
        z, label = codes[:, : self.game.latent], codes[:, self.game.latent :]

        def losses(z: Tensor, rows: Tensor | None) -> Tensor:
            labels, x, f = (t if rows is None else t[rows] for t in (label, images, features))
            residual, discrimination = self.distances(torch.cat([z, labels], 1), x, f)
            total = (1 - self.search_lambda) * residual + self.search_lambda * discrimination
            return total + self.search_prior / 2 * z.square().sum(1) if self.search_prior > 0 else total

        found = descend(losses, z, self.search_steps, self.search_learning_rate, self.search_patience)
        return torch.cat([found, label], 1)

    def distances(self, codes: Tensor, images: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Residual and discrimination loss of each code against its image and the image's features: (B,) twice."""
        generated = self.decode(codes)
        residual = (generated - images).abs().flatten(1).sum(1)
        return residual, (self.features(generated) - features).abs().flatten(1).sum(1)

    def features(self, images: Tensor) -> Tensor:
        """Features f(x) of the discriminator: (B, C, H, W) -> (B, features)."""
        return self.discriminator.features(images, self.feature_end)

    def decode(self, codes: Tensor) -> Tensor:
        return generate(self.generator, codes)

    def with_labels(self, z: Tensor) -> Tensor:
        """Latent vectors with the normal classes in turn behind them: (B, D) -> (B, D + K), K = 0 without labels."""
        if self.game.classes == 0:
            return z
        return torch.cat([z, round_robin(self.discriminator.seen, len(z))], 1)

    def sample(self, noise: Tensor) -> Tensor:
        return self.decode(self.with_labels(noise[:, : self.game.latent]))
