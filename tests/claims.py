"""Every measured number in README and docs/ is recomputed from results/*/cells.csv: how, and how to keep it so.

python -m tests.claims          # what is not as the committed cells say (exit code 1)
python -m tests.claims write    # puts the recomputed numbers and tables into the pages

1. After results were run again: `write`, then `git diff`, then pytest tests/test_claims.py.
2. `write` changes numbers, verdict phrases and the tables between <!-- NAME:begin --> and <!-- NAME:end -->.
3. Words stay as they are: read each changed sentence. A `holds` claim that fails is a sentence to write again by hand.
4. A new sentence with a number: Claim("words {:.3f} words", lambda: [mean("quick", "ae", "mnist")]) in CLAIMS of
   tests/claims_registry.py, under its page; the text may be wrapped in the page in any way.
5. A sentence that compares two models: Claim("AE and VAE are {}", lambda: [verdict("quick", "ae", "vae", "mnist")]),
   which says "separated, `vae` ahead (Wilcoxon ...)" or "not separated (...)" and so cannot say the opposite. In the
   page type any such phrase at its place, for example "not separated (Wilcoxon)"; `write` puts in the computed one.
6. A sentence without numbers: Claim("PCA is ahead on Sandal", holds=lambda: ...).
7. A claim of cells that are still to be run stands in AWAITED (claims_exceptions.py); it is compared once they are.
8. A number that no cell has (a setting, a definition, a paper's): EXCEPTIONS (there), with the reason; " ... " skips.
9. A sentence that is gone from its page: delete its claim or exception; the test says which.
10. A new table made from cells: a function in BLOCKS or WHOLE (claims_tables.py) and the two markers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from string import Formatter

import pandas as pd
from benchmark.report.paired import POOLED, SEPARATED, Comparison, comparisons

from benchmark.report.frame import read_frame
from benchmark.report.statistics import Group, groups
from benchmark.report.tables.published import read_published

ROOT = Path(__file__).parent.parent
NUMBER = r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?%?"
PHRASE = r"(?:not\s+separated|separated,\s+`[^`]+`\s+ahead)\s+\(Wilcoxon[^)]*\)"
WORDS = {6: "six", 10: "ten", 20: "twenty", 26: "26"}


class Absent(LookupError):
    """The cells that a number is made of are not in results/."""


@dataclass(frozen=True)
class Claim:
    """A text of a page: a format template with the function that gives its values, or a condition that must hold."""

    text: str
    values: Callable[[], Sequence[object]] | None = None
    holds: Callable[[], bool] | None = None

    def parts(self) -> list[str]:
        """The texts of this claim's fields, in order."""
        fields = [spec for _, name, spec, _ in Formatter().parse(self.text) if name is not None]
        values = list(self.values()) if self.values else []
        if len(fields) != len(values):
            raise ValueError(f"{self.text!r} has {len(fields)} fields and {len(values)} values")
        return [format(value, spec or "") for spec, value in zip(fields, values, strict=True)]

    def rendered(self) -> str:
        return "".join(
            part if i % 2 == 0 else text for i, (part, text) in enumerate(_alternate(self.text, self.parts()))
        )

    def stands(self) -> bool:
        """Whether the condition holds; true as long as its cells are not there."""
        try:
            return self.holds is None or self.holds()
        except Absent:
            return True

    @property
    def pattern(self) -> re.Pattern[str]:
        """The text with any numbers or verdicts in its fields, wrapped in any way; a group a field."""
        found = ""
        for literal, name, spec, _ in Formatter().parse(self.text):
            found += flexible(literal)
            if name is not None:
                found += f"({NUMBER})" if spec else f"({PHRASE})"
        return re.compile(found)


def _alternate(text: str, values: Sequence[str]) -> list[tuple[str, str]]:
    """Literals and values in turn, as (literal, value) with the one that does not count empty."""
    rows, rest = [], iter(values)
    for literal, name, _, _ in Formatter().parse(text):
        rows += [(literal, ""), ("", next(rest) if name is not None else "")]
    return rows


