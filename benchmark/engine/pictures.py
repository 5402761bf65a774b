"""Pictures of a trained cell, as arrays: contact sheet, samples, styles, latent space, lines between codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.cells import Cell
from benchmark.engine.fleet import Decoder, Fleet, to_pixels
from benchmark.engine.prior import PRIOR_RADIUS
from benchmark.engine.score import Scored, Scoring, View, score_unequal
from benchmark.models.base import Model
from benchmark.seeds import derive_seed

Arrays = dict[str, np.ndarray]

BATCH = 256  # images generated at once
PANEL = 8  # images in each group of the contact sheet
SAMPLES = 32  # generated images kept
STYLES = 8  # styles that are shown in every class
PASSES = 10_000  # of a model that draws an image pixel by pixel, at most
GRID = 15  # decoded images along each axis of a 2-D latent space
STEPS = 10  # decoded images on the line between two codes


@dataclass(frozen=True)
class Panel:
    """The images that a cell's contact sheet shows."""

    chosen: Tensor  # (P,): their places among the evaluated images
    groups: list[str]  # the group of each


def pictures(
    fleet: Fleet,
    cells: Sequence[Cell],
    images: Tensor,
    rows: Sequence[Tensor],
    found: Sequence[Scored],
    precision: str,
) -> list[dict[str, Arrays]]:
    """Of every cell ``images``: contact sheet, samples, styles, line between codes; and ``latent`` of 2-D codes.

    ``images`` are uint8 (N, C, H, W) on the fleet's device, and ``rows`` (M,) those among them that each cell is
    evaluated on; ``found`` is what the cells' models say of these.
    """
    scores = [scored.scores[fleet.model.headline] for scored in found]
    panels = [_panel(cell, values) for cell, values in zip(cells, scores, strict=True)]
    views = [
        View(own[panel.chosen], cell.stream("score")) for cell, panel, own in zip(cells, panels, rows, strict=True)
    ]
    how = Scoring(max(len(panel.chosen) for panel in panels), precision)
    shown = score_unequal(fleet, images, views, how, ("reconstruction",))
    result = []
    for i, cell in enumerate(cells):
        decode, code, seed = fleet.decoder(i), found[i].code, cell.stream("score")
        own = rows[i].to(images.device)
        panel = images[own[panels[i].chosen.to(own.device)]]
        sheet = _sheet(cell, panels[i], panel, scores[i], shown[i].reconstruction)
        line = _interpolation(cell, code, decode, images, own) if code is not None else {}
        latent = _latent_space(cell, code, decode) if code is not None and code.shape[1] == 2 else {}
        files = {"images": sheet | _samples(fleet.model, code, seed, decode) | line}
        result.append({"latent": latent | line, **files} if latent else files)
    return result


def _sheet(cell: Cell, panel: Panel, shown: Tensor, scores: Tensor, reconstruction: Tensor | None) -> Arrays:
    """The contact sheet: the ``shown`` images, their scores and, where the model has them, reconstructions."""
    content = {
        "index": cell.split.eval_index[panel.chosen].numpy(),
        "label": cell.split.eval_label[panel.chosen].numpy().astype(np.uint8),
        "target": cell.split.eval_target[panel.chosen].numpy(),
        "group": np.array(panel.groups),
        "input": side_by_side(shown),
        "score": scores[panel.chosen].numpy(),
    }
    return content if reconstruction is None else content | {"reconstruction": _to_uint8(reconstruction)}


def _samples(model: Model, code: Tensor | None, seed: int, decode: Decoder) -> Arrays:
    """Generated images, and styles in every class, of a model that has them."""
    generated, styles = generated_images(model, code, SAMPLES, seed, decode), _styles(model, seed, decode)
    found = {} if generated is None else {"samples": _to_uint8(generated)}
    return found if styles is None else found | {"styles": styles}


def generated_images(model: Model, code: Tensor | None, count: int, seed: int, decode: Decoder) -> Tensor | None:
    """``count`` generated images (B, C, H, W) from noise of the given seed; None if the model generates nothing.

    Nor does it here if it needs a pass a pixel, of more than PASSES: a flow's samples of 3 x 64 x 64 take minutes.
    """
    shape = model.sample_shape if code is None else model.sample_shape or tuple(code.shape[1:])
    if not shape or (model.samples_slowly and len(shape) == 1 and shape[0] > PASSES):
        return None
    noise = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))
    parts = [decode("sample", part) for part in noise.split(BATCH)]
    return None if parts[0] is None else torch.cat(parts)


def _styles(model: Model, seed: int, decode: Decoder) -> np.ndarray | None:
    """STYLES styles of the model in every class, uint8 (STYLES, classes, H, C*W); None if it has no such codes."""
    if not model.sample_shape:
        return None
    images = decode("styles", torch.randn(STYLES, *model.sample_shape, generator=torch.Generator().manual_seed(seed)))
    return None if images is None else np.stack([_to_uint8(row) for row in images])


