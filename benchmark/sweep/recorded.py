"""Jobs of cells that are finished: from their records, with the rules that are to judge them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmark.cells import NUMERICS_VERSION
from benchmark.config import Config
from benchmark.say import one_line
from benchmark.store.experiments import PlannedCell
from benchmark.store.files import RecordError
from benchmark.store.finished import code_fault
from benchmark.store.foreign import refuse_model
from benchmark.store.records import Record
from benchmark.sweep.job import Job, lay_out_job


@dataclass(frozen=True)
class Group:
    """Finished cells that one job may have: of one configuration and seed, of several classes."""

    config: Mapping[str, Any]  # that of the first
    records: Sequence[Record]


def fault(cell: PlannedCell) -> str | None:
    """Why a planned cell cannot be judged from its weights; None if it can."""
    if cell.record is None or cell.state != "done":
        return f"it is {cell.state}"
    if cell.record.status.numerics != NUMERICS_VERSION:
        return "its numerics are of another version"
    return code_fault(cell.record)


def grouped(cells: Sequence[PlannedCell]) -> list[Group]:
    """Cells without a ``fault`` by what a job of theirs shares."""
    found: dict[str, list[tuple[Mapping[str, Any], Record]]] = {}
    for cell in cells:
        assert cell.record is not None
        config = cell.record.config()
        refuse_model(cell.record, config)
        split = {key: value for key, value in config["split"].items() if key != "normal_class"}
        key = json.dumps({**config, "split": split, "experiment_name": "", "rules": {}}, sort_keys=True, default=str)
        found.setdefault(key, []).append((config, cell.record))
    return [Group(members[0][0], [record for _, record in members]) for members in found.values()]


def jobs(groups: Sequence[Group], experiment: str, output_dir: str, rules: Any, typed: str) -> Iterator[Job]:
    """A job for each group, whose cells are those of its records.

    Raises ``RecordError`` for a record that another version of the benchmark has written and this one cannot read, or
    whose data are others now.
    """
    for group in groups:
        known = {record.fingerprint: record for record in group.records}
        first = group.records[0]
        try:
            config = _configuration(group, experiment, output_dir)
            config.rules = rules
            job = lay_out_job(config, typed, (), (config.device, config.precision))
        except (OmegaConfBaseException, KeyError) as error:
            raise RecordError(f"{first.path}: its configuration is of another version ({one_line(error)})") from error
        cells = [
            replace(cell, variant=known[cell.fingerprint].status.variant)
            for cell in job.cells
            if cell.fingerprint in known
        ]
        if len(cells) < len(known):
            raise RecordError(f"{first.path}: its data or split are others now; the sweep's command trains it again")
        yield replace(job, cells=cells)


def _configuration(group: Group, experiment: str, output_dir: str) -> Any:
    """That of a job which has just these cells."""
    recorded = {key: value for key, value in group.config.items() if key in Config.__dataclass_fields__}
    config = OmegaConf.merge(OmegaConf.structured(Config), {**recorded, "rules": {}})
    classes = [record.axes.normal_class for record in group.records]
    left_out = config.split.name == "leave_one_out"
    config.split.normal_class, config.split.anomalous_class = (None, classes) if left_out else (classes, None)
    config.chosen_rule = group.records[0].status.chosen_rule
    config.experiment_name, config.output_dir, config.resume = experiment, output_dir, True
    return config
