"""Whether a cell that was run again says what was published of it: by which rule, equal or by how much not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.report.committed import Committed
from benchmark.report.hashes import HEADLINE, is_hash_of, score_hashes
from benchmark.report.manifest import vendor_of
from benchmark.store.records import Record

EQUAL, WITHIN, DIFFERS, NOT_COMPARED = "equal", "within", "differs", "not compared"
STATES = (EQUAL, WITHIN, NOT_COMPARED, DIFFERS)  # the worst last
RULE = "auroc_rule_"  # column of a rule's AUROC
# How far AUROC may be from what another processor, or other versions of libraries, gave. Of 140 cells that were run on
# Intel and on AMD with one configuration, results/quick and results/rules, closed-form fits moved by 6e-8 at most,
# trainings, which carry last digits on from step to step, by 0.0032 (AAE and AnoGAN on Fashion-MNIST, a class each).
WITHIN_FITTED = 0.001
WITHIN_TRAINED = 0.005
# The same for results/family, 114 cells: most trainings moved by 0.005 at most, these by up to 0.0067 (diffusion),
# 0.016 (lstm_ae), 0.017 (fanogan) and 0.048 (conv_lstm_ae, class 8 of MNIST): a last digit does what a seed does.
WITHIN_UNSTEADY = 0.05
UNSTEADY = ("diffusion", "lstm_ae", "fanogan", "conv_lstm_ae")
LIBRARIES = ("torch", "numpy", "scikit-learn")  # that compute


@dataclass(frozen=True)
class Measure:
    """How a cell is compared."""

    exact: bool
    why: str  # why not exactly; "" if it is
    tolerance: float = 0.0


@dataclass(frozen=True)
class Agreement:
    """What came of it."""

    state: str
    what: str


def names_of(row: Mapping[str, Any]) -> list[str]:
    """What was published of a cell, a row of cells.csv: the headline, and the rules under which it has an AUROC."""
    rules = (name.removeprefix(RULE) for name, value in row.items() if name.startswith(RULE) and value == value)
    return [HEADLINE, *rules]


def measure(row: Mapping[str, Any], then: Sequence[Mapping[str, Any]], now: Mapping[str, Any]) -> Measure:
    """How to compare a cell that ran in one of the environments ``then`` with one that ran in ``now``."""
    why = next(filter(None, (_difference(one, now) for one in then)), "")
    if not why and not then:
        why = "what it ran on was not noted"
    tolerance = WITHIN_FITTED if row.get("steps") == 0 else WITHIN_TRAINED  # of committees, which have none, too
    tolerance = WITHIN_UNSTEADY if row.get("model") in UNSTEADY else tolerance
    return Measure(why == "", why, tolerance if why else 0.0)


def _difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """In what two environments differ so that last digits may; "" if in nothing that is known."""
    devices = [str(one.get("gpu") or one.get("device")) for one in (then, now)]
    if devices[0] != devices[1]:
        return f"{devices[0]} then, {devices[1]} here"
    vendors = [str(one.get("vendor", vendor_of(one))) for one in (then, now)]
    if vendors[0] != vendors[1] or "unknown" in vendors:
        return f"a processor of {vendors[0]} then, of {vendors[1]} here"
    for name in LIBRARIES:
        if then.get(name) != now.get(name):
            return f"{name} {then.get(name)} then, {now.get(name)} here"
    if then.get("instructions") != now.get("instructions"):
        return f"instructions {then.get('instructions', 'not noted')} then, {now.get('instructions')} here"
    if now.get("instructions") == "machine" and then.get("cpu") != now.get("cpu"):
        return f"{then.get('cpu')} then, {now.get('cpu')} here, and instructions not pinned"
    return ""


def compare(row: Mapping[str, Any], committed: Committed, record: Record, left_out: Mapping[str, str]) -> Agreement:
    """A published row beside the record of the cell that was run again.

    ``left_out`` are rules that were not run again, with the reason. Raises ``RecordError`` for damaged scores.
    """
    how = measure(row, committed.environments(record.fingerprint), record.environment())
    names = [name for name in names_of(row) if name not in left_out]
    hashes = committed.hashes(record.fingerprint)
    found = score_hashes(record) if how.exact and hashes else {}
    distances = {name: _distance(row, record, name) for name in names}
    worst = max(distances, key=lambda name: distances[name])
    said = f"AUROC by {distances[worst]:.2g}" + (f" under {worst}" if worst != HEADLINE else "")
    wrong = [name for name in names if name in hashes and found and not is_hash_of(hashes[name], found.get(name))]
    if wrong:
        return Agreement(DIFFERS, f"other scores than published ({_listed(wrong)}), {said}; by the hashes of scores")
    if distances[worst] > how.tolerance:
        return Agreement(DIFFERS, f"{said}; {_rule(how)}")
    if left_out:
        return Agreement(NOT_COMPARED, "; ".join(f"rule {name}: {why}" for name, why in left_out.items()))
    if not how.exact:
        known = bool(committed.origin(record.fingerprint))  # else its code cannot be held against what is here
        unknown = "" if known else "; its code was not noted then, and other code as near as this would not be seen"
        return Agreement(WITHIN, f"{said}; {_rule(how)}{unknown}")
    by_hash = [name for name in names if name in hashes]
    if len(by_hash) == len(names):
        return Agreement(EQUAL, f"bit for bit, {_listed(names)}; by the hashes of scores")
    return Agreement(EQUAL, f"AUROC to the last digit, {_listed(names)}; published without hashes of scores")


def _rule(how: Measure) -> str:
    return f"compared within {how.tolerance:g}, as {how.why}" if not how.exact else "compared to the last digit"


def _distance(row: Mapping[str, Any], record: Record, name: str) -> float:
    column, key = ("auroc", "auroc") if name == HEADLINE else (f"{RULE}{name}", f"auroc/rule_{name}")
    return abs(float(row[column]) - record.metrics.get(key, float("inf")))


def _listed(names: Sequence[str]) -> str:
    rules = [name for name in names if name != HEADLINE]
    parts = [HEADLINE] if HEADLINE in names else []
    parts += rules if len(rules) < 3 else [f"{len(rules)} rules"]
    return " and ".join(parts)
