"""The stores that tests have are MLflow's own, each for itself (``tests/stores.py``)."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from mlflow import MlflowClient
from mlflow.store.db import utils

from benchmark.tracking.client import create_store, schema_relation


def tables(store: Path) -> dict[str, list[str]]:
    """The columns of every table."""
    with contextlib.closing(sqlite3.connect(store)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [column[1] for column in database.execute(f"PRAGMA table_info({name})")] for name in names}


def test_a_copy_has_the_tables_of_mlflow_and_nothing_of_another_store(tmp_path: Path) -> None:
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    create_store(first)
    MlflowClient(f"sqlite:///{first}").create_experiment("of the first")
    create_store(second)
    assert [found.name for found in MlflowClient(f"sqlite:///{second}").search_experiments()] == ["Default"]
    assert tables(second) == tables(first)
    assert tables(second).keys() >= set(utils.Base.metadata.tables)
    with contextlib.closing(sqlite3.connect(second)) as database:
        ((revision,),) = database.execute("SELECT version_num FROM alembic_version")
    assert schema_relation(revision) == "same"
