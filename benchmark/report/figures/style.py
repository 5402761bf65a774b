"""How every figure looks: sizes, colours, labels in lines. It imports no other figure module."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.report.statistics import MARK, Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "figure.facecolor": "white",
    "text.parse_math": False,  # a $ in a name is a $
}
DPI = 120
LINE = 22  # characters of a label in a line
NORMAL, ANOMALOUS = "#0072B2", "#D55E00"
COLOURS = {  # Okabe & Ito; the floors in light greys
    "histogram": "#BBBBBB", "mean_image": "#888888", "pca": "#555555",
    "ae": "#0072B2", "vae": "#E69F00", "aae": "#009E73", "anogan": "#CC79A7",
}  # fmt: skip
SPARE = ("#56B4E9", "#D55E00", "#8C6D00", "#000000", "#7A5FA8")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 3)), (0, (8, 2, 2, 2)), (0, (1, 3)))


def palette(labels: Sequence[str]) -> dict[str, tuple[str, Any]]:
    """Colour and line style of every column: a model keeps its own whatever else is shown; variants differ in line.

    So do models without a colour of their own, where there are more of them than spare colours.
    """
    models = [label.split(" (", 1)[0] for label in labels]
    unknown = [model for model in dict.fromkeys(models) if model not in COLOURS]
    colours = COLOURS | {model: SPARE[i % len(SPARE)] for i, model in enumerate(unknown)}
    lines = {model: i // len(SPARE) for i, model in enumerate(unknown)}
    return {
        label: (colours[model], LINES[(models[:i].count(model) + lines.get(model, 0)) % len(LINES)])
        for i, (label, model) in enumerate(zip(labels, models, strict=True))
    }


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches that lays itself out."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def without_frame(axis: Any) -> None:
    """Take the frame and the tick marks away; the labels of ticks stay."""
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def in_lines(label: str) -> str:
    """A column's label with its variant on lines of its own, none longer than 22 characters where words allow it.

    A longer word, such as the list of a committee's members, is broken behind its commas.
    """
    label = label.replace(f" {MARK}", f"\N{NO-BREAK SPACE}{MARK}")  # the mark stays with its column
    label = " ".join(word if len(word) <= LINE else word.replace(",", ", ") for word in label.split(" "))
    return "\n".join(textwrap.wrap(label, LINE, break_long_words=False, break_on_hyphens=False))


def wrapped(name: str) -> str:
    """A long class name on several lines."""
    return name.replace("/", "/\n").replace(" ", "\n") if len(name) > 8 else name


def class_lines(group: Group, number: int) -> str:
    """``3``, or the number above the name where the class has one."""
    name = group.classes[number]
    return str(number) if name == str(number) else f"{number}\n{wrapped(name)}"


def slug(label: str) -> str:
    """A column's label as part of a file's name: ``ae (latent=2)`` is ``ae--latent-2``."""
    return "".join(c if c.isalnum() else "-" for c in label).strip("-")
