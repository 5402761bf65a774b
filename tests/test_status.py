"""What a status says of every cell, and the command it names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark.cells import NUMERICS_VERSION
from benchmark.rules import rule_code, shipped
from benchmark.status import experiment_status, main, resuming
from benchmark.store.records import add_rules, read_record
from tests.faults.helpers import holding
from tests.report.conftest import Records
from tests.store.test_records import edit


@pytest.fixture
def experiment(tmp_path: Path) -> Records:
    return Records(tmp_path / "outputs")


def status(experiment: Records, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["experiment=small", f"output_dir={experiment.output_dir}"])
    return code, capsys.readouterr().out


def done(label: int = 0, **changes: Any) -> dict[str, Any]:
    return {"model": "ae", "k": label, "auroc": 0.9, **changes}


def rename(experiment: Records, job: str, command: str) -> None:
    path = experiment.output_dir / "experiments" / "small" / f"{job}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "command": command}))


def test_an_experiment_that_is_done_needs_nothing(experiment: Records, capsys: pytest.CaptureFixture[str]) -> None:
    experiment.job(done(0), done(1))
    code, out = status(experiment, capsys)
    assert code == 0
    assert "2 of 2 cells done." in out
    assert "To finish it" not in out


def test_every_state_is_counted_and_every_reason_given(experiment: Records, capsys: pytest.CaptureFixture[str]) -> None:
    entries = experiment.job(
        done(0),
        done(1, state="failed", reason="ValueError: no good"),
        done(2, state="diverged", reason="loss is nan"),
        done(3, state="missing"),
        done(4, state="missing"),
        done(5, state="missing"),
        done(6),
        done(7),
    )
    folders = [experiment.output_dir / entry["path"] for entry in entries]
    (folders[6] / "metrics.json").write_text("{")
    path = folders[7] / "status.json"
    edit(path, lambda content: content.update(numerics=NUMERICS_VERSION + 1))
    with holding(experiment.output_dir, folders[5]) as killed, holding(experiment.output_dir, folders[4]) as live:
        killed.kill()
        code, out = status(experiment, capsys)
    assert code == 1
    assert "1 of 8 cells done." in out
    heading, counts = out.splitlines()[1:3]
    assert dict(zip(heading.split()[1:], counts.split()[-7:], strict=True)) == {
        "done": "1",
        "failed": "1",
        "diverged": "1",
        "running": "1",
        "stale": "1",
        "missing": "2",
        "unreadable": "1",
    }
    lines = [line.strip() for line in out.splitlines()]
    for expected in (
        "failed: ae mnist one_vs_rest 1 seed 0: ValueError: no good",
        "diverged: ae mnist one_vs_rest 2 seed 0: loss is nan",
        "missing: ae mnist one_vs_rest 3 seed 0: not run yet, or interrupted",
    ):
        assert expected in lines
    assert f"running: ae mnist one_vs_rest 4 seed 0: process {live.pid} on " in out
    assert f"missing: ae mnist one_vs_rest 5 seed 0: interrupted: process {killed.pid} on " in out
    assert "unreadable: ae mnist one_vs_rest 6 seed 0: " in out
    assert "metrics.json has 1 bytes, written were" in out
    assert f"stale: ae mnist one_vs_rest 7 seed 0: its numerics are of version {NUMERICS_VERSION + 1}, now " in out
    assert "A cell that diverged diverges again" in out
    assert "ae mnist one_vs_rest 0 seed 0" not in out


def test_the_commands_are_those_of_the_jobs_that_are_not_done_each_once(
    experiment: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.job(done(0))
    experiment.job(done(1, state="missing"))
    experiment.job(done(2, state="missing"))
    experiment.job(done(3, state="missing"))
    rename(experiment, "job2", "python -m benchmark -m model=ae,vae resume=false 'split.normal_class=[1,2]'")
    rename(experiment, "job3", "python -m benchmark -m model=ae,vae resume=false 'split.normal_class=[1,2]'")
    rename(experiment, "job4", "python -m benchmark model=ae  split.normal_class=3")
    code, out = status(experiment, capsys)
    assert code == 1
    assert out.partition("To finish it, type:\n")[2].splitlines() == [
        "  python -m benchmark -m model=ae,vae 'split.normal_class=[1,2]'",
        "  python -m benchmark model=ae  split.normal_class=3",
    ]


def test_nothing_is_to_be_typed_while_the_rest_is_running(
    experiment: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = experiment.job(done(0), done(1, state="missing"), done(2, state="failed", reason="before"))
    folders = [experiment.output_dir / entry["path"] for entry in entries]
    with holding(experiment.output_dir, *folders):
        code, out = status(experiment, capsys)
    assert code == 1
    assert out.count("  running: ae") == 2, "a cell that is done stays done, one that is tried again runs"
    assert "To finish it" not in out
    assert "nothing to type" in out


def test_cells_of_an_earlier_configuration_are_named_and_not_wanted(
    experiment: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.job(done(0, version=1), done(1, version=1, state="missing"))
    experiment.job(done(0, version=2), done(1, version=2))
    code, out = status(experiment, capsys)
    assert code == 0
    assert "2 of 2 cells done." in out
    assert out.count("stale: ae mnist one_vs_rest") == 2
    assert "To finish it" not in out
    counts = experiment_status(experiment.output_dir, "small").counts("job1")
    assert (counts["stale"], counts["done"]) == (2, 0)


def test_a_cell_that_a_rule_of_its_last_command_has_not_judged_is_not_done(
    experiment: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the sweep, which judges it from its weights; whatever is published, as it is finished here."""
    (entry, _) = experiment.job(done(0), done(1, state="missing"))
    ssim = shipped("ssim")
    told = {"ssim": {"config": ssim, "code": rule_code(ssim)}}
    add_rules(read_record(experiment.output_dir / entry["path"]), told, {"auroc/rule_ssim": 0.5}, {})
    for rules, chosen, lacking in (
        ({}, None, None),
        ({"ssim": ssim}, None, None),
        ({"ssim": ssim, "smoothed": shipped("smoothed")}, None, "smoothed"),
        ({"ssim": {**ssim, "sigma": 2.5}}, None, "ssim"),
        ({"ssim": ssim}, "ssim", "its chosen rule"),
    ):
        experiment.job(done(0, state="missing"), rules=rules, chosen_rule=chosen, published="skip")  # its record stays
        _, out = status(experiment, capsys)
        assert ("unjudged" in out) == (lacking is not None), (rules, out)
        if lacking is not None:
            said = f"  unjudged: ae mnist one_vs_rest 0 seed 0: to be judged from its weights: {lacking}\n"
            assert said in out
            assert "0 of 2 cells done." in out
            assert "To finish it, type:" in out
    experiment.job(done(1), rules={"ssim": {**ssim, "_target_": "none.Such"}})
    assert "  unjudged: ae mnist one_vs_rest 1 seed 0: " in status(experiment, capsys)[1], "a rule that is gone"


