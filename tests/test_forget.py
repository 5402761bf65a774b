"""What is forgotten counts no more; nothing else changes, and nothing trained is deleted unasked."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.forget import main
from benchmark.store.checkpoints import checkpoint_path
from benchmark.store.experiments import NUMBER, collect, read_jobs
from benchmark.store.leases import lease_path
from tests.faults.helpers import holding
from tests.report.conftest import Records
from tests.test_status import done

MISSING = {"auroc": None, "state": "missing"}


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    """Two jobs: of ae as shipped and with another latent, and one of vae by mistake; in ``outputs``, the default."""
    monkeypatch.chdir(tmp_path)
    records = Records(Path("outputs"))
    records.job(done(0), done(1), done(0, variant="latent=2"), done(1, variant="latent=2", **MISSING))
    records.job(done(0, model="vae"), done(1, model="vae", **MISSING))
    return records


def names(experiment: str = "small") -> list[str]:
    return [cell.name.replace(" mnist one_vs_rest", "") for cell in collect("outputs", experiment).cells]


def files() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path("outputs").rglob("*") if path.is_file() and path.suffix != ".lock"}


def records_left() -> set[str]:
    return {f"{path.parent.parent.name}/{path.parent.name[:6]}" for path in Path("outputs/cells").rglob("status.json")}


def forget(*arguments: str) -> int:
    return main(["experiment=small", *arguments])


@pytest.mark.parametrize("choice", ["job=job2", "cells=vae"])
def test_a_whole_job_goes_and_its_records_stay(experiment: Records, choice: str) -> None:
    before = files()
    assert forget(choice, "yes=true") == 0
    assert names() == [
        *("ae 0 seed 0", "ae 1 seed 0", "ae (latent=2) 0 seed 0", "ae (latent=2) 1 seed 0"),
    ]
    gone = set(before) - set(files())
    assert gone == {Path("outputs/experiments/small/job2.json")}
    assert all(before[path] == content for path, content in files().items())


def test_nothing_changes_before_yes_and_the_command_shown_does_it(
    experiment: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files()
    assert forget("cells=ae (latent=2)") == 0
    out = capsys.readouterr().out
    column = "  ae (latent=2) mnist one_vs_rest: 2 cells (1 done, 1 missing)\n"
    assert f"This would be forgotten, 2 cells of 1 column:\n{column}" in out
    assert "Nothing is changed." in out
    assert files() == before
    assert not Path("outputs/.locks").exists()
    command = shlex.split(out.splitlines()[-1])
    assert command[:3] == ["python", "-m", "benchmark.forget"]
    assert main(command[3:]) == 0
    assert names() == ["ae 0 seed 0", "ae 1 seed 0", "vae 0 seed 0", "vae 1 seed 0"]
    assert "2 planned cells of small forgotten; 0 folders deleted." in capsys.readouterr().out


def test_a_model_is_all_its_columns(experiment: Records, capsys: pytest.CaptureFixture[str]) -> None:
    experiment.job(done(0, model="aae", dataset="digits"))
    assert forget("cells=ae") == 0
    out = capsys.readouterr().out
    assert "This would be forgotten, 4 cells of 2 columns:\n  ae mnist one_vs_rest: 2 cells (2 done)\n" in out
    assert "  ae (latent=2) mnist one_vs_rest: 2 cells (1 done, 1 missing)\n" in out
    assert forget("cells=ae", "yes=true") == 0
    assert names() == ["vae 0 seed 0", "vae 1 seed 0", "aae digits one_vs_rest 0 seed 0"]


def test_words_take_the_column_of_a_model_as_shipped_alone(experiment: Records) -> None:
    job = read_jobs("outputs", "small")[0]
    assert forget("cells=ae mnist", "yes=true") == 0
    assert names() == ["ae (latent=2) 0 seed 0", "ae (latent=2) 1 seed 0", "vae 0 seed 0", "vae 1 seed 0"]
    (left,) = (one for one in read_jobs("outputs", "small") if one.job == "job1")
    assert replace(left, cells=job.cells) == job, "all but its cells stays, its number too"
    assert next(iter(json.loads(Path("outputs/experiments/small/job1.json").read_text()))) == NUMBER


def test_words_are_whole(experiment: Records, capsys: pytest.CaptureFixture[str]) -> None:
    experiment.job(done(10, model="vae"))
    assert forget("cells=vae mnist one_vs_rest 1", "yes=true") == 0
    assert names()[4:] == ["vae 0 seed 0", "vae 10 seed 0"]
    before = files()
    assert forget("cells=va", "yes=true") == 2
    assert "Columns are: ae, ae (latent=2), vae." in capsys.readouterr().err
    assert files() == before


def test_a_cell_is_forgotten_by_all_jobs_and_in_all_configurations(experiment: Records) -> None:
    experiment.job(done(0, model="vae", version=2), done(1, model="vae", version=1))
    assert len(collect("outputs", "small").stale) == 1
    assert forget("cells=vae", "yes=true") == 0
    found = collect("outputs", "small")
    assert not found.stale
    assert {cell.axes.model for cell in found.cells} == {"ae"}


def test_cells_that_other_jobs_plan_as_well_are_said(experiment: Records, capsys: pytest.CaptureFixture[str]) -> None:
    experiment.job(done(0, model="vae", version=2), done(3, model="vae"))
    assert forget("job=job3") == 0
    assert "1 of these cells stand in another job too" in capsys.readouterr().out
    assert forget("job=job3", "yes=true") == 0
    assert names()[4:] == ["vae 0 seed 0", "vae 1 seed 0"]
    assert not collect("outputs", "small").stale, "the earlier configuration counts again"


def test_records_go_only_when_asked_with_lease_and_checkpoint(experiment: Records) -> None:
    folder = next(cell.folder for cell in collect("outputs", "small").cells if cell.name.startswith("vae"))
    checkpoint = checkpoint_path(Path("outputs"), folder)
    checkpoint.parent.mkdir()
    checkpoint.write_text("half")
    with holding(Path("outputs"), folder) as killed:
        killed.kill()
    assert lease_path(folder).exists()
    others = records_left() - {"vae/class0"}
    assert forget("cells=vae", "yes=true", "records=true") == 0
    assert records_left() == others
    assert others == {"ae/class0", "ae/class1"}
    assert not checkpoint.exists()
    assert not lease_path(folder).exists()


def test_records_that_others_want_stay(experiment: Records, capsys: pytest.CaptureFixture[str]) -> None:
    """Of another experiment, of another job of this one, and of a process that trains."""
    Records(Path("outputs"), "other").job(done(0, model="vae"))
    experiment.job(done(5), done(6), done(7))
    experiment.job(done(5), done(8))
    trained = next(cell.folder for cell in collect("outputs", "small").cells if " 6 seed" in cell.name)
    assert forget("job=job2", "yes=true", "records=true") == 0
    assert "vae/class0" in records_left()
    assert "another job or experiment plans it" in capsys.readouterr().out
    with holding(Path("outputs"), trained) as live:
        assert forget("job=job3", "yes=true", "records=true") == 0
    out = capsys.readouterr().out
    assert f"{trained}: process {live.pid} on " in out
    assert "1 folders deleted." in out
    assert {f"ae/class{label}" for label in (5, 6, 8)} <= records_left()
    assert "ae/class7" not in records_left()


def test_cells_that_are_being_trained_are_said(experiment: Records, capsys: pytest.CaptureFixture[str]) -> None:
    (cell,) = (one for one in collect("outputs", "small").cells if one.axes.model == "vae" and one.state == "missing")
    with holding(Path("outputs"), cell.folder) as live:
        for settings in (["job=job2"], ["job=job2", "yes=true"]):
            assert forget(*settings) == 0
            assert f"1 of these cells are being trained now, by process {live.pid} on " in capsys.readouterr().out
    assert forget("cells=ae") == 0
    assert "being trained" not in capsys.readouterr().out


def test_a_folder_of_another_name_is_not_deleted(experiment: Records) -> None:
    """A job file that was edited."""
    path = Path("outputs/experiments/small/job2.json")
    content: dict[str, Any] = json.loads(path.read_text())
    content["cells"][0]["path"] = "cells"
    path.write_text(json.dumps(content))
    before = records_left()
    assert forget("job=job2", "yes=true", "records=true") == 0
    assert records_left() == before


def test_an_experiment_without_jobs_is_none(experiment: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert forget("job=job1", "yes=true") == 0
    assert forget("job=job2", "yes=true") == 0
    capsys.readouterr()
    assert forget() == 1
    assert capsys.readouterr().err == (
        "benchmark.forget: no cells of experiment small in outputs. There is none in outputs. "
        "Start with: python -m benchmark -m +experiment=quick\n"
    )


def test_without_a_choice_jobs_and_columns_are_listed(experiment: Records, capsys: pytest.CaptureFixture[str]) -> None:
    before = files()
    assert forget() == 0
    out = capsys.readouterr().out
    assert "  job2: vae mnist one_vs_rest: 2 cells (1 done, 1 missing)\n" in out
    assert "  ae (latent=2) mnist one_vs_rest: 2 cells (1 done, 1 missing)\n" in out
    assert "  python -m benchmark.forget experiment=small job=job1\n" in out
    assert files() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["job=job", "yes=true"], "job=job may be several. There is: job1, job2."),
        (["job=x", "yes=true"], "job=x is no job of the experiment. There is: job1, job2."),
        (["yes=true"], "yes=true needs job=... or cells=..."),
        (["job=job1", "cells=ae", "yes=true"], "job=... and cells=... are two ways to choose"),
        (["job=job1", "yes=perhaps"], "yes=perhaps is not allowed"),
        (["jobs=job1", "yes=true"], "did you mean job=...?"),
    ],
)
def test_what_is_not_clear_is_refused(
    experiment: Records, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    before = files()
    assert forget(*arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert files() == before


def test_the_beginning_of_an_id_is_enough(experiment: Records) -> None:
    path = Path("outputs/experiments/small")
    content = json.loads((path / "job2.json").read_text())
    (path / "job2.json").unlink()
    (path / "abcdef.json").write_text(json.dumps({**content, "job": "abcdef"}))
    assert forget("job=ab", "yes=true") == 0
    assert [file.name for file in path.iterdir()] == ["job1.json"]
