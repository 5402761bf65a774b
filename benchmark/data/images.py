"""A data set in memory, or mapped into it: both official splits as uint8 tensors."""

from __future__ import annotations

import traceback
import warnings
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.config import UsageError
from benchmark.data import is_own
from benchmark.data.cache import version_of
from benchmark.data.files import prepare_command, raw_folder, refuse_faults
from benchmark.data.folder import own_arrays
from benchmark.say import one_line
from benchmark.targets import load_target

DIGITS_TRAIN_SHARE = 0.7  # of each class of scikit-learn's digits, which has no official split


@dataclass(frozen=True)
class ImageData:
    """Images uint8 (N, C, H, W) and labels int64 (N,) of the official training and test split."""

    name: str
    class_names: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    version: str  # SHA-256 over names, images and labels
    other_kinds: tuple[str, ...] = ()  # anomalies of a class itself: label = class + n x number of classes, n = 1, ...

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W: channels (or frames of a sequence), height and width."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    def labels(self, source: str) -> Tensor:
        """Labels of the split "train" or "test"."""
        return self.train_labels if source == "train" else self.test_labels


def load_images(dataset: Any, data_dir: Path) -> ImageData:
    """The images of a data set that has been prepared; never downloads.

    Raises ``UsageError`` if files are missing or corrupt, naming the command that fetches them. The last two data sets
    stay in memory.
    """
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(OmegaConf.create(OmegaConf.to_yaml(dataset)), resolve=True)
    return _load(_Frozen(plain), data_dir)


