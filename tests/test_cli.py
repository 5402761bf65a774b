"""The command line as a process. What it refuses is in ``tests/faults/bad_input.py``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from omegaconf import OmegaConf

from benchmark.__main__ import main
from benchmark.config import UsageError
from benchmark.data.files import data_dir as cache_dir
from benchmark.models import model_names
from benchmark.sweep.arguments import annotate
from benchmark.sweep.compose import check_composition, compose_jobs
from benchmark.sweep.flags import read_flags
from tests.faults.helpers import run_here

ROOT = Path(__file__).parent.parent
T = TypeVar("T")

Run = subprocess.CompletedProcess[str]


def user_environment() -> dict[str, str]:
    """The environment of a command that finds the prepared data."""
    return {**os.environ, "BENCHMARK_DATA": str(cache_dir())}


def run(folder: Path, *arguments: str, module: str = "benchmark", **environment: str) -> Run:
    """``python -m MODULE ARGUMENTS`` in ``folder``."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**user_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def inside(folder: Path, do: Callable[[], T]) -> T:
    """What ``do`` returns in ``folder``."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return do()
    finally:
        os.chdir(before)


def test_missing_data_names_the_command(tmp_path: Path) -> None:
    done = run(tmp_path, "dataset=mnist", BENCHMARK_DATA=str(tmp_path / "empty"))
    assert done.returncode == 2
    assert "train-images-idx3-ubyte is missing. Type: python -m benchmark.prepare dataset=mnist" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_lists_the_options(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    for words in (f"model: {', '.join(model_names())}", "split: leave_one_out, one_vs_rest", "+experiment=quick"):
        assert words in done.stdout
    assert not list(tmp_path.iterdir())


def test_help_says_what_options_mean_and_lists_no_checksums(tmp_path: Path) -> None:
    done = run_here(tmp_path, "--help", "model=vae", "dataset=mnist")
    assert re.search(r"^  latent: \d+ +# ", done.stdout, re.MULTILINE)
    assert re.search(r"^  test_limit: null +# evaluate on this many images", done.stdout, re.MULTILINE)
    assert re.search(r"^  classes: +# class names in label order\n  - '0'$", done.stdout, re.MULTILINE)
    assert "sha256" not in done.stdout
    assert "sources" not in done.stdout


def shown_by_help(words: list[str]) -> str:
    """The configuration as ``--help`` shows it, without Hydra's own text above it, which takes most of the time."""
    (job,) = compose_jobs(words)
    return annotate(OmegaConf.to_yaml(job.config).rstrip(), check_composition(read_flags(words)))


def test_help_shows_the_whole_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["model=vae", "split=leave_one_out", "chosen=none"]
    assert main(["--help", *words]) == 0
    shown = Counter(capsys.readouterr().out.split("Configuration now")[1].splitlines())
    assert Counter(shown_by_help(words).splitlines()) <= shown


@pytest.mark.parametrize("model", model_names())
def test_help_leaves_no_option_without_a_word(model: str) -> None:
    """Of the YAML, of the lines that go on below it, of the schema, or of what all models have."""
    shown = shown_by_help([f"model={model}", "split=leave_one_out"])
    options = re.findall(r"^(?:  )?\w+:.*$", shown, re.MULTILINE)
    assert len(options) > 40
    groups = {"dataset:", "split:", "trainer:", "tracking:"}
    assert [option for option in options if "  # " not in option and option not in groups] == []
    assert "too | synthetic" not in shown
    assert "without the test split | synthetic: held-out normal ones" in shown


