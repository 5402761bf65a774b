"""Several processes on one output directory, and a disk that takes nothing more."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from benchmark.store.records import read_record
from tests.faults.helpers import holding
from tests.faults.warm import Forked, run

PCA = ["model=pca", "dataset=digits", "split.normal_class=[0,1,2,3]", "split.test_limit=100", "tracking=off"]


def records(folder: Path) -> dict[int, Path]:
    found = [path.parent for path in (folder / "outputs" / "cells").rglob("status.json")]
    return {read_record(path).axes.normal_class: path for path in found}


def test_a_cell_of_another_process_is_left_to_it(tmp_path: Path) -> None:
    first = run(tmp_path, *PCA)
    assert first.returncode == 0, first.stderr
    path = records(tmp_path)[2]
    before = (path / "status.json").stat().st_mtime_ns
    with holding(tmp_path / "outputs", path) as holder:
        second = run(tmp_path, *PCA, "resume=false")
        assert second.returncode == 1
        assert "3 of 4 cells done" in second.stdout
        assert f"running: pca digits 2 seed 0: process {holder.pid} on " in second.stdout
        assert "trains it; the same command later counts it" in second.stdout
        assert (path / "status.json").stat().st_mtime_ns == before
        holder.kill()
        third = run(tmp_path, *PCA, "resume=false")
    assert third.returncode == 0, third.stderr
    assert (path / "status.json").stat().st_mtime_ns > before
    assert "An earlier run was killed: 1 leftovers removed" in third.stderr


def test_two_that_run_the_same_command_share_its_cells(tmp_path: Path) -> None:
    sweep = ["-m", "model=pca,ae", *PCA[1:], "trainer.epochs=100", "seed=[0,1]", "trainer.workers=1"]
    both = []
    for name in "ab":
        out, err = tmp_path / f"{name}.out", tmp_path / f"{name}.err"
        out.touch()
        err.touch()
        both.append((Forked(tmp_path, "-m", "benchmark", *sweep, out=out, err=err), out, err))
    codes = [process.wait(timeout=200) for process, _, _ in both]
    ended = [(out.read_text(), err.read_text()) for _, out, err in both]
    trained = Counter(
        name for _, err in ended for name in re.findall(r"^  ((?:pca|ae) digits .*?): done, AUROC", err, re.MULTILINE)
    )
    assert len(trained) == 16, ended
    assert set(trained.values()) == {1}, "a cell was trained twice"
    for code, (out, err) in zip(codes, ended, strict=True):
        done = int(re.match(r"(\d+) of 16 cells done", out)[1])
        left = out.count("  running: ")
        assert done + left == 16, (out, err)
        assert code == (1 if left else 0), (out, err)
    found = [read_record(path.parent).state for path in (tmp_path / "outputs" / "cells").rglob("status.json")]
    assert found == ["done"] * 16


def test_a_record_that_cannot_be_written_is_a_failed_cell(tmp_path: Path) -> None:
    """The system refuses files above 4 kB, as a full disk refuses any: PCA's weights are larger, its plan is not."""
    first = run(tmp_path, *PCA[:2], "split.normal_class=0", *PCA[3:])
    assert first.returncode == 0, first.stderr
    before = {p.name: p.read_bytes() for p in records(tmp_path)[0].iterdir()}
    full = run(tmp_path, *PCA, "split.normal_class=[0,1]", "resume=false", limit=4096)
    assert full.returncode == 1, full.stderr
    assert "0 of 2 cells done" in full.stdout
    for label in (0, 1):
        assert re.search(rf"failed: pca digits {label} seed 0: its record could not be written \(.+\)", full.stdout)
    assert "what was there before is kept" in full.stdout
    assert "Traceback" not in full.stderr
    assert {p.name: p.read_bytes() for p in records(tmp_path)[0].iterdir()} == before
    assert list(records(tmp_path)) == [0]
    hidden = {path.name for path in (tmp_path / "outputs").rglob(".*")}
    assert hidden == {".locks"}, "half a record was left"
    status = run(tmp_path, "experiment=default", module="benchmark.status")
    assert status.returncode == 1
    assert "missing: pca digits one_vs_rest 1 seed 0" in status.stdout
    after = run(tmp_path, *PCA, "split.normal_class=[0,1]")
    assert "2 of 2 cells done (1 of them finished before)" in after.stdout


def test_without_mlflow_every_cell_is_trained_and_sent_later(tmp_path: Path) -> None:
    """The store is a file that is none; what MLflow did not get is there after a ``sync``."""
    store = tmp_path / "outputs" / "mlflow.db"
    store.parent.mkdir()
    store.write_bytes(b"no database at all" * 100)
    done = run(tmp_path, *PCA[:-1], "tracking.figures=false", MLFLOW_TRACKING_URI="")
    assert done.returncode == 0, done.stderr
    assert "4 of 4 cells done" in done.stdout
    assert done.stderr.count("cannot be used") == 1
    assert "Traceback" not in done.stderr
    store.unlink()
    sent = run(tmp_path, "experiment=default", module="benchmark.sync", MLFLOW_TRACKING_URI="")
    assert (sent.returncode, sent.stdout) == (0, "4 of 4 cells sent to MLflow, 0 were there.\n"), sent.stderr
