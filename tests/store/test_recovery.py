"""A kill at any moment of a write loses no record, and its leftovers are gone after the next start."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import pytest

from benchmark.store.experiments import read_jobs, write_job
from benchmark.store.format import PlannedJob
from benchmark.store.leases import lease_path
from benchmark.store.records import read_record
from benchmark.store.recovery import recover
from tests.faults.helpers import holding
from tests.faults.warm import python
from tests.store.test_records import write

ROOT = Path(__file__).parents[2]
LEAF = "cells/digits/one_vs_rest/ae/class0-seed0-0123456789ab"
HEX = "0" * 32
# the Nth call of one of these functions is the writer's last act
KILLED_WRITER = textwrap.dedent("""
    import os, signal, shutil, sys
    from pathlib import Path
    from tests.store.test_records import write

    module, name, count = sys.argv[2], sys.argv[3], int(sys.argv[4])
    owner = {"os": os, "shutil": shutil}[module]
    original, calls = getattr(owner, name), 0

    def last(*arguments, **keywords):
        global calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **keywords)

    setattr(owner, name, last)
    write(Path(sys.argv[1]), metrics={"auroc": 0.2})
""")


@pytest.mark.parametrize(
    ("module", "name", "count", "expected"),
    [
        ("os", "fsync", 1, 0.9),
        ("os", "fsync", 6, 0.9),
        ("os", "rename", 1, 0.9),
        ("os", "rename", 2, 0.9),  # the old record is moved aside, the new one not yet in its place
        ("shutil", "rmtree", 1, 0.2),
    ],
)
def test_a_kill_in_mid_write_loses_nothing(tmp_path: Path, module: str, name: str, count: int, expected: float) -> None:
    path = write(tmp_path / LEAF)
    assert python(ROOT, "-c", KILLED_WRITER, str(path), module, name, str(count)).returncode == -9
    before = sorted(p.name for p in path.parent.iterdir())
    assert before != [path.name], "nothing was interrupted"
    recovery = recover(tmp_path)
    assert read_record(path).metrics == {"auroc": expected}
    assert read_record(path).scores()["index"].tolist() == [0, 1, 2]
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert recovery.restored == (path.name not in before)
    assert recovery.restored + recovery.removed == len([name for name in before if name != path.name])
    again = recover(tmp_path)
    assert (again.restored, again.removed) == (0, 0)


def test_what_a_live_process_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / LEAF
    with holding(tmp_path, path) as holder:
        for kind in ("tmp", "old"):
            write(path.with_name(f".{path.name}.{HEX}.{kind}"))
        before = sorted(p.name for p in path.parent.iterdir())
        recovery = recover(tmp_path)
        assert sorted(p.name for p in path.parent.iterdir()) == before
        assert (recovery.restored, recovery.removed) == (0, 0)
        holder.kill()
        recovery = recover(tmp_path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert (recovery.restored, recovery.removed) == (1, 2)
    assert not lease_path(path).exists()


def test_a_link_among_the_leftovers_holds_up_nothing(tmp_path: Path) -> None:
    path, other = write(tmp_path / LEAF), tmp_path / "elsewhere"
    path.rename(path.with_name(f".{path.name}.{HEX}.old"))
    other.mkdir()
    (other / "mine").write_text("mine")
    link = path.with_name(f".class1-seed0-0123456789ab.{HEX}.tmp")
    link.symlink_to(other)
    recovery = recover(tmp_path)
    assert (recovery.restored, recovery.removed) == (1, 1)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert (other / "mine").exists(), "the link was followed"


def test_half_a_job_file_is_removed_and_the_jobs_stay(tmp_path: Path) -> None:
    path = write_job(tmp_path, "try", PlannedJob(job="a", started="1", cells=()))
    shutil.copy(path, path.with_name(f".{path.name}.{HEX}.tmp"))
    assert recover(tmp_path).removed == 1
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]
    assert len(read_jobs(tmp_path, "try")) == 1


def test_files_of_the_user_stay(tmp_path: Path) -> None:
    path = write(tmp_path / LEAF)
    mine = [path.with_name(".notes"), path.with_name(".backup.tmp"), path / ".keep"]
    for one in mine:
        one.write_text("mine")
    recovery = recover(tmp_path)
    assert (recovery.restored, recovery.removed) == (0, 0)
    assert all(one.exists() for one in mine)


def test_an_output_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert recover(tmp_path / "none").removed == 0
    assert not (tmp_path / "none").exists()
