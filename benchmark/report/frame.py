"""The tidy frame behind every table: one row a cell, stored as ``cells.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.say import one_line
from benchmark.store.experiments import PlannedCell

if TYPE_CHECKING:
    import pandas as pd

TEXT = (
    "dataset", "split", "evaluate_on", "normal_class_name", "model", "variant", "state", "reason", "headline",
    "chosen_rule", "fingerprint",
)  # fmt: skip
WHOLE = (
    "normal_class", "seed", "n_classes", "n_train", "n_calibration", "n_test", "n_test_anomalous", "parameters",
    "epochs", "steps", "peak_memory_cells",
)  # fmt: skip
FIRST = (
    "dataset", "split", "evaluate_on", "normal_class", "normal_class_name", "model", "variant", "seed", "state",
    "n_train", "auroc", "average_precision", "fpr95", "train_reconstruction", "test_reconstruction_normal",
    "test_reconstruction_anomalous", "train_kl", "test_kl_normal", "test_kl_anomalous", "train_seconds",
    "score_seconds", "fingerprint",
)  # fmt: skip
LAST = ("reason", "headline", "n_classes", "n_test", "n_test_anomalous")
MODELS = ("histogram", "mean_image", "pca", "ae", "vae", "aae", "anogan")  # the order of columns; others follow by name
DATASETS = ("mnist", "fashion_mnist")
SPLITS = ("one_vs_rest", "leave_one_out")


def build_frame(cells: Sequence[PlannedCell]) -> pd.DataFrame:
    """One row a planned cell, sorted; metrics only of cells that are done, under their key with ``/`` as ``_``."""
    import pandas as pd

    rows = [_row(cell) for cell in cells]
    known = _classes(cells)
    planned: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        planned.setdefault((row["dataset"], row["split"]), set()).add(row["normal_class"])
    for row in rows:
        key = row["dataset"], row["split"]
        row["n_classes"] = max(known.get(key, 0), len(planned[key]))
    rows.sort(key=_order)
    return _typed(pd.DataFrame(rows, columns=_columns({name for row in rows for name in row})))


def joined(*frames: pd.DataFrame) -> pd.DataFrame:
    """The rows of several frames as one, in the order and with the columns that one report of all would have."""
    import pandas as pd

    rows = [row for frame in frames for row in frame.to_dict("records")]
    rows.sort(key=_order)
    used = {name for frame in frames for name in frame}
    return _typed(pd.DataFrame(rows, columns=_columns(used)))


def _columns(names: set[str]) -> list[str]:
    return [*FIRST, *sorted(names - set(FIRST) - set(LAST)), *LAST]


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write ``cells.csv``; floats with all their digits, so that reading gives the same frame back."""
    frame.to_csv(path, index=False, lineterminator="\n")


def read_frame(path: str | Path) -> pd.DataFrame:
    """Read ``cells.csv`` back, bit by bit what ``write_frame`` was given.

    A file of before rules were chosen gets the column ``chosen_rule``, empty.
    """
    import pandas as pd

    header = pd.read_csv(path, nrows=0).columns
    numbers = [name for name in header if name not in TEXT]
    frame = pd.read_csv(
        path,
        dtype=dict.fromkeys(TEXT, str),
        keep_default_na=False,
        na_values={name: [""] for name in numbers},
        float_precision="round_trip",
    )
    return _typed(frame if "chosen_rule" in frame else frame.assign(chosen_rule=""))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    types: dict[str, Any] = dict.fromkeys(TEXT, object)
    types |= {name: "Int64" for name in WHOLE if name in frame}
    for name in WHOLE:
        try:
            frame = frame.astype({name: "Int64"}) if name in frame else frame
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} holds what is no whole number ({one_line(error)})") from error
    types |= {name: float for name in frame.columns if name not in types}
    frame = frame.astype(types)
    return frame.assign(**{name: frame[name].fillna("") for name in TEXT})


def _row(cell: PlannedCell) -> dict[str, Any]:
    axes = cell.axes
    row: dict[str, Any] = {
        "dataset": axes.dataset,
        "split": axes.split,
        "evaluate_on": axes.evaluate_on,
        "normal_class": axes.normal_class,
        "normal_class_name": axes.normal_class_name or str(axes.normal_class),
        "model": axes.model,
        "variant": cell.variant,
        "seed": axes.seed,
        "state": cell.state,
        "reason": " ".join(cell.reason.split()),
        "headline": "",
        "chosen_rule": "",
        "fingerprint": cell.fingerprint,
    }
    if cell.state == "done" and cell.record is not None:
        row |= {key.replace("/", "_"): value for key, value in cell.record.metrics.items()}
        row["headline"] = cell.record.status.headline or ""
        row["chosen_rule"] = cell.record.status.chosen_rule or ""
    return row


def _classes(cells: Sequence[PlannedCell]) -> dict[tuple[str, str], int]:
    """How many classes can be the normal one (the one left out): by data set and split, over versions of the data.

    Those of the data set, by the configuration of one cell of each version, unless the split says that some have test
    images only.
    """
    found: dict[tuple[str, str], int] = {}  # data set and version
    largest: dict[tuple[str, str], int] = {}
    for cell in cells:
        if cell.state == "done" and cell.record is not None:
            version = (cell.axes.dataset, cell.record.status.data_version)
            if version not in found:  # a configuration takes longer to read than the rest of a record
                dataset = cell.record.config().get("dataset")
                found[version] = len(dataset.get("classes") or []) if isinstance(dataset, dict) else 0
            key = (cell.axes.dataset, cell.axes.split)
            largest[key] = max(largest.get(key, 0), int(cell.record.status.split.get("classes", found[version])))
    return largest


def rank_of(name: str, order: Sequence[str]) -> tuple[int, str]:
    """Sort key: names in ``order`` first, in that order, then the others by name."""
    return (order.index(name) if name in order else len(order), name)


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        rank_of(row["dataset"], DATASETS),
        rank_of(row["split"], SPLITS),
        rank_of(row["evaluate_on"], ("test", "validation", "synthetic")),
        rank_of(row["model"], MODELS),
        row["variant"],
        row["normal_class"],
        row["seed"],
    )
