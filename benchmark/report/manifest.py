"""What made a report: commands, revision, configurations, versions, hardware, and every cell's fingerprint."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmark.store.environment import git_revision
from benchmark.store.experiments import Collection, hide_paths

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"


def build_manifest(
    experiment: str, collection: Collection, frame: pd.DataFrame, command: str, warnings: Sequence[str]
) -> dict[str, Any]:
    """The manifest without its list of files, ready for JSON. It names no folder of the machine that made it."""
    done = [cell.record for cell in collection.cells if cell.state == "done" and cell.record is not None]
    environments = Counter(json.dumps(record.environment(), sort_keys=True) for record in done)
    return {
        "experiment": experiment,
        "made_by": hide_paths(command),
        "report_git_revision": git_revision(),
        "last_cell_finished": max((record.status.finished for record in done), default=""),
        "commands": list(dict.fromkeys(hide_paths(job.command) for job in collection.jobs)),
        "jobs": [
            {
                "overrides": [hide_paths(override) for override in job.overrides],
                "git_revision": job.git_revision,
                "config_hash": job.config_hash,
                "started": job.started,
                "cells": len(job.cells),
            }
            for job in collection.jobs
        ],
        "environments": [{**json.loads(text), "cells": count} for text, count in environments.items()],
        "warnings": list(warnings),
        "cells": [_cell(row) for row in frame.to_dict("records")],
    }


def _cell(row: dict[str, Any]) -> dict[str, Any]:
    names = ("dataset", "split", "evaluate_on", "normal_class", "model", "variant", "seed", "state", "fingerprint")
    auroc = row["auroc"]
    return {name: row[name] for name in names} | {"auroc": None if auroc != auroc else auroc}
