"""The discriminator of generative adversarial networks, or a Wasserstein critic.

Letters: B images, K classes, F features, A rows of minibatch discrimination. A label is one-hot, (B, K), all zero where
the class is not told.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from benchmark.models.keywords import Network
from benchmark.models.parts.networks import Encoder, ImageShape, initialise_as_dcgan


class Discriminator(Encoder):
    """Images -> logit (B, 1): D before its sigmoid, or a Wasserstein critic.

    With ``classes`` it judges images together with their label: the logit gains <W y, f(x)> (projection discriminator,
    Miyato & Koyama 2018, arXiv:1802.05637, section 3). With ``closeness`` = A > 0 it sees how near a batch's images
    are to one another (minibatch discrimination, Salimans et al. 2016, arXiv:1606.03498, section 3.2): features f(x)
    are mapped to A rows M_a(x) of ``CLOSENESS_SIZE`` numbers, o_a(x_i) = sum_{j != i} exp(-||M_a(x_i) - M_a(x_j)||_1),
    and o joins the features before the last layer. Outside training o is left out: an image is judged by itself.

    A convolutional D with batch normalisation starts from DCGAN's weights (``initialise_as_dcgan``), which are made for
    it; without, as under a gradient penalty, from PyTorch's, which are scaled by a layer's inputs.
    """

    CLOSENESS_SIZE = 5

    def __init__(
        self,
        image_shape: ImageShape,
        network: Network,
        hidden: Sequence[int],
        channels: Sequence[int],
        batch_norm: bool,
        classes: int = 0,
        closeness: int = 0,
    ) -> None:
        super().__init__(image_shape, 1, network, hidden, channels, "leaky_relu", batch_norm and network == "conv")
        if network == "conv" and batch_norm:
            initialise_as_dcgan(self)
        features = self.head.in_features
        self.closeness = closeness
        if classes > 0:
            self.label_weight = nn.Linear(classes, features, bias=False)
            self.register_buffer("seen", torch.zeros(classes))  # 1 for the classes that training told
        if closeness > 0:
            self.closeness_map = nn.Linear(features, closeness * self.CLOSENESS_SIZE, bias=False)
            self.closeness_head = nn.Linear(closeness, 1, bias=False)

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        features = self.body(images)  # (B, F)
        logit = self.head(features)
        if label is not None:
            logit = logit + (self.label_weight(label) * features).sum(1, keepdim=True)
        if self.closeness > 0 and self.training:
            logit = logit + self.closeness_head(self.nearness(features))
        return logit

    def nearness(self, features: Tensor) -> Tensor:
        """o(x), how near each image of a batch is to the others: (B, F) -> (B, A)."""
        rows = self.closeness_map(features).unflatten(1, (self.closeness, self.CLOSENESS_SIZE))  # (B, A, size)
        distance = (rows.unsqueeze(0) - rows.unsqueeze(1)).abs().sum(-1)  # (B, B, A)
        return (-distance).exp().sum(1) - 1  # less the image itself

    def feature_end(self, layer: int) -> int:
        """Where in the body the features of ``layer``, counted from its end, are complete.

        Raises ``ValueError`` if there is no such layer.
        """
        activations = [i for i, part in enumerate(self.body) if isinstance(part, nn.LeakyReLU)]
        if not 1 <= layer <= len(activations):
            raise ValueError(f"feature_layer must be between 1 and {len(activations)}, got {layer}")
        return activations[-layer] + 1

    def features(self, images: Tensor, end: int) -> Tensor:
        """Features f(x) up to ``end`` of the body: (B, C, H, W) -> (B, features)."""
        return self.body[:end](images).flatten(1).float()


def aside(discriminator: Discriminator, images: Tensor, label: Tensor | None) -> Tensor:
    """D's logits (B, 1), its running statistics of batch normalisation left as they are."""
    return functional_call(discriminator, copied_buffers(discriminator), (images, label))


def judge_batches(discriminator: Discriminator, images: Tensor, label: Tensor | None, batch_size: int) -> Tensor:
    """Logits (B, 1) of the discriminator as it is in training, on batches of ``batch_size``; it is left as it is."""
    before = discriminator.training
    discriminator.train()
    labels = [None] * len(images) if label is None else label.split(batch_size)
    try:
        parts = zip(images.split(batch_size), labels, strict=False)
        return torch.cat([aside(discriminator, shown, told).float() for shown, told in parts])
    finally:
        discriminator.train(before)


def best_logit(discriminator: Discriminator, images: Tensor) -> Tensor:
    """D's logit (B, 1) of each image alone: a score, not the trained D, which may see labels and a whole batch.

    With labels it is the largest over the classes seen in training; the term of minibatch discrimination is left out.
    """
    features = discriminator.body(images)
    logit = discriminator.head(features).float()
    if not hasattr(discriminator, "seen"):
        return logit
    by_class = (features @ discriminator.label_weight.weight).float()  # (B, K)
    seen = discriminator.seen
    none = 1 - seen.amax()  # without any told class the unlabelled logit stands
    by_class = torch.where(seen > 0, by_class, torch.where(none > 0, 0.0, -torch.inf))
    return logit + by_class.amax(1, keepdim=True)


def copied_buffers(module: nn.Module) -> dict[str, Tensor]:
    """Copies, so that a trial leaves the running statistics of batch normalisation as they are."""
    return {name: value.clone() for name, value in module.named_buffers()}
