"""Every bad input gives one line with what to do and its exit code, and leaves everything stored as it was."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmark.models import constructor, model_names
from benchmark.store.files import DAMAGED
from benchmark.store.records import read_record
from tests.faults.bad_input import CASES, PAGE, Bad, cell, edited, lay_out_data, other_auroc, other_weights, page
from tests.faults.helpers import run_here
from tests.faults.own_images import KIND
from tests.test_cli import run

GOOD = ["model=pca", "dataset=digits", "split.normal_class=[0,1]", "split.test_limit=50", "experiment_name=bad"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a finished experiment of two cells."""
    folder = tmp_path_factory.mktemp("good")
    lay_out_data(folder)
    done = run_here(folder, *GOOD, "tracking=off")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def place(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to damage."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return Path(shutil.copytree(good, tmp_path / "place"))


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    """A web server that answers everything with the status that its path begins with."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_error(int(self.path.split("/")[1]))

        do_GET = do_POST = answer

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def digest(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but locks, and the mark of a damaged record."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".locks" not in path.parts]
    files = [path for path in files if path.name != DAMAGED]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}: {case.given}".replace("`", "") for case in CASES])
def test_bad_input(case: Bad, place: Path, request: pytest.FixtureRequest) -> None:
    if case.lay_out is not None:
        case.lay_out(place)
    arguments = list(case.arguments)
    if any("URL" in argument for argument in arguments):
        url = request.getfixturevalue("refusing")
        arguments = [argument.replace("URL", url) for argument in arguments]
    if case.kind == KIND and not any(argument.startswith("data_dir=") for argument in arguments):
        arguments.append(f"data_dir={place.with_name('data')}")  # where images of one's own are kept once read
    has_data = case.kind == "Presets" or any(argument.startswith("dataset=") for argument in arguments)
    if case.module == "benchmark" and not has_data:
        arguments.append("dataset=digits")
    before = digest(place)
    done = run_here(place, *arguments, module=case.module)
    assert done.returncode == case.code, (done.stdout, done.stderr)
    said = [line for line in (done.stdout + done.stderr).splitlines() if case.says in line]
    assert len(said) == 1, (done.stdout, done.stderr)
    if done.stdout == "":
        assert done.stderr.count("\n") == 1, done.stderr
    else:  # `benchmark.status` shows its table, and the cell as one of its lines
        assert case.module == "benchmark.status"
        assert done.stderr == ""
    assert "Traceback" not in done.stdout + done.stderr
    assert digest(place) == before


def test_there_are_enough_of_every_kind() -> None:
    assert len(CASES) >= 40
    assert len({(case.given, case.arguments) for case in CASES}) == len(CASES)


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "type: python -m tests.faults.bad_input"


def test_every_number_of_a_model_has_a_range_that_its_default_is_in() -> None:
    keywords = [keyword for name in model_names() for keyword in constructor(name).values() if keyword.is_number]
    for keyword in keywords:
        assert keyword.range is not None, f"{keyword.name} has no range"
        assert keyword.accepts(keyword.default), keyword


def test_with_debug_the_traceback_is_shown(place: Path) -> None:
    with pytest.raises(Exception, match="there is no such model"):  # the interpreter shows it
        run_here(place, "model=vea", "debug=true")


def test_a_damaged_record_is_made_again_and_no_other(place: Path) -> None:
    """The same command trains the cell whose weights are missing, and leaves the other as it is."""
    whole = next((place / "outputs" / "cells").rglob("class1-*/status.json")).parent
    kept, before = digest(whole), os.stat(whole / "status.json").st_mtime_ns
    (cell(place) / "weights.pt").unlink()
    done = run_here(place, *GOOD, "tracking=off")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 cells done (1 of them finished before)" in done.stdout
    assert read_record(cell(place)).weights()
    assert (digest(whole), os.stat(whole / "status.json").st_mtime_ns) == (kept, before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda status: status.update(code="0" * 64), "its code changed"),
        (lambda status: status.pop("code"), "its code is not known, as no record named it then"),
    ],
)
def test_a_record_of_other_code_is_stale_and_made_again(place: Path, change: Any, said: str) -> None:
    edited(cell(place) / "status.json", change)
    status = run_here(place, "experiment=bad", module="benchmark.status")
    assert status.returncode == 1
    assert f"  stale: pca digits one_vs_rest 0 seed 0: {said}\n" in status.stdout
    report = run_here(place, "experiment=bad", "figures=false", module="benchmark.report")
    assert f"pca: 1 cells are of other code than here ({said})" in report.stdout + report.stderr
    done = run_here(place, *GOOD, "tracking=off")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 cells done (1 of them finished before)" in done.stdout
    assert done.stderr.count("trained again") == 1
    assert f"pca digits 0 seed 0: {said}, trained again" in done.stderr
    assert run_here(place, "experiment=bad", module="benchmark.status").returncode == 0


def test_a_flipped_bit_is_repaired_by_the_command_that_is_shown(place: Path) -> None:
    other_weights(place)
    found = run_here(place, "experiment=bad", "verify=true", module="benchmark.status")
    assert "weights.pt cannot be read" in found.stdout
    command = found.stdout.partition("To finish it, type:\n  python -m benchmark ")[2].splitlines()[0]
    done = run_here(place, *shlex.split(command))
    assert "2 of 2 cells done (1 of them finished before)" in done.stdout
    assert "pca digits 0 seed 0: its record is damaged (" in done.stderr
    assert run_here(place, "experiment=bad", "verify=true", module="benchmark.status").returncode == 0


def test_a_forged_metric_is_not_printed_again(place: Path) -> None:
    forged = read_record(cell(place)).metrics["auroc"]
    other_auroc(place)
    done = run_here(place, *GOOD, "tracking=off")
    assert "pca digits 0 seed 0: its record is damaged (" in done.stderr
    assert read_record(cell(place)).metrics["auroc"] == forged


def test_tampered_weights_are_refused_by_who_loads_them(place: Path) -> None:
    other_weights(place)
    with pytest.raises(Exception, match=r"weights\.pt cannot be read \(its SHA-256 is .*; delete .* and run the cell"):
        read_record(cell(place)).weights()


def test_real_processes_end_with_these_exit_codes(place: Path) -> None:
    usage = run(place, "model=vea")
    assert (usage.returncode, usage.stdout, usage.stderr.count("\n")) == (2, "", 1)
    (cell(place) / "weights.pt").unlink()
    broken = run(place, "experiment=bad", module="benchmark.status")
    assert (broken.returncode, broken.stderr) == (1, "")
    assert broken.stdout.count("weights.pt is missing; delete") == 1
