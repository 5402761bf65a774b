"""The page of the most anomalous images, ``page.html`` filled in: one file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.detect.origin import origin
from benchmark.detect.scorer import Scorer
from benchmark.detect.streaming import Tally
from benchmark.detect.table import Row
from benchmark.engine.fleet import to_pixels
from benchmark.engine.pictures import side_by_side

TEMPLATE = Path(__file__).with_name("page.html")
SHOWN = 24  # images
PATIENCE = 20.0  # seconds that may be spent on where scores come from
BARS = 20  # at most, and one more for what is left over
FEWEST = 20  # images of which a histogram is drawn
MARK = '<meta name="generator" content="benchmark.score">'  # in the template: a page that may be replaced
GONE = "No picture: the file that was scored is no longer there, or is another one now."
PLACES = ("top", "middle", "bottom"), ("left", "centre", "right")


@dataclass(frozen=True)
class Picture:
    """A picture with its title; ``source`` is the data itself."""

    title: str
    source: str


@dataclass(frozen=True)
class Card:
    """One image of the page."""

    row: Row
    pictures: Sequence[Picture]
    mostly: str  # where its score comes from, in words


def is_page(path: Path) -> bool:
    """Whether what lies at ``path`` is a page that was written here, or an empty file."""
    with path.open("rb") as file:
        start = file.read(1000)
    return not start or MARK.encode() in start


def build_page(source: str, lines: Sequence[str], tally: Tally, scorer: Scorer, calibration: int) -> str:
    """The page as text. ``lines`` stand at its head; names, labels and reasons are escaped.

    p-values are by ``calibration`` images.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    cards = _cards(tally.top, scorer)
    pictures = max((len(card.pictures) for card in cards), default=1)
    bars, level = _bars(tally.p_values, calibration)
    return pages.get_template(TEMPLATE.name).render(
        source=source,
        lines=lines,
        cards=cards,
        legend=_legend(cards),
        width=110 * pictures,
        count=f"{tally.count:,}",
        bars=bars,
        bars_of=_bars_of(calibration),
        level=level,
        bad=tally.bad,
    )


def _cards(top: Sequence[tuple[Row, np.ndarray | None]], scorer: Scorer) -> list[Card]:
    """A card a row, in order; of an image whose pixels are not there any more one without pictures."""
    seen = [(row, image) for row, image in top if image is not None]
    cards = iter(_pictured(seen, scorer) if seen else ())
    return [Card(row, [], GONE) if image is None else next(cards) for row, image in top]


def _pictured(top: Sequence[tuple[Row, np.ndarray]], scorer: Scorer) -> list[Card]:
    images = torch.from_numpy(np.stack([image for _, image in top]))
    made = scorer.reconstructions(images)
    residuals = None if made is None else _residuals(images, made)
    brightest = 1.0 if residuals is None else max(float(residuals.max()), 1e-6)
    cards, start = [], time.perf_counter()
    for i, (row, _) in enumerate(top):
        shown = [Picture("image", _picture(images[i]))]
        if made is not None and residuals is not None:
            shown.append(Picture("reconstruction", _picture(_bytes(made[i]))))
            shown.append(Picture("residual", _picture(_bytes(residuals[i] / brightest))))
        mostly = ""
        gone = time.perf_counter() - start
        if gone * (i + 1) / max(i, 1) < PATIENCE:  # as long as the next one fits
            found = origin(scorer, images[i], None if made is None else made[i])
            shown.append(Picture("where from", _png(_overlaid(images[i], found))))
            mostly = _in_words(found, float(row.score or 0))
        cards.append(Card(row, shown, mostly))
    return cards


def _residuals(images: Tensor, made: Tensor) -> Tensor:
    """|image - reconstruction|, of colours their mean, frames apart: (N, C, H, W)."""
    apart = (to_pixels(images) - made).abs()
    return apart.mean(1, keepdim=True) if apart.shape[1] == 3 else apart


def _legend(cards: Sequence[Card]) -> str:
    titles = {picture.title for card in cards for picture in card.pictures}
    words = []
    if "residual" in titles:
        words.append("Residual: |image - reconstruction|, brighter is larger, on one scale for all.")
    elif titles:
        words.append("This model makes no reconstruction.")
    if "where from" in titles:
        instead = "what the model makes of it" if "residual" in titles else "the mean of the pixels around it"
        words.append(
            f"Where from: by how much the score falls when a part is replaced by {instead} (redder: more; each image "
            "on a scale of its own)."
        )
    return " ".join(words)


