"""A tracking server that hangs, goes away and comes back in the middle of a sweep, or refuses its client."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from mlflow import MlflowClient

from benchmark.store.records import read_record
from benchmark.tracking import client as stores
from benchmark.tracking.patience import SilentError, heard, within
from tests.faults.helpers import run_here
from tests.faults.servers import Server, SilentServer
from tests.faults.warm import Forked, run

CELLS = 6
SWEEP = [
    *("-m", "model=ae", "dataset=digits", "split.normal_class=[0,1,2]", "seed=0,1", "split.test_limit=100"),
    *("trainer.epochs=30", "trainer.workers=1", "trainer.strategy=loop", "tracking.figures=false"),
    "experiment_name=server",
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path / "server")
    started.start()
    yield started
    started.stop()


def test_a_server_that_hangs_and_goes_away_costs_no_cell(tmp_path: Path, server: Server) -> None:
    quick = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "3", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    log = tmp_path / "log"
    log.write_text("")
    sweep = Forked(tmp_path, "-m", "benchmark", *SWEEP, out=log, err=log, **server.client, **quick)
    client = MlflowClient(server.uri)
    wait_for(lambda: len(finished(client)) >= 1, sweep, log)
    server.signal(signal.SIGSTOP)
    stopped = len(records(tmp_path))
    wait_for(lambda: len(records(tmp_path)) >= min(stopped + 2, CELLS), sweep, log)
    server.stop()
    code, said = sweep.wait(timeout=250), log.read_text()
    assert code == 0, said
    assert f"{CELLS} of {CELLS} cells done" in said
    assert [read_record(path).state for path in records(tmp_path)] == ["done"] * CELLS
    assert said.count("warning: ") == 1, said
    assert "benchmark.sync experiment=server sends what it misses" in said
    assert "Traceback" not in said

    sync = ["experiment=server", f"uri={server.uri}"]
    away = run(tmp_path, *sync, module="benchmark.sync", **quick)
    assert away.returncode == 1
    assert len(away.stderr.splitlines()) == 1, away.stderr
    server.start()
    before = len(finished(client))
    assert 1 <= before < CELLS
    sent = run(tmp_path, *sync, module="benchmark.sync")
    assert sent.stdout == f"{CELLS - before} of {CELLS} cells sent to MLflow, {before} were there.\n", sent.stderr
    again = run(tmp_path, *sync, module="benchmark.sync")
    assert again.stdout == f"0 of {CELLS} cells sent to MLflow, {CELLS} were there.\n", again.stderr
    assert finished(client) == Counter(read_record(path).fingerprint for path in records(tmp_path))
    running = client.search_runs(["1"], "attributes.status = 'RUNNING'")
    assert running == [], "a run of the sweep that has ended is still RUNNING"


def records(folder: Path) -> list[Path]:
    return [path.parent for path in (folder / "outputs" / "cells").rglob("[!.]*/status.json")]


def finished(client: MlflowClient) -> Counter[str]:
    ids = [one.experiment_id for one in client.search_experiments() if one.name == "server"]
    found = client.search_runs(ids, "tags.kind = 'cell' and attributes.status = 'FINISHED'") if ids else []
    return Counter(one.data.tags["fingerprint"] for one in found)


def wait_for(condition: Callable[[], bool], sweep: Forked, log: Path) -> None:
    deadline = time.monotonic() + 250
    while not condition():
        assert sweep.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("patience", "drip", "until", "said"),
    [
        (1, False, None, "cannot be used (SilentError: no answer within 1 s)"),
        (0.3, True, None, "cannot be used (SilentError: no answer within 0.3 s)"),
        (
            0.3,
            True,
            "runs/create",
            "did not take job pca digits one_vs_rest: 1 cells (SilentError: no answer within 0.3 s)",
        ),
    ],
)
def test_a_silent_server_costs_twice_the_patience_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float, drip: bool, until: str | None, said: str
) -> None:
    """Before the work, at its end, and for the commands that ask MLflow alone."""
    monkeypatch.setenv("BENCHMARK_PATIENCE", str(patience))
    stores.silent.clear()
    command = ["model=pca", "dataset=digits", "split.normal_class=0", "split.test_limit=40"]
    plain = time.monotonic()
    assert run_here(tmp_path, *command, "tracking=off", "output_dir=plain").returncode == 0
    plain = time.monotonic() - plain
    server = SilentServer(drip, until)
    try:
        start = time.monotonic()
        done = run_here(tmp_path, *command, f"tracking.uri={server.uri}")
        took = time.monotonic() - start
        assert done.returncode == 0, done.stderr
        assert "1 of 1 cells done" in done.stdout
        warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
        assert [said in line for line in warnings] == [True], done.stderr
        assert took < plain + 2 * patience + 6, "more than the patience, and MLflow's import on a busy machine"
        for module, more in (("benchmark.sync", ()), ("benchmark.report", ("source=mlflow", "figures=false"))):
            start = time.monotonic()
            asked = run_here(tmp_path, "experiment=default", f"uri={server.uri}", *more, module=module)
            assert asked.returncode == 1, (asked.stdout, asked.stderr)
            assert "Traceback" not in asked.stderr
            assert time.monotonic() - start < 8
    finally:
        server.stop()
        stores.silent.clear()


def test_a_call_that_gets_news_is_waited_for() -> None:
    def slow() -> str:
        for _ in range(6):
            time.sleep(0.1)
            heard()
        return "done"

    assert within(0.3, slow) == "done"
    with pytest.raises(SilentError, match=r"no answer within 0\.2 s"):
        within(0.2, lambda: time.sleep(1))
    with pytest.raises(TimeoutError, match="its own"):
        within(5, raising)


def raising() -> None:
    raise TimeoutError("its own")


@pytest.fixture
def closed_server() -> Iterator[str]:
    """A server that takes no account."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("account", "who"), [("wrong", "the account wrong"), ("", "a client without an account")])
def test_a_server_that_refuses_the_account_is_said_before_any_work(
    tmp_path: Path, closed_server: str, account: str, who: str
) -> None:
    environment = {"MLFLOW_TRACKING_USERNAME": account, "MLFLOW_TRACKING_PASSWORD": "secret" if account else ""}
    done = run(tmp_path, *SWEEP, f"tracking.uri={closed_server}", **environment)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert re.match(rf"benchmark: MLflow at {closed_server} refuses {who}\. Set MLFLOW_TRACKING_USERNAME and", line)
    assert "secret" not in line
    assert not list(tmp_path.rglob("*.json")), "something was written"
