"""The tables of the appendix: every class, paired tests, thresholds, all settings, what was compared, where it ran."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from benchmark.config import CONF_DIR
from benchmark.report.packed import read_manifest
from benchmark.report.tables.auroc import auroc_table
from benchmark.report.tables.detection import detection_table
from tests.claims.cells import CHOSEN, ROOT, all_paired, compared
from tests.tools.paper.sources import DATASETS, core, counted, crossing, groups_of, name_of, seeds
from tests.tools.paper.tables import chosen_settings, marked
from tests.tools.paper.typeset import Row, code, entry, long_table, plain, table, tabular

OPTION = re.compile(r"(?P<key>\w+): *(?P<value>.*?)(?: +# *(?P<what>.*))?")  # a line of conf/model
NO_SETTINGS = ("name", "_target_")
SHORT = {"isolation forest": "iForest", "mean image": "mean", "sd over classes": "sd", "average rank": "rank"}
SPREAD = re.compile(r" ± [\d.]+( \(n=\d+\))?")  # of a mean over seeds, which a table of many columns has no room for


def all_tables() -> dict[str, str]:
    """File name -> LaTeX of every table of the appendix."""
    return {
        "classes": class_tables(),
        "tests": tests_table(),
        "detection": detection(),
        "compared": compared_table(),
        "settings": settings_tables(),
        "provenance": provenance_table(),
    }


def class_tables() -> str:
    """AUROC of every class: the report's own table, in the paper's dress."""
    found = []
    for part in groups_of(core()):
        given = auroc_table(part)
        kept = [(i, row) for i, row in enumerate(given.rows) if not row[0].text.startswith("95% CI")]  # too wide
        rows = [[entry(plain(_brief(one.text)), one.bold) for one in row] for _, row in kept]
        rules = frozenset(n for n, (i, _) in enumerate(kept) if i in given.rules)
        heads = ["class", *(_brief(marked(label, label in part.below)) for label in part.labels)]
        several = f", means over {counted(seeds(core()), 'seed')}" if seeds(core()) > 1 else ""
        caption = rf"{DATASETS[part.dataset]}: AUROC of each model's own score by normal class{several}."
        body = tabular("l" + "r" * len(part.labels), [" & ".join(heads) + r" \\"], rows, rules)
        size = r"\scriptsize\tightly" if len(part.labels) > 9 else r"\small"
        found.append(table(f"classes-{part.dataset.replace('_', '-')}", caption, body, size, "htbp"))
    return "\n".join(found)


def _brief(text: str) -> str:
    """What a table of many columns has room for."""
    for long, short in SHORT.items():
        text = text.replace(long, short)
    return SPREAD.sub("", text)


def tests_table() -> str:
    """Every pair of models of the main table on each data set."""
    rows: list[Row] = []
    lines = set()
    for dataset, title in DATASETS.items():
        lines |= {len(rows)} if rows else set()
        for i, c in enumerate(all_paired(core(), dataset)):
            pair = f"{name_of(c.first)} $-$ {name_of(c.second)}"
            texts = [f"${c.difference:+.4f}$", f"{{[}}${c.low:+.4f}$, ${c.high:+.4f}${{]}}", f"{c.wins} of {c.n}"]
            texts += [f"${c.effect:+.2f}$", f"{c.p:.3f}", f"{c.p_holm:.3f}"]
            rows.append([entry(title if i == 0 else ""), entry(pair), *map(entry, texts)])
    heads = [r"data set & pair & mean difference & interval & ahead & $r$ & $p$ & $p$ (Holm) \\"]
    caption = (
        r"Wilcoxon's signed-rank test between the own scores of two models, paired over classes: mean difference with "
        r"Student's 95\% interval, classes in which the first is ahead, $r$ the matched-pairs rank-biserial "
        r"correlation as effect size, $p$ before and after Holm's correction over the pairs of a data set."
    )
    return table("tests", caption, tabular("llrrrrrr", heads, rows, frozenset(lines)), r"\footnotesize", "htbp")


def detection() -> str:
    """Precision, recall, F1 and false alarms at the threshold, beside flagging everything."""
    rows: list[Row] = []
    lines = set()
    for part in groups_of(core()):
        lines |= {len(rows)} if rows else set()
        given = detection_table(part)
        names = [*part.labels, *(row[0].text for row in given.rows[len(part.labels) :])]
        for i, (row, label) in enumerate(zip(given.rows, names, strict=True)):
            name = marked(label, label in part.below) if label in part.labels else plain(label)
            shown = [entry(DATASETS[part.dataset] if i == 0 else ""), entry(name)]
            rows.append([*shown, *(entry(plain(one.text)) for one in row[2:])])
    heads = [r"data set & model & AUROC & AP & FPR95 & precision & recall & F$_1$ & false alarms \\"]
    caption = (
        r"What a detector does at its threshold, which the calibration images set; means over classes. AP: average "
        r"precision; FPR95: share of normal images above the score that most of the anomalous ones (95\%) exceed. "
        r"F$_1$ grows with false alarms where most images are anomalous: read it beside them and the row of a detector "
        r"that flags everything."
    )
    return table("detection", caption, tabular("llrrrrrrr", heads, rows, frozenset(lines)), r"\footnotesize", "htbp")


def compared_table() -> str:
    """Every setting that was compared on validation images: own score, and the best of all rules."""
    cells = compared()
    rules = [name for name in cells if name.startswith("auroc_rule_") and not name.endswith("_image_neighbours")]
    rows: list[Row] = []
    for model in dict.fromkeys(cells["model"]):
        mine = cells[cells["model"] == model]
        taken = {dataset: " ".join(chosen_settings(dataset, model)) for dataset in DATASETS}
        for i, variant in enumerate(sorted(set(mine["variant"]), key=_by_numbers)):
            row = [entry(name_of(model) if i == 0 else ""), entry(code(variant) if variant else "as in its file")]
            for dataset, other in zip(DATASETS, reversed(DATASETS), strict=True):
                means = mine[(mine["variant"] == variant) & (mine["dataset"] == dataset)][["auroc", *rules]].mean()
                best = means[rules].astype(float).idxmax()
                row += [entry(f"{means['auroc']:.3f}"), entry(f"{means[best]:.3f}", taken[other] == variant)]
                row += [entry(code(best.removeprefix("auroc_rule_")))]
            rows.append(row)
    heads = ["model", "setting", "own", "best", r"under \ldots", "own", "best", r"under \ldots"]
    caption = (
        r"All settings that were compared, on validation images: mean AUROC of the own score and of the best rule, on "
        r"MNIST (left) and on Fashion-MNIST (right). Bold on the left: chosen for Fashion-MNIST; bold on the right: "
        r"chosen for MNIST. The setting and rule of the largest mean on the \emph{other} data set is taken."
    )
    return long_table("compared", caption, r"@{}lP{4.2cm}rrP{3.4cm}rrP{3.4cm}@{}", heads, rows)


def _by_numbers(variant: str) -> list[tuple[str, float, str]]:
    """Settings in the order of their numbers and words, that of the file first.

    >>> sorted(["a=16", "b=word", "a=8", ""], key=_by_numbers)
    ['', 'a=8', 'a=16', 'b=word']
    """
    parts = (part.partition("=") for part in variant.split())
    return [(name, float(value), "") if value[:1].isdigit() else (name, 0.0, value) for name, _, value in parts]


def settings_tables() -> str:
    """Every model's file of settings: values, what they mean, and how they were come by."""
    rows: list[Row] = []
    for path in sorted((CONF_DIR / "model").glob("*.yaml")):
        head, options = _read(path.read_text(encoding="utf-8"))
        title = rf"\multicolumn{{3}}{{@{{}}P{{\linewidth}}@{{}}}}{{\rule{{0pt}}{{3.2ex}}\textbf{{{name_of(path.stem)}}}"
        rows.append([entry(rf"{title}: {_breakable(head)}}}")])
        rows += [[entry(code(key)), entry(code(value)), entry(_breakable(what))] for key, value, what in options]
    caption = (
        r"The settings of every model, as its file has them, and above them what was compared to come by them. A text "
        r"that calls itself chosen names the command that compared; AUROC there is on validation images, MNIST / "
        r"Fashion-MNIST."
    )
    columns = r"@{}P{4.2cm}P{2.9cm}P{8.6cm}@{}"
    return long_table("settings", caption, columns, ["setting", "value", "meaning"], rows)


