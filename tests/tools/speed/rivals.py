"""What the engine is held against: the loop a user would write, PyOD's autoencoder, and the floor of the hardware."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset


def plain_loop(model: nn.Module, folder: Path, normal_class: int, batch_size: int, device: str) -> Callable[[], float]:
    """An epoch of a user's own loop: torchvision data set, DataLoader, one model, eager. Returns images per second."""
    from torchvision.datasets import MNIST
    from torchvision.transforms import ToTensor

    data = MNIST(folder, train=True, transform=ToTensor())
    subset = Subset(data, (data.targets == normal_class).nonzero().flatten().tolist())
    loader = DataLoader(subset, batch_size, shuffle=True)
    model = model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def epoch() -> float:
        start = time.perf_counter()
        for images, _ in loader:
            images = images.to(device)
            loss = (torch.sigmoid(model(images)) - images).square().flatten(1).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        synchronize(device)
        return len(subset) / (time.perf_counter() - start)

    return epoch


def pyod(images: Tensor, hidden: Sequence[int], batch_size: int) -> Callable[[], float]:
    """Epochs of PyOD's AutoEncoder with the same layers on images (N, H, W). Returns images per second of ``fit``."""

    def fit() -> float:
        detector = pyod_detector(hidden, batch_size, epochs=3)
        start = time.perf_counter()
        detector.fit(flat(images))
        return 3 * len(images) / (time.perf_counter() - start)

    return fit


def pyod_detector(hidden: Sequence[int], batch_size: int, epochs: int):  # type: ignore[no-untyped-def]
    from pyod.models.auto_encoder import AutoEncoder

    return AutoEncoder(
        hidden_neuron_list=list(hidden),
        epoch_num=epochs,
        batch_size=batch_size,
        batch_norm=False,
        dropout_rate=0.0,
        preprocessing=False,
        optimizer_params={},
        device=torch.device("cpu"),
        verbose=0,
    )


def flat(images: Tensor) -> np.ndarray:
    return (images.flatten(1).float() / 255).numpy()


def dense_floor(widths: Sequence[int], batch_size: int, workers: int) -> Callable[[], float]:
    """The matrix products of one dense autoencoder's training steps, and Adam's memory traffic, and nothing else.

    ``widths`` runs from image to image. Every worker has one thread and its own weights. Images per second of all.
    """
    steps = 30
    shapes = [(widths[i], widths[i + 1]) for i in range(len(widths) - 1)]
    count = sum(a * b + b for a, b in shapes)

    def one(_: int) -> None:
        torch.set_num_threads(1)
        x = [torch.randn(batch_size, w) for w in widths]
        w = [torch.randn(b, a) for a, b in shapes]
        source, target = torch.randn(7 * count // 2), torch.empty(7 * count // 2)  # 4 reads and 3 writes a parameter
        with torch.no_grad():
            for _ in range(steps):
                for i in range(len(shapes)):
                    x[i] @ w[i].T
                for i in reversed(range(len(shapes))):
                    x[i + 1].T @ x[i]
                    if i > 0:
                        x[i + 1] @ w[i]
                target.copy_(source)

    return lambda: _in_parallel(one, workers, steps * batch_size)


def convolution_floor(layers: Sequence[nn.Module], batch_size: int, workers: int) -> Callable[[], float]:
    """The convolutions and products of ``layers``, forward and backward, alone: images per second of all workers."""
    steps = 6

    def one(_: int) -> None:
        torch.set_num_threads(1)
        x = torch.randn(batch_size, 1, 28, 28)
        inputs = []
        with torch.no_grad():
            for layer in layers:
                inputs.append(x.clone())
                x = layer(x)
        heavy = [
            (layer, x, layer(x).detach())
            for layer, x in zip(layers, inputs, strict=True)
            if any(True for _ in layer.parameters())
        ]
        for _ in range(steps):
            for i, (layer, x, y) in enumerate(heavy):
                x = x.requires_grad_(i > 0)
                wanted = [*layer.parameters(), *([x] if i > 0 else [])]
                torch.autograd.grad(layer(x), wanted, y)

    return lambda: _in_parallel(one, workers, steps * batch_size)


def _in_parallel(one: Callable[[int], None], workers: int, images: int) -> float:
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, range(workers)))
    return workers * images / (time.perf_counter() - start)


def synchronize(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def squared_error(model: nn.Module, images: Tensor) -> np.ndarray:
    """Squared error of uint8 images (N, C, H, W) from their reconstruction by an eager model."""
    pixels = images.float() / 255
    with torch.no_grad():
        return F.mse_loss(torch.sigmoid(model(pixels)), pixels, reduction="none").flatten(1).sum(1).numpy()
