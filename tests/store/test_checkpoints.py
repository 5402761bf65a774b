"""A training goes on from a checkpoint bit for bit as if never interrupted; one that does not fit is dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.engine.fleet import Fleet
from benchmark.engine.state import Interrupted, Moment, Settings, Snapshot, Training
from benchmark.engine.train import Member, Watch, train, train_in_company
from benchmark.store import checkpoints
from benchmark.store.checkpoints import Checkpoints, checkpoint_path, epochs_kept
from benchmark.store.recovery import recover
from tests.faults.helpers import holding
from tests.test_security import Bomb
from tests.tiny_models import build

SIZE = 96
IMAGES = torch.randint(0, 256, (SIZE, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
INDICES = [torch.arange(n) for n in (96, 70, 50)]  # so that permutations end in mid epoch
SETTINGS = Settings(4, 16, 80)
MODELS = {
    "ae": {"noise_std": 0.1},
    "vae": {},
    "aae": {"schedule": "cosine"},
    "anogan": {"discriminator_steps": 2, "hidden": [64]},  # of odd widths two fleets round apart, interrupted or not
    "flow": {"hidden": [64]},  # starts from its images: not again when it is resumed
    "conv": {"network": "conv", "noise_std": 0.1},
    "conv anogan": {"network": "conv"},
}
Outcome = tuple[dict[str, Tensor], Training]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As every program on a CPU has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def models(kind: str, seeds: Sequence[int]) -> list[Any]:
    name = {"conv": "ae", "conv anogan": "anogan"}.get(kind, kind)
    return [build(name, seed, **MODELS[kind]) for seed in seeds]


def fit(
    kind: str,
    cells: Sequence[int],
    resumed: Sequence[Snapshot] = (),
    until: int | None = None,
    in_company: bool = True,
    settings: Settings = SETTINGS,
) -> tuple[list[Outcome], dict[int, Snapshot]]:
    """Train these cells, with ``until`` up to the end of that epoch; returns them and their last snapshots."""
    fleet, last = Fleet(models(kind, cells)), {}

    def keep(moment: Moment) -> None:
        for i, cell in enumerate(cells):
            last[cell] = moment.snapshot(i)
        if until is not None and last[cells[0]].epoch == until:
            raise Interrupted

    snapshots = resumed or [None] * len(cells)
    members = [Member(INDICES[c], 100 + c, 200 + c, None, at) for c, at in zip(cells, snapshots, strict=True)]
    try:
        trainings = (train_in_company if in_company else train)(fleet, IMAGES, members, settings, Watch(keep=keep))
    except Interrupted:
        return [], last
    return [(fleet.state(i), training) for i, training in enumerate(trainings)], last


def assert_same(found: Outcome, expected: Outcome) -> None:
    assert found[0].keys() == expected[0].keys()
    for name, value in expected[0].items():
        assert torch.equal(found[0][name], value), name
    assert found[1].history == expected[1].history
    assert (found[1].steps, found[1].images) == (expected[1].steps, expected[1].images)


def through_a_file(snapshot: Snapshot, folder: Path) -> Snapshot:
    cell, store = cell_of(folder), Checkpoints(folder, 1)
    store.save(cell, snapshot)
    loaded = store.load(cell)
    assert loaded is not None
    return loaded


def cell_of(folder: Path, fingerprint: str = "ab" * 32) -> Any:
    """What a checkpoint needs of a cell."""
    return SimpleNamespace(name="ae digits 0 seed 0", path=Path("cells/class0-seed0-abab"), fingerprint=fingerprint)


@pytest.mark.parametrize("kind", MODELS)
def test_an_interrupted_training_ends_as_if_it_never_was(kind: str, tmp_path: Path) -> None:
    """Interrupted as a fleet of three after two of four epochs; resumed alone and as a fleet of two."""
    stacked = "conv" not in kind
    whole = [fit(kind, [cell], in_company=False)[0][0] for cell in range(3)] if not stacked else fit(kind, [0, 1, 2])[0]
    if stacked:
        _, kept = fit(kind, [0, 1, 2], until=2)
    else:
        kept = {cell: fit(kind, [cell], until=2, in_company=False)[1][cell] for cell in range(3)}
    loaded = {cell: through_a_file(snapshot, tmp_path) for cell, snapshot in kept.items()}
    assert [snapshot.epoch for snapshot in loaded.values()] == [2, 2, 2]
    for cells in [[1], [2, 0]] if stacked else [[0], [2]]:
        resumed, last = fit(kind, cells, [loaded[cell] for cell in cells], in_company=stacked)
        assert last[cells[0]].epoch == 4
        for cell, outcome in zip(cells, resumed, strict=True):
            assert_same(outcome, whole[cell])
            assert [row["epoch"] for row in outcome[1].history] == [1, 2, 3, 4]


def test_a_fleet_of_one_can_be_resumed_beside_others(tmp_path: Path) -> None:
    whole, _ = fit("anogan", [0, 1])
    alone = [fit("anogan", [cell], until=3)[1][cell] for cell in (0, 1)]
    resumed, _ = fit("anogan", [0, 1], [through_a_file(snapshot, tmp_path) for snapshot in alone])
    for outcome, expected in zip(resumed, whole, strict=True):
        assert_same(outcome, expected)


def test_a_training_that_had_ended_is_not_trained_on() -> None:
    whole, last = fit("ae", [0, 1])
    resumed, _ = fit("ae", [0, 1], [last[0], last[1]])
    for outcome, expected in zip(resumed, whole, strict=True):
        assert_same(outcome, expected)


def test_snapshots_of_different_epochs_are_no_program() -> None:
    _, early = fit("ae", [0], until=1)
    _, late = fit("ae", [1], until=2)
    with pytest.raises(ValueError, match="too many values to unpack"):
        fit("ae", [0, 1], [early[0], late[1]])


def test_a_snapshot_does_not_change_while_the_training_goes_on() -> None:
    taken, member = [], Member(INDICES[0], 1, 2)
    fleet = Fleet(models("ae", [0]))
    train(fleet, IMAGES, [member], SETTINGS, Watch(keep=lambda moment: taken.append(moment.snapshot(0))))
    again = Fleet(models("ae", [0]))
    train(again, IMAGES, [replace(member, snapshot=taken[0])], replace(SETTINGS, epochs=4))
    assert [snapshot.epoch for snapshot in taken] == [1, 2, 3, 4]
    for name, value in fleet.state(0).items():
        assert torch.equal(again.state(0)[name], value), name


def snapshot(epoch: int = 3) -> Snapshot:
    return Snapshot(epoch, {"model/weight": torch.ones(500)}, [{"epoch": 1, "train/loss": float("nan")}], 10, 160, 1.5)


def test_what_is_written_is_loaded(tmp_path: Path) -> None:
    loaded = through_a_file(snapshot(), tmp_path)
    assert loaded.tensors["model/weight"].tolist() == [1] * 500
    assert (loaded.epoch, loaded.steps, loaded.images, loaded.seconds) == (3, 10, 160, 1.5)
    assert epochs_kept(tmp_path, cell_of(tmp_path).path) == 3
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["class0-seed0-abab.pt"]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def garbage(path: Path) -> None:
    path.write_bytes(b"\x80\x04" * 100)


def of_other_code(path: Path) -> None:
    head, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps({**json.loads(head), "engine": "another"}).encode() + b"\n" + rest)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "its content is not what was written"),
        (flip, "its content is not what was written"),
        (garbage, "its first line is not what was written"),
        (lambda path: path.write_bytes(b""), "its first line is not what was written"),
        (of_other_code, "it was made by another version of the code"),
    ],
    ids=["truncated", "flipped", "garbage", "empty", "other code"],
)
def test_a_damaged_checkpoint_is_dropped_with_one_line(tmp_path: Path, capsys, damage: Any, reason: str) -> None:
    cell, store = cell_of(tmp_path), Checkpoints(tmp_path, 1)
    store.save(cell, snapshot())
    damage(checkpoint_path(tmp_path, cell.path))
    assert store.load(cell) is None
    said = capsys.readouterr().err
    assert said.startswith(f"warning: the checkpoint of ae digits 0 seed 0 is dropped ({reason}")
    assert said.endswith("): the cell trains from its start\n")
    assert said.count("\n") == 1
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_checkpoint_of_another_fingerprint_is_dropped(tmp_path: Path, capsys) -> None:
    Checkpoints(tmp_path, 1).save(cell_of(tmp_path), snapshot())
    assert Checkpoints(tmp_path, 1).load(cell_of(tmp_path, "cd" * 32)) is None
    assert "it belongs to a cell of another fingerprint" in capsys.readouterr().err


def test_a_checkpoint_that_would_run_code_is_dropped(tmp_path: Path, capsys) -> None:
    cell, ran = cell_of(tmp_path), tmp_path / "ran"
    Checkpoints(tmp_path, 1).save(cell, replace(snapshot(), tensors={"model/weight": Bomb(ran)}))
    assert Checkpoints(tmp_path, 1).load(cell) is None
    assert "is dropped" in capsys.readouterr().err
    assert not ran.exists()


def test_code_that_changes_is_another_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is another version of a library; a pattern that fits no file is an error, not nothing."""

    def version() -> str:
        checkpoints.engine_version.cache_clear()
        return checkpoints.engine_version()

    versions = [version()]
    for pattern in checkpoints.SOURCES:
        path = tmp_path / pattern.replace("**/", "").replace("*", "ae")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("pass\n")
    monkeypatch.setattr(checkpoints, "__file__", str(tmp_path / "store" / "checkpoints.py"))
    for name in ("engine/train.py", "engine/fleet.py", "models/ae.py"):
        (tmp_path / name).write_text("changed\n")
        versions.append(version())
    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.version", lambda name: "99" if name == "torch" else "1")
        versions.append(version())
        patch.setattr("importlib.metadata.version", lambda name: "1")
        versions.append(version())
    assert len(set(versions)) == 6
    (tmp_path / "engine" / "fleet.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"SOURCES names engine/fleet\.py, which fits no file"):
        version()
    checkpoints.engine_version.cache_clear()


def test_checkpoints_come_at_the_end_of_an_epoch_after_so_many_seconds(tmp_path: Path, monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(checkpoints.time, "perf_counter", lambda: clock[0])
    cell, store = cell_of(tmp_path), Checkpoints(tmp_path, 60)
    keeper = store.keeper([cell], [])
    trainings = [Training()]
    kept = []
    for epoch, at in enumerate((20, 59, 61, 90, 120, 122), start=1):
        clock[0] = at
        keeper(SimpleNamespace(trainings=trainings, snapshot=lambda i, epoch=epoch: snapshot(epoch)))
        kept.append(epochs_kept(tmp_path, cell.path))
    assert kept == [None, None, 3, 3, 3, 6]
    assert store.load(cell).seconds == 122
    trainings[0].diverged = "nan"
    clock[0] = 1000
    keeper(SimpleNamespace(trainings=trainings, snapshot=lambda i: snapshot(9)))
    assert epochs_kept(tmp_path, cell.path) == 6, "a cell that has diverged was kept"
    assert Checkpoints(tmp_path, 0).keeper([cell], []) is None
    assert Checkpoints(tmp_path, None).keeper([cell], []) is None


def test_a_disk_that_takes_nothing_costs_one_warning(tmp_path: Path, capsys) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    store = Checkpoints(tmp_path, 1)
    for _ in range(3):
        store.save(cell_of(tmp_path), snapshot())
    assert capsys.readouterr().err.count("no checkpoint of ae digits 0 seed 0 could be written") == 1


def test_half_a_checkpoint_of_a_dead_process_is_removed_and_that_of_a_live_one_is_not(tmp_path: Path) -> None:
    cell = tmp_path / "cells" / "class0-seed0-abab"
    Checkpoints(tmp_path, 1).save(cell_of(tmp_path), snapshot())
    half = tmp_path / "checkpoints" / f".{cell.name}.pt.{'0' * 32}.tmp"
    half.write_bytes(b"half")
    with holding(tmp_path, cell) as holder:
        recover(tmp_path)
        assert half.exists()
        holder.kill()
        assert recover(tmp_path).removed == 2  # its lease, too
    assert [path.name for path in half.parent.iterdir()] == [f"{cell.name}.pt"]
