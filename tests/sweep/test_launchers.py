"""Launchers: shares of a machine, what they refuse, and real sweeps in worker processes."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmark.config import TrackingConfig, UsageError
from benchmark.engine.device import available_cores
from benchmark.report.__main__ import main as report
from benchmark.status import experiment_status
from benchmark.store.records import read_record
from benchmark.sweep.compose import ComposedCommand, ComposedJob, compose_command
from benchmark.sweep.launchers import EXTRAS, Launcher, deal_gpu
from benchmark.sweep.sweep import Sweep
from benchmark.sweep.workers import store_of
from tests.faults.warm import run as forked

CORES = available_cores()
RAY = {"ray": {"init": {"address": None}, "remote": {"num_cpus": 3, "num_gpus": 0}}}


def is_installed(launcher: str) -> bool:
    """Whether Hydra has this launcher here."""
    return find_spec("hydra_plugins") is not None and bool(
        find_spec(f"hydra_plugins.hydra_{EXTRAS[launcher]}_launcher")
    )


# what a job may use


@pytest.mark.parametrize(
    ("launcher", "cores"),
    [
        (Launcher(jobs=7), CORES),
        (Launcher("joblib", {"n_jobs": -1}, jobs=100), 1),
        (Launcher("joblib", {"n_jobs": -1}, jobs=1), CORES),
        (Launcher("joblib", {"n_jobs": 1}, jobs=8), CORES),
        (Launcher("joblib", {"n_jobs": 50}, jobs=50), 1),
        (Launcher("submitit_local", {"cpus_per_task": None}, jobs=1), CORES),
        (Launcher("submitit_local", {"cpus_per_task": None}, jobs=50), 1),
        (Launcher("submitit_local", {"cpus_per_task": 5}, jobs=50), 5),
        (Launcher("submitit_slurm", {"cpus_per_task": 8}, jobs=50), 8),
        (Launcher("submitit_slurm", {"cpus_per_task": None}, jobs=50), CORES),
        (Launcher("ray", RAY, jobs=50), 3),
    ],
)
def test_cores_are_shared_out(launcher: Launcher, cores: int) -> None:
    assert launcher.cores() == cores


def test_cores_are_those_that_the_process_may_use() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert Launcher().cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_gpus_are_dealt_out_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    dealt = []
    for job in range(5):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,7")  # as submitit shows them, to every job the same
        deal_gpu([], job)
        dealt.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert dealt == ["4", "6", "7", "4", "6"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    deal_gpu(["0", "1"], 3)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    for only in ("5", ""):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", only)
        deal_gpu([], 3)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == only


def test_workers_of_joblib_have_a_gpu_each_and_keep_it() -> None:
    from joblib import Parallel, delayed

    def deal(job: int) -> tuple[int, str]:
        import time

        deal_gpu(["0", "1"], job)
        time.sleep(0.2)  # so that both workers get some
        return os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]

    found = set(Parallel(n_jobs=2, batch_size=1)(delayed(deal)(job) for job in (0, 2, 4, 6)))
    assert len({pid for pid, _ in found}) == 2
    assert len(found) == 2, "a worker changed its GPU"
    assert {gpu for _, gpu in found} == {"0", "1"}


FORSAKEN = """
import os, time
from joblib import Parallel, delayed
from benchmark.store.processes import end_with_parent

def work(job):
    end_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(300)

