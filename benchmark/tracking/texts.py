"""How a cell and its configuration read in MLflow: names, tags, parameters, metrics and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from benchmark.store.records import RULES_FILE

if TYPE_CHECKING:
    from benchmark.store.records import Record

MAX_TAG = 5000  # characters
MAX_NAME = 250  # characters of a run's name, of which a database takes no more


def name_of(record: Record) -> str:
    """A name to read: ``vae mnist 3 seed 0``."""
    axes, label = record.axes, str(record.axes.normal_class)
    named = label if axes.normal_class_name in ("", label) else f"{label} {axes.normal_class_name}"
    return f"{axes.model} {axes.dataset} {named} seed {axes.seed} {record.status.variant}".strip()[:MAX_NAME]


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A configuration as parameters: names with dots, and texts."""
    for key, value in config.items():
        if key in ("sources", "sha256", "classes", "rules"):
            continue
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, str(value)


def metrics_of(record: Record) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of each metric: of the cell at step 0, of its training at the end of each epoch."""
    for key, value in record.metrics.items():
        yield key, value, 0
    history = record.history()
    for row in [] if history is None else history.to_dict("records"):
        for key, value in row.items():
            if key.startswith("train/"):
                yield f"history/{key.removeprefix('train/')}", value, int(row["epoch"])


def rules_of(record: Record) -> str:
    """Which rules have judged a cell, as a tag that is another one once others have."""
    written = record.status.files.get(RULES_FILE)
    said = [written.sha256[:16]] if written is not None else []
    return " ".join([*said, *([record.status.chosen_rule] if record.status.chosen_rule else [])])


def tags_of(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags as MLflow takes them: texts, cut where they are too long."""
    return {key: str(value)[:MAX_TAG] for key, value in tags.items()}


def milliseconds(time: str) -> int:
    """A time in ISO 8601 as MLflow has it, since 1970."""
    return int(datetime.fromisoformat(time).timestamp() * 1000)
