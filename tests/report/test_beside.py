"""Published columns beside one's own: marked, of the same classes and seeds, and refused where they are not alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.config import UsageError
from benchmark.report.beside import Others, set_beside
from benchmark.report.build import Report, build_report
from benchmark.report.committed import published
from benchmark.report.frame import build_frame, read_frame
from benchmark.report.packed import read_manifest
from benchmark.store.experiments import collect
from benchmark.store.files import RecordError
from benchmark.store.records import add_rules, read_record
from tests.report.conftest import Records

CLASSES = range(6)
RULE = {"code": "a" * 64, "config": {"name": "smoothed", "sigma": 1.0}}


def cells(model: str, first: float, **more: Any) -> list[dict[str, Any]]:
    count = {"metrics": {"n_test": 50.0, "n_test_anomalous": 25.0}}
    return [{"model": model, "k": k, "auroc": first + 0.01 * k**2, "classes": 6, **count, **more} for k in CLASSES]


def under(records: Records, entries: list[dict[str, Any]], auroc: float, **changes: Any) -> None:
    """Judge written cells by a rule."""
    for entry in entries:
        record = read_record(records.output_dir / entry["path"])
        scores = {"score/smoothed": np.zeros(50, np.float32)}
        add_rules(record, {"smoothed": {**RULE, **changes}}, {"auroc/rule_smoothed": auroc}, scores)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one's own cells, and results/paper: two models and a floor, two seeds. Nobody changes it."""
    folder = tmp_path_factory.mktemp("beside")
    paper = Records(folder / "theirs", "paper")
    for seed in (0, 1):
        for model, first in (("ae", 0.5), ("vae", 0.6), ("histogram", 0.3)):
            under(paper, paper.job(*cells(model, first, seed=seed)), first + 0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        build_report("paper", paper.output_dir, publish=True, figures=False)
    own = Records(folder / "mine", "mine")
    under(own, own.job(*cells("pca", 0.4)), 0.7)
    return folder


@pytest.fixture
def own(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    """One's own cells, in a folder with a copy of what is published."""
    (tmp_path / "results" / "paper").mkdir(parents=True)
    for name in ("manifest.json", "cells.csv"):
        shutil.copy(place / "results" / "paper" / name, tmp_path / "results" / "paper")
    monkeypatch.chdir(tmp_path)
    return Records(place / "mine", "mine")


def taken(own: Records, **settings: Any) -> Others:
    """What would stand beside one's own cells, without a report."""
    found = collect(own.output_dir, own.experiment).cells
    name = settings.pop("beside", "paper")
    return set_beside(found, build_frame(found), published(name, "beside"), settings.pop("beside_model", None))


def report(own: Records, **settings: Any) -> Report:
    defaults = {"results_dir": "r", "figures": False, "beside": "paper"}
    return build_report("mine", own.output_dir, **{**defaults, **settings})


def edit(change: Callable[[dict[str, Any]], object]) -> None:
    path = Path("results/paper/manifest.json")
    content = read_manifest(path)
    change(content)
    path.write_text(json.dumps(content))


def test_published_columns_are_marked_and_narrowed_and_one_s_own_cells_stay_alone(own: Records) -> None:
    before = (report(own, beside=None).results_dir / "cells.csv").read_bytes()
    found = report(own)
    revision = json.loads(Path("results/paper/manifest.json").read_text())["report_git_revision"][:7]
    assert (found.results_dir / "cells.csv").read_bytes() == before
    beside = read_frame(found.results_dir / "beside.csv")
    assert len(beside) == 18
    assert set(beside["seed"]) == {0}
    assert set(beside["variant"]) == {f"published=paper@{revision}"}
    auroc = next(table for tables in found.sections.values() for table in tables if table.key.startswith("auroc_"))
    assert [column.partition(" ▽")[0] for column in auroc.columns[1:]] == [
        "pca",
        *(f"{model} (published=paper@{revision})" for model in ("histogram", "ae", "vae")),
    ]
    assert any("18 cells marked" in warning and "were not run" in warning for warning in found.warnings)
    manifest = read_manifest(found.results_dir / "manifest.json")
    assert manifest["beside"]["cells"] == 18
    assert len(manifest["cells"]) == 6
    tests = next(table for table in found.sections["Tests between models"] if table.key.startswith("tests_"))
    pairs = [row[0].text for row in tests.rows]  # with one's own alone, and with no floor
    assert len(pairs) == 2
    assert all(pair.startswith("pca – ") and "histogram" not in pair for pair in pairs)


def test_some_of_its_models_are_taken(own: Records) -> None:
    assert set(taken(own, beside_model="vae").frame["model"]) == {"vae"}


def origins(**changes: Any) -> Callable[[], None]:
    return lambda: edit(lambda content: [origin.update(changes) for origin in content["origins"]])


def rules(**changes: Any) -> Callable[[], None]:
    return lambda: edit(lambda content: content["rules"][0].update(changes))


def two_versions() -> None:
    edit(lambda content: content["rules"].append({**content["rules"][0], "code": "c" * 64}))


REFUSED = {
    "another version of the data": (origins(data_version="b" * 64), {}, "another version of the data there: bbbbbbbb"),
    "another split": (
        origins(split_version=7),
        {},
        "mnist one_vs_rest test is of another version of the split there: 7",
    ),
    "other numerics": (origins(numerics=1), {}, "another version of the numerics there: 1, here"),
    "a rule of other code": (rules(code="b" * 64), {}, "rule smoothed has other code there"),
    "a rule with other settings": (rules(config={"sigma": 2.0}), {}, "rule smoothed has other settings there"),
    "a rule of two versions": (two_versions, {}, "judged by 2 versions of rule smoothed"),
    "no such experiment": (lambda: None, {"beside": "papers"}, "no folder results/papers. There is: paper"),
    "a folder that is not published": (lambda: None, {"beside": "../mine"}, "is no name"),
    "no such model": (lambda: None, {"beside_model": "aae"}, "it has: histogram, ae, vae"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_alike_is_refused_by_name(own: Records, case: str) -> None:
    change, settings, said = REFUSED[case]
    change()
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        taken(own, **settings)


def test_it_is_not_published(own: Records) -> None:
    with pytest.raises(UsageError, match="holds its own cells alone"):
        report(own, results_dir="results/mine")
    with pytest.raises(UsageError, match="narrows beside=NAME"):
        report(own, beside=None, beside_model="ae")
    assert not Path("results/mine").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"k": 7}, "it has no class 7 of mnist one_vs_rest test, but 0, 1, 2, 3, 4, 5"),
        ({"seed": 2}, "it has no seed 2"),
        ({"metrics": {"n_test": 20.0}}, r"class 0 was judged there on 50 images, here on 20 \(split.test_limit\)"),
        ({"evaluate_on": "validation"}, "no cell of it is of mnist one_vs_rest validation"),
    ],
)
def test_other_classes_seeds_and_images_are_refused(own: Records, changes: dict[str, Any], said: str) -> None:
    other = Records(Path("other"), "other")
    other.job({"model": "pca", "k": 0, "auroc": 0.5, **changes})
    with pytest.raises(UsageError, match=said):
        taken(other)


def test_of_a_report_of_before_versions_were_noted_rules_are_left_out_and_the_rest_is_said(own: Records) -> None:
    def forget(content: dict[str, Any]) -> None:
        del content["origins"], content["rules"]
        for cell in content["cells"]:
            del cell["origin"]

    edit(forget)
    found = taken(own)
    assert not any(column.startswith("auroc_rule_") for column in found.frame)
    assert any("before versions of data, split and numerics were noted" in note for note in found.notes)
    assert any("its code" in note or "their code" in note for note in found.notes)


def test_a_report_that_was_edited_is_named(own: Records) -> None:
    edit(lambda content: content["cells"][0].update(auroc=0.99))
    with pytest.raises(RecordError, match="do not name the same cells with the same AUROC"):
        taken(own)
