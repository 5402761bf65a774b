"""The folder of a cell is written whole or not at all; fingerprints name what can change its numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import records
from benchmark.records import RecordError, read_experiment, read_record, write_job, write_record

STATUS = {"state": "done", "reason": None, "fingerprint": "ab" * 32, "axes": {"model": "ae", "seed": 0}}


def write(path: Path, **changes: Any) -> Path:
    content: dict[str, Any] = {
        "status": STATUS,
        "config_yaml": "model:\n  name: ae\n",
        "metrics": {"auroc": 0.9},
        "environment": {"python": "3"},
        "arrays": {"scores": {"index": np.arange(3), "score/reconstruction": np.ones(3, np.float32)}},
        "history": [{"epoch": 1, "train/loss": 2.0}],
        "weights": {"weight": torch.ones(2)},
    }
    return write_record(path, **{**content, **changes})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    record = read_record(write(tmp_path / "cell"))
    assert record.state == "done"
    assert record.metrics == {"auroc": 0.9}
    assert record.config == {"model": {"name": "ae"}}
    assert record.scores()["score/reconstruction"].tolist() == [1, 1, 1]
    assert record.history().to_dict("records") == [{"epoch": 1, "train/loss": 2.0}]
    assert record.images() is None
    assert torch.load(record.path / "weights.pt", weights_only=True)["weight"].tolist() == [1, 1]


def test_a_failure_in_mid_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "cell")

    class Full(OSError):
        pass

    def full(*arguments: Any, **keywords: Any) -> None:
        raise Full("no space left on device")

    monkeypatch.setattr(records.np, "savez_compressed", full)
    with pytest.raises(Full):
        write(path, metrics={"auroc": 0.1})
    assert read_record(path).metrics == {"auroc": 0.9}
    assert [p.name for p in tmp_path.iterdir()] == ["cell"], "a temporary folder was left"


def test_a_new_record_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "cell")
    write(path, status={**STATUS, "state": "failed"}, arrays=None, history=None, weights=None, traceback="boom")
    assert sorted(p.name for p in path.iterdir()) == [
        "config.yaml",
        "environment.json",
        "metrics.json",
        "status.json",
        "traceback.txt",
    ]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: (p / "status.json").unlink(), "status.json is missing"),
        (lambda p: (p / "metrics.json").write_text('{"auroc": 0.'), "metrics.json is not valid JSON"),
        (lambda p: (p / "status.json").write_text("{}"), "lacks axes, fingerprint, state"),
        (lambda p: (p / "status.json").write_text(json.dumps({**STATUS, "state": "fine"})), "state is 'fine'"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: Any, message: str) -> None:
    path = write(tmp_path / "cell")
    damage(path)
    with pytest.raises(RecordError, match=message):
        read_record(path)


def test_arrays_with_objects_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "cell")
    np.savez(path / "scores.npz", index=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RecordError, match=r"scores\.npz cannot be read"):
        read_record(path).scores()


def test_an_experiment_is_the_union_of_its_jobs(tmp_path: Path) -> None:
    cells = [{"axes": {"seed": s}, "fingerprint": str(s), "path": f"cells/{s}"} for s in range(3)]
    write_job(tmp_path, "try", {"job": "b", "started": "2", "cells": cells[1:]})
    write_job(tmp_path, "try", {"job": "a", "started": "1", "cells": cells[:2]})
    assert [cell["fingerprint"] for cell in read_experiment(tmp_path, "try")] == ["0", "1", "2"]
    assert read_experiment(tmp_path, "none") == []
