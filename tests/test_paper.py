"""The paper's sources: no number is typed, what the macros hold is what the cells say, and every sentence is true."""

from __future__ import annotations

import csv
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.claims.cells import CHOSEN
from tests.tools.paper import HASHES, PDF, SOURCES, TOP, figures
from tests.tools.paper.__main__ import INSTALL, TOOLS, compiled, digest, generated, lacking, lay_out, sources
from tests.tools.paper.macros import macros
from tests.tools.paper.sources import core, crossing
from tests.tools.paper.statements import STATEMENTS, untrue

DATA = {"mnist": "Mnist", "fashion_mnist": "Fashion"}
pytestmark = pytest.mark.xdist_group("paper")  # one worker, which makes every table once
PROSE = sorted(path for path in SOURCES.glob("*.tex") if path.name != "paper.tex")  # paper.tex: lengths
# What has digits and is no number of a sentence: comments, keys, file names, options, what is typed into a shell
NO_PROSE = re.compile(
    r"(?<!\\)%.*|\\setlength\{[^}]*\}\{[^}]*\}|\\begin\{(?!equation)\w+\}(?:\[[^]]*\])?"
    r"|\\(?:label|ref|input|includegraphics|cite\w*|texttt|rulename)(?:\[[^]]*\])*\{[^}]*\}"
)
FORMULA = re.compile(r"\$[^$]*\$|\\begin\{equation\}.*?\\end\{equation\}", re.DOTALL)
WORDS = "three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|hundred|thousand"
NUMBER = re.compile(rf"\d|\b(?:{WORDS})\b", re.IGNORECASE)
IN_FORMULA = re.compile(r"\d+[.,]\d+|\d{2,}")  # a formula may hold a 1 or a 2, no measured number


def typed(text: str) -> list[str]:
    """The numbers that are typed into a source's sentences and formulas."""
    bare = NO_PROSE.sub(" ", text)
    formulas = FORMULA.findall(bare)
    return [*NUMBER.findall(FORMULA.sub(" ", bare)), *(n for f in formulas for n in IN_FORMULA.findall(f))]


def prose() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in [*PROSE, SOURCES / "paper.tex"])


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_no_number_is_typed_into_a_sentence(path: Path) -> None:
    assert typed(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "AE has 0.968 here",
        "on nine classes",
        r"AE has $0.968$",
        r"at \MacroOne{} and 12",
        "p $= 0.04$",
        r"\emph{5 of them}",
    ],
)
def test_a_typed_number_is_found(text: str) -> None:
    assert typed(text) != []


def test_what_is_no_number_of_a_sentence_passes() -> None:
    assert (
        typed("% 12\n\\citep{ruff2018} \\label{a1} $1 - x$ \\texttt{a=5} \\begin{equation}\\tfrac{1}{2}\\end{equation}")
        == []
    )


def test_every_macro_that_is_used_is_made_and_the_other_way_round() -> None:
    made = macros()
    used = {name for name in re.findall(r"\\([A-Za-z]+)\{\}", prose()) if name[0].isupper()}
    assert used - set(made) == set()
    assert set(made) - used == set()


