"""How a cell and its configuration read in MLflow: names, tags, parameters, metrics and times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.store.records import RULES_FILE

if TYPE_CHECKING:
    from benchmark.cells import Axes
    from benchmark.store.format import PlannedJob
    from benchmark.store.records import Record

MAX_TAG = 5000  # characters
MAX_VALUE = 6000  # characters of a parameter
MAX_METRICS = 1000  # of one log_batch
MAX_PARAMS = 100
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"  # a run's description, in Markdown
ATTEMPT = "attempt"  # tag: when the training was started whose epochs a run showed while it ran
HISTORY = "history/"  # before the names of what training says at the end of each epoch
SCORES = ("auroc", "average_precision", "fpr95")  # what a description says of a cell that is done
MAX_NAME = 250  # characters of a run's name, of which a database takes no more


def name_of(record: Record) -> str:
    """A name to read: ``vae mnist 3 seed 0``."""
    return run_name(record.axes, record.status.variant)


def run_name(axes: Axes, variant: str) -> str:
    """The name of a cell's run."""
    label = str(axes.normal_class)
    named = label if axes.normal_class_name in ("", label) else f"{label} {axes.normal_class_name}"
    return f"{axes.model} {axes.dataset} {named} seed {axes.seed} {variant}".strip()[:MAX_NAME]


def cell_tags(axes: Axes, fingerprint: str, path: Path) -> dict[str, Any]:
    """Tags that say which cell a run is of; ``path`` is its folder, relative to the output directory."""
    return {**asdict(axes), "kind": "cell", "fingerprint": fingerprint, "cell_path": path.as_posix()}


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
        yield from metrics_of_epoch(row)


def metrics_of_epoch(row: Mapping[str, float]) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of what training says at the end of an epoch."""
    for key, value in row.items():
        if key.startswith("train/"):
            yield HISTORY + key.removeprefix("train/"), value, int(row["epoch"])


def description_of(record: Record) -> str:
    """What a cell is and what became of it, as the Markdown that MLflow shows above a run."""
    axes, status, metrics = record.axes, record.status, record.metrics
    subject = f"{code(axes.model)} on {code(axes.dataset)}, {code(axes.split)}, class {axes.normal_class}"
    if axes.normal_class_name not in ("", str(axes.normal_class)):
        subject += f" ({code(axes.normal_class_name)})"
    subject += f", seed {axes.seed}"
    if status.variant:
        subject += f", with {code(status.variant)}"
    if record.state != "done":
        return f"{subject}.\n\n{record.state.capitalize()}: {code(status.reason or 'for no reason given')}"
    found = ", ".join(f"{name} {metrics[name]:.4f}" for name in SCORES if name in metrics)
    return f"{subject}.\n\nScore {code(status.headline or '')} of {code(axes.evaluate_on)} images: {found}."


def description_of_job(job: PlannedJob) -> str:
    """What a job is, as Markdown, with the command that runs it."""
    axes, count = job.cells[0].axes, len(job.cells)
    what = f"{'1 cell' if count == 1 else f'{count} cells'} of {code(axes.model)} on {code(axes.dataset)}"
    return f"{what}, {code(axes.split)}." + (f"\n\n{code(job.command)}" if job.command else "")


def code(text: str) -> str:
    """A text as Markdown shows it letter by letter, in one line: names and reasons come from anywhere."""
    line = " ".join(text.split())
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    return f"{fence} {line} {fence}" if line.startswith("`") or line.endswith("`") else f"{fence}{line}{fence}"


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
