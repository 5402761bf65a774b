"""A tracking server as ``deploy/README.md`` sets it up, on loopback: PostgreSQL and MLflow with accounts."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

AUTH = Path(__file__).parents[2] / "deploy" / "auth.ini"


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's programs, None if there is none on this machine."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (str(debian[-1]) if debian else None)
    return Path(found).resolve().parent if found is not None else None


def missing() -> str | None:
    """What the server needs and is not there, with what to type; None if all is there."""
    if postgres_programs() is None:
        return "PostgreSQL is not installed. Type for example: apt-get install postgresql"
    if find_spec("psycopg2") is None or find_spec("flask_wtf") is None:
        return "the server's packages are not installed. Type: pip install -e '.[server]' -c requirements.lock"
    return None


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


class Postgres:
    """A database server of our own in ``folder``, with the empty database ``mlflow``."""

    def __init__(self, folder: Path) -> None:
        programs = postgres_programs()
        assert programs is not None
        self.programs, self.folder, self.port = programs, folder, free_port()
        self.password = secrets.token_hex(16)
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        folder.mkdir(parents=True)
        file = folder / "password"
        file.write_text(self.password)
        if self.user:  # the database refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
            shutil.chown(file, "postgres", "postgres")
        setup = ["--username=mlflow", "--auth=scram-sha-256", f"--pwfile={file}", "--encoding=UTF8", "--no-sync"]
        self._run("initdb", f"--pgdata={folder / 'data'}", *setup)
        self.start()
        self._run("createdb", "mlflow")

    @property
    def environment(self) -> dict[str, str]:
        """How to reach it."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "mlflow", "PGPASSWORD": self.password}

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self._run(
            "pg_ctl", "start", "--wait", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options
        )

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate", "--pgdata", str(self.folder / "data"))

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self.user, str(self.programs / program), *arguments]
        environment = {**os.environ, **self.environment}
        with (self.folder.parent / f"{program}.log").open("w") as log:  # no pipe: the server would keep it open
            done = subprocess.run(command, cwd="/", env=environment, stdout=log, stderr=log, check=False)
        assert done.returncode == 0, (self.folder.parent / f"{program}.log").read_text()


class SilentServer:
    """Takes every connection and never says a whole word: nothing at all, or a byte now and then for ever.

    With ``until`` it answers as an empty MLflow does, up to the first request whose path ends so.
    """

    def __init__(self, drip: bool = False, until: str | None = None) -> None:
        self.drip, self.until, self.ended = drip, until, threading.Event()
        self.silent = until is None
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self.ended.set()
        self.socket.close()

    def _serve(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            path = connection.recv(65536).split(b" ")[1].decode().partition("?")[0]
            self.silent = self.silent or path.endswith(str(self.until))
            if not self.silent:
                found = b'{"experiment": {"experiment_id": "1", "name": "x"}}' if path.endswith("by-name") else b"{}"
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(found)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + found)
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: " if self.drip else b"")
            while not self.ended.wait(0.05):
                connection.sendall(b"a" if self.drip else b"")


class Server:
    """An MLflow server: with accounts on a database server, the first one being ``admin``, or without on SQLite."""

    def __init__(self, folder: Path, database: Postgres | None = None) -> None:
        self.folder, self.database, self.port = folder, database, free_port()
        self.password, self.secret = secrets.token_hex(16), secrets.token_hex(16)
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> dict[str, str]:
        """The environment of a client."""
        account = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": self.password}
        return {"MLFLOW_TRACKING_URI": self.uri, **(account if self.database is not None else {})}

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--artifacts-destination", str(self.folder / "artifacts")]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        environment.pop("MLFLOW_TRACKING_URI", None)
        if self.database is None:
            command += ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        else:
            command += ["--backend-store-uri", "postgresql+psycopg2:///mlflow", "--app-name", "basic-auth"]
            environment |= {**self.database.environment, "MLFLOW_AUTH_CONFIG_PATH": str(AUTH)}
            environment |= {"MLFLOW_AUTH_ADMIN_PASSWORD": self.password, "MLFLOW_FLASK_SERVER_SECRET_KEY": self.secret}
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 300
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.2)

    def signal(self, number: int) -> None:
        """Send a signal to it and its workers."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def stop(self) -> None:
        """It and its workers end at once."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False