def test_a_status_changes_nothing_and_needs_no_torch(experiment: Records) -> None:
    experiment.job(done(0), done(1, state="missing"), rules={"ssim": shipped("ssim")})
    before = {p: p.stat().st_mtime_ns for p in experiment.output_dir.rglob("*")}
    code = (
        "import sys; from benchmark.status import main; "
        f"code = main(['experiment=small', {f'output_dir={experiment.output_dir}'!r}]); "
        "slow = {'torch', 'mlflow', 'hydra', 'pandas', 'numpy', 'psutil'} & set(sys.modules); "
        "assert not slow, slow; sys.exit(code)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert {p: p.stat().st_mtime_ns for p in experiment.output_dir.rglob("*")} == before


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ([], 2, "experiment=... is missing. There is: small. Type for example: experiment=small"),
        (["experiment=small", "out=x"], 2, "out=x is not known; "),
        (["expriment=small"], 2, "expriment=small is not known; did you mean experiment=...?"),
        (["experiment="], 2, "experiment= has no value"),
        (["experiment=../small"], 2, "experiment=../small is not a name"),
        (["experiment=smal"], 1, "no cells of experiment smal in outputs. There is: small."),
        (["experiment=small", "output_dir=none"], 1, "no cells of experiment small in none. There is none in none."),
        (
            ["output_dir=none"],
            2,
            "experiment=... is missing. There is none in none. Start with: python -m benchmark -m +experiment=quick "
            "output_dir=none",
        ),
        (
            ["experiment=paper"],
            1,
            "no cells of experiment paper in outputs. There is: small. Start with: python -m benchmark -m "
            "+experiment=paper",
        ),
    ],
)
@pytest.mark.parametrize("module", ["status", "sync"])
def test_bad_arguments_are_refused_in_one_line(
    experiment: Records,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: str,
    arguments: list[str],
    code: int,
    expected: str,
) -> None:
    import benchmark.sync

    experiment.job(done(0))
    monkeypatch.chdir(experiment.output_dir.parent)
    commands = {"status": main, "sync": benchmark.sync.main}
    assert commands[module](arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith(f"benchmark.{module}: {expected}")


def test_a_damaged_job_file_is_named(experiment: Records, capsys: pytest.CaptureFixture[str]) -> None:
    experiment.job(done(0))
    (experiment.output_dir / "experiments" / "small" / "job1.json").write_text("{")
    code = main(["experiment=small", f"output_dir={experiment.output_dir}"])
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 1
    assert "job1.json is not valid JSON" in line


def test_a_command_to_finish_with_forces_nothing() -> None:
    assert resuming("python -m benchmark model=ae 'a=[1, 2]'") == "python -m benchmark model=ae 'a=[1, 2]'"
    assert resuming("python -m benchmark resume=false 'a=[1, 2]'") == "python -m benchmark 'a=[1, 2]'"
    assert resuming("python -m benchmark +resume_from=x") == "python -m benchmark +resume_from=x"