Parallel(n_jobs=2)(delayed(work)(job) for job in range(2))
"""


def test_workers_of_joblib_end_when_the_command_is_killed() -> None:
    process = subprocess.Popen([sys.executable, "-c", FORSAKEN], stdout=subprocess.PIPE, text=True)
    workers = [int(process.stdout.readline()) for _ in range(2)]
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker is left"
        time.sleep(0.1)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# what is refused


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> list[Launcher]:
    cluster = {"ray": {**RAY["ray"], "init": {"address": "auto"}}}
    return [Launcher("submitit_slurm"), Launcher("ray", cluster)]


def test_jobs_on_other_machines_need_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for launcher in elsewhere(monkeypatch):
        with pytest.raises(UsageError, match=r"device=auto is not allowed .* device=cuda or device=cpu"):
            launcher.resolve("auto", "auto")
        with pytest.raises(UsageError, match="device=tpu is not allowed"):
            launcher.resolve("tpu", "auto")
        assert launcher.resolve("cuda", "auto") == ("cuda", "fp32"), "a machine without a GPU may send jobs to others"
    assert not Launcher("ray", RAY).is_elsewhere
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert Launcher("ray", RAY).is_elsewhere


def test_ray_on_several_machines_needs_an_absolute_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    _, ray = elsewhere(monkeypatch)
    with pytest.raises(UsageError, match=r"output_dir=outputs is not allowed .* absolute"):
        ray.check_folder("outputs")
    ray.check_folder("/shared/outputs")
    Launcher("ray", RAY).check_folder("outputs")


def test_a_launcher_that_hides_the_gpus_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for launcher, key in (
        (Launcher("ray", RAY), "hydra.launcher.ray.remote.num_gpus=1"),
        (Launcher("submitit_local", {"gpus_per_node": None}), "hydra.launcher.gpus_per_node=1"),
    ):
        with pytest.raises(UsageError, match=re.escape(key)):
            launcher.resolve("auto", "auto")
        assert launcher.resolve("cpu", "auto") == ("cpu", "fp32")
    assert Launcher("submitit_local", {"gpus_per_node": 2}).resolve("auto", "auto") == ("cuda", "fp32")
    assert Launcher("joblib", {"n_jobs": 2}).resolve("auto", "auto") == ("cuda", "fp32")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert Launcher("joblib", {"n_jobs": 2}).gpus() == ["3", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert Launcher("joblib", {"n_jobs": 2}).gpus() == ["0", "1"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["+launcher=joblib"], "the launcher joblib runs the jobs of a sweep: add -m"),
        (["-m", "+launcher=joblib", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs=0 is not allowed"),
        (["-m", "+launcher=jobilb"], "launcher=jobilb: there is no such launcher; did you mean +launcher=joblib?"),
    ],
)
def test_a_launcher_that_makes_no_sense_is_refused(arguments: list[str], expected: str) -> None:
    with pytest.raises(UsageError, match=re.escape(expected)):
        compose_command(arguments)


@pytest.mark.parametrize("name", ["submitit_local", "slurm", "ray"])
def test_a_launcher_that_is_not_installed_names_its_extra(name: str) -> None:
    launcher = {"slurm": "submitit_slurm"}.get(name, name)
    if is_installed(launcher):
        pytest.skip("it is installed")
    expected = f"the launcher {launcher} is not installed. Type: pip install -e '.[{EXTRAS[launcher]}]'"
    with pytest.raises(UsageError, match=re.escape(expected)):
        compose_command(["-m", f"+launcher={name}"])


# what workers are sent


def test_the_store_is_there_before_a_worker_is_and_its_connection_stays_here(tmp_path: Path) -> None:
    launcher = Launcher("joblib", {"n_jobs": 2}, 2)

    class Config:
        tracking, output_dir, experiment_name = TrackingConfig(), str(tmp_path / "outputs"), "first"

    class Unusable(Config):
        tracking = TrackingConfig(uri="sqlite:////proc/nowhere/mlflow.db")

    jobs = [ComposedJob(config, []) for config in (Config, Unusable)]
    sweep = Sweep(ComposedCommand(jobs, launcher), "python -m benchmark", 0.0)
    luggage = sweep.pack()
    store = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}")
    assert store.get_experiment_by_name("first") is not None
    sent = pickle.loads(pickle.dumps(luggage))
    assert sent.tracking_off == {store_of(Unusable)}, "one that cannot be used is not tried again by every worker"
    assert (sent.launcher, sent.command) == (launcher, "python -m benchmark")
    sweep.close()


# real sweeps


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_a_sweep_in_workers_ends_as_one_in_a_row(tmp_path: Path, launcher: str) -> None:
    """Four jobs, one of which cannot write: the others end, the plan is whole, the same command does the rest."""
    if not is_installed(launcher):
        pytest.skip(f"pip install -e '.[{EXTRAS[launcher]}]'")
    sweep = ["-m", "model=pca,ae", "split=one_vs_rest,leave_one_out", "dataset=digits", "trainer.epochs=3"]
    sweep += [
        "split.normal_class=[0,1]",
        "split.anomalous_class=[0,1]",
        "split.test_limit=100",
        "tracking.figures=false",
        "tracking.models=off",
        "experiment_name=workers",
    ]
    blocked = tmp_path / "outputs" / "cells" / "digits" / "leave_one_out" / "ae"
    blocked.parent.mkdir(parents=True)
    blocked.touch()
    first = forked(tmp_path, f"+launcher={launcher}", *sweep)
    assert first.returncode == 1, first.stderr
    assert "6 of 8 cells done in " in first.stdout, first.stderr
    assert first.stdout.count("  missing: ae digits") == 2
    found = Counter(cell.state for cell in experiment_status(tmp_path / "outputs", "workers").cells)
    assert found == {"done": 6, "missing": 2}
    blocked.unlink()
    second = forked(tmp_path, *sweep)  # in a row, which is the same command in all but who works
    assert second.returncode == 0, second.stderr
    assert "8 of 8 cells done (6 of them finished before)" in second.stdout
    folders = [path.parent for path in (tmp_path / "outputs" / "cells").rglob("status.json")]
    runs = MlflowClient(f"sqlite:///{tmp_path / 'outputs' / 'mlflow.db'}").search_runs(
        ["1"], "tags.kind = 'cell' and attributes.status = 'FINISHED'"
    )
    assert Counter(one.data.tags["fingerprint"] for one in runs) == Counter(read_record(f).fingerprint for f in folders)
    alone = forked(tmp_path, *sweep, "split=one_vs_rest", "output_dir=alone", "tracking=off")
    assert alone.returncode == 0, alone.stderr
    tables = []
    for output in ("outputs", "alone"):
        where = [f"output_dir={tmp_path / output}", f"results_dir={tmp_path / 'results' / output}"]
        assert report(["experiment=workers", "figures=false", *where]) == 0
        tables.append((tmp_path / "results" / output / "tables" / "auroc_digits_one_vs_rest.csv").read_bytes())
    assert tables[0] == tables[1]
