"""Anomalies made from normal images, for choices where nobody has a real one (``split.evaluate_on=synthetic``).

Images of the held-out normal ones are changed in one of several ways, equally many in each. Letters: C channels, H and
W height and width, all in pixels; L the shorter of H and W; numbers are drawn evenly from the ranges given.

- ``cut_paste``: a rectangle of the image at another place of it (Li et al. 2021, arXiv:2104.04015).
- ``scar``: a long thin rectangle of it, turned, at another place (the same paper).
- ``turned``: the image turned by quarters, or mirrored and turned (turns tell normal images from others in Golan &
  El-Yaniv 2018, arXiv:1805.10917), and moved by whole pixels to where what it shows lay.
- ``elastic``: pixels displaced by a smooth random field (Simard et al. 2003), then sharpened to be as sharp as before.
- ``occluded``: a rectangle of one grey (cutout, DeVries & Taylor 2017, arXiv:1708.04552).
- ``noise_patch``: a rectangle of noise (random erasing, Zhong et al. 2017, arXiv:1708.04896).

Blur and noise of a whole image are none of them: they change how it was taken, not what it shows, and a blurred image
is reconstructed better than a sharp one (under PCA's error AUROC is 0.00 to 0.03), so that a rule which sees blur would
be chosen for that alone.

Differences from the papers: (1) they make images to train a classifier on, or to test one; here nothing is trained on
them. (2) CutPaste jitters brightness, contrast, saturation and hue of what it pastes by 0.1, here brightness alone. (3)
Its scar is 10 to 25 pixels long and 2 to 16 wide on 256 x 256, less than a pixel on small images; here it is 0.2 to 0.5
L long and 0.04 to 0.1 L wide, at least one pixel. (4) Golan's 72 transformations have translations and the left-right
mirror image too, which leave many an image normal; these are the six others of a square. And what stands on a
background of one level is moved back after the turn (``placing.py``), without which a digit lies a pixel off and every
rule finds it for that. (5) Simard's field is scaled
by a constant; here its longest step is 0.1 to 0.2 L, and what interpolation blurs is sharpened again (``_as_sharp``),
without which a rule that sees blur finds every warped image, whatever its shape. (6) Cutout's squares are black and may
hang over the border, random erasing covers up to 0.4 of an image; here both rectangles lie inside and cover 0.05 to
0.25. None of these numbers, and no kind, was chosen by what real anomalies say.

An image that has hardly changed is no anomaly (black cut and pasted on black): see ``differs``. Such a draw is made
again, ``TRIES`` times at most; then the one that changed the most pixels is taken, and said. Everything is drawn from a
seed of data set, split, class and seed, of the image's row and its kind: never of a model, of the number of images, or
of their order. Arithmetic is in float64 and rounded to whole pixels, which hides how processors round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, cos, pi, sin, sqrt
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from benchmark.data.placing import in_place
from benchmark.say import warn
from benchmark.seeds import derive_seed

if TYPE_CHECKING:
    from torch import Tensor

    from benchmark.data.images import ImageData

NAME = "synthetic"  # of evaluate_on, and of the source of its images
VERSION = 3  # raise it when the same seed makes another image
CHANGED_SHARE = 0.01  # share of the pixels that must have changed
CHANGED_BY = 0.1  # by at least this share of the range of the image's own pixels
LEAST_LEVELS = 8  # and by at least so many of 255 levels
TRIES = 100  # draws of one image at most
UNSHARP = 0.7  # pixels, of the filter by which warped images are sharpened
KEPT = 10  # splits whose made images stay in memory

_made: dict[tuple[str, int, bytes, bytes], Tensor] = {}  # of data, seed, rows and kinds; oldest first
_making = Lock()
Image = np.ndarray  # (C, H, W) float64 of 0..255
Draw = np.random.Generator


def _rectangle(draw: Draw, shape: Sequence[int], least: float, most: float) -> tuple[int, int]:
    """Height and width of a rectangle that covers ``least`` to ``most`` of (H, W), up to 3.3 times as long as wide."""
    area = draw.uniform(least, most) * shape[-2] * shape[-1]
    ratio = draw.uniform(1, 3.3)
    tall, wide = sqrt(area * ratio), sqrt(area / ratio)
    if draw.random() < 0.5:
        tall, wide = wide, tall
    height, width = shape[-2:]
    return min(max(round(tall), 1), height), min(max(round(wide), 1), width)


def _place(draw: Draw, shape: Sequence[int], size: Sequence[int]) -> tuple[slice, slice, slice]:
    """Where a rectangle of ``size`` lies inside (H, W), in every channel."""
    row, column = (int(draw.integers(whole - part + 1)) for whole, part in zip(shape[-2:], size, strict=True))
    return slice(None), slice(row, row + size[0]), slice(column, column + size[1])


def _brightness(draw: Draw) -> float:
    return draw.uniform(0.9, 1.1)


def cut_paste(image: Image, draw: Draw) -> Image:
    """A rectangle of 0.02 to 0.15 of the image, its brightness times 0.9 to 1.1, at another place."""
    size = _rectangle(draw, image.shape, 0.02, 0.15)
    made, patch = image.copy(), image[_place(draw, image.shape, size)]
    made[_place(draw, image.shape, size)] = patch * _brightness(draw)
    return made


def scar(image: Image, draw: Draw) -> Image:
    """A strip, 0.2 to 0.5 L long and 0.04 to 0.1 L wide, turned by up to 45 degrees, at another place."""
    height, width = image.shape[-2:]
    side = min(height, width)
    half = np.array([max(draw.uniform(0.2, 0.5) * side, 1), max(draw.uniform(0.04, 0.1) * side, 1)]) / 2
    if draw.random() < 0.5:
        half = half[::-1]
    angle = draw.uniform(-pi / 4, pi / 4)
    end = np.array([height - 1, width - 1])
    from_, to = (half + draw.random(2) * np.maximum(end - 2 * half, 0) for _ in range(2))
    rows, columns = np.indices((height, width)) - to.reshape(2, 1, 1)
    along = np.stack([cos(angle) * rows - sin(angle) * columns, sin(angle) * rows + cos(angle) * columns])
    inside = (np.abs(along) <= half.reshape(2, 1, 1)).all(0)  # (H, W)
    cut = np.clip(np.rint(along[:, inside] + from_.reshape(2, 1)), 0, end.reshape(2, 1)).astype(int)
    made = image.copy()
    made[:, inside] = image[:, cut[0], cut[1]] * _brightness(draw)
    return made


def turned(image: Image, draw: Draw) -> Image:
    """Turned by one to three quarters, or mirrored and turned by as many; by two where height and width differ.

    Then moved by whole pixels to where the thing lay (``placing.py``).
    """
    quarters = int(draw.integers(1, 4)) if image.shape[-2] == image.shape[-1] else 2
    made = image[..., ::-1] if draw.random() < 0.5 else image
    return in_place(np.rot90(made, quarters, axes=(-2, -1)), image)


def elastic(image: Image, draw: Draw) -> Image:
    """Pixels from up to 0.1 to 0.2 L away, by a field of noise under a Gaussian filter of 0.05 to 0.12 L."""
    height, width = image.shape[-2:]
    side = min(height, width)
    field = _filtered(draw.uniform(-1, 1, (2, height, width)), draw.uniform(0.05, 0.12) * side)
    field *= draw.uniform(0.1, 0.2) * side / max(np.abs(field).max(), 1e-12)
    rows, columns = np.indices((height, width)) + field
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    return _as_sharp(_between(image, rows, columns), image, *_around(image, rows, columns))


def occluded(image: Image, draw: Draw) -> Image:
    """A rectangle of 0.05 to 0.25 of the image, of one grey."""
    made = image.copy()
    made[_place(draw, image.shape, _rectangle(draw, image.shape, 0.05, 0.25))] = draw.uniform(0, 255)
    return made


def noise_patch(image: Image, draw: Draw) -> Image:
    """A rectangle of 0.05 to 0.25 of the image, every pixel and channel of its own."""
    made = image.copy()
    place = _place(draw, image.shape, _rectangle(draw, image.shape, 0.05, 0.25))
    made[place] = draw.uniform(0, 255, made[place].shape)
    return made


MAKERS: dict[str, Callable[[Image, Draw], Image]] = {
    made.__name__: made for made in (cut_paste, scar, turned, elastic, occluded, noise_patch)
}
KINDS = tuple(MAKERS)  # kind n has the target class + (n + 1) x number of classes, as ``ImageData.other_kinds`` has


def kinds_of(evaluate_on: str, other_kinds: Sequence[str]) -> tuple[str, ...]:
    """The kinds of anomalies besides other classes: those made here, or the ``other_kinds`` of a data set."""
    return KINDS if evaluate_on == NAME else tuple(other_kinds)


def synthetic_images(data: ImageData, index: Tensor, target: Tensor, seed: int) -> Tensor:
    """The evaluated images of a split of ``evaluate_on=synthetic``: uint8 (M, C, H, W).

    ``index`` (M,) are their rows of the training split, ``target`` (M,) says what each is made into, ``seed`` is the
    split's ``eval_seed``. Those that hardly changed after ``TRIES`` draws are counted in a warning. What was made for
    the last ``KEPT`` splits stays in memory.
    """
    kind = target // len(data.class_names)
    key = data.version, seed, index.numpy().tobytes(), kind.numpy().tobytes()
    with _making:
        if key not in _made:
            _made[key] = _make(data.train_images[index].clone(), index, kind, seed)
        while len(_made) > KEPT:
            _made.pop(next(iter(_made)))
        return _made[key]


def _make(images: Tensor, index: Tensor, kind: Tensor, seed: int) -> Tensor:
    """Change those ``images`` (M, C, H, W) whose ``kind`` (M,) is not 0, and return all."""
    import torch

    anomalous, faint = kind.nonzero().flatten().tolist(), dict.fromkeys(KINDS, 0)
    for i in anomalous:
        name = KINDS[int(kind[i]) - 1]
        made, is_one = make_anomaly(images[i].numpy(), name, derive_seed(seed, int(index[i]), name))
        images[i] = torch.from_numpy(made)
        faint[name] += not is_one
    if any(faint.values()):
        found = ", ".join(f"{count} {name}" for name, count in faint.items() if count)
        warn(
            f"{sum(faint.values())} of {len(anomalous)} synthetic anomalies hardly differ from the images they are "
            f"made of, after {TRIES} draws each ({found}); they count as anomalies all the same"
        )
    return images


def make_anomaly(image: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, bool]:
    """An image uint8 (C, H, W) made into an anomaly of a kind of ``KINDS``, and whether it ``differs``.

    The first draw that differs; without one in ``TRIES`` the one that changed the most pixels.
    """
    draw = np.random.default_rng(seed)
    pixels, most, found = image.astype(np.float64), -1, image
    for _ in range(TRIES):
        made = np.rint(MAKERS[kind](pixels, draw).clip(0, 255)).astype(np.uint8)
        if differs(image, made):
            return made, True
        if (count := int(_changed(image, made, 1).sum())) > most:
            most, found = count, made
    return found, False


def differs(image: np.ndarray, made: np.ndarray) -> bool:
    """Whether an image uint8 (C, H, W) was made into another one.

    ``CHANGED_SHARE`` of its pixels, and at least one, must have changed in some channel by ``CHANGED_BY`` of the range
    of the image's pixels, and by ``LEAST_LEVELS``.
    """
    level = max(CHANGED_BY * (int(image.max()) - int(image.min())), LEAST_LEVELS)
    changed = _changed(image, made, level)
    return int(changed.sum()) >= max(ceil(CHANGED_SHARE * changed.size), 1)


def _changed(image: np.ndarray, made: np.ndarray, level: float) -> np.ndarray:
    """Which pixels changed in some channel by at least ``level``: (H, W)."""
    return (np.abs(image.astype(np.int16) - made.astype(np.int16)) >= level).any(0)


def _filtered(values: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian filter of ``sigma`` pixels over the last two axes; beyond a border its pixels go on."""
    return _kernel(values.shape[-2], sigma) @ values @ _kernel(values.shape[-1], sigma).T


