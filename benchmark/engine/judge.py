"""A small classifier of a data set's training split, which judges generated images: it never touches a score.

It is trained once for a data set and version, on the CPU from fixed seeds, and kept in a file beside the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from benchmark.data.images import ImageData
from benchmark.data.writing import replacing
from benchmark.engine.fleet import to_pixels
from benchmark.engine.state import Batches
from benchmark.say import warn
from benchmark.seeds import derive_seed

CLASSIFIER_VERSION = 1  # raise it when the same data give another classifier
FEATURES = 64
STEPS, BATCH_SIZE, LEARNING_RATE = 1400, 128, 2e-3  # three passes over 60,000 images
_LOCK = Lock()  # fleets of a job ask for it at once
_KEPT: dict[str, Classifier] = {}


class Network(nn.Module):
    """Two strided convolutions and two linear layers: images (B, C, H, W) -> logits (B, classes)."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int, generator: torch.Generator) -> None:
        super().__init__()
        channels, height, width = image_shape
        size = 32 * ((height + 3) // 4) * ((width + 3) // 4)
        self.body = nn.Sequential(
            skip_init(nn.Conv2d, channels, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            skip_init(nn.Conv2d, 16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            skip_init(nn.Linear, size, FEATURES),
            nn.ReLU(),
        )
        self.head = skip_init(nn.Linear, FEATURES, classes)  # torch's own start draws from the global generator
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.kaiming_uniform_(parameter, nonlinearity="relu", generator=generator)
            else:
                nn.init.zeros_(parameter)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images))


@dataclass(frozen=True)
class Classifier:
    """A trained network and its accuracy on the official test split; NaN where that has no images."""

    network: Network
    accuracy: float

    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class (B,) and features (B, FEATURES) in float64 of images (B, C, H, W) with pixels in [0, 1]."""
        with torch.no_grad():
            features = torch.cat([self.network.body(part) for part in images.cpu().split(500)])
            return self.network.head(features).argmax(1), features.double()


def classifier_of(data: ImageData, folder: Path) -> Classifier:
    """The classifier of a data set, from memory, from its file in ``folder``, or trained now and written there."""
    with _LOCK:
        if data.version not in _KEPT:
            path = folder / f"classifier-{data.name}-{data.version[:12]}-v{CLASSIFIER_VERSION}.pt"
            _KEPT[data.version] = _read(path, data) or _make(path, data)
        return _KEPT[data.version]


def train_classifier(data: ImageData) -> Classifier:
    """Train on all classes of the official training split; accuracy on the official test split."""
    generator = torch.Generator().manual_seed(derive_seed("classifier", CLASSIFIER_VERSION, data.version))
    network = Network(data.image_shape, len(data.class_names), generator)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    batches = Batches(torch.arange(len(data.train_images)), derive_seed("classifier order", data.version))
    for _ in range(STEPS):
        rows = batches.take(BATCH_SIZE)
        optimizer.zero_grad()
        F.cross_entropy(network(to_pixels(data.train_images[rows])), data.train_labels[rows]).backward()
        optimizer.step()
        schedule.step()
    network.requires_grad_(False)
    found, _ = Classifier(network, 0.0).judge(to_pixels(data.test_images))
    return Classifier(network, float((found == data.test_labels).float().mean()))


def _make(path: Path, data: ImageData) -> Classifier:
    classifier = train_classifier(data)
    content = {"weights": classifier.network.state_dict(), "accuracy": classifier.accuracy}
    try:
        with replacing(path) as temporary:
            torch.save(content, temporary)
    except OSError as error:
        warn(f"the classifier of {data.name} could not be kept in {path} ({error})")
    return classifier


def _read(path: Path, data: ImageData) -> Classifier | None:
    """The classifier in a file; None if there is none or it cannot be read."""
    network = Network(data.image_shape, len(data.class_names), torch.Generator())
    try:
        content = torch.load(path, weights_only=True)
        network.load_state_dict(content["weights"])
        return Classifier(network.requires_grad_(False), float(content["accuracy"]))
    except Exception:  # torch names a damaged file in many ways
        return None
