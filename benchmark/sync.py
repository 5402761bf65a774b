"""Send to MLflow what it does not have of an experiment: ``python -m benchmark.sync experiment=NAME``.

Everything recorded is in the cells' folders, so that a sweep goes on while MLflow cannot be reached; this command (or
the next start of the sweep) sends the rest. Cells that MLflow has are never sent twice.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmark.config import TrackingConfig
from benchmark.status import no_cells, required_experiment
from benchmark.store.experiments import UNREADABLE, collect
from benchmark.store.format import PlannedJob
from benchmark.store.records import Record, means
from benchmark.sweep.arguments import help_text, parse, small_command
from benchmark.tracking.client import refuse, tracking_uri
from benchmark.tracking.tracker import Tracker

KEYS = {
    "experiment": "name of the experiment (experiment_name of the runs)",
    "output_dir": "where the runner wrote; default: outputs",
    "uri": "address of the store; default: MLFLOW_TRACKING_URI, else the one in output_dir",
}
WHAT = "Send to MLflow the cells that it does not have."


@dataclass
class Sent:
    """What became of an experiment's records."""

    sent: int = 0
    there: int = 0  # MLflow had them
    refused: int = 0  # MLflow did not take them
    unreadable: int = 0  # left out: their folders cannot be read

    @property
    def total(self) -> int:
        return self.sent + self.there + self.refused


def sync(tracker: Tracker, output_dir: str | Path, experiment: str) -> Sent:
    """Log every record of ``experiment`` that MLflow does not have, below the run of its job."""
    collection, result = collect(output_dir, experiment), Sent()
    cells = [*collection.stale, *collection.cells]  # as they were trained: in MLflow the newest counts too
    result.unreadable = sum(cell.state == UNREADABLE for cell in cells)
    for job in collection.jobs:
        records = [cell.record for cell in cells if cell.job == job.job and cell.record is not None]
        waiting = [record for record in records if not tracker.ask(partial(tracker.has, record))]
        result.there += len(records) - len(waiting)
        if waiting:
            _send(tracker, job, records, waiting, result)
    return result


def _send(tracker: Tracker, job: PlannedJob, records: list[Record], waiting: list[Record], sent: Sent) -> None:
    known = tracker.ask(partial(tracker.find_job, job))
    parent = known if known is not None else tracker.start_job(job)
    for record in waiting:
        if tracker.log_cell(record, parent):
            sent.sent += 1
        else:
            sent.refused += 1
    tracker.log_models(records)
    if known is None:
        done = [record for record in records if record.state == "done"]
        tracker.end_job(parent, "FINISHED" if len(done) == len(job.cells) else "FAILED", means(records))


@small_command("benchmark.sync", lambda: help_text(WHAT, "benchmark.sync", KEYS))
def main(arguments: list[str]) -> int:
    """Run the command line; 0: MLflow has every record, 1: not every one, 2: an argument is refused."""
    settings = parse(arguments, KEYS)
    output_dir = settings.get("output_dir", "outputs")
    experiment = required_experiment(settings, output_dir)
    if not collect(output_dir, experiment).cells:
        print(f"benchmark.sync: {no_cells(output_dir, experiment)}", file=sys.stderr)
        return 1
    return _sync(settings.get("uri"), output_dir, experiment)


def _sync(uri: str | None, output_dir: str, experiment: str) -> int:
    address = tracking_uri(uri, Path(output_dir))
    refuse(address, "type uri=<another store>")
    tracker = Tracker.open(TrackingConfig(uri=uri), output_dir, experiment)
    if tracker is None:  # it has said why
        return 1
    try:
        result = sync(tracker, output_dir, experiment)
    except Exception as error:  # the store went away
        print(f"benchmark.sync: MLflow does not answer ({type(error).__name__}: {error})"[:300], file=sys.stderr)
        return 1
    finally:
        tracker.close()
    refused = f", {result.refused} not taken" if result.refused else ""
    print(f"{result.sent} of {result.total} cells sent to MLflow, {result.there} were there{refused}.")
    if result.unreadable:
        print(f"{result.unreadable} cells cannot be read; python -m benchmark.status names them.")
    return 1 if result.refused or result.unreadable else 0


if __name__ == "__main__":
    sys.exit(main())
