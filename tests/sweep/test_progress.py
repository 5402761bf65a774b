"""What a run shows: a live display on a terminal, plain lines elsewhere, right numbers from many threads."""

from __future__ import annotations

import io
import re
import sys
import threading
from collections.abc import Callable

import pytest
from rich.console import Console

from benchmark.sweep import progress
from benchmark.sweep.progress import Progress

TITLE = "vae on mnist, one_vs_rest"


class Clock:
    """Stands in for ``time.perf_counter``: seconds pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "perf_counter", clock)
    return clock


def plain(total: int = 3) -> tuple[Progress, Callable[[], list[str]]]:
    """A display where there is no terminal, and what it has printed so far."""
    file = io.StringIO()
    return Progress(
        total, TITLE, Console(file=file, width=60, force_terminal=False)
    ), lambda: file.getvalue().splitlines()


def terminal(total: int = 3, width: int = 100, term: str = "xterm") -> tuple[Progress, Console, io.StringIO]:
    file = io.StringIO()
    environment = {"TERM": term, "COLUMNS": str(width), "LINES": "40"}
    console = Console(file=file, force_terminal=True, color_system="standard", _environ=environment)
    return Progress(total, TITLE, console), console, file


def shown(display: Progress, width: int = 100) -> list[str]:
    """The live display as it stands, as text."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(display._render())
    return console.file.getvalue().splitlines()


def without_codes(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


# where there is no terminal


def test_plain_lines_tell_the_whole_story(clock: Clock) -> None:
    display, lines = plain()
    with display:
        assert lines() == [f"{TITLE}: 3 cells"]
        display.cell_started("vae mnist 0 seed 0")
        clock.now += 61.5
        display.cell_done("vae mnist 0 seed 0", "done", "AUROC 0.9876")
        display.cell_done("vae mnist 1 seed 0", "failed", "ValueError: no good")
    assert lines()[1:] == [
        "  vae mnist 0 seed 0: done, AUROC 0.9876; 1/3, 1:01, 2:03 left",
        "  vae mnist 1 seed 0: failed, ValueError: no good; 2/3, 1:01, 1:01 left",
    ]
    assert display.live is None


def test_plain_lines_hold_no_codes_and_are_not_wrapped(clock: Clock) -> None:
    display, lines = plain()
    reason = "word " * 60 + "\x00end"
    with display:
        display.cell_done("vae mnist 0 seed 0", "diverged", reason)
    assert len(lines()) == 2
    assert reason in lines()[1]
    assert "\x1b" not in "".join(lines())


def test_a_running_cell_is_silent_until_ten_seconds_have_passed(clock: Clock) -> None:
    display, lines = plain()
    with display:
        display.cell_started("a")
        display.cell_started("b")
        for epoch in range(1, 6):
            display.update("a", epoch, 50, {"reconstruction": 0.5, "kl": 0.1})
            clock.now += 1.9
        assert lines() == [f"{TITLE}: 3 cells"]
        clock.now += 0.6
        display.update("a", 6, 50, {"reconstruction": 0.123456, "kl": 12.0})
        assert lines()[1:] == ["  a: epoch 6/50: reconstruction 0.1235, kl 12; 0/3, 0:10, 4:02 left"]
        display.update("b", 7, 50, {"reconstruction": 0.5})
        assert len(lines()) == 2, "one line in ten seconds, whichever cell"
        clock.now += 10.5
        display.update("b", 50, 50, {"reconstruction": 0.5})
        assert lines()[2:] == ["  b: epoch 50/50: reconstruction 0.5, scoring; 0/3, 0:20, 0:34 left"]
        clock.now += 9
        display.cell_done("a", "done", "AUROC 0.9")
        clock.now += 2
        display.update("b", 50, 50, {})
        assert len(lines()) == 4, "a cell that ended is a line too"


def test_nothing_is_printed_for_a_start_or_at_the_end_without_a_terminal(clock: Clock) -> None:
    display, lines = plain()
    with display:
        display.cell_started("a")
        clock.now += 1000
    assert lines() == [f"{TITLE}: 3 cells"]


def test_everything_goes_to_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    with Progress(1, TITLE) as display:
        display.cell_started("a")
        display.cell_done("a", "done", "AUROC 0.9")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0] == f"{TITLE}: 1 cells"
    assert "a: done, AUROC 0.9; 1/1" in said.err


