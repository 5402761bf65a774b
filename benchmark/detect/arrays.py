"""What somebody hands in as images, as the engine takes them: uint8 (N, C, H, W).

The engine sees 8 bits a pixel, whatever came: floats are rounded to the nearest of 256 levels.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.config import UsageError
from benchmark.say import one_line

Shape = tuple[int, int, int]  # C, H, W
Range = tuple[float, float]  # what stands for black and for white
FLAT = "flat"  # as image_shape: every row of numbers is an image of one row of pixels
NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)  # those of PyTorch's that NumPy has
DETECTOR = "Detector"  # whose images they are, where nobody says another; it can be told what is black and white
FIT = "fit"  # as pixel_range: the least and the largest number of the training images


class BadImages(UsageError, ValueError):
    """Images that a detector cannot take, in one line: a ``ValueError`` too, as scikit-learn expects."""


class OutOfRange(BadImages):
    """Pixels darker than black or lighter than white; ``found`` says so without what is to be done."""

    def __init__(self, found: str, advice: str) -> None:
        super().__init__(found, advice)  # both, or it could not be pickled, as joblib does with what a worker raises
        self.found, self.advice = found, advice

    def __str__(self) -> str:
        return f"{self.found}. {self.advice}"


def as_array(images: Any) -> np.ndarray:
    """Images as one array of numbers (N, ...). Raises ``ValueError`` for what is none, as scikit-learn words it."""
    from sklearn.utils import check_array

    found = check_array(_numpy(images), dtype="numeric", allow_nd=True, input_name="X")
    if np.prod(found.shape[1:]) == 0:
        raise BadImages(f"images of shape {found.shape[1:]} have no pixels")
    return found


def gathered(images: Any) -> Any:
    """A list of images, of Pillow's too, as one array; numbers of Python's own as numpy's; else what it is.

    Raises ``BadImages`` for several shapes, and for a mask, as what lies under it would be taken for pixels.
    """
    if not isinstance(images, list | tuple) or not len(images) or np.isscalar(images[0]):
        _refuse_masked(images)
        return _told(images)
    for image in images:
        _refuse_masked(image)
    parts = [np.asarray(_numpy(image)) for image in images]
    if shapes := {part.shape for part in parts} - {parts[0].shape}:
        raise BadImages(
            f"images of one shape are needed, got {parts[0].shape} and {next(iter(shapes))} "
            "(an inhomogeneous list). Resize them, or hand in a folder, whose images are resized"
        )
    return _told(np.stack(parts))


def _told(images: Any) -> Any:
    """An array of Python's own numbers as one of the whole numbers, floats or booleans that they are."""
    if not isinstance(images, np.ndarray) or images.dtype != object:
        return images
    try:
        found = np.array(images.tolist())
    except (ValueError, OverflowError):
        return images
    return found if found.dtype.kind in "biuf" and found.shape == images.shape else images


def _refuse_masked(images: Any) -> None:
    if np.ma.is_masked(images):
        raise BadImages("pixels are masked, and a model sees all of an image. Fill them, for example with X.filled(0)")


def _numpy(images: Any) -> Any:
    """A tensor as an array, of a type that NumPy has; anything else as it is."""
    if not isinstance(images, Tensor):
        return images
    try:
        found = images.detach().cpu()
        return (found.float() if found.dtype not in NUMPY_FLOATS and found.is_floating_point() else found).numpy()
    except (TypeError, RuntimeError) as error:  # a sparse one
        raise BadImages(f"a tensor of {images.layout} is no array: {one_line(error)}") from error


def shape_of(array: np.ndarray, asked: Shape | str | None) -> Shape:
    """C, H, W of the images of an array, from its own shape where nobody says it.

    >>> shape_of(np.zeros((5, 28, 28)), None), shape_of(np.zeros((5, 28, 28, 3)), None)
    ((1, 28, 28), (3, 28, 28))

    Raises ``BadImages`` where it cannot be told.
    """
    if asked == FLAT:
        return 1, 1, prod(array.shape[1:])
    if isinstance(asked, str):
        raise BadImages(f"image_shape={asked!r} is not allowed: it must be (H, W), (C, H, W) or {FLAT!r}")
    if asked is not None:
        return asked
    if array.ndim == 3:
        return 1, array.shape[1], array.shape[2]
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array.shape[1], array.shape[2], array.shape[3]
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return array.shape[3], array.shape[1], array.shape[2]
    what = "one image, or flattened images" if array.ndim == 2 else f"arrays of shape {array.shape}"
    raise BadImages(
        f"{what}: which are channels, height and width? One image is images[None]; of others say "
        f"image_shape=(28, 28) or (3, 64, 64), or image_shape={FLAT!r} for rows of numbers that are no pictures"
    )