def _read(text: str) -> tuple[str, list[tuple[str, str, str]]]:
    """The comment at the top of a file of settings without its first line, and its options with what they mean."""
    head: list[str] = []
    options: list[tuple[str, str, str]] = []
    for line in text.splitlines()[1:]:
        found = OPTION.fullmatch(line)
        if line.startswith("#") and not options:
            head.append(line.lstrip("# "))
        elif found and found["key"] not in NO_SETTINGS:
            options.append((found["key"], found["value"], found["what"] or ""))
        elif line.lstrip().startswith("#") and options:
            key, value, what = options[-1]
            options[-1] = (key, value, f"{what} {line.lstrip('# ')}")
    named = {key for key in yaml.safe_load(text) if key not in NO_SETTINGS}
    if named != {key for key, _, _ in options}:
        raise ValueError(f"settings were not read: {sorted(named ^ {key for key, _, _ in options})}")
    return " ".join(" ".join(head).replace(" \\ ", " ").split()), options


def _breakable(text: str) -> str:
    """Text of a comment, with commands in it that may be broken where they have no blank."""
    broken = re.sub(r"(?<=\S)(\\_|[=/.,|])(?=\S)", r"\1\\allowbreak{}", plain(text))
    return re.sub(r" (?=(?:python -m |Headline: ))", r"\\newline{}", broken)


def experiments() -> list[str]:
    """Those that the paper's numbers are from."""
    return list(dict.fromkeys((core(), crossing(), CHOSEN, "family", "selection", "selection_slow", "synthetic")))


def provenance_table() -> str:
    """Of every experiment in the paper: the commands that made it, revision, cells, machine."""
    rows: list[Row] = []
    for experiment in experiments():
        manifest = read_manifest(ROOT / "results" / experiment / "manifest.json")
        commands = "; ".join(dict.fromkeys(_without_place(command) for command in manifest["commands"]))
        machines = "; ".join(dict.fromkeys(map(_machine, manifest["environments"])))
        texts = [code(f"results/{experiment}"), code(commands), str(len(manifest["cells"]))]
        rows.append([*map(entry, texts), entry(code(manifest["report_git_revision"][:9])), entry(machines)])
    caption = (
        r"Where every number is from: commands, cells, revision of the code that made the report, and machines. The "
        r"manifests hold the fingerprint of every cell; on a processor of the same make the same command gives the "
        r"same bits."
    )
    heads = ["folder", "commands", "cells", "revision", "machine"]
    return long_table("provenance", caption, r"@{}P{2.7cm}P{6.9cm}rlP{3.2cm}@{}", heads, rows)


def _without_place(command: str) -> str:
    """A command without where its outputs went, which is of no interest to others."""
    words = command.split()
    return " ".join(word for word in words if not word.startswith(("output_dir=", "tracking=", "data_dir=")))


def _machine(environment: Mapping[str, Any]) -> str:
    return plain(f"{environment['cpu']}, {counted(int(environment['cores']), 'core')}, torch {environment['torch']}")
