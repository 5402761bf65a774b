"""The store that MLflow keeps runs in: its address, who may use it, and the one made in ``output_dir``.

``tests/tracking/test_tracker.py`` lists the modules that import mlflow.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlparse

from benchmark.config import UsageError
from benchmark.data.writing import replacing
from benchmark.store.leases import lock
from benchmark.tracking.patience import SilentError, heard, patience, within

SCHEMES = ("sqlite", "postgresql", "mysql", "mssql", "http", "https", "databricks")


silent: set[str] = set()  # stores that did not answer this process


def tracking_uri(configured: str | None, output_dir: Path) -> str:
    """The configured URI, else MLFLOW_TRACKING_URI, else SQLite in ``output_dir``.

    Raises ``UsageError`` for a file store, which MLflow 3.13 and later refuse, for an unknown scheme, and for an
    ``output_dir`` whose name means something else in an SQLite address.
    """
    uri = configured if configured is not None else os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri == "":
        database = Path(output_dir).absolute() / "mlflow.db"
        if "?" in str(database) or "%" in str(database):  # SQLAlchemy would open another file
            raise UsageError(
                f"output_dir={output_dir} is not allowed with MLflow on SQLite: its path must hold no ? and no %. "
                "Type for example: output_dir=outputs, or tracking=off"
            )
        return f"sqlite:///{database}"
    scheme = urlparse(uri).scheme.split("+")[0]
    if scheme not in SCHEMES:
        what = "a file store, which MLflow no longer supports" if scheme in ("", "file") else f"of scheme {scheme!r}"
        raise UsageError(
            f"tracking.uri={uri} is {what}; allowed: sqlite:////absolute/path.db, postgresql://..., http(s)://... "
            "Type for example: tracking.uri=http://127.0.0.1:5000, or leave it out for SQLite in output_dir"
        )
    return uri


def refuse(uri: str, otherwise: str = "type another tracking.uri or tracking=off") -> None:
    """Raises ``UsageError`` if the store at ``uri`` is one of another MLflow, or a server that refuses this account.

    ``otherwise`` is the way out that does without this store.
    """
    _refuse_other_schema(uri, otherwise)
    if uri.startswith("http"):
        _refuse_account(uri, otherwise)


def _refuse_account(uri: str, otherwise: str) -> None:
    """Raises ``UsageError`` if the server at ``uri`` answers and does not take the account it is given."""
    from mlflow.exceptions import MlflowException

    client = connect(uri)
    try:
        within(patience(), lambda: client.search_experiments(max_results=1))
    except SilentError:  # said when the tracker is opened, without asking again
        silent.add(uri)
    except MlflowException as error:
        if error.get_http_status_code() not in (401, 403):  # it cannot be reached: a sweep goes on without it
            return
        name = os.environ.get("MLFLOW_TRACKING_USERNAME")
        who = f"the account {name}" if name else "a client without an account"
        raise UsageError(
            f"MLflow at {public(uri)} refuses {who}. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the "
            f"environment, or {otherwise}"
        ) from error


def _refuse_other_schema(uri: str, otherwise: str) -> None:
    """Raises ``UsageError`` if the SQLite store at ``uri`` was made by another MLflow, without touching it.

    MLflow itself refuses such a store or, where tables are missing, changes it in place: then the MLflow that made it
    can no longer read it.
    """
    path = uri.removeprefix("sqlite:///")
    if path == uri or not os.path.isfile(path):
        return
    alone = "" if os.path.exists(f"{path}-wal") else "&immutable=1"  # nobody writes: no file is made beside it
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(path)}?mode=ro{alone}", uri=True)) as database:
            found = {row[0] for row in database.execute("SELECT version_num FROM alembic_version")}
    except sqlite3.Error:  # no database, or none of MLflow's: said when it is opened
        return
    if len(found) != 1 or (relation := schema_relation(*found)) == "same":
        return
    if relation == "older":
        how = f"Keep a copy of the file, then type: mlflow db upgrade {uri}. Or {otherwise}"
        raise UsageError(f"the MLflow store {path} has the tables of an older MLflow (revision {found.pop()}). {how}")
    how = f"Install the MLflow that made it, or {otherwise}"
    raise UsageError(f"the MLflow store {path} has the tables of a newer MLflow (revision {found.pop()}). {how}")


def schema_relation(revision: str) -> str:
    """Whether tables of this revision are the "same" as those of the installed MLflow, or "older" or "newer" ones.

    Its newest revision is one that none of its other migrations names: that is seen without alembic, which would import
    all of them and MLflow with them (2 s at the start of every command).
    """
    spec = find_spec("mlflow")
    folder = Path(next(iter(spec.submodule_search_locations or ())), "store", "db_migrations")
    named_by = [path for path in folder.glob("versions/*.py") if revision in path.read_text(encoding="utf-8")]
    if len(named_by) == 1:
        return "same"
    from alembic.script import ScriptDirectory

    migrations = ScriptDirectory(str(folder))
    if revision in migrations.get_heads():
        return "same"
    return "older" if revision in {one.revision for one in migrations.walk_revisions()} else "newer"


def connect(uri: str) -> Any:
    """A client of the store at ``uri``."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")  # seconds
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    _quiet()
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    _quiet()
    return MlflowClient(tracking_uri=uri)


def _quiet() -> None:
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # what fails is said once, by the tracker, in one line
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def create_store(database: Path) -> None:
    """Make an empty store if there is none, whole or not at all: half of it could never be used."""
    if database.exists():
        return
    with lock(database.parent, "store"):
        for leftover in database.parent.glob(f".{glob.escape(database.name)}.*.tmp*"):  # its maker was killed
            leftover.unlink()
        if database.exists():
            return
        with replacing(database, wait=False) as temporary:  # it takes seconds
            connect(f"sqlite:///{temporary}").search_experiments(max_results=1)


def write_ahead(database: Path) -> None:
    """Let one process write while others read."""
    with sqlite3.connect(database, timeout=30) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def pages(search: Any, **query: Any) -> list[Any]:
    """All results of one of the client's searches."""
    found, token = [], None
    while True:
        page = search(**query, max_results=1000, page_token=token)
        found += page
        heard()
        token = page.token
        if not token:
            return found


def public(uri: str) -> str:
    netloc = urlparse(uri).netloc
    return uri.replace(netloc, netloc.rsplit("@", 1)[-1], 1)


def experiment_id_of(client: Any, name: str, artifacts: str | None) -> str:
    """The id of the experiment of this name, which is made where it is not there, with its artifacts below a URI."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    try:
        return client.create_experiment(name, artifact_location=artifacts)
    except MlflowException:  # another process has just made it
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found.experiment_id
