"""Tables and verdicts of docs/models/gan.md and docs/models/fanogan.md, from the committed cells.

    python -m tests.tools.speed.gan_tables gan_objectives
    python -m tests.tools.speed.gan_tables search

writes what it prints between the markers of the page.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
from scipy.stats import ttest_rel, wilcoxon

from benchmark.report.frame import read_frame
from benchmark.report.tables.paired import holm

ROOT = Path(__file__).parents[3]
TRAININGS = {
    "conditional=True": "labels (`conditional=true`)",
    "objective=wasserstein_penalty": "`wasserstein_penalty`, two updates of D",
    "objective=wasserstein_clipping": "`wasserstein_clipping`, two updates of D",
    "closeness=16": "minibatch discrimination (`closeness=16`)",
    "objective=minimax": "`minimax`",
    "unrolled_steps=3": "unrolled D (`unrolled_steps=3`)",
}  # part of a variant -> the training's name in the table; none of them: as shipped
SHIPPED = "`non_saturating`, as shipped"
OBJECTIVES_HEAD = (
    "| training | updates of G | AUROC | sd over seeds | modes hit, of 9 | entropy | Fréchet (classifier) |"
    " AUROC - as shipped | p |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)
SEARCH_HEAD = (
    "| start of z | steps | the search lowers | MNIST, squared | absolute | Fashion-MNIST, squared | absolute |\n"
    "| --- | ---: | --- | ---: | ---: | ---: | ---: |"
)
LEVEL = 0.05


def objectives(frame: pd.DataFrame) -> str:
    """A row a training, best AUROC first: means over classes and seeds, sd over seeds of the mean over classes.

    Against the shipped training over the same classes and seeds: mean difference, paired t test, Holm over all.
    A t test, since with six pairs a signed-rank test never falls below 0.031, which no correction for six leaves.
    """
    frame = frame[(frame["model"] == "anogan") & (frame["split"] == "leave_one_out")]
    frame = frame.assign(training=[_training(str(variant)) for variant in frame["variant"]])
    table = frame.pivot(index=["normal_class", "seed"], columns="training", values="auroc")
    others = [name for name in table.columns if name != SHIPPED]
    p_values = dict(zip(others, holm([_t_test(table[name], table[SHIPPED]) for name in others]), strict=True))
    gain = {name: float((table[name] - table[SHIPPED]).mean()) for name in others}
    rows = []
    for name in table.mean().sort_values(ascending=False).index:
        part = frame[frame["training"] == name]
        sd = table[name].groupby("seed").mean().std(ddof=1)
        hit, entropy, frechet = (
            part[f"generation_{key}"].mean() for key in ("modes_hit", "mode_entropy", "frechet_classifier")
        )
        against = f"{gain[name]:+.3f} | {_p(p_values[name])}" if name in gain else "- | -"
        rows.append(
            f"| {name} | {part['steps'].iloc[0]:,.0f} | {table[name].mean():.3f} | {sd:.3f} | {hit:.1f} |"
            f" {entropy:.2f} | {frechet:.0f} | {against} |"
        )
    apart = [name for name in p_values if p_values[name] < LEVEL]
    verdict = {
        "Better than the shipped training": [name for name in apart if gain[name] > 0],
        "Worse": [name for name in apart if gain[name] < 0],
        "Not separated from it": [name for name in p_values if name not in apart],
    }
    said = "\n".join(f"- {word}: {'; '.join(names) or 'none'}." for word, names in verdict.items())
    return "\n".join([OBJECTIVES_HEAD, *rows, "", said])


def searches(frame: pd.DataFrame) -> str:
    """A row a way to z: mean AUROC over the classes of each data set, by the squared and by the absolute A(x).

    And the encoder against the search from the draws on the squared A(x), class by class: an exact signed-rank test.
    """
    ways = {}
    for variant, part in frame.assign(variant=frame["variant"].fillna("")).groupby("variant"):
        words = dict(word.split("=", 1) for word in str(variant).split() if "=" in word)
        steps, start = int(words.get("search_steps", "0")), words.get("start", "encoder")
        ways[steps, words.get("search_loss", "squared"), start] = part.set_index(["dataset", "normal_class"])
    rows = []
    for (steps, loss, start), part in sorted(ways.items()):
        means = [
            f"{part.loc[dataset, score].mean():.3f}"
            for dataset in ("mnist", "fashion_mnist")
            for score in ("auroc_total", "auroc_total_absolute")
        ]
        named = "nearest of 512 draws" if start == "candidates" else start
        rows.append(f"| {named} | {steps} | {loss if steps > 0 else '-'} | {' | '.join(means)} |")
    pairs = [ways[key]["auroc_total"] for key in ((0, "squared", "encoder"), (40, "squared", "candidates"))]
    difference = pairs[0] - pairs[1]
    p = float(wilcoxon(difference, method="exact").pvalue)
    word = "separated" if p < LEVEL else "not separated"
    said = (
        f"The encoder's AUROC less that of the search from the draws, by the squared A(x): {difference.mean():+.3f} in"
        f" the mean of {len(difference)} classes, ahead on {int((difference > 0).sum())}; {word} by an exact Wilcoxon"
        f" test (p = {p:.3f})."
    )
    return "\n".join([SEARCH_HEAD, *rows, "", said])


TABLES = {"gan_objectives": ("gan", objectives), "search": ("fanogan", searches)}  # experiment -> its page, its table


def page(experiment: str) -> Path:
    return ROOT / "docs" / "models" / f"{TABLES[experiment][0]}.md"


def block(experiment: str) -> re.Match[str]:
    """What stands between the experiment's markers on its page."""
    marks = rf"(?<=<!-- {experiment}:begin -->\n).*(?=\n<!-- {experiment}:end -->)"
    found = re.search(marks, page(experiment).read_text("utf-8"), re.DOTALL)
    assert found is not None, f"{page(experiment)} has no markers of {experiment}"
    return found


def expected(experiment: str) -> str:
    """What has to stand there."""
    return TABLES[experiment][1](read_frame(ROOT / "results" / experiment / "cells.csv"))


def _training(variant: str) -> str:
    return next((name for key, name in TRAININGS.items() if key in variant), SHIPPED)


def _t_test(one: pd.Series, other: pd.Series) -> float:
    return float(ttest_rel(one, other).pvalue)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def main() -> None:
    experiment = sys.argv[1]
    text, old = expected(experiment), block(experiment)
    page(experiment).write_text(old.string[: old.start()] + text + old.string[old.end() :], encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
