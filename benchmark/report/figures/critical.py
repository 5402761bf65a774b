"""The critical-difference diagram (Demsar 2006): average ranks on a line, bars over those that are not separated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.report.figures.labels import width_of
from benchmark.report.figures.style import new_figure, palette
from benchmark.report.measures.ranks import Ranking
from benchmark.report.tables.ranks import ranking_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 5.2  # inches of the line of ranks
ROW, BAR, HEAD = 0.2, 0.13, 0.95  # inches of a name, of a bar, and of what stands above the line


def critical_figure(found: Sequence[Ranking], shown: Mapping[str, str]) -> Figure | None:
    """A diagram a ranking, one below the other; None without any. ``shown`` is how a column is named."""
    if not found:
        return None
    heights = [HEAD + BAR * len(one.bars) + ROW * ((len(one.labels) + 1) // 2) + 0.15 for one in found]
    names = [f"{shown.get(label, label)}  {rank:.2f}" for one in found for label, rank in _named(one)]
    beside = max(map(width_of, names)) + 0.25
    figure = new_figure(WIDTH + 2 * beside, sum(heights))
    panels = figure.subplots(len(found), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axis, one, height in zip(panels, found, heights, strict=True):
        _diagram(axis, one, shown, height, beside)
    return figure


def _named(one: Ranking) -> list[tuple[str, float]]:
    return list(zip(one.labels, one.ranks, strict=True))


def _diagram(axis: Any, one: Ranking, shown: Mapping[str, str], height: float, beside: float) -> None:
    """One diagram; the unit of the vertical axis is an inch, 0 the line of ranks, downwards."""
    count = len(one.labels)
    unit = (count - 1) / WIDTH  # ranks of an inch
    axis.set_xlim(1 - beside * unit, count + beside * unit)
    axis.set_ylim(height - HEAD, -HEAD)
    axis.set_axis_off()
    axis.set_title(f"{ranking_title(one)}: {one.n} classes", loc="left")
    axis.plot([1, count], [0, 0], color="black", linewidth=1)
    for rank in range(1, count + 1):
        axis.plot([rank, rank], [0, -0.06], color="black", linewidth=0.8)
        axis.text(rank, -0.1, str(rank), ha="center", va="bottom", fontsize=8)
    end = min(1 + one.difference, count + beside * unit * 0.9)
    axis.plot([1, 1, 1, end, end, end], [-0.52, -0.44, -0.48, -0.48, -0.44, -0.52], color="black", linewidth=1.2)
    axis.text((1 + end) / 2, -0.54, f"critical difference {one.difference:.2f}", ha="center", va="bottom", fontsize=8)
    for i, (first, last) in enumerate(one.bars):
        ends = [one.ranks[first] - 0.03, one.ranks[last] + 0.03]
        axis.plot(ends, [0.08 + BAR * i] * 2, color="black", linewidth=3, solid_capstyle="butt")
    below, looks, left = 0.1 + BAR * len(one.bars), palette(one.labels), (count + 1) // 2
    for place, (label, rank) in enumerate(_named(one)):
        is_left = place < left
        depth = below + ROW * (place + 0.5 if is_left else count - place - 0.5)
        edge = 1 - 0.1 * unit if is_left else count + 0.1 * unit
        axis.plot([rank, rank, edge], [0, depth, depth], color=looks[label][0], linewidth=1)
        text = f"{shown.get(label, label)}  {rank:.2f}" if is_left else f"{rank:.2f}  {shown.get(label, label)}"
        axis.text(edge, depth, f"{text} " if is_left else f" {text}", ha="right" if is_left else "left", va="center")
