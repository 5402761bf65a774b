"""Rules through whole commands: a cell is trained once and judged by all of them, when it is trained or afterwards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmark import rescore
from benchmark.config import CONF_DIR
from benchmark.rules import rule_names
from benchmark.status import main as status
from benchmark.store.records import Record, add_rules, read_record
from tests.faults.helpers import run_here

SMALL = [
    "dataset=digits", "split.normal_class=[3,8]", "trainer.epochs=2", "tracking=off", "experiment_name=t",
]  # fmt: skip


def records(folder: Path) -> list[Record]:
    return [read_record(path.parent) for path in sorted((folder / "outputs").rglob("status.json"))]


def arrays(folder: Path) -> list[dict[str, np.ndarray]]:
    return [record.rule_scores() for record in records(folder)]


def equal(first: list[dict[str, np.ndarray]], second: list[dict[str, np.ndarray]]) -> bool:
    return [each.keys() for each in first] == [each.keys() for each in second] and all(
        np.array_equal(a[key], b[key]) for a, b in zip(first, second, strict=True) for key in a
    )


def test_all_names_every_rule() -> None:
    text = (CONF_DIR / "rule" / "all.yaml").read_text()
    assert all(f"{name}," in text or f"{name}]" in text for name in rule_names())


@pytest.mark.parametrize("model", ["ae", "vae", "pca"])
def test_judged_from_its_weights_a_cell_has_the_bits_of_one_judged_when_trained(tmp_path: Path, model: str) -> None:
    words = [f"model={model}", *SMALL]
    at_once, later = tmp_path / "at once", tmp_path / "later"
    for folder in (at_once, later):
        folder.mkdir()
    assert run_here(at_once, *words, "rule=all").returncode == 0
    assert run_here(later, *words).returncode == 0
    before = [(record.path / "weights.pt").read_bytes() for record in records(later)]
    done = run_here(later, *words, "rule=all")
    assert "2 cells finished before, to be judged from their weights" in done.stderr
    assert equal(arrays(at_once), arrays(later))
    for record, weights, other in zip(records(later), before, records(at_once), strict=True):
        record.verify()
        assert (record.path / "weights.pt").read_bytes() == weights  # nothing was trained
        assert record.rules() == other.rules()
        assert {k: v for k, v in record.metrics.items() if "auroc" in k} == {
            k: v for k, v in other.metrics.items() if "auroc" in k
        }


def test_what_a_rule_says_is_what_its_metric_is_of(tmp_path: Path) -> None:
    assert run_here(tmp_path, "model=ae", *SMALL, "rule=[ssim,own,squared]").returncode == 0
    for record in records(tmp_path):
        said, scores, kept = record.rule_scores(), record.scores(), record.calibration()
        for name in ("ssim", "own", "squared"):
            expected = roc_auc_score(scores["label"], said[f"score/{name}"])
            assert record.metrics[f"auroc/rule_{name}"] == pytest.approx(expected, abs=1e-9)
            assert len(said[f"calibration/{name}"]) == len(kept["index"])
        assert np.array_equal(said["score/own"], scores[f"score/{record.status.headline}"])
        np.testing.assert_allclose(said["score/squared"], scores["score/reconstruction"], rtol=1e-5)
        np.testing.assert_allclose(said["calibration/squared"], kept["score/reconstruction"], rtol=1e-5)


def test_a_rule_that_does_not_apply_has_a_reason_and_is_not_tried_again(tmp_path: Path) -> None:
    words = ["model=knn", *SMALL, "rule=all"]
    assert run_here(tmp_path, *words).returncode == 0
    (first, _) = records(tmp_path)
    told = first.rules()
    assert told["squared"]["reason"] == "the model says no reconstruction"
    assert "reason" not in told["own"]
    assert "auroc/rule_own" in first.metrics
    assert "auroc/rule_squared" not in first.metrics
    again = run_here(tmp_path, *words)
    assert again.stderr.count("done, finished before") == 2


def test_another_setting_is_another_rule_beside_the_shipped_one(tmp_path: Path) -> None:
    words = ["model=pca", *SMALL]
    assert run_here(tmp_path, *words, "rule=smoothed").returncode == 0
    before = arrays(tmp_path)
    assert run_here(tmp_path, *words, "rule=smoothed", "rules.smoothed.sigma=2").returncode == 0
    after = arrays(tmp_path)
    for old, new in zip(before, after, strict=True):
        assert new.keys() - old.keys() == {"score/smoothed_sigma_2", "calibration/smoothed_sigma_2"}
        assert np.array_equal(old["score/smoothed"], new["score/smoothed"])
        assert not np.array_equal(new["score/smoothed"], new["score/smoothed_sigma_2"])


def test_a_rule_of_other_code_judges_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And ``benchmark.status`` says so beforehand."""
    words = ["model=pca", *SMALL, "rule=[squared,ssim]"]
    state = ["experiment=t", f"output_dir={tmp_path / 'outputs'}"]
    assert run_here(tmp_path, *words).returncode == 0
    assert status(state) == 0
    record, before = records(tmp_path)[0], arrays(tmp_path)[:1]
    old = {**record.rules()["ssim"], "code": "0" * 64}
    wrong = before[0]["score/ssim"] * 0
    add_rules(record, {"ssim": old}, {"auroc/rule_ssim": 0.5}, {"score/ssim": wrong})
    assert status(state) == 1
    assert re.search(r"unjudged: pca .*: to be judged from its weights: ssim\n", capsys.readouterr().out)
    done = run_here(tmp_path, *words)
    assert status(state) == 0
    assert "1 cell finished before, to be judged from their weights: ssim" in done.stderr
    again = read_record(record.path)
    assert again.metrics == record.metrics
    assert equal([again.rule_scores()], before)


