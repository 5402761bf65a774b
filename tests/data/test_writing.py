"""Files and folders take their place whole or not at all, and the end of the process waits for them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from benchmark.data import writing
from benchmark.data.writing import Writes, replacing


def test_a_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    for content in ("first", "second"):
        with replacing(path) as temporary:
            temporary.write_text(content)
            assert not path.exists() if content == "first" else path.read_text() == "first"
    assert path.read_text() == "second"
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for name in ("old", "new"):
        with replacing(path) as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert [one.name for one in path.iterdir()] == ["new"]
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_what_fails_halfway_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_the_names_are_those_that_recovery_knows(tmp_path: Path) -> None:
    from benchmark.store.recovery import PATTERN

    for name, cell in (("class0-seed0", "class0-seed0"), (".class0-seed0.lease", "class0-seed0.lease")):
        with replacing(tmp_path / name) as temporary:
            found = PATTERN.fullmatch(temporary.name)
            assert found is not None
            assert (found["name"], found["kind"]) == (cell, "tmp")
            temporary.touch()


@pytest.mark.parametrize("wait", [True, False])
def test_the_end_of_the_process_waits_for_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait: bool) -> None:
    gate = Writes()
    monkeypatch.setattr(writing, "WRITES", gate)
    ended = threading.Event()
    end = threading.Thread(target=lambda: (gate.close(), ended.set()), daemon=True)
    with replacing(tmp_path / "file", wait=wait) as temporary:
        end.start()
        assert ended.wait(0.2 if wait else 5) is not wait
        temporary.touch()
    assert ended.wait(5)