def _in_words(found: np.ndarray, score: float) -> str:
    """Where the score comes from: the place of the part that weighs most."""
    if found.max() <= 0:
        return "No part alone lowers the score."
    places = zip(PLACES, np.unravel_index(found.argmax(), found.shape), found.shape, strict=True)
    across = [names[int(3 * (at + 0.5) / size)] for names, at, size in places]
    share = f", {found.max() / score:.0%} of the score" if score > 0 else ""
    return f"Most from {across[0]} {across[1]}{share}."


def _overlaid(image: Tensor, found: np.ndarray) -> np.ndarray:
    """An image in grey with red where its score comes from: uint8 (H, W, 3)."""
    grey = image.float().mean(0).numpy()  # (H, W)
    weight = found / found.max() if found.max() > 0 else found
    tall, wide = (np.arange(size) * count // size for size, count in zip(grey.shape, found.shape, strict=True))
    heat = 0.75 * weight[tall][:, wide]
    base = np.repeat((0.6 * grey)[:, :, None], 3, axis=2)
    red = np.array([255.0, 60.0, 30.0])
    return (base * (1 - heat[:, :, None]) + red * heat[:, :, None]).round().astype(np.uint8)


def _bytes(pixels: Tensor) -> Tensor:
    """Pixels in [0, 1] as uint8."""
    return (pixels * 255).round().clamp(0, 255).byte()


def _picture(image: Tensor) -> str:
    """An image uint8 (C, H, W) as a data URI: in grey, in colours, or its frames side by side."""
    return _png(image.permute(1, 2, 0).numpy() if len(image) == 3 else side_by_side(image[None])[0])


def _png(pixels: np.ndarray) -> str:
    """uint8 (H, W) or (H, W, 3) as a data URI."""
    import PIL.Image

    content = io.BytesIO()
    PIL.Image.fromarray(pixels).save(content, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def edges_of(calibration: int) -> np.ndarray:
    """Ranks at which the bars of a histogram of p-values end: bar i has those of edges[i] < k <= edges[i + 1].

    By n calibration images a p-value is k / (n + 1) for a k of 1 to n + 1. Every bar has equally many of these, the
    last one those that are left over.

    >>> edges_of(30).tolist()[:3], edges_of(30).tolist()[-3:]
    ([0, 2, 4], [28, 30, 31])
    """
    return np.append(np.arange(0, calibration + 1, _a_bar(calibration)), calibration + 1)


def _a_bar(calibration: int) -> int:
    """How many p-values a bar has."""
    return -(-(calibration + 1) // BARS)


def _bars_of(calibration: int) -> str:
    possible, a_bar = calibration + 1, _a_bar(calibration)
    rest = possible % a_bar
    last = f" (the last one {rest})" if rest else ""
    return f"Each bar is {a_bar:,} of the {possible:,} p-values that {calibration:,} calibration images allow{last}."


def _bars(values: Sequence[float], calibration: int) -> tuple[list[dict[str, str]], str]:
    """A histogram of p-values as rectangles of a drawing of 640 x 170, and the height of equal bars.

    Heights are images a p-value that there can be, so that a narrower last bar is as high as the others.
    """
    if len(values) < FEWEST:
        return [], ""
    edges = edges_of(calibration)
    ranks = np.rint(np.asarray(values) * (calibration + 1))
    counts, _ = np.histogram(ranks, edges + 0.5)
    heights = counts / np.diff(edges)
    scale, unit = 140 / heights.max(), 600 / (calibration + 1)
    bars = []
    for start, end, height in zip(edges[:-1] * unit, edges[1:] * unit, heights * scale, strict=True):
        gap = min(2.0, (end - start) / 2)
        bars.append(
            {
                "x": f"{30 + start + gap / 2:.2f}",
                "y": f"{150 - height:.1f}",
                "width": f"{end - start - gap:.2f}",
                "height": f"{height:.1f}",
            }
        )
    return bars, f"{150 - len(values) / (calibration + 1) * scale:.1f}"