def test_several_rules_of_a_sweep_judge_the_same_cells(tmp_path: Path) -> None:
    done = run_here(tmp_path, "-m", "model=pca", *SMALL, "rule=squared,cosine")
    assert "2 of 2 cells done in" in done.stdout
    assert all(record.rules().keys() == {"squared", "cosine"} for record in records(tmp_path))


def test_the_chosen_rule_judges_and_is_noted(tmp_path: Path) -> None:
    words = ["model=pca", *SMALL]
    assert run_here(tmp_path, *words).returncode == 0
    assert run_here(tmp_path, *words, "chosen_rule=ssim").returncode == 0
    for record in records(tmp_path):
        assert record.status.chosen_rule == "ssim"
        assert "auroc/rule_ssim" in record.metrics
    assert "finished before" in run_here(tmp_path, *words, "chosen_rule=ssim").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rule=nope"], "rule=nope: there is no such rule. There is: absolute, all"),
        (["rule=smoothed", "rules.smoothed.sigma=-1"], "rule=smoothed cannot be: sigma must be"),
        (["rule=smoothed", "rules.smoothed.sigmas=1"], "rules.smoothed.sigmas: there is no such key"),
        (["rules.smoothed.sigma=1"], "or rule=smoothed was not typed"),
        (["+rules.mine=1"], "rules.mine is no rule"),
        (["chosen_rule=nope"], "chosen_rule=nope: there is no such rule"),
        (["rule=committee", "rules.committee.members=[squared,nope]"], "rule=nope: there is no such rule"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    done = run_here(tmp_path, "model=pca", *SMALL, *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
    assert not (tmp_path / "outputs").exists()


def test_damaged_weights_are_said_and_the_record_stays(tmp_path: Path) -> None:
    words = ["model=pca", *SMALL]
    assert run_here(tmp_path, *words).returncode == 0
    weights = records(tmp_path)[0].path / "weights.pt"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    done = run_here(tmp_path, *words, "rule=ssim")
    assert done.returncode == 1
    assert "could not be judged from its weights" in done.stdout
    judged = ["auroc/rule_ssim" in record.metrics for record in records(tmp_path)]
    assert sorted(judged) == [False, True]


def test_a_rule_of_ones_own_is_named_by_a_folder_of_configuration(tmp_path: Path) -> None:
    (tmp_path / "conf" / "rule").mkdir(parents=True)
    (tmp_path / "brightest_rules.py").write_text(
        "from benchmark.rules.base import Rule, pixels\n\n\n"
        "class Brightest(Rule):\n"
        '    needs = ("reconstruction",)\n\n'
        "    def __init__(self, power: float = 1.0) -> None:\n"
        "        self.power = power\n\n"
        "    def score(self, images, said, state):\n"
        '        return (pixels(images) - pixels(said["reconstruction"])).abs().amax(1) ** self.power\n'
    )
    (tmp_path / "conf" / "rule" / "brightest.yaml").write_text(
        "# @package rules.brightest\nname: brightest\n_target_: brightest_rules.Brightest\npower: 2.0\n"
    )
    words = ["--config-dir=conf", "model=pca", *SMALL, "rule=[brightest,squared]"]
    done = run_here(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert all("auroc/rule_brightest" in record.metrics for record in records(tmp_path))
    code = records(tmp_path)[0].rules()["brightest"]["code"]
    assert len(code) == 64
    (tmp_path / "conf" / "rule" / "brightest.yaml").write_text("name: brightest\n_target_: brightest_rules.Brightest\n")
    forgot = run_here(tmp_path, *words)
    assert forgot.returncode == 2
    assert "# @package rules.brightest" in forgot.stderr


class TestRescore:
    """``python -m benchmark.rescore``."""

    def rescore(self, folder: Path, *words: str) -> int:
        return rescore.main(["experiment=t", f"output_dir={folder / 'outputs'}", *words])

    def test_it_judges_what_is_finished_and_trains_nothing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        sweep = ["-m", "model=ae,pca", *SMALL, "seed=[0,1]"]
        assert run_here(tmp_path, *sweep).returncode == 0
        left_out = ["model=pca", *SMALL[0:1], *SMALL[2:], "split=leave_one_out", "split.anomalous_class=[1,4]"]
        assert run_here(tmp_path, *left_out).returncode == 0
        variants = {record.path: record.status.variant for record in records(tmp_path)}
        times = {record.path: (record.path / "weights.pt").read_bytes() for record in records(tmp_path)}
        assert self.rescore(tmp_path, "rule=squared,ssim") == 0
        assert "10 of 10 cells done" in capsys.readouterr().out
        for record in records(tmp_path):
            assert record.rules().keys() == {"squared", "ssim"}
            assert record.status.variant == variants[record.path]
            assert (record.path / "weights.pt").read_bytes() == times[record.path]
        assert self.rescore(tmp_path, "rule=squared,ssim") == 0
        assert "judged" not in capsys.readouterr().err
        assert self.rescore(tmp_path, "rule=cosine", "model=pca") == 0
        assert {r.axes.model for r in records(tmp_path) if "cosine" in r.rules()} == {"pca"}

    def test_stale_and_missing_cells_are_named_and_left_alone(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_here(tmp_path, "model=pca", *SMALL).returncode == 0
        path = records(tmp_path)[0].path / "status.json"
        status = json.loads(path.read_text())
        status["code"] = "0" * 64
        del status["digest"]
        path.write_text(json.dumps(status))
        assert self.rescore(tmp_path, "rule=squared") == 1
        assert "1 of 2 cells are left alone: its code changed" in capsys.readouterr().err
        assert ["auroc/rule_squared" in record.metrics for record in records(tmp_path)] == [False, True]

    def test_it_refuses_in_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_here(tmp_path, "model=pca", *SMALL).returncode == 0
        capsys.readouterr()
        assert self.rescore(tmp_path) == 2
        assert self.rescore(tmp_path, "rule=nope") == 2
        assert self.rescore(tmp_path, "rule=ssim", "rules.ssim.sigma=1,2") == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 3
        assert "rule= is missing" in said[0]
        assert "there is no such rule" in said[1]
        assert "one a command" in said[2]