@pytest.mark.parametrize("text", ["hidden=[a,b]", "[red]x[/red]", "[/nothing]", "ends in \\", "[400,200]"])
def test_brackets_are_shown_as_they_are(text: str) -> None:
    display, lines = plain()
    with display:
        display.cell_done(f"ae mnist 0 {text}", "failed", f"no: {text}")
        display.last_line -= 11
        display.update(f"ae {text}", 1, 2, {text: 1.0})
    assert lines()[1].startswith(f"  ae mnist 0 {text}: failed, no: {text}; 1/3")
    assert lines()[2].startswith(f"  ae {text}: epoch 1/2: {text} 1; 1/3")


@pytest.mark.parametrize("state", ["done", "failed", "diverged", "busy", "interrupted"])
def test_every_state_can_be_shown(state: str) -> None:
    display, lines = plain()
    with display:
        display.cell_done("a", state, "so")
    assert lines()[1].startswith(f"  a: {state}, so; 1/3")


# time left


def test_time_left_is_that_of_the_cells_trained_in_this_run(clock: Clock) -> None:
    display, lines = plain(total=6)
    with display:
        for name in "ab":
            display.cell_done(name, "done", "finished before, AUROC 0.9")
        assert [line.split("; ")[1] for line in lines()[1:]] == ["1/6, 0:00", "2/6, 0:00"]
        display.cell_started("c")
        clock.now += 100
        display.cell_done("c", "done", "AUROC 0.9")
        assert lines()[-1].endswith("; 3/6, 1:40, 5:00 left"), "not a third of it because two cells were there before"
        for name in "de":
            display.cell_started(name)
        clock.now += 50
        display.cell_done("d", "diverged", "loss is nan")
        assert lines()[-1].endswith("; 4/6, 2:30, 2:30 left")
        display.cell_done("e", "done", "AUROC 0.9")
        display.cell_started("f")
        clock.now += 3600
        display.cell_done("f", "done", "AUROC 0.9")
        assert lines()[-1].endswith("; 6/6, 62:30"), "nothing is left"


def test_time_left_counts_the_epochs_of_cells_that_train_together(clock: Clock) -> None:
    display, lines = plain(total=4)
    with display:
        display.cell_done("old", "done", "finished before")
        for name in "abc":
            display.cell_started(name)
        clock.now += 60
        for name in "abc":
            display.update(name, 15, 20, {"loss": 1.0})
        assert lines()[-1].endswith("; 1/4, 1:00, 3:00 left"), "the first to report has three quarters of one cell done"
        clock.now += 20
        for name in "abc":
            display.update(name, 20, 20, {"loss": 1.0})
        assert lines()[-1].endswith("; 1/4, 1:20, 0:16 left"), "two and a half cells of three"
        display.cell_done("a", "done", "AUROC 0.9")
        assert lines()[-1].endswith("; 2/4, 1:20"), "all are trained: nothing left but scoring"


# on a terminal


def test_a_terminal_shows_running_cells_live(clock: Clock) -> None:
    display, _, file = terminal()
    with display:
        assert display.live is not None
        display.cell_started("vae mnist 0 seed 0")
        display.cell_started("vae mnist 1 seed 0")
        display.update("vae mnist 1 seed 0", 2, 50, {"reconstruction": 0.5})
        clock.now += 30
        display.cell_done("vae mnist 2 seed 0", "done", "AUROC 0.9")
        head, *rows = shown(display)
        assert head.startswith(TITLE)
        assert head.rstrip().endswith("1/3, 0:30, 24:30 left")
        assert [row.rstrip() for row in rows] == [
            "  vae mnist 0 seed 0: starting",
            "  vae mnist 1 seed 0: epoch 2/50: reconstruction 0.5",
        ]
        display.cell_done("vae mnist 1 seed 0", "done", "AUROC 0.9")
        assert [row.rstrip() for row in shown(display)[1:]] == ["  vae mnist 0 seed 0: starting"]
        display.live.refresh()
        assert "vae mnist 0 seed 0: starting" in without_codes(file.getvalue())


