"""f-AnoGAN: a Wasserstein GAN and an encoder that learns what AnoGAN searches for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from benchmark.models.adversarial import Game, evaluating, generate
from benchmark.models.base import RECONSTRUCTION_SCORES, Model, Noise, Phase, reconstruction_scores
from benchmark.models.choices import Network, Schedule
from benchmark.models.networks import Decoder, Encoder, ImageShape
from benchmark.models.search import descend


class FAnoGAN(Model):
    """Wasserstein GAN with gradient penalty, then an encoder E trained so that G(E(x)) is x (izi_f).

    Training: the first ``gan_share`` of the epochs train G and the critic D (``wasserstein_penalty`` of
    ``benchmark.models.adversarial``, ``discriminator_steps`` updates of D for each of G). The rest train E with G and D
    fixed: min_E E[1/n ||x - G(E(x))||^2 + kappa/m ||f(x) - f(G(E(x)))||^2], n pixels, f the m features of D's last
    hidden layer.

    Scores: ``residual`` 1/n ||x - G(z)||^2; ``discrimination`` 1/m ||f(x) - f(G(z))||^2; ``total`` residual + kappa
    discrimination, the paper's A(x); and the distances of ``reconstruction_scores`` with x' = G(z); z = E(x), or with
    ``search_steps`` > 0 what that many steps of Adam on A(x) make of E(x), one search an image.

    References
    ----------
    Schlegl et al. 2019, f-AnoGAN: Fast unsupervised anomaly detection with generative adversarial networks, Medical
    Image Analysis 54 (sections 2.1, 2.2.3: izi_f, 2.3). Gulrajani et al. 2017, Improved Training of Wasserstein GANs,
    arXiv:1704.00028.

    Differences from the paper
    --------------------------
    1. Dense networks or DCGAN's instead of residual blocks; Adam in all phases (the paper: RMSProp for E).
    2. E's output is linear and not bounded; z ~ N(0, I).
    3. In the encoder's phase G's batch normalisation uses its running statistics, as it does when images are scored.
    4. The search from E(x) is an addition, AnoGAN's with the loss A(x).
    """

    score_names = ("residual", "discrimination", "total", *RECONSTRUCTION_SCORES)
    frozen: ClassVar[Mapping[str, str]] = {"discriminator.head.bias": "a constant cancels in the critic's loss"}

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "total",
        network: Network = "dense",
        hidden: Sequence[int] = (256,),
        discriminator_hidden: Sequence[int] = (256,),
        channels: Sequence[int] = (32, 64),
        latent: int = 16,
        penalty_weight: float = 10.0,
        discriminator_steps: int = 2,
        batch_norm: bool = True,
        gan_share: float = 0.6,
        kappa: float = 1.0,
        search_steps: int = 0,
        search_learning_rate: float = 0.02,
        epochs: int = 50,
        batch_size: int = 64,
        learning_rate: float = 5e-4,
        discriminator_learning_rate: float = 5e-4,
        encoder_learning_rate: float = 1e-3,
        betas: Sequence[float] = (0.5, 0.9),
        schedule: Schedule = "constant",
    ) -> None:
        super().__init__()
        if not 0 < gan_share < 1:
            raise ValueError(
                f"gan_share must be between 0 and 1, got {gan_share}; type for example model.gan_share=0.6"
            )
        self.headline, self.epochs, self.batch_size, self.schedule = headline, epochs, batch_size, schedule
        self.kappa, self.search_steps, self.search_learning_rate = kappa, search_steps, search_learning_rate
        self.game = Game("wasserstein_penalty", latent, penalty_weight=penalty_weight)
        self.generator = Decoder(image_shape, latent, network, hidden, channels, "relu", batch_norm)
        self.discriminator = self.game.discriminator(image_shape, network, discriminator_hidden, channels, False)
        self.encoder = Encoder(image_shape, latent, network, hidden, channels, "leaky_relu")
        self.feature_end = self.discriminator.feature_end(1)
        self.phases = (
            *self.game.phases((discriminator_learning_rate, learning_rate), betas, discriminator_steps, end=gan_share),
            Phase("encoder", ("encoder",), encoder_learning_rate, begin=gan_share),
        )
        self.diagnostic_noise = {"z": Noise((latent,))}

    def loss(self, phase: str, images: Tensor, noise: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        if phase != "encoder":
            return self.game.loss(phase, images, noise, self.generator, self.discriminator)
        with evaluating(self.generator, self.discriminator):
            residual, discrimination = self.distances(self.encoder(images).float(), images)
        value = (residual + self.kappa * discrimination).mean()
        return value, {"encoder_loss": value, "encoder_residual": residual.mean()}

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        code = self.encoder(images).float()  # (B, D)
        if self.search_steps > 0:
            code = self.search(code, images)
        residual, discrimination = self.distances(code, images)
        reconstruction = self.decode(code)
        scores = {
            "residual": residual,
            "discrimination": discrimination,
            "total": residual + self.kappa * discrimination,
            **reconstruction_scores(images, reconstruction),
        }
        return {"scores": scores, "reconstruction": reconstruction, "code": code}

    def search(self, codes: Tensor, images: Tensor) -> Tensor:
        """Move each code (B, D) to a lower A(x) of its image."""
        pixels = images[0].numel()

        def losses(z: Tensor, rows: Tensor | None) -> Tensor:
            residual, discrimination = self.distances(z, images)
            return pixels * (residual + self.kappa * discrimination)

        return descend(losses, codes, self.search_steps, self.search_learning_rate)

    def distances(self, codes: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """1/n ||x - G(z)||^2 and 1/m ||f(x) - f(G(z))||^2: (B,) twice."""
        generated = self.decode(codes)
        residual = (generated - images).square().flatten(1).mean(1)
        return residual, (self.features(generated) - self.features(images)).square().mean(1)

    def diagnostics(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.game.diagnostics(images, noise, self.generator, self.discriminator)

    def features(self, images: Tensor) -> Tensor:
        """Features f(x) of the critic: (B, C, H, W) -> (B, m)."""
        return self.discriminator.features(images, self.feature_end)

    def decode(self, codes: Tensor) -> Tensor:
        return generate(self.generator, codes)

    def sample(self, noise: Tensor) -> Tensor:
        return self.decode(noise)
