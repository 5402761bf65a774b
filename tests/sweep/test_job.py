"""How a job lays out its cells."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmark.config import UsageError
from benchmark.sweep.compose import compose_jobs
from benchmark.sweep.job import Job, lay_out_job, variant
from tests.faults.helpers import run_here

LEFT_OUT = ["model=pca", "dataset=digits", "split=leave_one_out"]


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], ""),
        (["precision=auto"], ""),
        (["precision=fp32"], ""),  # what auto stands for
        (["precision=bf16"], "precision=bf16"),
        (["model.latent=2", "trainer.epochs=3", "precision=tf32"], "latent=2 epochs=3 precision=tf32"),
        (["split.train_fraction=0.5", "split.contamination=0.1"], "train_fraction=0.5 contamination=0.1"),
    ],
)
def test_a_variant_says_what_is_not_as_shipped(overrides: list[str], name: str) -> None:
    assert variant(compose_jobs(["model=ae", "chosen=none", *overrides])[0].config) == name


def laid_out(*overrides: str) -> Job:
    return lay_out_job(compose_jobs(list(overrides))[0].config, device=("cpu", "fp32"))


def test_the_class_left_out_has_a_key_of_its_own_and_records_keep_theirs() -> None:
    """Job, fingerprint and stored configuration are those of the key of before, which named it the normal class."""
    new, old = (laid_out(*LEFT_OUT, f"split.{key}=[3,5]") for key in ("anomalous_class", "normal_class"))
    assert new.describe("").job == old.describe("").job
    assert [(cell.fingerprint, cell.config) for cell in new.cells] == [(c.fingerprint, c.config) for c in old.cells]
    assert [cell.axes.normal_class for cell in new.cells] == [3, 5]
    assert new.cells[0].config["split"]["normal_class"] == 3
    assert "anomalous_class" not in new.cells[0].config["split"]
    trained = new.data.train_labels[new.cells[0].split.train_index]
    assert not (trained == 3).any()


def test_the_published_cells_are_those_that_their_command_lays_out_today() -> None:
    """Whoever types a published command again gets its cells, by their fingerprints; another key or value moves one."""
    with (Path(__file__).parents[2] / "results" / "rules" / "cells.csv").open(encoding="utf-8") as file:
        published = {(row["model"], row["dataset"]): row["fingerprint"] for row in csv.DictReader(file)}
    words = ["chosen=none", "split.normal_class=9", "seed=0"]  # the last class of each in the table
    for (model, dataset), expected in published.items():
        assert laid_out(f"model={model}", f"dataset={dataset}", *words).cells[0].fingerprint == expected, model
    other = laid_out("model=anogan", "dataset=mnist", "model.search_prior=0.1", *words).cells[0].fingerprint
    assert other != published["anogan", "mnist"]


def test_each_split_of_a_sweep_reads_its_own_key() -> None:
    words = [
        "-m",
        "dataset=digits",
        "split=one_vs_rest,leave_one_out",
        "split.normal_class=1",
        "split.anomalous_class=2",
    ]
    jobs = [lay_out_job(job.config, device=("cpu", "fp32")) for job in compose_jobs(words)]
    assert [cell.axes.normal_class for job in jobs for cell in job.cells] == [1, 2]
    with pytest.raises(UsageError, match=r"split\.anomalous_class=2 is of split=leave_one_out"):
        laid_out("dataset=digits", "split.anomalous_class=2")


def test_the_old_key_is_read_with_one_line_of_warning(tmp_path: Path) -> None:
    small = [*LEFT_OUT, "split.test_limit=50", "tracking=off"]
    old = run_here(tmp_path, "-m", *small, "seed=0,1", "split.normal_class=3")
    assert (old.returncode, old.stderr.count("warning: ")) == (0, 1)
    assert "warning: split.normal_class is read as split.anomalous_class by split=leave_one_out" in old.stderr
    new = run_here(tmp_path, "-m", *small, "seed=0,1", "split.anomalous_class=3")
    assert "2 of 2 cells done (2 of them finished before)" in new.stdout
    assert "warning" not in new.stderr