def _kernel(size: int, sigma: float) -> np.ndarray:
    """A Gaussian filter as a matrix (size, size), what lies beyond a border added to the pixel there."""
    reach = ceil(4 * sigma)
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    matrix = np.zeros((size, size))
    rows = np.arange(size)[:, None]
    np.add.at(
        matrix, (np.broadcast_to(rows, (size, len(steps))), np.clip(rows + steps, 0, size - 1)), weights / weights.sum()
    )
    return matrix


def _between(image: Image, rows: np.ndarray, columns: np.ndarray) -> Image:
    """Bilinear values of an image at places (H, W) inside it."""
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    low, right = np.minimum(top + 1, image.shape[-2] - 1), np.minimum(left + 1, image.shape[-1] - 1)
    down, across = rows - top, columns - left
    upper = image[:, top, left] * (1 - across) + image[:, top, right] * across
    lower = image[:, low, left] * (1 - across) + image[:, low, right] * across
    return upper * (1 - down) + lower * down


def _around(image: Image, rows: np.ndarray, columns: np.ndarray) -> tuple[Image, Image]:
    """Smallest and largest of the 4 x 4 pixels of an image around places (H, W) inside it: two (C, H, W)."""
    height, width = image.shape[-2:]
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    near = [
        image[:, np.clip(top + down, 0, height - 1), np.clip(left + across, 0, width - 1)]
        for down in range(-1, 3)
        for across in range(-1, 3)
    ]
    return np.minimum.reduce(near), np.maximum.reduce(near)


