"""Rows of the tables of docs/models/gan.md and docs/models/fanogan.md, from the committed cells, in Markdown.

python -m tests.benchmarks.gan_tables gan_objectives
python -m tests.benchmarks.gan_tables search
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from scipy.stats import ttest_rel

from benchmark.report.frame import read_frame
from benchmark.report.paired import holm

RESULTS = Path(__file__).parents[2] / "results"
TRAININGS = {
    "conditional=True": "labels (`conditional=true`)",
    "objective=wasserstein_penalty": "`wasserstein_penalty`, two updates of D",
    "objective=wasserstein_clipping": "`wasserstein_clipping`, two updates of D",
    "closeness=16": "minibatch discrimination (`closeness=16`)",
    "objective=minimax": "`minimax`",
    "unrolled_steps=3": "unrolled D (`unrolled_steps=3`)",
}  # part of a variant -> the training's name in the table; none of them: as shipped
SHIPPED = "`non_saturating`, as shipped"


def objectives(frame: pd.DataFrame) -> list[str]:
    """A row a training: means over classes and seeds, sd over seeds of the mean over classes; best AUROC first."""
    frame = frame[(frame["model"] == "anogan") & (frame["split"] == "leave_one_out")]
    rows = []
    for variant, part in frame.groupby("variant"):
        by_seed = part.groupby("seed")["auroc"].mean()
        hit, entropy, frechet = (
            part[f"generation_{key}"].mean() for key in ("modes_hit", "mode_entropy", "frechet_classifier")
        )
        mean, sd, steps = by_seed.mean(), by_seed.std(ddof=1), int(part["steps"].iloc[0])
        shown = (
            f"| {named(str(variant))} | {steps:,} | {mean:.3f} | {sd:.3f} | {hit:.1f} | {entropy:.2f} | {frechet:.0f} |"
        )
        rows.append((mean, shown))
    return [row for _, row in sorted(rows, reverse=True)]


def against_shipped(frame: pd.DataFrame) -> list[str]:
    """Each training against the shipped one over the same classes and seeds: mean difference of AUROC, t test, Holm.

    A paired t test: with six pairs a signed-rank test never falls below 0.031, which no correction for six leaves.
    """
    frame = frame[(frame["model"] == "anogan") & (frame["split"] == "leave_one_out")]
    table = frame.pivot(index=["normal_class", "seed"], columns="variant", values="auroc")
    names = {str(variant): named(str(variant)) for variant in table.columns}
    shipped = next(variant for variant, name in names.items() if name == SHIPPED)
    others = [variant for variant in names if variant != shipped]
    p_values = holm([float(ttest_rel(table[variant], table[shipped]).pvalue) for variant in others])
    means = [float((table[variant] - table[shipped]).mean()) for variant in others]
    rows = [
        (mean, f"| {names[v]} | {mean:+.3f} | {p:.3f} |") for v, mean, p in zip(others, means, p_values, strict=True)
    ]
    return [row for _, row in sorted(rows, reverse=True)]


def named(variant: str) -> str:
    return next((name for key, name in TRAININGS.items() if key in variant), SHIPPED)


def searches(frame: pd.DataFrame) -> list[str]:
    """A row a way to z: mean AUROC over the classes of each data set, by the squared and by the absolute A(x)."""
    rows = []
    for variant, part in frame.assign(variant=frame["variant"].fillna("")).groupby("variant"):
        words = dict(word.split("=", 1) for word in str(variant).split() if "=" in word)
        start = "nearest of 512 draws" if words.get("start") == "candidates" else "encoder"
        steps, loss = words.get("search_steps", "0"), words.get("search_loss", "squared")
        means = [
            f"{part[part['dataset'] == dataset][score].mean():.3f}"
            for dataset in ("mnist", "fashion_mnist")
            for score in ("auroc_total", "auroc_total_absolute")
        ]
        lowered = "-" if steps == "0" else loss
        rows.append(((int(steps), loss, start), f"| {start} | {steps} | {lowered} | {' | '.join(means)} |"))
    return [row for _, row in sorted(rows)]


def main() -> None:
    name = sys.argv[1]
    frame = read_frame(RESULTS / name / "cells.csv")
    for line in searches(frame) if name == "search" else [*objectives(frame), "", *against_shipped(frame)]:
        print(line)


if __name__ == "__main__":
    main()
