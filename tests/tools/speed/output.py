"""Table and plot of the speed benchmark, from its JSON alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TRAIN = ("plain loop", "PyOD", "fleet of 1", "fleet of 10, loop", "fleet of 10", "fleet of 50", "fleet of 50, bf16",
         "fleet of 100", "floor")  # fmt: skip


def write(folder: Path, content: dict[str, Any]) -> None:
    """Write ``speed_DEVICE.md`` and ``speed_DEVICE.png`` into ``folder``."""
    device = content["environment"]["device"].split(":")[0]
    (folder / f"speed_{device}.md").write_text(_text(content), encoding="utf-8")
    _plot(content, folder / f"speed_{device}.png")


def _text(content: dict[str, Any]) -> str:
    env = content["environment"]
    value = {(c["kind"], c["name"], c["what"]): c["median"] for c in content["cases"]}
    lines = [
        f"# Speed on {env['gpu'] or env['cpu']}, {env['cores']} cores\n",
        f"`{content['command'].strip()}`: medians of {content['rounds']} rounds in one run, torch {env['torch']}, "
        f"revision {env['git_revision'][:12]}.\n",
        "## Training images per second\n",
    ]
    names = list(dict.fromkeys(name for kind, name, _ in value if kind == "train"))
    columns = [what for what in TRAIN if any(("train", name, what) in value for name in names)]
    lines += ["| network | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    lines += [
        f"| {name} | " + " | ".join(_number(value.get(("train", name, c))) for c in columns) + " |" for name in names
    ]
    lines += [
        "",
        "Memory at most, in MiB, beyond data and libraries (the first run of a kind also holds what stays):\n",
    ]
    held = {(c["kind"], c["name"], c["what"]): c["memory_mib"] for c in content["cases"]}
    lines += ["| network | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    lines += [
        f"| {name} | " + " | ".join(_number(held.get(("train", name, c))) for c in columns) + " |" for name in names
    ]
    lines += ["", "A fleet of ten against:\n"]
    for name in names:
        ours = value.get(("train", name, "fleet of 10"))
        for rival in ("plain loop", "PyOD", "floor"):
            other = value.get(("train", name, rival))
            if ours and other:
                lines.append(f"- {name}, {rival}: {ours / other:.2f} times")
    lines += ["", "## Scoring images per second, fleet of ten\n", "| network | images per second |", "| --- | ---: |"]
    lines += [f"| {name} | {_number(v)} |" for (kind, name, _), v in value.items() if kind == "score"]
    lines += ["", "## How cost grows\n"]
    lines += ["| network | setting | images per second | peak memory, MiB |", "| --- | --- | ---: | ---: |"]
    lines += [
        f"| {c['name']} | {c['what']} | {_number(c['median'])} | {_number(c['memory_mib'])} |"
        for c in content["cases"]
        if c["kind"] == "growth"
    ]
    lines += ["", "## AUROC of MNIST class 3 after ten epochs, 784-400-200-16, batch 128\n"]
    lines += [f"- {row['what']}: {row['auroc']:.4f}" for row in content["quality"]]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _plot(content: dict[str, Any], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cases = [case for case in content["cases"] if case["kind"] == "train"]
    names = list(dict.fromkeys(case["name"] for case in cases))
    figure = Figure(figsize=(11, 3.0 * -(-len(names) // 3)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(-(-len(names) // 3), 3, squeeze=False).flatten()
    for axis, name in zip(axes, names, strict=False):
        rows = sorted((c for c in cases if c["name"] == name), key=lambda c: TRAIN.index(c["what"]), reverse=True)
        medians = [row["median"] for row in rows]
        spread = [[r["median"] - r["low"] for r in rows], [r["high"] - r["median"] for r in rows]]
        colours = ["#0072B2" if row["what"].startswith("fleet") else "#999999" for row in rows]
        axis.barh([row["what"] for row in rows], medians, xerr=spread, color=colours, error_kw={"lw": 1})
        axis.set_title(name, fontsize=10)
        axis.tick_params(labelsize=8)
        axis.set_xlabel("training images per second", fontsize=8)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