def _as_sharp(made: Image, image: Image, least: Image, most: Image) -> Image:
    """An interpolated image with its edges back: unsharp masking up to the Laplacian energy of the ``image``.

    What a Gaussian filter of ``UNSHARP`` pixels takes away is added n / 64 times, n the largest up to 512 whose energy
    is not above; no pixel leaves ``least`` and ``most`` (C, H, W), so that flat parts stay flat. Energies are of whole
    pixels, in whole numbers, which no processor rounds.
    """
    detail, wanted = made - _filtered(made, UNSHARP), _energy(image)
    low, high = 0, 513
    while high - low > 1:
        times = (low + high) // 2
        is_below = _energy(np.clip(made + times / 64 * detail, least, most)) <= wanted
        low, high = (times, high) if is_below else (low, times)
    return np.clip(made + low / 64 * detail, least, most)


def _energy(image: Image) -> int:
    """The sum of the squared Laplacian of an image's whole pixels, of all but those at its border."""
    pixels = np.rint(image).astype(np.int64)
    inside = 4 * pixels[:, 1:-1, 1:-1]
    inside = inside - pixels[:, :-2, 1:-1] - pixels[:, 2:, 1:-1] - pixels[:, 1:-1, :-2] - pixels[:, 1:-1, 2:]
    return int((inside**2).sum())
