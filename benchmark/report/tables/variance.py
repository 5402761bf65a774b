"""The table of the analysis of variance: how much of AUROC is the model, how much the rule, how much the class."""

from __future__ import annotations

import math
from statistics import median

from benchmark.report.crossing import Block, largest_block, largest_own_block
from benchmark.report.statistics import FLOORS, MARK, Group
from benchmark.report.tables.rules import block_text
from benchmark.report.tables.table import ABSENT, Entry, Table, group_key, group_title
from benchmark.report.variance import TIMES, Source, analyse

FACTORS = ("model", "rule", "class", "seed")  # the axes of a block's values
INTERACTIONS = (("model", "rule"), ("model", "seed"))
OWN_FACTORS = ("model", "class", "seed")  # of the models' own scores
OWN_INTERACTIONS = (("model", "class"), ("model", "seed"), ("class", "seed"))
CLASS = "class"


def variance_table(group: Group) -> Table | None:
    """What model, rule, class, seed, model x rule and the residual explain; None where no block is shared.

    Where a column of the block is below a floor, it stands beside the same analysis without such columns.
    """
    block = largest_block(group)
    if block is None:
        return None
    blocks = {"": block}
    if any(label in group.below for label in block.labels):
        better = largest_block(group, (*FLOORS[:2], *group.below))
        blocks |= {f", without {MARK}": better} if better is not None else {}
    found = {key: {source.name: source for source in analysis(part)} for key, part in blocks.items()}
    names = [*FACTORS, *(TIMES.join(pair) for pair in INTERACTIONS), "residual"]
    rows = []
    for name in names:
        if any(name in sources for sources in found.values()):
            rows.append([Entry(name), *(entry for sources in found.values() for entry in _entries(name, sources))])
    return Table(
        f"variance_{group_key(group)}",
        f"Analysis of variance of AUROC, {group_title(group)}",
        ["source", *(f"{head}{key}" for key in found for head in ("df", "share", "share within classes"))],
        rows,
        _notes(group, blocks),
        {len(rows) - 1},
    )


def analysis(block: Block) -> list[Source]:
    """The analysis of variance of a block, residual last."""
    return analyse(block.values, FACTORS, INTERACTIONS)


def within_classes(name: str, sources: dict[str, Source]) -> float:
    """Share of a source of what the classes leave: its squares by the total without those of the class.

    NaN for the class itself, and where the classes leave nothing.
    """
    rest = sum(source.squares for source in sources.values() if source.name != CLASS)
    return sources[name].squares / rest if name != CLASS and rest > 0 else math.nan


def _entries(name: str, sources: dict[str, Source]) -> list[Entry]:
    if name not in sources:
        return [Entry("")] * 3
    inside = within_classes(name, sources)
    source = sources[name]
    return [Entry(str(source.freedom)), Entry(_percent(source.share)), Entry("" if name == CLASS else _percent(inside))]


def _percent(share: float) -> str:
    return ABSENT if math.isnan(share) else f"{100 * share:.1f}%"


def _notes(group: Group, blocks: dict[str, Block]) -> list[str]:
    notes = [
        "Share: eta squared, the sum of squares of a source over the total one, of fixed effects in a balanced design; "
        "within classes: over what the classes leave. Residual: all other interactions, such as that another rule is "
        "best for another class. A share speaks of these models and rules, and grows with their number (df, degrees of "
        f"freedom). {', '.join(FLOORS[:2])} and the models' own scores are left out."
    ]
    for key, block in blocks.items():
        notes.append(f"The largest block of cells that all share{key}: {block_text(block)}. {ranges_text(block)}")
    below = ", ".join(label for label in blocks[""].labels if label in group.below)
    if below:
        notes.append(
            f"{MARK} below a floor by its own score: {below}. Nothing is concluded in favour of such a column."
        )
    return notes


def ranges_text(block: Block) -> str:
    """How far a model moves between rules, beside how far the models are apart under a rule."""
    rules, models = block.over_rules, block.over_models
    return (
        f"Mean AUROC of one model over the {len(block.rules)} rules: a range of {_range(rules)}. "
        f"Of one rule over the {len(block.labels)} models: {_range(models)}."
    )


def _range(found: dict[str, float]) -> str:
    least, most = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
    middle = median(found.values())
    return f"{middle:.3f} in the median, {found[least]:.3f} ({least}) to {found[most]:.3f} ({most})"


def seeds_table(group: Group) -> Table | None:
    """What model, class and seed explain of the models' own scores; None without several of each that all share."""
    block = largest_own_block(group)
    if block is None:
        return None
    sources = {source.name: source for source in analyse(block.values, OWN_FACTORS, OWN_INTERACTIONS)}
    rows = [[Entry(name), *_entries(name, sources)] for name in sources]
    below = [label for label in block.labels if label in group.below]
    notes = [
        "Share: eta squared of fixed effects in a balanced design; within classes: over what the classes leave. "
        f"Residual: model x class x seed. Over {len(block.labels)} models ({', '.join(block.labels)}), "
        f"{len(block.classes)} classes and {len(block.seeds)} seeds, each model under its own score. A seed decides "
        "initial weights, the order of images and noise; one that moves all models alike stands in the row seed, one "
        "that moves a model in some class in the residual.",
        *([f"{MARK} below a floor by its own score: {', '.join(below)}."] if below else []),
    ]
    return Table(
        f"variance_seeds_{group_key(group)}",
        f"Analysis of variance of AUROC over seeds, {group_title(group)}",
        ["source", "df", "share", "share within classes"],
        rows,
        notes,
        {len(rows) - 1},
    )
