"""A tracking server that hangs, goes away and comes back in the middle of a sweep, or refuses its client."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from mlflow import MlflowClient

from benchmark.records import read_record
from tests.faults.servers import Server
from tests.test_cli import run, user_environment

CELLS = 8
SWEEP = [
    *("-m", "model=ae", "dataset=digits", "split.normal_class=[0,1,2,3]", "seed=0,1", "split.test_limit=100"),
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
    command = [sys.executable, "-m", "benchmark", *SWEEP]
    environment = {**user_environment(), **server.client, **quick}
    sweep = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    client = MlflowClient(server.uri)
    wait_for(lambda: len(finished(client)) >= 1, sweep)
    server.signal(signal.SIGSTOP)
    stopped = len(records(tmp_path))
    wait_for(lambda: len(records(tmp_path)) >= min(stopped + 2, CELLS), sweep)
    server.stop()
    out, err = sweep.communicate(timeout=250)
    assert sweep.returncode == 0, err
    assert f"{CELLS} of {CELLS} cells done" in out
    assert [read_record(path).state for path in records(tmp_path)] == ["done"] * CELLS
    assert err.count("warning: ") == 1, err
    assert "benchmark.sync experiment=server sends what it misses" in err
    assert "Traceback" not in err

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


def wait_for(condition: Callable[[], bool], sweep: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 250
    while not condition():
        assert sweep.poll() is None, sweep.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