def flexible(text: str) -> str:
    """A pattern for ``text`` in which white space may be any other."""
    return r"\s+".join(re.escape(word) for word in re.split(r"\s+", text))


def normal(text: str) -> str:
    return " ".join(text.split())


# --- numbers of the committed cells ---------------------------------------------------------------------------------


@cache
def frame(experiment: str) -> pd.DataFrame:
    """The cells of results/EXPERIMENT, all of them done."""
    path = ROOT / "results" / experiment / "cells.csv"
    if not path.exists():
        raise Absent(f"results/{experiment}/cells.csv is not there")
    found = read_frame(path)
    if set(found["state"]) != {"done"}:
        raise ValueError(f"results/{experiment} has cells that are not done")
    return found


def cells(experiment: str, model: str, dataset: str, variant: str = "") -> pd.DataFrame:
    """The rows of one model and setting on one data set."""
    found = frame(experiment)
    found = found[(found["model"] == model) & (found["dataset"] == dataset) & (found["variant"] == variant)]
    if not len(found):
        raise Absent(f"results/{experiment} has no {model} ({variant or 'as shipped'}) on {dataset}")
    return found


def per_class(
    experiment: str, model: str, dataset: str, metric: str = "auroc", variant: str = ""
) -> pd.Series:  # index: normal class
    """Mean over seeds of every class."""
    values = cells(experiment, model, dataset, variant).groupby("normal_class")[metric].mean()
    if values.isna().any():
        raise Absent(f"results/{experiment} has no {metric} of {model} on {dataset}")
    return values


def mean(experiment: str, model: str, dataset: str, metric: str = "auroc", variant: str = "") -> float:
    """Mean over classes (each the mean over its seeds)."""
    return float(per_class(experiment, model, dataset, metric, variant).mean())


def auroc(experiment: str, model: str, dataset: str, cls: int, metric: str = "auroc", variant: str = "") -> float:
    """One class, the mean over its seeds; any other metric likewise."""
    values = per_class(experiment, model, dataset, metric, variant)
    if cls not in values.index:
        raise Absent(f"results/{experiment} has no class {cls} of {model} on {dataset}")
    return float(values[cls])


def group(experiment: str, dataset: str) -> Group:
    """The cells of one data set that share a table."""
    (found,) = (g for g in groups(frame(experiment)) if g.dataset == dataset)
    return found


def floors_below(experiment: str, dataset: str) -> dict[str, list[str]]:
    """Columns that are below a floor on a data set -> the floors."""
    return group(experiment, dataset).below


@cache
def all_paired(experiment: str, dataset: str = POOLED) -> list[Comparison]:
    """All paired tests of one data set, or of all of them together."""
    return [c for c in comparisons(groups(frame(experiment))) if c.dataset == dataset]


def paired(experiment: str, first: str, second: str, dataset: str = POOLED) -> Comparison:
    """The paired test of two columns (p, p_holm, wins, difference, verdict), as first against second."""
    for c in all_paired(experiment, dataset):
        if (c.first, c.second) == (first, second):
            return c
        if (c.first, c.second) == (second, first):
            c = replace(c, first=first, second=second, low=-c.high, high=-c.low, effect=-c.effect)
            return replace(c, difference=-c.difference, wins=c.n - c.ties - c.wins)
    raise Absent(f"results/{experiment} has no paired test of {first} and {second} on {dataset} (six pairs are needed)")


def verdict(experiment: str, first: str, second: str, dataset: str = POOLED) -> str:
    """What the paired test says, with its name; the only way in which a page says that one model is ahead."""
    c = paired(experiment, first, second, dataset)
    p = "p < 0.001" if c.p_holm < 0.001 else f"p = {c.p_holm:.2g}"
    told = f"separated, `{c.first if c.effect > 0 else c.second}` ahead" if c.p_holm < SEPARATED else "not separated"
    over = f"{WORDS.get(c.n, c.n)} classes" + (" of both data sets" if dataset == POOLED else "")
    return f"{told} (Wilcoxon signed-rank over the {over}, {p} after Holm's correction)"


