"""A committee of recorded cells, on real digits: its numbers by hand, what makes it again, and what is refused."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmark.code_hash import model_code
from benchmark.data.files import sha256_of
from benchmark.store.experiments import PlannedCell, collect, read_jobs, write_job
from benchmark.store.format import Written
from benchmark.store.records import Record, add_rules, read_record
from tests.faults.bad_input import edited
from tests.faults.helpers import holding, run_here

SWEEP = [
    *("-m", "dataset=digits", "split.normal_class=[3,8]", "split.calibration_share=0.3", "tracking=off"),
    "experiment_name=e",
]
MEMBERS = "models=[pca,knn,mean_image:smoothed]"
COMMITTEE = "committee (members=[knn,mean_image:smoothed,pca])"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the cells of three models and of another variant of one, judged under two more rules."""
    folder = tmp_path_factory.mktemp("recorded")
    for more in ("model=pca,knn,mean_image", "model=knn model.neighbours=1"):
        done = run_here(folder, *SWEEP, *more.split(), "rule=[smoothed,ssim]")
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def place(recorded: Path, tmp_path: Path) -> Path:
    """A copy of it without the other variant."""
    place = Path(shutil.copytree(recorded, tmp_path / "place"))
    forgotten = run_here(place, "experiment=e", "cells=knn (neighbours=1)", "yes=true", module="benchmark.forget")
    assert forgotten.returncode == 0, forgotten.stderr
    return place


def vote(place: Path, *arguments: str) -> Any:
    return run_here(place, "experiment=e", *(arguments or (MEMBERS,)), module="benchmark.committee")


def cells(place: Path, label: str, experiment: str = "e") -> dict[int, PlannedCell]:
    return {c.axes.normal_class: c for c in collect(place / "outputs", experiment).cells if c.label == label}


def record_of(place: Path, label: str, number: int = 3) -> Record:
    record = cells(place, label)[number].record
    assert record is not None
    return record


