"""One process trains a cell at a time; a process that is gone holds nothing."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest

from benchmark.store import processes
from benchmark.store.leases import Leases, lease_path, read_lease
from benchmark.store.processes import SILENCE, Process
from tests.faults.helpers import Holder, holding


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    return tmp_path / "cells" / "digits" / "one_vs_rest" / "ae" / "class0-seed0-0123456789ab"


def leave(cell: Path, process: Process, silent: float = 0.0) -> None:
    """A lease of this process that was last touched so many seconds ago."""
    lease_path(cell).parent.mkdir(parents=True, exist_ok=True)
    lease_path(cell).write_text(json.dumps({**process.to_json(), "token": "theirs"}))
    os.utime(lease_path(cell), (time.time() - silent, time.time() - silent))


def test_a_leased_cell_is_left_alone_until_it_is_given_back(tmp_path: Path, cell: Path) -> None:
    other = cell.with_name("class1-seed0-0123456789ab")
    with holding(tmp_path, cell) as holder, Leases(tmp_path) as leases:
        busy = leases.take([cell, other])
        assert list(busy) == [cell]
        assert busy[cell].holder.startswith(f"process {holder.pid} on ")
        leases.give_back([cell, other])
        assert lease_path(cell).exists(), "another process's lease was given back"
        assert not lease_path(other).exists()
        holder.end()
        assert not lease_path(cell).exists()
        assert leases.take([cell]) == {}
    assert not lease_path(cell).exists(), "the end gives everything back"


def test_a_killed_process_holds_nothing(tmp_path: Path, cell: Path) -> None:
    with holding(tmp_path, cell) as holder, Leases(tmp_path) as leases:
        assert leases.take([cell])
        holder.process.send_signal(signal.SIGKILL)  # its parent has not taken note yet: it is a zombie
        deadline = time.monotonic() + 10
        while leases.take([cell]):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        lease = read_lease(cell)
        assert lease is not None
        assert lease.process == Process.here()


def test_a_process_number_that_is_used_again_is_another_process(tmp_path: Path, cell: Path) -> None:
    here = Process.here()
    for process, alive in ((here, True), (replace(here, started="1"), False), (replace(here, pid=2**22 + 1), False)):
        leave(cell, process)
        lease = read_lease(cell)
        assert lease is not None
        assert lease.is_alive is alive


@pytest.mark.skipif(sys.platform != "linux", reason="earlier versions told the start in words elsewhere")
def test_leases_of_earlier_versions_are_judged_as_they_were(cell: Path) -> None:
    """They held what /proc tells: the ticks at which the process started."""
    with holding(cell.parents[4], cell) as holder:
        words = Path(f"/proc/{holder.pid}/stat").read_bytes().rpartition(b")")[2].split()
        ticks = words[19].decode()
        lease = read_lease(cell)
        assert lease is not None
        assert lease.process is not None
        assert lease.process.started == ticks
        for started, alive in ((ticks, True), (str(int(ticks) - 1), False)):
            leave(cell, replace(lease.process, started=started), silent=SILENCE + 1)
            found = read_lease(cell)
            assert found is not None
            assert found.is_alive is alive


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "another"}, {"scope": "another container"}, {"started": ""}, {"started": "Wed Nov 25 10:10:37 2026"}],
)
def test_a_process_that_cannot_be_looked_up_lives_as_long_as_it_gives_signs(
    tmp_path: Path, cell: Path, elsewhere: dict[str, str]
) -> None:
    process = replace(Process.here(), pid=2**22 + 1, **elsewhere)
    with Leases(tmp_path) as leases:
        leave(cell, process, silent=SILENCE - 60)
        assert list(leases.take([cell])) == [cell]
        leave(cell, process, silent=SILENCE + 1)
        assert leases.take([cell]) == {}


def test_a_time_far_ahead_is_no_sign_of_life(tmp_path: Path, cell: Path) -> None:
    process = replace(Process.here(), host="another")
    with Leases(tmp_path) as leases:
        leave(cell, process, silent=60 - SILENCE)  # its clock is ahead
        assert list(leases.take([cell])) == [cell]
        leave(cell, process, silent=-10 * 365 * 86400)
        assert leases.take([cell]) == {}, "a lease of 2036 blocks its cell"


def test_a_lease_that_cannot_be_read_counts_while_it_is_recent(tmp_path: Path, cell: Path) -> None:
    for content in ("", "[]", '{"pid": "x"}'):
        leave(cell, Process.here())
        lease_path(cell).write_text(content)
        lease = read_lease(cell)
        assert lease is not None
        assert lease.is_alive
        os.utime(lease_path(cell), (0, 0))
        lease = read_lease(cell)
        assert lease is not None
        assert not lease.is_alive


def test_a_process_at_work_gives_signs_of_life(tmp_path: Path, cell: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "BEAT", 0.02)
    other = cell.with_name("class1-seed0-0123456789ab")
    with Leases(tmp_path) as leases:
        assert leases.take([cell, other]) == {}
        leave(other, replace(Process.here(), host="another"), silent=1000)  # it took over while we were asleep
        os.utime(lease_path(cell), (0, 0))
        deadline = time.monotonic() + 10
        while lease_path(cell).stat().st_mtime < time.time() - 60:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert lease_path(other).stat().st_mtime < time.time() - 900, "a sign of life for another process"
    assert lease_path(other).exists()


def test_of_many_that_find_a_lease_abandoned_one_gets_it(tmp_path: Path, cell: Path) -> None:
    rounds, takers = 40, 4
    barrier = Barrier(takers)
    dead = replace(Process.here(), pid=2**22 + 1)
    got: list[list[bool]] = [[] for _ in range(takers)]

    def take(i: int) -> None:
        leases = Leases(tmp_path)
        for _ in range(rounds):
            if barrier.wait(timeout=60) == 0:
                leave(cell, dead)
            barrier.wait(timeout=60)
            got[i].append(leases.take([cell]) == {})

    threads = [Thread(target=take, args=(i,)) for i in range(takers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sum(answers) for answers in zip(*got, strict=True)] == [1] * rounds


def test_of_processes_that_start_at_once_one_gets_the_lease(tmp_path: Path, cell: Path) -> None:
    leave(cell, replace(Process.here(), pid=2**22 + 1))
    holders = [Holder(tmp_path, cell) for _ in range(4)]
    try:
        answers = [holder.answer() for holder in holders]
    finally:
        for holder in holders:
            holder.kill()
    assert sorted(answers) == ["busy"] * 3 + ["mine"]
