"""Empty MLflow stores for tests: a process lets MLflow make the first, and further ones are copies of it.

MLflow makes an SQLite store by some sixty migrations, a second of processor time each store, and reads all of them to
see whether one is of its own version. What is copied is the file that it made, and it checks the copy as any other.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import cache, wraps
from pathlib import Path
from typing import Any

MIGRATED = "TESTS_STORE_MIGRATED"  # in a command's environment: MLflow makes its store, as at a user's


def copy_stores() -> None:
    """From now on, in this process and in those that are forked from it."""
    from mlflow.store.db import utils

    if not hasattr(utils._initialize_tables, "__wrapped__"):
        utils._initialize_tables = _copying(utils._initialize_tables)
        utils._get_latest_schema_revision = cache(utils._get_latest_schema_revision)


def make_first() -> None:
    """Have the first one made now, so that processes forked later need not."""
    from mlflow.store.db import utils
    from sqlalchemy import create_engine

    logging.disable(logging.INFO)  # it tells of every migration
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder, 'mlflow.db')}")
        utils._initialize_tables(engine)
        engine.dispose()
    logging.disable(logging.NOTSET)


def _copying(make: Callable[[Any], None]) -> Callable[[Any], None]:
    made: list[bytes] = []

    @wraps(make)
    def initialize(engine: Any) -> None:
        if MIGRATED in os.environ or engine.dialect.name != "sqlite" or not _is_empty(engine):
            make(engine)
        elif not made:
            make(engine)
            made.append(_connection(engine).serialize())
        else:
            with closing(sqlite3.connect(":memory:")) as first:
                first.deserialize(made[0])
                first.backup(_connection(engine))

    return initialize


def _is_empty(engine: Any) -> bool:
    return _connection(engine).execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def _connection(engine: Any) -> sqlite3.Connection:
    """One of its pool, which keeps it open."""
    with closing(engine.raw_connection()) as borrowed:
        return borrowed.driver_connection