def full_shape(asked: Any) -> Shape | str | None:
    """``image_shape`` as it is typed, (H, W) or (C, H, W), as C, H, W."""
    if asked is None or isinstance(asked, str):
        return asked
    try:
        found = tuple(int(size) for size in asked)
    except (TypeError, ValueError):
        found = ()
    if len(found) not in (2, 3) or min(found) < 1:
        raise BadImages(
            f"image_shape={asked!r} is not allowed: it must be (H, W) or (C, H, W). Say for example (28, 28)"
        )
    return (1, *found) if len(found) == 2 else found  # type: ignore[return-value]


def as_images(array: np.ndarray, shape: Shape, levels: Range | None, owner: str = DETECTOR) -> Tensor:
    """Images of an array as uint8 (N, C, H, W).

    ``levels`` are the numbers that stand for black and white, and what lies beyond is cut off; None: 0 and 255 of whole
    numbers, 0 and 1 of floats, and what lies beyond is refused. Raises ``BadImages``.
    """
    arranged = _arranged(array, shape, owner)
    return torch.from_numpy(np.ascontiguousarray(_eight_bits(arranged, levels, owner)))


def _arranged(array: np.ndarray, shape: Shape, owner: str) -> np.ndarray:
    channels, height, width = shape
    if array.ndim == 2 and array.shape[1] == prod(shape):
        return array.reshape(-1, *shape)
    if array.ndim == 2:
        raise BadImages(f"X has {array.shape[1]} features, but {owner} is expecting {prod(shape)} features as input")
    if array.shape[1:] == shape:
        return array
    if array.shape[1:] == (height, width, channels):
        return np.moveaxis(array, -1, 1)
    if channels == 1 and array.shape[1:] == (height, width):
        return array[:, None]
    shown = " x ".join(map(str, array.shape[1:]))
    raise BadImages(
        f"images of {shown}, but {owner} is for images of {channels} x {height} x {width} (channels, height, width). "
        "Resize them, or hand in files, which are resized; one image alone is images[None]"
    )


def _eight_bits(array: np.ndarray, levels: Range | None, owner: str) -> np.ndarray:
    if array.dtype == np.uint8 and levels is None:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if levels is None:
        levels = (0.0, 1.0) if array.dtype.kind == "f" else (0.0, 255.0)
        low, high = array.min(), array.max()
        if low < levels[0] or high > levels[1]:
            kind = "floats are" if array.dtype.kind == "f" else "whole numbers are"
            advice = (
                f"Say what stands for black and white, for example pixel_range=(0, 65535), or pixel_range={FIT!r}"
                if owner == DETECTOR
                else "Divide them by what is white, or save whole numbers from 0 to 255 as uint8"
            )
            found = f"pixels from {low:g} to {high:g}: {kind} taken for {levels[0]:g} (black) to {levels[1]:g} (white)"
            raise OutOfRange(found, advice)
    low, high = levels
    scaled = (array.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def levels_of(array: np.ndarray, asked: Any) -> Range | None:
    """The numbers that stand for black and white: ``pixel_range`` as it is typed, of these training images."""
    if asked is None:
        return None
    if isinstance(asked, str):
        if asked != FIT:
            raise BadImages(f"pixel_range={asked!r} is not allowed: it must be (black, white), {FIT!r} or None")
        low, high = float(array.min()), float(array.max())
        return (low, high) if high > low else (low, low + 1.0)
    try:
        low, high = (float(value) for value in asked)
    except (TypeError, ValueError):
        raise BadImages(
            f"pixel_range={asked!r} is not allowed: it must be (black, white), {FIT!r} or None. Say (0, 255)"
        ) from None
    if not (np.isfinite([low, high]).all() and low < high):
        raise BadImages(f"pixel_range={asked} is not allowed: black must be below white. Say for example (0, 65535)")
    return low, high