def test_a_terminal_keeps_a_coloured_line_for_each_cell_and_one_for_the_job(clock: Clock) -> None:
    display, _, file = terminal()
    with display:
        display.cell_started("a")
        display.cell_done("a", "done", "AUROC 0.9")
        display.cell_done("b", "failed", "no good")
        clock.now += 20
        display.update("c", 1, 9, {"reconstruction": 0.5})
    assert "\x1b[32mdone\x1b[0m, AUROC 0.9" in file.getvalue()
    assert "\x1b[1;31mfailed\x1b[0m, no good" in file.getvalue()
    text = without_codes(file.getvalue())
    assert "a: done, AUROC 0.9; 1/3" in text
    assert "epoch 1/9: reconstruction 0.5; " not in text, "the line of where there is no terminal"
    assert text.rstrip().splitlines()[-1].endswith(f"{TITLE}: 2 of 3 cells in 0:20")


def test_the_terminal_is_left_as_it_was() -> None:
    before = sys.stdout, sys.stderr
    display, console, file = terminal()

    def interrupted() -> None:
        with display:
            assert file.getvalue().count("\x1b[?25l") == 1, "the cursor is hidden"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert file.getvalue().count("\x1b[?25h") == 1, "the cursor is shown again"
    assert (sys.stdout, sys.stderr) == before
    assert not console._live_stack
    with Progress(1, "the next job", console) as after:
        assert after.live.is_started


def test_many_cells_and_narrow_terminals_are_cut_not_wrapped() -> None:
    display, _, _ = terminal()
    for i in range(100):
        display.cell_started(f"cell {i:03d}")
        display.update(f"cell {i:03d}", 1, 9, {"a quite long name of a loss": 0.5, "another long name": 0.25})
    rows = shown(display, width=40)
    cells = [row for row in rows if row.startswith("  cell")]
    assert len(cells) == 16
    assert all(len(row) <= 40 for row in rows)
    assert cells[0].startswith("  cell 000: epoch 1/9")
    assert cells[0].endswith("…")


def test_a_job_without_cells_can_be_shown() -> None:
    display, _, _ = terminal(total=0)
    with display:
        assert "0/0" in shown(display)[0]


# threads


def test_numbers_are_right_when_many_threads_report() -> None:
    display, lines = plain(total=400)
    before = sys.getswitchinterval()

    def work(worker: int) -> None:
        for i in range(50):
            name = f"cell {worker}-{i}"
            display.cell_started(name)
            display.update(name, 1, 2, {"loss": 0.5})
            display.cell_done(name, "done", "AUROC 0.9")

    sys.setswitchinterval(1e-6)
    try:
        with display:
            threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(before)
    assert (display.finished, sum(display.trained.values()), display.running) == (400, 400, {})
    counts = [int(re.search(r"; (\d+)/400, ", line).group(1)) for line in lines()[1:]]
    assert counts == list(range(1, 401)), "a line was lost, broken or out of order"


@pytest.mark.parametrize("call", ["cell_done", "cell_started", "update"])
def test_a_report_while_the_display_is_drawn_does_not_block_for_ever(call: str) -> None:
    """Rich draws within its own lock and needs it to print: a caller must not hold ours while it waits for that."""
    display, _, file = terminal()
    arguments = {"cell_done": ("a", "done", "AUROC 0.9"), "cell_started": ("a",), "update": ("a", 1, 2, {"loss": 0.5})}
    with display:
        display.live._refresh_thread.stop()  # this test draws in its place
        with display.live._lock:
            caller = threading.Thread(target=getattr(display, call), args=arguments[call], daemon=True)
            caller.start()
            caller.join(0.2)
            free = display.lock.acquire(timeout=5)
            if free:
                display.lock.release()
        caller.join(5)
        assert free, "the caller holds our lock while it waits for Rich's: the refresh thread would wait for ever"
        assert not caller.is_alive()
    assert ("a: done" in without_codes(file.getvalue())) == (call == "cell_done")