class _Frozen:
    """A data set's configuration as a key of a cache."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def __hash__(self) -> int:
        return hash(repr(self.content))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self.content == other.content


@lru_cache(maxsize=2)
def _load(frozen: _Frozen, data_dir: Path) -> ImageData:
    from omegaconf import OmegaConf

    dataset = OmegaConf.create(frozen.content)
    if is_own(dataset):
        return _own(dataset, data_dir)
    if dataset._target_ is not None:
        arrays = _of_function(dataset)
    elif dataset.torchvision_class is None:
        raise UsageError(
            f"dataset/{dataset.name}.yaml names no images. Write there: _target_: my_data.load, a function that "
            "returns them (docs/your_own.md)"
        )
    elif dataset.sha256:
        arrays = _idx(dataset, data_dir)
    else:
        arrays = _torchvision(dataset, data_dir)
    if dataset.made_from:
        from benchmark.data.moving import moving_digits

        arrays = moving_digits(dataset, arrays)
    tensors = [torch.from_numpy(np.array(array)) for array in arrays]
    if not dataset.made_from:
        tensors[0], tensors[2] = (_resize(t, dataset.image_size) for t in (tensors[0], tensors[2]))
    tensors[1], tensors[3] = (t.long() for t in (tensors[1], tensors[3]))
    version = version_of(dataset.name, [tensor.numpy() for tensor in tensors])
    _check_labels(dataset, tensors)
    tensors[0], tensors[2] = (t.unsqueeze(1) if t.ndim == 3 else t for t in (tensors[0], tensors[2]))
    kinds = tuple(dataset.other_kinds)
    return ImageData(dataset.name, tuple(dataset.classes), *tensors, version=version, other_kinds=kinds)


def _own(dataset: Any, data_dir: Path) -> ImageData:
    """Images that somebody keeps in files of their own, mapped into memory; there may be no test images."""
    arrays = own_arrays(dataset, data_dir)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nothing writes to images
        tensors = [torch.from_numpy(array) for array in arrays]
    return ImageData(dataset.name, tuple(dataset.classes), *tensors, version=dataset.content)


def _check_labels(dataset: Any, tensors: list[Tensor]) -> None:
    count = len(dataset.classes) * (1 + len(dataset.other_kinds))
    for images, labels in ((tensors[0], tensors[1]), (tensors[2], tensors[3])):
        if len(images) != len(labels):
            raise UsageError(f"{dataset.name}: {len(images)} images but {len(labels)} labels; {_again(dataset)}")
        if len(labels) == 0 and images is tensors[2]:  # good images alone: nothing to evaluate
            continue
        if len(labels) == 0 or int(labels.min()) < 0 or int(labels.max()) >= count:
            raise UsageError(
                f"{dataset.name}: labels must be 0 to {count - 1}, the {count} names in its `classes`; "
                f"{_again(dataset)}"
            )


def _of_function(dataset: Any) -> list[np.ndarray]:
    """What the function ``_target_`` returns, called with ``options``: images and labels of both official splits."""
    target = dataset._target_
    try:
        found = load_target(target, "dataset._target_")(**dataset.options)
    except UsageError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(str(error).split())
        raise UsageError(
            f"dataset._target_={target} gives no images: {where.filename}, line {where.lineno}: "
            f"{type(error).__name__}: {said}"
        ) from error
    returns = f"{target} must return train_images, train_labels, test_images, test_labels"
    if not isinstance(found, list | tuple) or len(found) != 4:
        raise UsageError(f"{returns}, as four arrays of numpy; it returns {type(found).__name__}")
    arrays = [np.asarray(array) for array in found]
    for i in (0, 2):
        if arrays[i].dtype != np.uint8 or arrays[i].ndim not in (3, 4):
            raise UsageError(
                f"{returns}: images as uint8 of shape (N, H, W) or (N, C, H, W), with pixels in 0..255; "
                f"array {i + 1} is {arrays[i].dtype} of shape {arrays[i].shape}"
            )
        if arrays[i + 1].dtype.kind not in "iu" or arrays[i + 1].ndim != 1:
            raise UsageError(
                f"{returns}: labels as whole numbers of shape (N,); array {i + 2} is {arrays[i + 1].dtype} of shape "
                f"{arrays[i + 1].shape}"
            )
    if arrays[0].ndim != arrays[2].ndim or (arrays[0].ndim == 4 and arrays[0].shape[1] != arrays[2].shape[1]):
        raise UsageError(f"{returns}: images of one shape; they are {arrays[0].shape} and {arrays[2].shape}")
    return [arrays[0], arrays[1].astype(np.int64), arrays[2], arrays[3].astype(np.int64)]


def _again(dataset: Any) -> str:
    if dataset._target_ is not None:
        return f"that is what {dataset._target_} returned"
    return f"type: {prepare_command(dataset)}"


def _idx(dataset: Any, data_dir: Path) -> list[np.ndarray]:
    refuse_faults(dataset, data_dir)
    names = list(dataset.sha256)
    by_kind = [next(n for n in names if n.startswith(p)) for p in ("train-im", "train-la", "t10k-im", "t10k-la")]
    return [read_idx(raw_folder(dataset, data_dir) / name) for name in by_kind]


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array of an IDX file: (N, H, W) for images, (N,) for labels; ``UsageError`` if it is malformed."""
    content = path.read_bytes()
    dimensions = content[3] if len(content) >= 4 and content[:3] == b"\x00\x00\x08" else 0
    start = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, min(start, len(content)), 4))
    if dimensions == 0 or len(content) != start + int(np.prod(shape)):
        raise UsageError(
            f"{path} is no complete IDX file of bytes ({len(content):,} bytes); delete it and prepare again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _torchvision(dataset: Any, data_dir: Path) -> list[np.ndarray]:
    import torchvision.datasets

    found = getattr(torchvision.datasets, dataset.torchvision_class, None)
    if found is None:
        raise UsageError(f"dataset.torchvision_class={dataset.torchvision_class}: torchvision has no such data set")
    _refuse_legacy(dataset, data_dir)
    arrays = []
    for train in (True, False):
        try:
            part = found(str(data_dir), train=train, download=False, **dict(dataset.options))
        except (OSError, EOFError, RuntimeError, ValueError, AssertionError, zlib.error) as error:
            if isinstance(error, FileNotFoundError) or "not found" in str(error):
                how = prepare_command(dataset)
                raise UsageError(f"data set {dataset.name} is not in {data_dir}. Type: {how}") from error
            raise UsageError(
                f"data set {dataset.name} in {raw_folder(dataset, data_dir)} cannot be read ({one_line(error, 1000)}): "
                f"delete its files there, then {_again(dataset)}"
            ) from error
        images, labels = np.asarray(part.data), np.asarray(part.targets)
        if dataset.torchvision_class == "EMNIST":
            images = images.transpose(0, 2, 1)  # its files hold the images on their side
            labels = labels - 1 if dataset.options.get("split") == "letters" else labels  # letters count from 1
        arrays += [images.astype(np.uint8), labels.astype(np.int64)]
    return arrays


def _refuse_legacy(dataset: Any, data_dir: Path) -> None:
    """torchvision prefers tensors that its older versions left, and looks at no checksum of them."""
    folder = data_dir / dataset.torchvision_class / "processed"
    if any(folder.glob("*.pt")):
        raise UsageError(
            f"data set {dataset.name}: {folder} holds files of an older torchvision, which nothing can check. "
            "Delete that folder: the raw files beside it are read instead"
        )


def digits() -> list[np.ndarray]:
    """scikit-learn's 1,797 digits of 8 x 8 pixels, the first 70% of each class as the training split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target
    train = np.zeros(len(labels), dtype=bool)
    for label in range(10):
        members = np.flatnonzero(labels == label)
        train[members[: int(DIGITS_TRAIN_SHARE * len(members))]] = True
    return [images[train], labels[train], images[~train], labels[~train]]


def _resize(images: Tensor, size: int) -> Tensor:
    if images.shape[-2:] == (size, size):
        return images
    plain = images.unsqueeze(1) if images.ndim == 3 else images
    resized = torch.nn.functional.interpolate(
        plain.float(), (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    return resized.reshape(*images.shape[:-2], size, size).round().clamp(0, 255).byte()
