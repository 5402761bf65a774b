"""The folder of a cell is written whole or not at all; fingerprints name what can change its numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.cells import Axes, Cell
from benchmark.store.format import read_status
from benchmark.store.records import Content, RecordError, read_record, write_record
from benchmark.store.recovery import recover

AXES = {"model": "ae", "dataset": "digits", "split": "one_vs_rest", "normal_class": 3, "seed": 0}
STATUS = {"state": "done", "reason": None, "fingerprint": "ab" * 32, "axes": AXES}

SCORES = {name: np.arange(3) for name in ("index", "label", "target")} | {
    "score/reconstruction": np.ones(3, np.float32)
}


def write(path: Path, **changes: Any) -> Path:
    status = read_status(changes.pop("status", STATUS))
    content: dict[str, Any] = {
        "config": "model:\n  name: ae\n",
        "metrics": {"auroc": 0.9},
        "environment": {"python": "3"},
        "arrays": {"scores": SCORES},
        "history": [{"epoch": 1, "train/loss": 2.0}],
        "weights": {"weight": torch.ones(2)},
    }
    return write_record(path, status, Content(**{**content, **changes}))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    record = read_record(write(tmp_path / "cell"))
    assert record.state == "done"
    assert record.metrics == {"auroc": 0.9}
    assert record.config() == {"model": {"name": "ae"}}
    assert record.scores()["score/reconstruction"].tolist() == [1, 1, 1]
    assert record.history().to_dict("records") == [{"epoch": 1, "train/loss": 2.0}]
    assert record.images() is None
    assert record.weights()["weight"].tolist() == [1, 1]


def test_a_failure_in_mid_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "cell")

    class Full(OSError):
        pass

    def full(*arguments: Any, **keywords: Any) -> None:
        raise Full("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(Full):
        write(path, metrics={"auroc": 0.1})
    assert read_record(path).metrics == {"auroc": 0.9}
    assert [p.name for p in tmp_path.iterdir()] == ["cell"], "a temporary folder was left"


def test_a_new_record_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "cell")
    write(path, status={**STATUS, "state": "failed"}, arrays={}, history=(), weights=None, traceback="boom")
    assert sorted(p.name for p in path.iterdir()) == [
        "config.yaml",
        "environment.json",
        "metrics.json",
        "status.json",
        "traceback.txt",
    ]


def edit(file: Path, change: Any) -> None:
    content = json.loads(file.read_text())
    content.pop("digest", None)
    change(content)
    file.write_text(json.dumps(content))


def of_an_earlier_version(path: Path) -> Path:
    """The record without the list of its files, as it was before there was one."""
    edit(path / "status.json", lambda status: status.pop("files"))
    return path


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("status.json", None, "status.json is missing"),
        ("status.json", "{}", "lacks axes, fingerprint, state"),
        ("status.json", "[]", "it holds a list, not entries by name"),
        ("status.json", json.dumps({**STATUS, "state": "fine"}), "state is 'fine'"),
        ("status.json", json.dumps({**STATUS, "axes": {**AXES, "seed": "0"}}), r"axes\.seed holds a text"),
        ("status.json", json.dumps({**STATUS, "axes": {"model": "ae"}}), r"lacks axes\.dataset, axes\.normal_class"),
        ("status.json", json.dumps({**STATUS, "files": {"../x": {"bytes": 1, "sha256": ""}}}), "files names '../x'"),
        ("metrics.json", None, "metrics.json is missing"),
        ("metrics.json", '{"auroc": 0.', "metrics.json has 12 bytes, written were 19"),
        ("weights.pt", None, "weights.pt is missing"),
        ("scores.npz", "", "scores.npz has 0 bytes, written were"),
    ],
)
def test_damage_is_named_when_a_record_is_opened(tmp_path: Path, name: str, damage: str | None, message: str) -> None:
    file = write(tmp_path / "cell") / name
    if damage is None:
        file.unlink()
    else:
        file.write_text(damage)
    with pytest.raises(RecordError, match=f"{message}.*; delete .* and run the cell again"):
        read_record(tmp_path / "cell")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ('{"auroc": 0.', "metrics.json is not valid JSON"),
        ("[1]", "it holds a list, not metrics by name"),
        ('{"auroc": "high"}', "auroc is no number"),
        ("{}", "auroc is missing"),
    ],
)
def test_metrics_of_an_earlier_version_are_checked_too(tmp_path: Path, damage: str, message: str) -> None:
    path = of_an_earlier_version(write(tmp_path / "cell"))
    (path / "metrics.json").write_text(damage)
    with pytest.raises(RecordError, match=message):
        read_record(path)


def test_arrays_with_objects_are_refused(tmp_path: Path) -> None:
    path = of_an_earlier_version(write(tmp_path / "cell"))
    np.savez(path / "scores.npz", index=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RecordError, match=r"scores\.npz cannot be read"):
        read_record(path).scores()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("scores.npz", lambda record: record.scores()),
        ("weights.pt", lambda record: record.weights()),
        ("config.yaml", lambda record: record.config()),
        ("environment.json", lambda record: record.environment()),
    ],
)
def test_other_content_of_the_same_size_is_noticed_when_it_is_read(tmp_path: Path, name: str, read: Any) -> None:
    path = write(tmp_path / "cell")
    size = (path / name).stat().st_size
    (path / name).write_bytes(b"\x00" * size)
    with pytest.raises(RecordError, match=rf"{name} .*; delete .* and run the cell again"):
        read(read_record(path))


@pytest.mark.parametrize(("name", "before", "after"), [("metrics.json", "0.9", "0.8"), ("status.json", "done", "dome")])
def test_a_text_edited_by_hand_is_noticed_when_the_record_is_opened(
    tmp_path: Path, name: str, before: str, after: str
) -> None:
    path = write(tmp_path / "cell")
    text = (path / name).read_text()
    (path / name).write_text(text.replace(before, after).replace("dome", "failed"))
    with pytest.raises(RecordError, match=rf"{name} (is not what was written|cannot be read \(its SHA-256 is)"):
        read_record(path)
    (path / name).write_text(text)
    assert read_record(path).metrics == {"auroc": 0.9}


def test_a_record_marked_as_damaged_is_not_opened_until_it_is_written_again(tmp_path: Path) -> None:
    read_record(write(tmp_path / "cell")).mark_damaged("weights.pt is another")
    with pytest.raises(RecordError, match=r"cell is damaged, as verify=true found \(damaged\.txt"):
        read_record(tmp_path / "cell")
    assert read_record(write(tmp_path / "cell")).state == "done"


@pytest.mark.parametrize(
    ("name", "value"), [("reason", {}), ("variant", 3), ("code", None), ("numerics", "1"), ("split", [])]
)
def test_entries_of_another_kind_are_named(tmp_path: Path, name: str, value: Any) -> None:
    path = write(tmp_path / "cell")
    edit(path / "status.json", lambda status: status.update({name: value}))
    with pytest.raises(RecordError, match=f"status.json: {name} holds "):
        read_record(path)


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def link_to_a_folder(path: Path) -> None:
    write(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def unreadable(path: Path) -> None:
    write(path).chmod(0)


@pytest.mark.parametrize("before", [link_to_itself, link_to_a_folder, unreadable])
def test_whatever_lies_in_its_place_a_record_is_written(tmp_path: Path, before: Any) -> None:
    (tmp_path / "cells").mkdir()
    before(tmp_path / "cells" / "one")
    write(tmp_path / "cells" / "one", metrics={"auroc": 0.2})
    assert read_record(tmp_path / "cells" / "one").metrics == {"auroc": 0.2}
    assert {path.name for path in (tmp_path / "cells").iterdir()} <= {"one", "elsewhere"}
    if (tmp_path / "cells" / "elsewhere").exists():
        assert read_record(tmp_path / "cells" / "elsewhere").metrics == {"auroc": 0.9}, "the link was followed"


def test_an_old_record_that_stays_costs_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    path = write(tmp_path / "cells" / "one")

    def refused(*arguments: Any, **keywords: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(shutil, "rmtree", refused)
    write(path, metrics={"auroc": 0.2})
    monkeypatch.undo()
    assert read_record(path).metrics == {"auroc": 0.2}
    assert f"warning: {path} is written; what was there before could not be removed" in capsys.readouterr().err
    assert recover(tmp_path).removed == 1
    assert [p.name for p in path.parent.iterdir()] == ["one"]


@pytest.mark.parametrize("lacking", ["label", "score/reconstruction"])
def test_arrays_that_are_missing_are_named(tmp_path: Path, lacking: str) -> None:
    arrays = {"scores": {name: values for name, values in SCORES.items() if name != lacking}}
    path = write(tmp_path / "cell", arrays=arrays, status={**STATUS, "headline": "reconstruction"})
    with pytest.raises(RecordError, match=rf"scores\.npz cannot be read \(it lacks {lacking}\); delete"):
        read_record(path).scores()


def test_other_weights_are_noticed_though_they_would_load(tmp_path: Path) -> None:
    path = write(tmp_path / "cell")
    other = write(tmp_path / "other", weights={"weight": torch.full((2,), 7.0)}) / "weights.pt"
    assert other.stat().st_size == (path / "weights.pt").stat().st_size
    (path / "weights.pt").write_bytes(other.read_bytes())
    with pytest.raises(RecordError, match=r"weights\.pt cannot be read \(its SHA-256 is .*, written was"):
        read_record(path).weights()


@pytest.mark.parametrize("axis", ["dataset", "split", "model"])
def test_a_cell_has_no_folder_outside_the_output_directory(axis: str) -> None:
    def cell(name: str) -> Cell:
        return Cell(Axes(**{**AXES, axis: name}), "", {}, "ab" * 32, None)  # type: ignore[arg-type]

    assert cell("plain").path.parts[0] == "cells"
    for name in ("../../evil", "..", "", "a/b", ".hidden"):
        with pytest.raises(ValueError, match="no names of folders"):
            _ = cell(name).path