def published(method: str, dataset: str) -> float:
    """The mean AUROC of a method in benchmark/report/published_auroc.csv, one_vs_rest."""
    wanted = (method, dataset, "one_vs_rest", "mean")
    (value,) = {
        f.auroc for f in read_published() if (f.method, f.dataset, f.protocol, f.normal_class) == wanted
    }  # fmt: skip
    return value


# --- pages ----------------------------------------------------------------------------------------------------------


def block(text: str, name: str) -> re.Match[str] | None:
    """What stands between the markers of a name."""
    return re.search(rf"(?<=<!-- {name}:begin -->).*(?=<!-- {name}:end -->)", text, re.DOTALL)


def with_tables(text: str, tables: Sequence[Sequence[str]]) -> str:
    """``text`` with its Markdown tables replaced in order; rows without a head keep the page's."""
    left = list(tables)

    def fill(match: re.Match[str]) -> str:
        rows, old = list(left.pop(0)), match[0].splitlines()
        return "\n".join(rows if len(rows) > 1 and rows[1].startswith("| ---") else [*old[:2], *rows]) + "\n"

    result = re.sub(r"(?:^\|.*\n)+", lambda match: fill(match) if left else match[0], text, flags=re.MULTILINE)
    if left:
        raise ValueError(f"{len(left)} tables have no place: put a table's head between the markers")
    return result


def refreshed(text: str, claims: Sequence[Claim], blocks: dict[str, Callable[[], list[list[str]]]]) -> str:
    """A page with every claim's numbers and every marked table as the committed cells have them."""
    for name, tables in blocks.items():
        found = block(text, name)
        if found is not None:
            text = text[: found.start()] + with_tables(found[0], tables()) + text[found.end() :]
    for claim in claims:
        try:
            parts = claim.parts()
        except Absent:
            continue
        for match in reversed(list(claim.pattern.finditer(text))):
            for i in reversed(range(len(parts))):
                if normal(match[i + 1]) != parts[i]:
                    text = text[: match.start(i + 1)] + parts[i] + text[match.end(i + 1) :]
    return text


def _is_absent(claim: Claim) -> bool:
    try:
        claim.parts()
    except Absent:
        return True
    return False


def main(write: bool) -> int:
    from tests.claims_exceptions import AWAITED
    from tests.claims_registry import CLAIMS, PAGES
    from tests.claims_tables import BLOCKS, WHOLE

    code = 0
    for name in PAGES:
        path, claims = ROOT / name, CLAIMS.get(name, [])
        text = path.read_text(encoding="utf-8")
        new = refreshed(text, claims, BLOCKS)
        for marker, whole in WHOLE.items():
            found, wanted = block(new, marker), whole()
            if found is not None and wanted is not None:
                new = new[: found.start()] + wanted + new[found.end() :]
        for claim in claims:
            if not claim.pattern.search(new):
                print(f"{name}: no longer there: {claim.text}")
                code = 1
            elif _is_absent(claim) and name not in {page for page, _ in AWAITED}:
                print(f"{name}: its cells are not in results/: {claim.text}")
                code = 1
            elif not claim.stands():
                print(f"{name}: no longer true: {claim.text}")
                code = 1
        if new != text:
            print(f"{name}: {'written' if write else 'numbers have moved'}")
            code = code if write else 1
            if write:
                path.write_text(new, encoding="utf-8")
    return code


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["write"]):
        sys.exit("python -m tests.claims, or python -m tests.claims write")
    from tests import claims  # the module that the registry imports, not this second copy of it

    sys.exit(claims.main(write=sys.argv[1:] == ["write"]))
