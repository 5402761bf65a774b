"""The files of an experiment's jobs: in order, and damage in them is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cells import Axes
from benchmark.store.experiments import read_jobs, write_job
from benchmark.store.files import RecordError
from benchmark.store.format import Entry, PlannedJob
from tests.store.test_records import AXES, edit


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"job": "a", "cel', "is not valid JSON"),
        ('{"job": "a"}', "lacks cells"),
        ('{"job": "a", "cells": [{"axes": {}, "path": "cells/x"}]}', r"lacks cells\[0\]\.fingerprint"),
    ],
)
def test_a_damaged_job_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = write_job(tmp_path, "try", PlannedJob(job="a", started="1", cells=()))
    path.write_text(content)
    with pytest.raises(RecordError, match=rf"a\.json.*{message}.*; delete it and type the command of the sweep again"):
        read_jobs(tmp_path, "try")


def test_a_job_file_that_leads_outside_is_refused(tmp_path: Path) -> None:
    cell = Entry(axes=Axes(**AXES), fingerprint="0", path="cells/../../elsewhere")
    write_job(tmp_path, "try", PlannedJob(job="a", started="1", cells=(cell,)))
    with pytest.raises(RecordError, match=r"cells\[0\]\.path is .* outside the output directory"):
        read_jobs(tmp_path, "try")


def test_jobs_are_in_the_order_in_which_they_were_planned_whatever_the_clock(tmp_path: Path) -> None:
    for job, year in (("a", "2036"), ("b", "2026"), ("c", "2025"), ("a", "2024")):
        write_job(tmp_path, "try", PlannedJob(job=job, started=year, cells=()))
    assert [(job.job, job.number) for job in read_jobs(tmp_path, "try")] == [("b", 2), ("c", 3), ("a", 4)]
    for job, year in (("d", "2040"), ("e", "2039")):  # of before there were numbers
        path = write_job(tmp_path, "try", PlannedJob(job=job, started=year, cells=()))
        edit(path, lambda content: content.pop("number"))
    assert [job.job for job in read_jobs(tmp_path, "try")] == ["e", "d", "b", "c", "a"]
