"""Published cells that a new report keeps: which ones, what is refused by name, and what the manifest says of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.code_hash import cell_code
from benchmark.config import UsageError
from benchmark.report.build import Report, build_report
from benchmark.report.committed import published, read_committed
from benchmark.report.frame import read_frame
from benchmark.report.packed import read_manifest
from benchmark.report.parts import published_in
from benchmark.rules import rule_code, shipped
from benchmark.status import main as status
from benchmark.store.files import RecordError
from benchmark.store.records import add_rules, read_record
from tests.report.conftest import Records

RULE = {"code": "a" * 64, "config": {"name": "smoothed", "sigma": 1.0}}
IMAGES = {"metrics": {"n_test": 50.0, "n_test_anomalous": 25.0}}


def cells(models: str, classes: Any, seed: int = 0, **more: Any) -> list[dict[str, Any]]:
    own = {"seed": seed, "classes": 6, **IMAGES, **more}
    return [
        {"model": m, "k": k, "auroc": 0.5 + 0.05 * len(m) + 0.01 * k, **own} for m in models.split() for k in classes
    ]


def under(records: Records, entries: list[dict[str, Any]], **changes: Any) -> None:
    """Judge written cells by a rule."""
    for entry in entries:
        record = read_record(records.output_dir / entry["path"])
        scores = {"score/smoothed": np.zeros(50, np.float32)}
        add_rules(record, {"smoothed": {**RULE, **changes}}, {"auroc/rule_smoothed": 0.7}, scores)


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    """results/small holds classes 0 to 2 of two models, from an output folder that is not there any more."""
    monkeypatch.chdir(tmp_path)
    records = Records(tmp_path / "first", "small")
    under(records, records.job(*cells("ae pca", range(3), arrays=True)))
    build_report("small", records.output_dir, publish=True, figures=False)
    return Records(tmp_path / "second", "small")


def report(records: Records, **settings: Any) -> Report:
    defaults = {"publish": True, "carry": True, "figures": False}
    return build_report("small", records.output_dir, **{**defaults, **settings})


def edit(change: Callable[[dict[str, Any]], object]) -> None:
    path = Path("results/small/manifest.json")
    content = read_manifest(path)
    change(content)
    path.write_text(json.dumps(content))


def test_two_halves_are_what_one_report_of_all_is(first: Records, tmp_path: Path) -> None:
    """The rest, with the published cells planned and missing: all tables are those of one output folder."""
    later = first.job(*cells("ae pca", range(3, 6)))
    under(first, later)
    first.job(*cells("ae pca", range(3), state="missing"))
    found = report(first)
    whole = Records(tmp_path / "whole", "small")
    under(whole, whole.job(*cells("ae pca", range(6))))
    expected = build_report("small", whole.output_dir, results_dir="whole", figures=False)
    assert (found.results_dir / "cells.csv").read_bytes() == (expected.results_dir / "cells.csv").read_bytes()
    assert found.sections == expected.sections
    assert any(table.key.startswith("tests_") for table in found.sections["Tests between models"])
    assert not len(found.not_done)
    former, now, alone = (
        read_manifest(folder / "manifest.json")
        for folder in (Path("results/small"), found.results_dir, expected.results_dir)
    )
    kept = [cell for cell in now["cells"] if "carried" in cell]
    assert [(cell["model"], cell["normal_class"]) for cell in kept] == [(m, k) for m in ("pca", "ae") for k in range(3)]
    assert now["carried"] == [{"git_revision": former["report_git_revision"], "cells": 6}]
    assert [(rule["name"], rule["cells"]) for rule in now["rules"]] == [("smoothed", 12)]
    assert sum(environment["cells"] for environment in now["environments"]) == 12
    hashes = {cell["fingerprint"]: cell.get("scores_sha256") for cell in now["cells"]}
    assert hashes.keys() == {cell["fingerprint"] for cell in alone["cells"]}
    committed = published("small", "carry")
    assert all(committed.origin(cell["fingerprint"])["code"] for cell in now["cells"])
    assert any("6 of the cells are kept from the report of revision" in text for text in found.warnings)


def test_a_cell_that_is_kept_twice_names_the_report_that_had_its_record(first: Records, tmp_path: Path) -> None:
    edit(lambda content: content.update(report_git_revision="0" * 40))
    first.job(*cells("ae", [3]))
    report(first)
    third = Records(tmp_path / "third", "small")
    third.job(*cells("ae", [4]))
    report(third)
    manifest = read_manifest(Path("results/small/manifest.json"))
    kept = {(cell["model"], cell["normal_class"]): cell.get("carried") for cell in manifest["cells"]}
    assert kept["ae", 0] == "0" * 40
    assert kept["ae", 3] not in ("0" * 40, None)
    assert kept["ae", 4] is None


def test_a_brief_report_is_carried_on_and_drops_no_hash_unasked(first: Records, tmp_path: Path) -> None:
    """The hashes of cells whose records are gone go when that is typed; their cells then stay without them."""
    before = Path("results/small/manifest.json").read_bytes()
    first.job(*cells("ae pca", [3], arrays=True))
    with pytest.raises(UsageError, match=r"which 6 of the cells that are kept have in results/small, .* replace=true"):
        report(first, brief=True, figures=None)
    assert Path("results/small/manifest.json").read_bytes() == before
    made = report(first, brief=True, figures=None, replace=True)
    assert sorted(made.files) == ["cells.csv", "manifest.json", "tables.md"]
    assert not any(published("small", "carry").hashes(fingerprint) for fingerprint in made.frame["fingerprint"])
    third = Records(tmp_path / "third", "small")
    third.job(*cells("ae pca", [4], arrays=True))
    later = report(third, figures=True)
    assert (later.results_dir / "report.html").exists()
    assert len(later.frame) == 10
    found = published("small", "carry")
    rows = later.frame.to_dict("records")
    assert {row["normal_class"] for row in rows if found.hashes(row["fingerprint"])} == {4}
    assert all(found.origin(row["fingerprint"])["code"] for row in rows)
    assert sum(environment["cells"] for environment in found.manifest["environments"]) == 10
    report(third, brief=True, figures=None)  # the cells that are kept have no hash to lose


def test_one_s_own_cell_counts_and_one_that_failed_here_is_not_hidden(first: Records) -> None:
    first.job(
        *cells("ae", [0], version=2), {"model": "pca", "k": 0, "state": "failed", "reason": "no memory", **IMAGES}
    )
    with pytest.raises(UsageError, match="1 of the 6 done cells in results/small are not done here: pca"):
        report(first)
    frame = report(first, replace=True).frame
    assert len(frame) == 6
    assert list(frame[frame["model"] == "pca"]["state"]) == ["failed", "done", "done"]
    assert frame[(frame["model"] == "ae") & (frame["normal_class"] == 0)]["fingerprint"].iloc[0] not in {
        cell for cell in published("small", "carry").frame["fingerprint"] if cell not in set(frame["fingerprint"])
    }


@pytest.mark.parametrize(
    "ended",
    [{"state": "failed", "reason": "no memory"}, {"state": "diverged", "reason": "nan"}, {"code": "b" * 64}],
    ids=["failed", "diverged", "stale"],
)
def test_a_published_cell_stands_whatever_became_of_it_here_once_skip_was_typed(
    first: Records, ended: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """With retry, or without either, what became of it here counts: then the report says how the published one can."""
    planned = [{"model": "pca", "k": 0, "auroc": 0.1, **IMAGES, **ended}]
    command = ["experiment=small", f"output_dir={first.output_dir}"]
    first.job(*planned, published="skip")
    found = report(first)
    assert set(found.frame["state"]) == {"done"}
    assert found.frame[(found.frame["model"] == "pca") & (found.frame["normal_class"] == 0)]["auroc"].iloc[0] == 0.65
    assert any("1 of the cells that are kept have a record here that is not finished" in w for w in found.warnings)
    assert not any("trains them again" in text for text in found.warnings)
    assert status(command) == 0
    out = capsys.readouterr().out
    assert "0 of 1 cells done, 1 published in results/small." in out
    assert "To try them again, type:\n  python -m benchmark -m output_dir=/home/somebody/outputs published=retry" in out
    assert "To finish it" not in out

    first.job(*planned, published="retry")
    assert status(command) == 1
    assert "0 of 1 cells done." in capsys.readouterr().out
    if "state" in ended:
        with pytest.raises(UsageError, match=r"1 cell is published and failed here: .* with published=skip"):
            report(first)
    else:
        with pytest.raises(UsageError, match="stale"):
            report(first)


def test_status_counts_no_published_cell_that_lacks_a_rule_or_its_version(
    first: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the sweep with published=skip, which would train it."""
    rule = shipped("smoothed")
    edit(lambda content: [entry.update(config=rule, code=rule_code(rule)) for entry in content["rules"]])
    command = ["experiment=small", f"output_dir={first.output_dir}"]
    missing = cells("ae", [0], state="missing")
    for rules, code in (
        ({}, 0),
        ({"smoothed": rule}, 0),
        ({"smoothed": {**rule, "sigma": 2.0}}, 1),
        ({"smoothed": rule, "ssim": shipped("ssim")}, 1),
        ({"smoothed": {"name": "smoothed"}}, 1),
    ):
        first.job(*missing, published="skip", rules=rules)
        assert status(command) == code, rules
    first.job(*missing, published="skip", rules={}, chosen_rule="smoothed")
    assert status(command) == 1, "it was not noted as the chosen one"
    assert "To finish it" in capsys.readouterr().out