def _same_for_every_model(cell: Cell) -> int:
    """A seed without the model in it: every model of a class and seed is asked for the same images."""
    axes = cell.axes
    return derive_seed("panel", axes.dataset, axes.split, axes.normal_class, axes.seed)


def _panel(cell: Cell, headline: Tensor) -> Panel:
    """Images of each label at random, and those that the headline score (N,) judges worst."""
    label = cell.split.eval_label
    generator = torch.Generator().manual_seed(_same_for_every_model(cell))
    chosen, groups = [], []
    for name, value in (("normal", 0), ("anomalous", 1)):
        positions = (label == value).nonzero().flatten()
        picks = positions[torch.randperm(len(positions), generator=generator)[:PANEL]]
        ranked = positions[headline[positions].argsort(descending=value == 0)[:PANEL]]
        extreme = "normal_most" if value == 0 else "anomalous_least"
        chosen += [picks, ranked]
        groups += [name] * len(picks) + [extreme] * len(ranked)
    return Panel(torch.cat(chosen), groups)


def _latent_space(cell: Cell, code: Tensor, decode: Decoder) -> Arrays:
    """Codes, and images decoded over two grids: the range of the model's own codes, and the square of N(0, I)."""
    normal = code[cell.split.eval_label == 0]
    low, high = normal.quantile(0.01, dim=0), normal.quantile(0.99, dim=0)
    xs, ys = (torch.linspace(float(low[d]), float(high[d]), GRID) for d in (0, 1))
    grid = _decoded_grid(decode, xs, ys)
    if grid is None:
        return {}
    prior = torch.linspace(-PRIOR_RADIUS, PRIOR_RADIUS, GRID)
    prior_grid = _decoded_grid(decode, prior, prior)
    return {
        "codes": code.numpy().astype(np.float32),
        "label": cell.split.eval_label.numpy().astype(np.uint8),
        "target": cell.split.eval_target.numpy(),
        "grid": grid,
        "grid_x": xs.numpy(),
        "grid_y": ys.numpy(),
        "prior_grid": prior_grid,
        "prior_axis": prior.numpy(),
    }


def _interpolation(cell: Cell, code: Tensor, decode: Decoder, images: Tensor, rows: Tensor) -> Arrays:
    """Images decoded along the straight line between the codes of two normal images; empty without a decoder.

    ``rows`` (M,) are those of the evaluated images.
    """
    positions = (cell.split.eval_label == 0).nonzero().flatten()
    pixels = to_pixels(images[rows[positions.to(rows.device)]]).flatten(1).cpu()
    far = (pixels - pixels[0]).square().sum(1)  # in pixels: every model is asked for the same two images
    ends = positions[torch.stack([torch.tensor(0), far.argsort()[int(0.9 * (len(far) - 1))]])]
    line = torch.lerp(code[ends[0]], code[ends[1]], torch.linspace(0, 1, STEPS).unsqueeze(1))  # (STEPS, D)
    decoded = decode("decode", line)
    if decoded is None:
        return {}
    return {
        "interpolation": _to_uint8(decoded),
        "interpolation_codes": line.numpy().astype(np.float32),
        "interpolation_ends": side_by_side(images[rows[ends.to(rows.device)]]),
    }


def _decoded_grid(decode: Decoder, xs: Tensor, ys: Tensor) -> np.ndarray | None:
    """Images decoded at every pair of ``xs`` (GRID,) and ``ys`` (GRID,): uint8 (y, x, H, W), or None."""
    mesh = torch.stack(torch.meshgrid(ys, xs, indexing="ij"), dim=-1).flip(-1)  # (GRID, GRID, 2) of (x, y)
    decoded = decode("decode", mesh.reshape(-1, 2))
    if decoded is None:
        return None
    images = _to_uint8(decoded)
    return images.reshape(GRID, GRID, *images.shape[1:])


def _to_uint8(pixels: Tensor) -> np.ndarray:
    """(B, C, H, W) in [0, 1] -> uint8, laid out as by ``side_by_side``."""
    return side_by_side(pixels.clamp(0, 1).mul(255).round().byte())


def side_by_side(images: Tensor) -> np.ndarray:
    """Images (B, C, H, W) with their channels beside one another, as they are shown: (B, H, C*W).

    More than three channels are frames: they stand in equal rows, about as many rows as columns, first frame top left.
    """
    count = images.shape[1]
    columns = next(n for n in range(1, count + 1) if count % n == 0 and (n == count or (n * n >= count > 3)))
    rows = images.unflatten(1, (-1, columns))  # (B, rows, columns, H, W)
    return rows.transpose(2, 3).flatten(3, 4).flatten(1, 2).cpu().numpy()