@cache
def rows(experiment: str) -> list[dict[str, str]]:
    with (TOP / "results" / experiment / "cells.csv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def values(experiment: str, model: str, dataset: str, column: str = "auroc") -> dict[str, float]:
    """By normal class, the mean over seeds."""
    found: dict[str, list[float]] = {}
    for row in rows(experiment):
        if (row["model"], row["dataset"]) == (model, dataset):
            found.setdefault(row["normal_class"], []).append(float(row[column]))
    return {k: sum(v) / len(v) for k, v in found.items()}


def average(*where: str) -> float:
    found = values(*where)
    return sum(found.values()) / len(found)


def p_holm(table: dict[str, dict[str, float]], first: str, second: str) -> float:
    """Of all pairs of ``table``'s models (model -> class -> AUROC), the corrected p of one."""
    from scipy.stats import wilcoxon

    found = {}
    for one, other in itertools.combinations(table, 2):
        found[one, other] = float(wilcoxon([table[one][k] - table[other][k] for k in table[one]]).pvalue)
    worst, order = 0.0, sorted(found, key=found.__getitem__)
    for step, pair in enumerate(order):
        worst = max(worst, min(1.0, found[pair] * (len(order) - step)))
        if set(pair) == {first, second}:
            return worst
    raise AssertionError


def recomputed() -> Iterator[tuple[str, str]]:
    """Macros worked out from the files themselves, without the report's code."""
    for dataset, data in DATA.items():
        for model, name in {"pca": "Pca", "ae": "Ae"}.items():
            yield f"Own{name}{data}", f"{average(core(), model, dataset):.3f}"
        gains = [average(core(), m, dataset) - average(core(), "pca", dataset) for m in ("ae", "vae", "aae")]
        yield f"GainLeast{data}", f"{min(gains):.3f}"
        yield f"GainMost{data}", f"{max(gains):.3f}"
        yield f"ImageNeighbours{data}", f"{average(crossing(), 'ae', dataset, 'auroc_rule_image_neighbours'):.3f}"
        yield f"ComplexityAe{data}", f"{average(crossing(), 'ae', dataset, 'auroc_rule_complexity_adjusted'):.3f}"
        for model, name in {"histogram": "Histogram", "flow": "Flow"}.items():
            yield f"Bits{name}{data}", f"{average('family', model, dataset, 'test_bits_per_dim_normal'):.2f}"
        chosen = {}
        for model, name in {"pca": "Pca", "ae": "Ae", "vae": "Vae", "aae": "Aae", "anogan": "Anogan"}.items():
            (rule,) = {r["chosen_rule"] for r in rows(CHOSEN) if (r["model"], r["dataset"]) == (model, dataset)}
            chosen[model] = values(CHOSEN, model, dataset, f"auroc_rule_{rule}")
            yield f"Chosen{name}{data}", f"{average_of(chosen[model]):.3f}"
        p = p_holm(chosen, "ae", "pca")
        better = average_of(chosen["ae"]) > average_of(chosen["pca"])
        told = f"separated, {'AE' if better else 'PCA'} ahead" if p < 0.05 else "not separated"
        yield f"ChosenVerdictAePca{data}", f"{told} ($p = {p:.2g}$)"
        own = {m: values(core(), m, dataset) for m in ("pca", "ae", "vae", "aae", "anogan")}
        p = p_holm(own, "ae", "pca")
        told = "separated, AE ahead" if p < 0.05 else "not separated"
        yield f"VerdictAePca{data}", f"{told} ($p = {p:.2g}$)"
        yield from crossed(dataset, data)


def average_of(column: dict[str, float]) -> float:
    return sum(column.values()) / len(column)


def crossed(dataset: str, data: str) -> Iterator[tuple[str, str]]:
    """Ranges, and shares of variance by sums of squares that are written out."""
    rules = [name for name in rows(crossing())[0] if name.startswith("auroc_rule_")]
    rules = [name for name in rules if name not in ("auroc_rule_own", "auroc_rule_image_neighbours")]
    models = ["pca", "ae", "vae", "aae", "anogan"]
    cube = np.array(
        [[list(values(crossing(), m, dataset, rule).values()) for rule in rules] for m in models]
    )  # (M, R, K)
    table = cube.mean(2)
    yield f"RuleRangeLeast{data}", f"{np.ptp(table, axis=1).min():.3f}"
    yield f"RuleRangeMost{data}", f"{np.ptp(table, axis=1).max():.3f}"
    yield f"RuleRangeMiddle{data}", f"{np.median(np.ptp(table, axis=1)):.3f}"
    yield f"ModelRangeMiddle{data}", f"{np.median(np.ptp(table, axis=0)):.3f}"
    for part, tail in ((cube, ""), (cube[:4], "WithoutAnogan")):
        m, r, k = part.shape
        mean = part.mean()
        by_model, by_rule, by_class = part.mean((1, 2)) - mean, part.mean((0, 2)) - mean, part.mean((0, 1)) - mean
        both = part.mean(2) - mean - by_model[:, None] - by_rule[None]
        left = ((part - mean) ** 2).sum() - m * r * (by_class**2).sum()
        squares = {
            "Rule": m * k * (by_rule**2).sum(),
            "Model": r * k * (by_model**2).sum(),
            "Interplay": k * (both**2).sum(),
        }
        for source, found in squares.items():
            share = found / left
            yield f"Share{source}{data}{tail}", f"{share:.{1 if share < 0.01 else 0}%}".replace("%", r"\%")


def test_macros_are_what_the_cells_say() -> None:
    found = dict(recomputed())
    made = macros()
    assert {name: made[name] for name in found} == found
    assert len(found) >= 50


def test_every_statement_stands_in_its_source_and_holds() -> None:
    for name, found in STATEMENTS.items():
        text = " ".join((SOURCES / name).read_text(encoding="utf-8").split())
        assert [sentence for sentence, _ in found if sentence not in text] == []
    assert untrue() == []


def test_every_source_is_cited_and_the_docstrings_sources_are_there() -> None:
    bib = (SOURCES / "references.bib").read_text(encoding="utf-8")
    entries = set(re.findall(r"@\w+\{(\w+),", bib))
    cited = {key for keys in re.findall(r"\\cite\w*\{([^}]*)\}", prose()) for key in keys.split(",")}
    assert cited == entries
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for room in ("models", "rules")
        for path in (TOP / "benchmark" / room).glob("*.py")
    )
    assert set(re.findall(r"arXiv:(\d+\.\d+)", code)) - set(re.findall(r"arXiv:(\d+\.\d+)", bib)) == set()


def test_the_committed_pdf_is_made_of_the_texts_and_cells_that_are_committed() -> None:
    """If not: make paper (CONTRIBUTING.md has what it needs)."""
    said = json.loads(HASHES.read_text(encoding="utf-8"))
    assert said == {"pdf": digest(PDF.read_bytes()), "sources": sources()}, "type: make paper"


def test_every_generated_table_is_read_and_only_these() -> None:
    asked = set(re.findall(r"\\input\{generated/(\w+)\}", prose()))
    assert asked == {"macros", *generated()}
    for name in re.findall(r"\\includegraphics\[[^]]*\]\{(\w+)\.pdf\}", prose()):
        assert callable(getattr(figures, name))


def test_without_tex_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lacking() == f"make paper needs {', '.join(TOOLS)}, which is not installed. On Debian: {INSTALL}"


@pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason="TeX is not installed")
def test_it_compiles_without_a_warning_and_a_fault_is_told(tmp_path: Path) -> None:
    lay_out(tmp_path / "paper")
    assert compiled(tmp_path / "paper") == []
    source = tmp_path / "paper" / "limitations.tex"
    source.write_text(
        source.read_text(encoding="utf-8") + r"\cite{nobody} \ref{nothing} \rule{7in}{1pt}", encoding="utf-8"
    )
    told = "\n".join(compiled(tmp_path / "paper"))
    assert "nobody" in told
    assert "nothing" in told
    assert "Overfull" in told
