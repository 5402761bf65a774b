"""What a cell says of each evaluated image under a rule, in a unit that models and rules share, and who disagrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmark.report.crossing import OWN, in_order
from benchmark.store.records import Record

ALPHA = 0.05  # the share of new normal images that is flagged
MOST = 200  # images of a scene
SHARES = (0.5, 0.75, 0.875, 1.0)  # of them that the pairs of a tier fill up to: see ``contested``


@dataclass(frozen=True)
class Verdict:
    """One model under one rule on the N evaluated images of a cell."""

    label: str  # the column of the cell
    rule: str  # OWN is the model's own headline score
    scores: np.ndarray  # float64 (N,), larger = more anomalous
    p: np.ndarray  # float64 (N,): the share of normal images that score as high, by those kept from training

    @property
    def surprise(self) -> np.ndarray:
        """-log10 p: two verdicts that both take an image for as strange as can be told agree on it."""
        return -np.log10(self.p)


def verdicts(label: str, record: Record) -> list[Verdict]:
    """The verdicts of a finished cell: its own score first, then the rules that judged it.

    None without calibration images: there is no telling how strange a score is.
    """
    scores, kept, ruled = record.scores(), record.calibration(), record.rule_scores()
    found = []
    if kept is not None and record.status.headline:
        name = f"score/{record.status.headline}"
        found.append((OWN, scores[name], kept[name]))
    for rule in in_order(key.removeprefix("score/") for key in ruled if key.startswith("score/")):
        if rule != OWN and f"calibration/{rule}" in ruled:
            found.append((rule, ruled[f"score/{rule}"], ruled[f"calibration/{rule}"]))
    return [
        Verdict(label, rule, said.astype(np.float64), conformal_p(said, normal))
        for rule, said, normal in found
        if len(normal)
    ]


def conformal_p(scores: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """(1 + how many of the n ``normal`` scores are as high) / (n + 1), of each score.

    At most ALPHA is what ``conformal_threshold`` flags, up to a score that equals the threshold.

    >>> conformal_p(np.array([0.0, 2.5, 9.0]), np.array([1.0, 2.0, 3.0]))
    array([1.  , 0.5 , 0.25])
    """
    below = np.searchsorted(np.sort(normal), scores, side="left")
    return (1.0 + len(normal) - below) / (len(normal) + 1.0)


def contested(said: Sequence[Verdict], labels: np.ndarray, most: int = MOST) -> np.ndarray:
    """Rows of at most ``most`` images on which two of the verdicts disagree most, in ascending order.

    Pairs are two models under one rule, or one model under two. The own scores of two models choose the first half, a
    model's own score and a rule of it the next quarter, then two models under one rule, then two rules. Each pair has
    its turn, in both directions and with either kind of image, with the one that it disagrees on most of those that
    are left. Equal ones are told apart by rank, then by row.
    """
    chosen: dict[int, None] = {}
    tiers = _tiers(said)
    for number, share in [*enumerate(SHARES), *((number, 1.0) for number in range(len(SHARES)))]:
        last = not any(tiers[number + 1 :])
        _add(chosen, tiers[number], labels, most if last else round(share * most))
    return np.array(sorted(chosen), dtype=np.int64)


Pair = tuple[np.ndarray, np.ndarray]  # how strange each of two verdicts finds every image, (N,)


def _tiers(said: Sequence[Verdict]) -> list[list[Pair]]:
    """The pairs that are compared, the most telling first."""
    strange = [verdict.surprise + 1e-3 * _ranks(verdict.scores) for verdict in said]
    tiers: list[list[Pair]] = [[] for _ in SHARES]
    for (i, a), (j, b) in combinations(enumerate(said), 2):
        if a.label != b.label and a.rule == b.rule:
            tiers[0 if a.rule == OWN else 2].append((strange[i], strange[j]))
        elif a.label == b.label:
            tiers[1 if OWN in (a.rule, b.rule) else 3].append((strange[i], strange[j]))
    return tiers


def _add(chosen: dict[int, None], pairs: Sequence[Pair], labels: np.ndarray, limit: int) -> None:
    """Add rows by turns, until there are ``limit`` of them or none is left."""
    queues = []
    kinds = [np.flatnonzero(labels == label) for label in (0, 1)]
    for a, b in pairs if len(chosen) < limit else ():
        for stranger in (a - b, b - a):  # to the one, to the other
            queues += [rows[np.argsort(-stranger[rows], kind="stable")][:limit] for rows in kinds]
    for turn in range(max(map(len, queues), default=0)):
        for queue in queues:
            if len(chosen) == limit:
                return
            left = next((int(row) for row in queue[turn:] if int(row) not in chosen), None)
            if left is not None:
                chosen[left] = None


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks of the scores, from 0 to 1."""
    from scipy.stats import rankdata

    return rankdata(scores) / len(scores)