def test_help_has_the_comments_of_an_own_folder(tmp_path: Path) -> None:
    (tmp_path / "mine" / "dataset").mkdir(parents=True)
    (tmp_path / "mine" / "dataset" / "ours.yaml").write_text("name: ours  # of tables\nimage_size: 16  # a square\n")
    done = run_here(tmp_path, "--help", "--config-dir=mine", "dataset=ours")
    assert re.search(r"^  image_size: 16 +# a square$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--version"], r"benchmark [\d.]+\n"),
        (["-sc", "install=bash"], r"complete -o nospace -o default -F hydra_bash_completion benchmark\n"),
        (["-sc", "query=bash"], r"model=aae model=ae .*model=vae\n"),
        (["--cfg", "job", "model=pca", "+experiment=quick"], r"experiment_name: quick\n"),
        (["--info", "searchpath"], r"schema +\| structured"),
        (["--hydra-help"], r"--config-dir"),
    ],
)
def test_what_only_shows_something_leaves_nothing_behind(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_LINE", "benchmark model=")
    done = run_here(tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(says, done.stdout)
    assert not list(tmp_path.iterdir())


def write_preset(folder: Path, text: str) -> None:
    (folder / "presets" / "experiment").mkdir(parents=True)
    (folder / "presets" / "experiment" / "mine.yaml").write_text(text, encoding="utf-8")


def page_preset() -> str:
    """The example of ``docs/presets.md``."""
    page = (ROOT / "docs" / "presets.md").read_text("utf-8")
    found = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_preset_of_the_page_runs_from_a_folder_of_ones_own(tmp_path: Path) -> None:
    """As Hydra's own command line has it: the folder in one word or in two, flags between overrides."""
    write_preset(tmp_path, page_preset())
    for flags in (["--config-dir=presets", "-m"], ["-m", "-cd", "presets"]):
        jobs = [job.config for job in inside(tmp_path, lambda flags=flags: compose_jobs([*flags, "+experiment=mine"]))]
        assert [(job.model.name, job.model.latent) for job in jobs] == [(m, k) for m in ("ae", "vae") for k in (2, 8)]
        assert {(job.dataset.name, job.experiment_name, job.trainer.epochs) for job in jobs} == {("digits", "codes", 5)}
    small = ["model=ae", "model.latent=2", "split.normal_class=1", "trainer.epochs=1", "tracking=off"]
    done = run_here(tmp_path, "+experiment=mine", "--config-dir", "presets", *small, "-m")
    assert done.returncode == 0, done.stderr
    (record,) = (tmp_path / "outputs" / "cells" / "digits" / "one_vs_rest" / "ae").iterdir()
    assert done.stdout.splitlines()[1:] == [
        f"Cell: {record.relative_to(tmp_path)}",
        "Next: python -m benchmark.report experiment=codes",
    ]


def test_a_configuration_of_ones_own_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults:\n  - config\n  - _self_\nseed: 7\n")
    (job,) = compose_jobs(["--config-dir", str(tmp_path), "--config-name", "mine", "dataset=digits"])
    assert job.config.seed == 7


def test_a_sweep_is_planned_as_hydra_runs_it(tmp_path: Path) -> None:
    """The jobs in order, each with its overrides: those of Hydra's own main, with a task that only notes them."""
    commands = [
        ["seed=0,1", "seed=2"],
        ["seed=2", "seed=0,1"],
        ["model=glob(k*)", "seed=range(0,2)"],
        ["+experiment=paper_chosen", "model=gan"],
        ["+experiment=latent2d", "model=choice(ae,vae)", "model.hidden=[64],[32,16]", "dataset=digits"],
        ["+experiment=latent2d", "model.latent=3", "model.latent=4,5"],
    ]
    program = (
        "import sys, json, hydra; from hydra.core.hydra_config import HydraConfig; "
        "from benchmark.config import CONF_DIR; from benchmark.sweep.compose import register_schemas; "
        "register_schemas()\n"
        "@hydra.main(version_base='1.3', config_path=str(CONF_DIR.resolve()), config_name='config')\n"
        "def note(config): ran[-1].append(list(HydraConfig.get().overrides.task))\n"
        "ran, commands = [], json.loads(sys.argv[1])\n"
        "for command in commands: ran.append([]); sys.argv[1:] = ['-m', *command]; note()\n"
        "print(json.dumps(ran))"
    )
    argv = [sys.executable, "-c", program, json.dumps(commands)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
    ran = json.loads(done.stdout.splitlines()[-1])
    assert ran == [[job.overrides for job in compose_jobs(["-m", *command])] for command in commands]


def test_the_collector_looks_seldom_until_a_job_trains(tmp_path: Path) -> None:
    """What the program loaded is then left alone, and its usual thresholds are back: training may leave cycles."""
    program = (
        "import gc, sys; from benchmark.__main__ import main; usual = gc.get_threshold(); "
        "code = main(); print(code, gc.get_threshold()[0] > usual[0], gc.get_freeze_count() > 100_000)"
    )
    for arguments, words in (
        (["model=vea"], "2 True False"),
        (["model=pca", "dataset=digits", "split.normal_class=0", "tracking.enabled=false"], "0 False True"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=tmp_path,
            env=user_environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.stdout.splitlines()[-1] == words, done.stderr
        assert "leaked" not in done.stderr  # by what looks at the end for objects that nothing took down


@pytest.mark.parametrize("presets", ["+experiment=quick,paper", "+experiment=[quick,paper]"])
def test_several_presets_in_one_command_are_refused(presets: str) -> None:
    """Crossed, each would lose its models and data sets, and one job of the defaults would stand for them."""
    with pytest.raises(UsageError, match="names several presets"):
        compose_jobs(["-m", presets])


def test_a_setting_of_the_model_that_a_preset_sweeps_over_is_known() -> None:
    """It is one of the preset's model, not of the model that would be there without the preset."""
    words = ["+experiment=sensitivity/components", "dataset=mnist", "model.components=2"]
    (job,) = compose_jobs(["-m", *words])
    assert (job.config.model.name, job.config.model.components) == ("pca", 2)
    with pytest.raises(UsageError, match=r"which needs -m\. Type: python -m benchmark -m \+experiment=sens"):
        compose_jobs(words)
    with pytest.raises(UsageError, match=r"did you mean model\.components\? There is: headline, components"):
        compose_jobs(["-m", *words[:2], "model.componets=2"])
