"""What a report begins with: the best model, whether the tests separate it, what the rule is worth; in three sentences.

Where models have rules that were chosen for them, the best is the best under these, and own scores stand in the table.
Everything is worked out from the frame, by the numbers and tests that the tables below have.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmark.report.crossing import largest_block
from benchmark.report.measures.chosen import under_chosen
from benchmark.report.statistics import Group, Mean, class_mean
from benchmark.report.tables.chosen import gains
from benchmark.report.tables.floors import mark_note
from benchmark.report.tables.paired import MINIMUM_PAIRS, POOLED, SEPARATED, TRIVIAL, Comparison, comparisons, least_p
from benchmark.report.tables.table import DATASET_TITLES, Entry, Table, group_title, mean_text

NAMED = 6  # columns that a sentence names; of more it says how many
OWN = "by the models' own scores"
CHOSEN = "with settings and rules that were chosen on other images"
NOT_EQUAL = (
    f"Wilcoxon signed-rank over the classes, p below {SEPARATED} after Holm's correction; not separated is not equal"
)


@dataclass(frozen=True)
class Answer:
    """The beginning of a page."""

    sentences: tuple[str, ...]
    table: Table
    shared: tuple[str, ...]  # split and settings that all data sets have, said once


def answer_of(groups: Sequence[Group], experiment: str) -> Answer | None:
    """The answer that the cells give; None where no column has an AUROC of every class that was planned."""
    shared = shared_parts(groups)
    parts = [group for group in groups if _complete(group)]
    if not parts:
        return None
    chosen = [group for group in under_chosen(parts).groups if _complete(group)]
    said, how = (chosen, CHOSEN) if len(chosen) == len(parts) else (parts, OWN)
    sentences = _best(said, shared, how), _separated(said, shared), _rule(parts, shared, experiment)
    return Answer(sentences, _table(parts, chosen, shared), shared)


def shared_parts(groups: Sequence[Group]) -> tuple[str, ...]:
    """What every group's title has behind the data set: ``one_vs_rest``, ``epochs=5``."""
    titles = [group_title(group).split(", ")[1:] for group in groups]
    return tuple(part for part in titles[0] if all(part in title for title in titles)) if titles else ()


def without(title: str, shared: Sequence[str]) -> str:
    """A title of a group without what all share.

    >>> without("MNIST, one_vs_rest, epochs=5", ["one_vs_rest"])
    'MNIST, epochs=5'
    """
    first, *rest = title.split(", ")
    return ", ".join([first, *(part for part in rest if part not in shared)])


def _complete(group: Group, metric: str = "auroc") -> dict[str, Mean]:
    """The columns with a value of every planned class, the largest mean first."""
    means = {label: class_mean(group, metric, label) for label in group.labels}
    whole = {label: mean for label, mean in means.items() if mean.present == len(group.classes)}
    return dict(sorted(whole.items(), key=lambda item: -item[1].value))


def _leaders(group: Group) -> list[str]:
    """The columns with the largest mean, as it is shown."""
    means = _complete(group)
    top = max(round(mean.value, 3) for mean in means.values())
    return [label for label, mean in means.items() if round(mean.value, 3) == top]


def _best(groups: Sequence[Group], shared: Sequence[str], how: str) -> str:
    clauses = []
    for group in groups:
        leaders = _leaders(group)
        value = f"{class_mean(group, 'auroc', leaders[0]).value:.3f}"
        floor = ", a trivial floor," if leaders == [leaders[0]] and leaders[0] in TRIVIAL else ""
        of = f"{len(group.classes)} classes" if len(group.classes) > 1 else "its class"
        images = "" if group.evaluate_on == "test" else f" ({group.evaluate_on} images: no result)"
        has = "have" if len(leaders) > 1 else "has"
        clauses.append(f"on {_where(group, shared)}{images} {_named(leaders)}{floor} {has} {value}, mean over {of}")
    return f"The largest AUROC {how}: {'; '.join(clauses)}."


def _separated(groups: Sequence[Group], shared: Sequence[str]) -> str:
    tested = [group for group in groups if group.evaluate_on == "test"]
    found = comparisons(tested)
    clauses = [_against(_leaders(group)[0], f"on {_where(group, shared)} ", _of(group, found)) for group in tested]
    clauses = [clause for clause in clauses if clause]
    if len(tested) > 1 and any(least_p(_of(group, found)) >= SEPARATED for group in tested if _of(group, found)):
        clauses += _pooled(tested, found)
    if not clauses:
        return f"No test says whether that is more than chance: it takes {MINIMUM_PAIRS} classes and two models."
    return f"Is that more than chance? {_capital('; '.join(clauses))} ({NOT_EQUAL})."


def _of(group: Group, found: Sequence[Comparison]) -> list[Comparison]:
    """The tests that are corrected together with those of a group."""
    mine = group.split, group.evaluate_on, group.dataset
    return [c for c in found if (c.split, c.evaluate_on, c.dataset) == mine]