def rewritten(record: Record, stem: str, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Other arrays in a file of a record, as if they had been written so."""
    path = record.path / f"{stem}.npz"
    arrays = dict(np.load(path))
    change(arrays)
    np.savez_compressed(path, **arrays)
    written = Written(path.stat().st_size, sha256_of(path))
    edited(record.path / "status.json", lambda status: status["files"].update({path.name: vars(written)}))


def times(place: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (place / "outputs" / "cells").rglob("*") if path.is_file()}


# numbers


def test_its_scores_are_the_mean_of_z_scores_and_its_metrics_those_of_every_cell(place: Path) -> None:
    done = vote(place)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 cells done in" in done.stdout
    assert "\nCells: outputs/cells, a folder each\nNext: python -m benchmark.report " in done.stdout
    for number in (3, 8):
        record = record_of(place, COMMITTEE, number)
        members = [record_of(place, name, number) for name in ("pca", "knn", "mean_image")]
        arrays = [(one.scores(), one.calibration() or {}) for one in members[:2]]
        said = [(a["score/reconstruction"], b["score/reconstruction"]) for a, b in arrays[:1]]
        said += [(a["score/mean_distance"], b["score/mean_distance"]) for a, b in arrays[1:]]
        under = members[2].rule_scores()
        said += [(under["score/smoothed"], under["calibration/smoothed"])]
        total, total_kept = np.zeros(len(said[0][0])), np.zeros(len(said[0][1]))
        for scores, kept in said:
            mean, sd = statistics.fmean(kept.tolist()), statistics.stdev(kept.tolist())
            total += (scores.astype(float) - mean) / sd / 3
            total_kept += (kept.astype(float) - mean) / sd / 3
        found, kept = record.scores(), record.calibration() or {}
        np.testing.assert_allclose(found["score/committee"], total, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(kept["score/committee"], total_kept, rtol=1e-5, atol=1e-6)
        for name in ("index", "label", "target"):
            assert (found[name] == members[0].scores()[name]).all()
        metrics, label = record.metrics, found["label"]
        assert metrics["auroc"] == pytest.approx(roc_auc_score(label, total), abs=1e-6)
        assert metrics["auroc/committee"] == metrics["auroc"]
        assert metrics["average_precision"] == pytest.approx(average_precision_score(label, total), abs=1e-6)
        threshold = np.sort(total_kept)[int(np.ceil((len(total_kept) + 1) * 0.95)) - 1]
        assert metrics["threshold"] == pytest.approx(threshold, rel=1e-5)
        assert metrics["recall"] == pytest.approx(np.mean(total[label == 1] > threshold), abs=1e-3)
        assert metrics["false_alarm_rate"] == pytest.approx(np.mean(total[label == 0] > threshold), abs=1e-3)
        assert metrics["train_seconds"] == pytest.approx(sum(one.metrics["train_seconds"] for one in members))
        for name in ("n_train", "n_test", "n_test_anomalous", "n_calibration"):
            assert metrics[name] == members[0].metrics[name]


def test_its_record_says_whose_scores_it_is_made_of(place: Path) -> None:
    vote(place)
    record, pca = record_of(place, COMMITTEE), record_of(place, "pca")
    assert record.status.variant == "calibration_share=0.3 members=[knn,mean_image:smoothed,pca]"
    assert [(note.name, note.rule) for note in record.status.members] == [
        *(("knn", "own"), ("mean_image:smoothed", "smoothed"), ("pca", "own")),
    ]
    note = record.status.members[-1]
    assert (note.fingerprint, note.code) == (pca.fingerprint, model_code("pca"))
    (first, *_, last) = record.config()["model"]["members"]
    assert (first["model"], last["path"]) == ("knn", pca.path.relative_to(place / "outputs").as_posix())
    assert record.status.split == pca.status.split
    assert record.images() is None, "it has no pictures to show"


# making it again


def test_what_is_done_is_not_made_again_in_whatever_order_it_is_typed(place: Path) -> None:
    vote(place)
    before = times(place)
    again = vote(place, "models=mean_image:smoothed,pca:own,knn")
    assert (again.returncode, times(place)) == (0, before)
    assert "2 of 2 cells done (2 of them finished before)" in again.stdout
    jobs = [job for job in read_jobs(place / "outputs", "e") if job.cells[0].axes.model == "committee"]
    assert len(jobs) == 1


def test_a_member_with_other_scores_makes_it_anew_and_only_that(place: Path) -> None:
    vote(place)
    before = {number: record_of(place, COMMITTEE, number).scores()["score/committee"] for number in (3, 8)}
    pca = record_of(place, "pca")
    rewritten(pca, "scores", lambda arrays: arrays.update({"score/reconstruction": -arrays["score/reconstruction"]}))
    done = vote(place)
    assert "2 of 2 cells done (1 of them finished before)" in done.stdout
    for number in (3, 8):
        same = np.array_equal(record_of(place, COMMITTEE, number).scores()["score/committee"], before[number])
        assert same == (number == 8)


def test_a_member_of_other_code_makes_it_stale_until_it_is_trained_again(place: Path) -> None:
    vote(place)
    was = record_of(place, COMMITTEE).fingerprint
    edited(record_of(place, "pca").path / "status.json", lambda status: status.update(code="0" * 64))
    old = record_of(place, COMMITTEE)
    edited(old.path / "status.json", lambda status: status["members"][-1].update(code="0" * 64))
    status = run_here(place, "experiment=e", module="benchmark.status")
    assert f"  stale: {COMMITTEE} digits one_vs_rest 3 seed 0: of its member pca: its code changed\n" in status.stdout
    waiting = vote(place)
    assert waiting.returncode == 1
    assert "waiting, pca digits one_vs_rest 3 seed 0 is stale (its code changed)" in waiting.stdout
    assert "1 of 2 cells done (1 of them finished before)" in waiting.stdout
    commands = run_here(place, "experiment=e", module="benchmark.status").stdout.partition("To finish it, type:\n")[2]
    typed = [line.split()[2] for line in commands.splitlines()]
    assert typed == ["benchmark", "benchmark.committee"], "in this order"
    assert run_here(place, *SWEEP, "model=pca").returncode == 0
    assert vote(place).returncode == 0
    assert record_of(place, COMMITTEE).fingerprint == was
    assert run_here(place, "experiment=e", module="benchmark.status").returncode == 0


def test_one_whose_member_is_missing_is_planned_and_made_later(place: Path) -> None:
    gone = record_of(place, "knn", 8)
    kept = place / "kept"
    shutil.move(gone.path, kept)
    done = vote(place)
    assert done.returncode == 1
    assert "waiting, knn digits one_vs_rest 8 seed 0 is missing (not run yet, or interrupted)" in done.stdout
    assert {number: cell.state for number, cell in cells(place, COMMITTEE).items()} == {3: "done", 8: "missing"}
    shutil.move(kept, gone.path)
    assert vote(place).returncode == 0
    assert {number: cell.state for number, cell in cells(place, COMMITTEE).items()} == {3: "done", 8: "done"}
    assert not collect(place / "outputs", "e").stale


def test_a_rule_judged_by_other_code_waits_for_it(place: Path) -> None:
    record = record_of(place, "mean_image")
    entry, scores = record.rules()["smoothed"], record.rule_scores()
    arrays = {key: values for key, values in scores.items() if key.endswith("/smoothed")}
    add_rules(record, {"smoothed": {**entry, "code": "0" * 64}}, {"auroc/rule_smoothed": 0.5}, arrays)
    done = vote(place)
    assert "mean_image digits one_vs_rest 3 seed 0 is stale (the code of rule smoothed changed)" in done.stdout


def test_what_not_every_member_has_is_left_out_and_said(place: Path) -> None:
    assert (
        run_here(
            place, "experiment=e", "cells=knn digits one_vs_rest 8", "yes=true", module="benchmark.forget"
        ).returncode
        == 0
    )
    done = vote(place)
    assert done.returncode == 0
    assert "2 cells are left out: not every member has one of that data set, split, class and seed." in done.stdout
    assert list(cells(place, COMMITTEE)) == [3]


def test_what_a_killed_one_left_is_put_right(place: Path) -> None:
    vote(place)
    folder = record_of(place, COMMITTEE).path
    half = folder.with_name(f".{folder.name}.{'0' * 32}.tmp")
    half.mkdir()
    (half / "status.json").write_text("{")
    folder.rename(folder.with_name(f".{folder.name}.{'1' * 32}.old"))
    done = vote(place)
    assert "2 of 2 cells done (2 of them finished before)" in done.stdout
    assert read_record(folder).state == "done"
    assert {path.name for path in (place / "outputs").rglob(".*")} == {".locks"}


def test_one_that_cannot_be_written_is_said_and_the_others_are_made(place: Path) -> None:
    vote(place)
    folder = record_of(place, COMMITTEE).path
    shutil.rmtree(folder)
    (folder.parent / f".{folder.name}.lease").mkdir()  # where its lease would be
    done = vote(place)
    assert done.returncode == 1
    assert "failed, its record could not be written (" in done.stdout
    assert "1 of 2 cells done (1 of them finished before)" in done.stdout
    assert not folder.exists()


def test_one_that_another_process_makes_is_left_to_it(place: Path) -> None:
    vote(place)
    folder = record_of(place, COMMITTEE).path
    shutil.rmtree(folder)
    with holding(place / "outputs", folder):
        done = vote(place)
    assert (done.returncode, folder.exists()) == (1, False)
    assert f"{COMMITTEE} digits one_vs_rest 3 seed 0: busy, " in done.stdout.replace("calibration_share=0.3 ", "")


# where it stands


def test_it_is_a_column_of_the_report_without_pictures_of_its_own(place: Path) -> None:
    vote(place)
    done = run_here(place, "experiment=e", module="benchmark.report")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stdout
    folder = place / "outputs" / "reports" / "e"
    table = (folder / "tables.md").read_text()
    assert "| committee |" in table
    assert "committee: the mean z-score, on calibration images, of knn, mean\\_image:smoothed, pca." in table
    sheets = {path.name.split("_")[1] for path in (folder / "figures").glob("sheet_*")}
    assert sheets == {"knn", "mean-image", "pca"}


def test_it_stands_in_another_experiment_and_is_forgotten_there(place: Path) -> None:
    assert vote(place, MEMBERS, "into=votes").returncode == 0
    assert vote(place, "models=[knn,pca]", "into=votes").returncode == 0
    assert list(cells(place, COMMITTEE, "votes")) == [3, 8]
    assert not cells(place, COMMITTEE)
    assert collect(place / "outputs", "votes").cells[0].record.status.experiment_name == "votes"
    arguments = ["experiment=votes", f"cells={COMMITTEE}", "records=true", "yes=true"]
    assert run_here(place, *arguments, module="benchmark.forget").returncode == 0
    assert not cells(place, COMMITTEE, "votes")
    assert list((place / "outputs" / "cells" / "digits" / "one_vs_rest" / "committee").glob("class3-*")) != []


def test_further_rules_judge_its_members_and_not_it(place: Path) -> None:
    vote(place)
    done = run_here(place, "experiment=e", "rule=squared", module="benchmark.rescore")
    assert (done.returncode, done.stderr.count("committee")) == (0, 0), done.stderr
    assert "6 of 6 cells done" in done.stdout
    before = times(place)
    assert vote(place).returncode == 0
    assert times(place) == before, "what a member says under another rule is nothing to it"
    assert vote(place, "models=[pca:squared,knn]").returncode == 0


def test_mlflow_is_sent_it_as_every_cell(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    members = ",".join([f"pca:{rule}" for rule in ("smoothed", "ssim")] + ["knn", "mean_image", "mean_image:smoothed"])
    assert vote(place, f"models=[{members}]", "into=votes").returncode == 0
    done = run_here(place, "experiment=votes", module="benchmark.sync")
    assert done.stdout == "2 of 2 cells sent to MLflow, 0 were there.\n", done.stderr
    report = ["experiment=votes", "source=mlflow", "figures=false"]
    assert run_here(place, *report, module="benchmark.report").returncode == 0
    frame = (place / "outputs" / "reports" / "votes" / "cells.csv").read_text()
    assert frame.count(",committee,") >= 2


# members that may be several things


def test_several_variants_are_told_apart(recorded: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(recorded, tmp_path / "place"))
    refused = vote(place, "models=[knn,pca]")
    assert refused.returncode == 2
    assert "models: knn may be one of 2 variants. Type one of: knn@shipped, knn@neighbours=1" in refused.stderr
    assert vote(place, "models=[knn@neighbours=1,pca,knn@shipped]").returncode == 0
    found = cells(place, "committee (members=[knn,knn@neighbours=1,pca])")
    assert list(found) == [3, 8]
    assert found[3].record is not None
    assert len({note.fingerprint for note in found[3].record.status.members}) == 3


def test_the_chosen_rule_is_that_of_each_cell(place: Path) -> None:
    assert (
        "models: no rule was chosen for pca digits one_vs_rest 3 seed 0"
        in vote(place, "models=[pca:chosen,knn]").stderr
    )
    job = next(job for job in read_jobs(place / "outputs", "e") if job.cells[0].axes.model == "pca")
    for number, rule in ((3, "smoothed"), (8, "own")):  # as a job each would have planned it
        path = record_of(place, "pca", number).path / "status.json"
        edited(path, lambda status, rule=rule: status.update(chosen_rule=rule))
        own = tuple(cell for cell in job.cells if cell.axes.normal_class == number)
        write_job(place / "outputs", "e", replace(job, job=rule, number=None, chosen_rule=rule, cells=own))
    assert vote(place, "models=[pca:chosen,knn]").returncode == 0
    found = cells(place, "committee (members=[knn,pca:chosen])")
    assert [cell.record.status.members[1].rule for cell in found.values()] == ["smoothed", "own"]
    twice = vote(place, "models=[pca:chosen,pca:smoothed]")
    assert (twice.returncode, twice.stdout) == (2, "")
    assert "is another member too: rule smoothed. Leave one of them out" in twice.stderr


# what is refused


def other_index(arrays: dict[str, np.ndarray]) -> None:
    arrays["index"][[0, 1]] = arrays["index"][[1, 0]]


def other_label(arrays: dict[str, np.ndarray]) -> None:
    arrays["label"][0] = 1 - arrays["label"][0]


def not_finite(arrays: dict[str, np.ndarray]) -> None:
    arrays["score/mean_distance"][0] = np.inf


@pytest.mark.parametrize(
    ("stem", "change", "said"),
    [
        ("scores", other_index, "make no committee: their evaluated images differ, or the order of these. Run both"),
        ("scores", other_label, "make no committee: their evaluated images differ, or the order of these"),
        ("calibration", other_index, "make no committee: their calibration images differ, or the order of these"),
        ("scores", not_finite, "knn digits one_vs_rest 3 seed 0 has scores that are not finite as knn. Leave that out"),
        (
            "calibration",
            lambda arrays: arrays.pop("score/mean_distance"),
            "knn digits one_vs_rest 3 seed 0 has no scores of calibration images",
        ),
        (
            "calibration",
            lambda arrays: arrays.update({key: values[:1] for key, values in arrays.items()}),
            "has no scores of calibration images, which a committee needs of each member. Run it again with",
        ),
    ],
)
def test_cells_that_do_not_fit_are_refused_by_name(place: Path, stem: str, change: Any, said: str) -> None:
    rewritten(record_of(place, "knn"), stem, change)
    assert_refused(place, ["models=[knn,pca]"], said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": {"version": 2, "hash": "0" * 64}}, "make no committee: their splits differ. Run both with the same"),
        ({"data_version": "0" * 64}, "knn digits one_vs_rest 3 seed 0 and pca digits one_vs_rest 3 seed 0 make no"),
    ],
)
def test_cells_of_another_split_are_refused_by_name(place: Path, change: dict[str, Any], said: str) -> None:
    edited(record_of(place, "knn").path / "status.json", lambda status: status.update(change))
    assert_refused(place, ["models=[knn,pca]"], said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models=[knn:smoothed,pca]"], "rule smoothed does not apply to knn digits one_vs_rest 3 seed 0 (the model"),
        (["models=[knn,pca]", "rules=[own,ssim]"], "rule ssim does not apply to knn"),
        (
            ["models=[knn,pca:kl]"],
            "models: no cell of pca was judged under rule kl, but under: own, smoothed, ssim. Type",
        ),
        (["models=[knn,pca]", "into=.."], "into='..' is not allowed: it must be a name for a folder"),
        ([], "models=... is missing. There is: pca, knn, mean_image. Type for example: models=[pca,knn]"),
    ],
)
def test_what_is_typed_wrongly_is_refused(place: Path, arguments: list[str], said: str) -> None:
    assert_refused(place, arguments, said)


def test_members_that_never_meet_are_refused(place: Path) -> None:
    path = next((place / "outputs" / "experiments" / "e").glob("*.json"))
    for path in (place / "outputs" / "experiments" / "e").glob("*.json"):
        content = json.loads(path.read_text())
        if content["cells"][0]["axes"]["model"] == "knn":
            for cell in content["cells"]:
                cell["axes"]["evaluate_on"] = "validation"
            path.write_text(json.dumps(content))
    assert_refused(place, ["models=[knn,pca]"], "models: knn, pca have no data set, split, class and seed in common")


def assert_refused(place: Path, arguments: list[str], said: str) -> None:
    """In one line, before anything is written."""
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    done = run_here(place, "experiment=e", *arguments, module="benchmark.committee")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
