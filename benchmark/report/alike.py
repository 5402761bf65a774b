"""Whether published cells were measured as one's own were: versions of data, split and numerics, images, rules.

What is not is refused by name, in the words of whoever asks (``Asker``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.config import UsageError
from benchmark.report.committed import Committed
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    import pandas as pd

KEY = ("dataset", "split", "evaluate_on")  # what the cells of one table share
PROTOCOL = {
    "numerics": "version of the numerics",
    "split_version": "version of the split",
    "data_version": "version of the data",
    "synthetic_version": "version of the synthetic anomalies",
}  # entry of a cell's origin -> what it is
RULE = "auroc_rule_"  # column of a rule's AUROC


@dataclass(frozen=True)
class Asker:
    """Who wants published cells, in words."""

    where: str  # what cannot be, such as "beside=paper cannot stand beside these"
    instead: str  # what to type instead, such as "leave beside= out"


def refuse_protocol(
    cells: Sequence[PlannedCell], chosen: Sequence[pd.DataFrame], committed: Committed, asker: Asker
) -> int:
    """Raise ``UsageError`` for another version of data, split or numerics.

    ``chosen`` are published rows, those of one table together. Returns how many were published before that was noted.
    """
    unknown = 0
    for rows in chosen:
        key = tuple(rows.iloc[0][list(KEY)])
        alike = (cell for cell in cells if cell.state == "done" and key_of(cell) == key)
        records = [cell.record for cell in alike if cell.record is not None]
        origins = [committed.origin(fingerprint) for fingerprint in rows["fingerprint"]]
        unknown += sum(not origin for origin in origins)
        own = [
            {
                "numerics": record.status.numerics,
                "split_version": record.status.split.get("version"),
                "data_version": record.status.data_version,
                **({"synthetic_version": made} if (made := record.status.split.get("synthetic")) else {}),
            }
            for record in records
        ]
        for name, what in PROTOCOL.items():
            here, there = ({str(origin[name]) for origin in found if name in origin} for found in (own, origins))
            if here and there and here != there:
                raise UsageError(
                    f"{asker.where}: {' '.join(key)} is of another {what} there: {in_short(there)}, here "
                    f"{in_short(here)}. Type: git checkout {committed.revision[:7]} and run yours there, or "
                    f"{asker.instead}"
                )
    return unknown


def refuse_images(own: pd.DataFrame, theirs: pd.DataFrame, asker: Asker) -> None:
    """Raise ``UsageError`` if a class was judged on another number of images there than here."""
    for column, what in (("n_test", "images"), ("n_test_anomalous", "anomalous images")):
        counts, others = (_counts(rows, column) for rows in (own, theirs))
        for label, count in counts.items():
            if others.get(label, count) != count:
                raise UsageError(
                    f"{asker.where}: {keys(own)}, class {label} was judged there on {in_short(others[label])} "
                    f"{what}, here on {in_short(count)} (split.test_limit). Run yours on the same images"
                )


def _counts(rows: pd.DataFrame, column: str) -> dict[int, frozenset[int]]:
    """Class -> how many images its done cells were judged on."""
    if column not in rows:
        return {}
    known = rows[(rows["state"] == "done") & rows[column].notna()]
    return {int(label): frozenset(map(int, part[column])) for label, part in known.groupby("normal_class")}


def rule_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of rules that judged one of the rows."""
    return [name for name in frame if name.startswith(RULE) and frame[name].notna().any()]


def own_rules(cells: Sequence[PlannedCell]) -> dict[str, list[Mapping[str, Any]]]:
    """Name of each rule that judged one's own cells -> its configuration and code, as each of their records has it."""
    own: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        for name, entry in (cell.record.rules() if cell.record is not None else {}).items():
            if "reason" not in entry:
                own.setdefault(name, []).append({key: entry.get(key) for key in ("config", "code")})
    return own


def refuse_rules(
    columns: Iterable[str], own: Mapping[str, Sequence[Mapping[str, Any]]], committed: Committed, asker: Asker
) -> None:
    """Raise ``UsageError`` unless each rule of ``columns`` that judged here too has one version there, which is ours.

    The report must be one that noted its rules.
    """
    for name in (column.removeprefix(RULE) for column in columns):
        if name in own:
            _refuse_rule(name, own[name], (committed.rules or {}).get(name, []), committed, asker)


def _refuse_rule(
    name: str,
    own: Sequence[Mapping[str, Any]],
    theirs: Sequence[Mapping[str, Any]],
    committed: Committed,
    asker: Asker,
) -> None:
    if len(theirs) > 1:
        instead = asker.instead[0].upper() + asker.instead[1:]
        raise UsageError(f"{asker.where}: its cells were judged by {len(theirs)} versions of rule {name}. {instead}")
    codes = {version["code"] for version in theirs}
    if any(version not in theirs for version in own):
        which = "settings" if all(version["code"] in codes for version in own) else "code"
        raise UsageError(
            f"{asker.where}: rule {name} has other {which} there than here. "
            f"Type: git checkout {committed.revision[:7]} and judge yours there, or {asker.instead}"
        )


def key_of(cell: PlannedCell) -> tuple[str, ...]:
    """What tells the table of a cell from another."""
    return tuple(getattr(cell.axes, name) for name in KEY)


def rows_of(frame: pd.DataFrame, key: Iterable[str]) -> pd.DataFrame:
    """The rows of one table."""
    kept = frame
    for name, value in zip(KEY, key, strict=True):
        kept = kept[kept[name] == value]
    return kept


def keys(frame: pd.DataFrame) -> str:
    """The tables that rows belong to, in words."""
    rows = frame[list(KEY)].drop_duplicates().itertuples(index=False)
    return ", ".join(" ".join(map(str, row)) for row in rows)


def in_short(values: Iterable[Any]) -> str:
    """Values in short: of hashes the first sixteen digits."""
    return " and ".join(sorted(str(value)[:16] for value in values))