def _against(best: str, where: str, family: Sequence[Comparison]) -> str:
    """From which columns the tests separate one; empty where it was not tested."""
    alike = [c for c in family if best in (c.first, c.second)]
    if not alike:
        return ""
    if (least := least_p(family)) >= SEPARATED:
        classes = max(c.n - c.ties for c in family)
        return f"{where}no two can be told apart: {len(family)} pairs over {classes} classes leave p at {least:.2g}"
    apart, together = (
        [c.second if c.first == best else c.first for c in alike if (c.p_holm < SEPARATED) == wanted]
        for wanted in (True, False)
    )
    told = f"{where}{best} is "
    if not together:
        return f"{told}separated from {'all others' if len(apart) > 1 else apart[0]}"
    if not apart:
        return f"{told}not separated from {_named(together)}"
    return f"{told}separated from {_named(apart)} and not from {_named(together)}"


def _pooled(groups: Sequence[Group], found: Sequence[Comparison]) -> list[str]:
    """What the tests over the classes of all data sets say of the column with the largest mean over these."""
    means = [_complete(group) for group in groups]
    everywhere = [label for label in means[0] if all(label in of for of in means)]
    best = max(everywhere, key=lambda label: sum(of[label].value for of in means), default="")
    family = [c for c in found if c.dataset == POOLED]
    told = _against(best, "over the classes of all data sets together ", family) if family else ""
    return [told] if told else []


def _rule(groups: Sequence[Group], shared: Sequence[str], experiment: str) -> str:
    clauses, chosen = [], []
    for group in groups:
        block = largest_block(group)
        if block is not None:
            rules, models = (median(moves.values()) for moves in (block.over_rules, block.over_models))
            clauses.append(
                f"on {_where(group, shared)} a model moves by {rules:.3f} when only the rule changes "
                f"({len(block.rules)} rules), and by {models:.3f} when only the model does ({len(block.labels)} models)"
            )
        if moved := [float(gain.gap.mean()) for gain in gains(group) if len(gain.gap)]:
            chosen.append(f"{median(moved):+.3f} on {_where(group, shared)}")
    if not clauses:
        typed = f"python -m benchmark.rescore {shlex.quote(f'experiment={experiment}')} rule=all"
        told = f"What the rule is worth was not asked of two models under two rules; {typed} does"
    else:
        told = f"What is the rule worth? {_capital('; '.join(clauses))}, in the median"
    return told + (f". The rule chosen beforehand brings {', '.join(chosen)}." if chosen else ".")


def _table(groups: Sequence[Group], chosen: Sequence[Group], shared: Sequence[str]) -> Table:
    """Mean AUROC on every data set: a row a column of the report by its own score, and a row a model as chosen."""
    columns, means, shown = ["model"], [], {}
    for group in groups:
        columns.append(f"{_where(group, shared)}, own score")
        means.append(_complete(group))
        shown |= {label: group.shown(label) for label in group.labels if label not in shown or label in group.below}
        for picked in (one for one in chosen if (one.dataset, one.split) == (group.dataset, group.split)):
            columns.append(f"{_where(group, shared)}, chosen")
            means.append(_by_column(group, picked))
    several = any(len(group.seeds) > 1 for group in groups)
    best = [max((round(mean.value, 3) for mean in column.values()), default=None) for column in means]
    labels = list(dict.fromkeys(label for column in means for label in column))
    rows = []
    for label in labels:
        row = [Entry(shown[label])]
        for column, top in zip(means, best, strict=True):
            mean = column.get(label)
            row.append(Entry(mean_text(mean, several), round(mean.value, 3) == top) if mean is not None else Entry(""))
        rows.append(row)
    notes = [mark_note(*groups)] if set(labels) & {label for group in groups for label in group.below} else []
    return Table("answer", "Mean AUROC over classes", columns, rows, notes)


def _by_column(group: Group, picked: Group) -> dict[str, Mean]:
    """The means under chosen rules by the names that the columns have in the report."""
    names = {label: _named_as(group, picked, label) for label in picked.labels}
    return {names[label]: mean for label, mean in _complete(picked).items()}


def _named_as(group: Group, picked: Group, label: str) -> str:
    cells = set(picked.frame.loc[picked.frame["label"] == label, "fingerprint"])
    return str(group.frame.loc[group.frame["fingerprint"].isin(cells), "label"].iloc[0])


def _where(group: Group, shared: Sequence[str]) -> str:
    title = DATASET_TITLES.get(group.dataset, group.dataset)
    return without(group_title(group), shared) if group.evaluate_on == "test" else title


def _named(labels: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; of many how many there are.

    >>> _named(["a", "b", "c"])
    'a, b and c'
    """
    if len(labels) > NAMED:
        return f"{', '.join(labels[: NAMED - 1])} and {len(labels) - NAMED + 1} more"
    return " and ".join(filter(None, [", ".join(labels[:-1]), labels[-1]]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
