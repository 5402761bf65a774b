"""Standard errors of AUROC under chosen rules: no metric of a record, but what follows from its images' scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.engine.metrics import delong_se
from benchmark.report.crossing import OWN
from benchmark.report.frame import joined
from benchmark.report.hashes import HEADLINE, has_scores, judged
from benchmark.report.measures.chosen import ERROR
from benchmark.store.experiments import PlannedCell
from benchmark.store.files import RecordError

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.store.records import Record


def with_errors(frame: pd.DataFrame, cells: Sequence[PlannedCell]) -> pd.DataFrame:
    """``frame`` with DeLong's standard error of each cell under its chosen rule; as it was where no cell has one."""
    done = [cell.record for cell in cells if cell.state == "done" and cell.record is not None]
    found = {record.fingerprint: error for record in done if (error := _error(record)) is not None}
    return joined(frame.assign(**{ERROR: frame["fingerprint"].map(found)})) if found else frame


def _error(record: Record) -> float | None:
    rule = record.status.chosen_rule
    if not rule or not has_scores(record):
        return None
    try:
        images = judged(record)
    except RecordError:  # damaged: whoever publishes its scores is told
        return None
    values = images.scores.get(HEADLINE if rule == OWN else rule)
    return float(delong_se(images.label, values)) if values is not None and images.label.any() else None