def test_a_folder_that_was_renamed_is_not_taken_for_the_report_of_its_name(
    first: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("results/small").rename("results/other")
    other = Records(first.output_dir, "other")
    other.job(*cells("ae", [3]), *cells("ae", [0], state="missing"), published="skip")
    with pytest.raises(UsageError, match=r"carry=true: results/other is the report of experiment small, not of other"):
        build_report("other", other.output_dir, publish=True, carry=True, figures=False)
    assert status(["experiment=other", f"output_dir={other.output_dir}"]) == 1
    assert "published=skip: results/other is the report of experiment small" in capsys.readouterr().err
    with pytest.raises(UsageError, match="results/other is the report of experiment small"):
        published_in(Path("results/other"), "other", [], {}, None)
    mine = Records(first.output_dir, "mine")
    mine.job(*cells("ae", [0]))
    found = build_report("mine", mine.output_dir, beside="other", figures=False)
    assert "results/other is the report of experiment small, as its manifest.json says" in found.warnings


def test_a_missing_cell_of_another_configuration_does_not_take_the_place(first: Records) -> None:
    first.job(*cells("ae", [0], state="missing", version=2), *cells("ae", [1]))
    with pytest.raises(UsageError, match=r"1 of the 6 done cells in results/small are not done here: ae .* 0 0\."):
        report(first)
    found = report(first, replace=True)
    assert any("1 published cells are of another configuration" in text for text in found.warnings)


def test_a_committee_that_waits_for_members_makes_room_for_the_published_one(first: Records) -> None:
    earlier = Records(first.output_dir.parent / "first", "small")
    earlier.jobs = 1  # which the fixture wrote
    votes = {"variant": "members=[ae,pca]", "code": cell_code("committee", "benchmark.engine.committee.combine")}
    earlier.job(*cells("committee", [0], **votes))
    build_report("small", earlier.output_dir, publish=True, figures=False)
    first.job(*cells("committee", [0], **votes, state="missing", version=2), *cells("ae", [3]))
    frame = report(first).frame
    assert len(frame) == 8
    assert set(frame["state"]) == {"done"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: [o.update(numerics=1) for o in content["origins"]], r"are stale \(6: numerics of version 1, "),
        (lambda content: [o.update(code="b" * 64) for o in content["origins"]], r"are stale \(6: its code changed\)"),
        (lambda content: [c.pop("origin") for c in content["cells"]], "their code is not known"),
        (lambda content: [o.update(data_version="b" * 64) for o in content["origins"]], "another version of the data"),
        (lambda content: [o.update(split_version=9) for o in content["origins"]], "another version of the split there"),
        (lambda content: content["rules"][0].update(code="b" * 64), "rule smoothed has other code there than here"),
        (lambda content: content.pop("rules"), "its rules were published before their code was noted"),
    ],
)
def test_what_was_not_measured_alike_is_refused_by_name(
    first: Records, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    under(first, first.job(*cells("ae", [3])))
    edit(change)
    before = Path("results/small/cells.csv").read_bytes()
    with pytest.raises(UsageError, match=message):
        report(first)
    assert Path("results/small/cells.csv").read_bytes() == before


@pytest.mark.parametrize("column", ["seed", "normal_class", "n_test"])
def test_a_row_that_was_changed_by_hand_is_no_cell(first: Records, column: str) -> None:
    """A seed that was never run; and a column that is not there."""
    first.job(*cells("ae", [3]))
    path = Path("results/small/cells.csv")
    rows = list(csv.DictReader(path.open(newline="")))
    names = [name for name in rows[0] if name != "n_test" or column != "n_test"]
    rows[0][column] = "7"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises((UsageError, RecordError), match=r"1 of 6 rows differ|has no column n_test"):
        report(first)


@pytest.mark.parametrize("settings", [{"publish": False, "results_dir": "elsewhere"}, {"publish": False}])
def test_cells_of_other_code_are_kept_nowhere_unasked(first: Records, settings: dict[str, Any]) -> None:
    first.job(*cells("ae", [3]))
    edit(lambda content: [origin.update(code="b" * 64) for origin in content["origins"]])
    Path("elsewhere").symlink_to("results/small", target_is_directory=True)
    with pytest.raises(UsageError, match=r"are stale \(6: its code changed\) and not kept unasked"):
        report(first, **settings)
    assert len(report(first, **settings, stale=True).frame) == 7


def test_stale_cells_are_kept_when_that_is_typed_and_said(first: Records) -> None:
    first.job(*cells("ae", [3]))
    edit(lambda content: [origin.update(code="b" * 64) for origin in content["origins"]])
    found = report(first, stale=True)
    assert len(found.frame) == 7
    assert any("6 cells that are kept are stale: its code changed" in text for text in found.warnings)


def test_rules_of_unknown_code_are_kept_when_stale_is_typed_and_said(first: Records) -> None:
    under(first, first.job(*cells("ae", [3])))
    edit(lambda content: content.pop("rules"))
    found = report(first, stale=True)
    assert len(found.frame) == 7
    assert any("rules were published before their code was noted" in text for text in found.warnings)


def test_other_numbers_of_images_are_refused_for_other_classes_too(first: Records) -> None:
    first.job(*cells("ae", [3], metrics={"n_test": 20.0, "n_test_anomalous": 10.0}))
    with pytest.raises(UsageError, match=r"was judged there on 50 images, here on 20 \(split.test_limit\)"):
        report(first)


def test_there_must_be_a_report_to_keep_cells_of(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    records.job(*cells("ae", [3]))
    with pytest.raises(UsageError, match="results/small is no published report"):
        report(records)


def test_figures_of_columns_without_records_stay_and_others_say_what_they_lack(first: Records) -> None:
    build_report("small", first.output_dir.parent / "first", publish=True)
    before = Path("results/small/figures/sheet_pca_mnist_one_vs_rest.png").read_bytes()
    first.job(*cells("ae", [3], arrays=True))
    found = report(first, figures=True)
    assert (found.results_dir / "figures" / "sheet_pca_mnist_one_vs_rest.png").read_bytes() == before
    page = (found.results_dir / "report.html").read_text()
    kept = [name for name in found.files if Path(name).name.startswith(("sheet_pca", "reconstructions"))]
    assert page.count("Kept from the report of revision") == len(kept)
    assert "Without 6 cells that are kept from a former report" in page
    committed = read_committed(found.results_dir)
    assert len(read_frame(found.results_dir / "cells.csv")) == 7 == len(committed.cells)
    drawn = sum(name.startswith("figures/") for name in found.files)
    without = report(first, replace=True)
    assert f"{drawn} figures that were published are left out; figures=true keeps those" in without.warnings
    page = (found.results_dir / "report.html").read_text()
    assert "were published are left out" not in page  # it is said, and no state of the report
