"""Models that scikit-learn fits in one call: buffers of a size that the fit gives, features, and exact distances."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.models.parts.choices import Features
from benchmark.models.parts.networks import ImageShape
from benchmark.models.parts.rows import evenly_spaced


class Fitted:
    """What these models share, to be named before ``Model``: ``class KDE(Fitted, Model)``.

    A buffer takes the shape of what is kept in it or loaded into it. Everything learned is a buffer, so a record is a
    plain ``state_dict``.

    Images are seen as ``features``: ``pixels``, flattened (P = C*H*W), or ``pca``, their coordinates on the
    ``components`` leading principal axes of the training images (d), divided by their standard deviations with
    ``whiten``.
    """

    vmappable = False
    random = False

    def _prepare(self, image_shape: ImageShape, features: Features, components: int, whiten: bool) -> None:
        self.features, self.components, self.whiten = features, components, whiten
        if features == "pca":
            self.register_buffer("pixel_mean", torch.zeros(prod(image_shape)))  # (P,)
            self.register_buffer("axes", torch.zeros(components, prod(image_shape)))  # (d, P)

    def keep(self, **values: np.ndarray | Tensor | float) -> None:
        """Put values into the buffers of these names: real numbers in float32, whole numbers in int64."""
        for name, value in values.items():
            tensor = torch.as_tensor(value, device=getattr(self, name).device)
            setattr(self, name, tensor.float() if tensor.is_floating_point() else tensor.long())

    def fit_features(self, images: Tensor, most: int | None = None) -> np.ndarray:
        """Features of training images (N, C, H, W), float64 (N, d); of ``most`` evenly spaced ones where N is larger.

        Raises ``ValueError`` if there are fewer images than ``components``.
        """
        if most is not None:
            images = evenly_spaced(images, most)
        if self.features == "pca":
            self._fit_axes(images.flatten(1).double().cpu().numpy())
        return self.as_features(images).double().cpu().numpy()

    def _fit_axes(self, flat: np.ndarray) -> None:
        from sklearn.decomposition import PCA

        if len(flat) < self.components:
            raise ValueError(
                f"{self.components} principal components need as many training images, got {len(flat)}; "
                f"type model.components={len(flat)} or fewer, or model.features=pixels"
            )
        pca = PCA(self.components, svd_solver="covariance_eigh").fit(flat)
        scale = np.sqrt(pca.explained_variance_) if self.whiten else np.ones(self.components)
        self.keep(pixel_mean=pca.mean_, axes=pca.components_ / scale[:, None])

    def as_features(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) as features (B, d), in float64 where the device has it."""
        flat = exact(images.flatten(1))  # (B, P)
        return flat if self.features == "pixels" else (flat - exact(self.pixel_mean)) @ exact(self.axes).T

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        for name, buffer in list(self._buffers.items()):
            value = state_dict.get(prefix + name)
            if value is not None and value.shape != buffer.shape:
                setattr(self, name, buffer.new_empty(value.shape))
        super()._load_from_state_dict(state_dict, prefix, *arguments)  # type: ignore[misc]


def exact(values: Tensor) -> Tensor:
    """``values`` in float64, but on Apple's graphics processors, which have none."""
    return values if values.device.type == "mps" else values.double()


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|^2 of all pairs: (B, d), (N, d) -> (B, N), in the precision of ``exact``."""
    x, y = exact(x), exact(y)
    products = x @ y.T
    return (x.square().sum(1, keepdim=True) - 2 * products + y.square().sum(1)).clamp(min=0)


def without_itself(distances: Tensor) -> Tensor:
    """Squared distances (B, N) with infinity where an image meets its own copy: what rounding alone keeps from 0."""
    least = 1e-9 if distances.dtype == torch.float64 else 1e-3  # pixels one grey level apart: 1.5e-5
    return distances.masked_fill(distances < least, torch.inf)
