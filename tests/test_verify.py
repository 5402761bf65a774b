"""Cells of a report run again and compared: a submission of the page's model, and what is said of a changed one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.report.committed import read_committed
from benchmark.report.manifest import vendor_of
from benchmark.report.packed import read_manifest
from benchmark.verify import drawn
from tests.faults.helpers import run_here
from tests.test_your_own import lay_out

COMMAND = (
    "python -m benchmark -m --config-dir checked_conf model=pca,checked dataset=ours 'seed=[0,1]' trainer.epochs=1 "
    "tracking=off 'rule=[squared,smoothed]' experiment_name=mine"
)
WORDS = [word.strip("'") for word in COMMAND.split()[3:]]
CLAIM = """\
model: checked
variant: epochs=1
command: {command}
config_dir: checked_conf
auroc: {{ours: {auroc}}}
"""


def claimed(folder: Path) -> None:
    """Write what the report gives into claim.yaml."""
    rows = read_committed(folder).frame
    mean = rows[rows["model"] == "checked"].groupby("normal_class")["auroc"].mean().mean()
    (folder / "claim.yaml").write_text(CLAIM.format(command=COMMAND, auroc=round(float(mean), 4)))


@pytest.fixture(scope="module")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a submission, and beside it what was run again of it. Nobody changes it."""
    place = tmp_path_factory.mktemp("submitted")
    folder = place / "claims" / "mine"
    folder.mkdir(parents=True)
    lay_out(folder, my_models="checked_models", my_data="checked_data", my_conf="checked_conf", mine="checked")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        ran = run_here(folder, *WORDS)
        assert ran.returncode == 0, ran.stderr
        made = run_here(folder, "experiment=mine", "models=[pca,checked:smoothed]", module="benchmark.committee")
        assert made.returncode == 0, made.stderr
        reported = run_here(folder, "experiment=mine", "results_dir=.", "figures=false", module="benchmark.report")
        assert reported.returncode == 0, reported.stderr
    shutil.rmtree(folder / "outputs")
    claimed(folder)
    return place


@pytest.fixture(scope="module")
def checked(submitted: Path) -> subprocess.CompletedProcess[str]:
    return verify(submitted, "cells=all")


@pytest.fixture
def copy(submitted: Path, checked: object, tmp_path: Path) -> Path:
    """A copy to change, in which all was run again."""
    shutil.copytree(submitted, tmp_path / "copy")
    return tmp_path / "copy"


def verify(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """In this process, but for the path of modules, which ends with it."""
    before = list(sys.path)
    try:
        return run_here(place, "claim=claims/mine", *words, module="benchmark.verify")
    finally:
        sys.path[:] = before


def edit(place: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = place / "claims" / "mine" / "manifest.json"
    content = read_manifest(path)
    change(content)
    path.write_text(json.dumps(content))


def move(place: Path, by: float) -> None:
    """Move the AUROC of every cell of PCA on class 0, in both files."""
    rows = read_committed(place / "claims" / "mine").frame
    chosen = (rows["model"] == "pca") & (rows["normal_class"] == 0)
    rows.loc[chosen, "auroc"] += by
    rows.to_csv(place / "claims" / "mine" / "cells.csv", index=False)
    values = dict(zip(rows["fingerprint"], rows["auroc"], strict=True))
    edit(place, lambda content: [cell.update(auroc=values[cell["fingerprint"]]) for cell in content["cells"]])


def older(content: dict[str, Any]) -> None:
    """As it was before hashes, origins and rules were noted."""
    del content["origins"], content["rules"]
    for cell in content["cells"]:
        del cell["origin"], cell["scores_sha256"]


def states(found: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Cell -> what is said of it."""
    lines = re.findall(
        r"^(equal|within|differs|not compared) +(\w+).*? ours one_vs_rest (\d) seed (\d): (.*)$", found.stdout, re.M
    )
    return {f"{model} {label} {seed}": f"{state}: {what}" for state, model, label, seed, what in lines}


def test_a_submission_is_run_again_and_equal_bit_for_bit(
    checked: subprocess.CompletedProcess[str], submitted: Path
) -> None:
    assert checked.returncode == 0, (checked.stdout, checked.stderr)
    assert checked.stdout.endswith("Cells: outputs/verify/cells, a folder each\n")
    known = vendor_of(json.loads((submitted / "claims/mine/manifest.json").read_text())["environments"][0]) != "unknown"
    expected = "equal: bit for bit, headline and smoothed and squared" if known else "within: AUROC by 0"
    found = states(checked)
    assert len(found) == 12
    trained = [what for name, what in found.items() if not name.startswith("committee")]
    assert all(what.startswith(expected) for what in trained), found
    made = [what for name, what in found.items() if name.startswith("committee")]  # of members that were run again
    assert all(what.startswith(expected.partition(" and")[0]) for what in made), found
    assert (len(trained), len(made)) == (8, 4)
    assert re.search(r"checked on ours: 0\.\d+ is what cells.csv gives \(2 classes, 2 seeds\)", checked.stdout)
    assert (submitted / "outputs" / "verify" / "experiments" / "verify_mine").is_dir()


def test_the_same_command_goes_on(copy: Path) -> None:
    record = next((copy / "outputs" / "verify" / "cells" / "ours" / "one_vs_rest" / "pca").iterdir())
    shutil.rmtree(record)
    found = verify(copy, "cells=all")
    assert "8 of 8 cells done (7 of them finished before)" in found.stdout
    assert found.returncode == 0


def test_scores_that_are_others_are_named(copy: Path) -> None:
    cells: list[dict[str, Any]] = []

    def change(content: dict[str, Any]) -> None:
        cells.append(
            next(cell for cell in content["cells"] if cell["model"] == "checked" and cell["normal_class"] == 1)
        )
        cells[0]["scores_sha256"]["smoothed"] = "0" * 64

    edit(copy, change)
    found = verify(copy, "cells=all")
    assert found.returncode == 1
    differing = {name: what for name, what in states(found).items() if not what.startswith("equal")}
    assert list(differing) == [f"checked 1 {cells[0]['seed']}"]
    assert "differs: other scores than published (smoothed), AUROC by 0" in next(iter(differing.values()))


@pytest.mark.parametrize(
    ("cpu", "by", "code", "said"),
    [
        (None, 1e-9, 1, "differs: AUROC by 1e-09; compared to the last digit"),
        ("Intel", 9e-4, 0, "within: AUROC by 0.0009; compared within 0.001, as a processor of Intel then, of AMD here"),
    ],
)
def test_a_report_without_hashes_is_compared_by_auroc(
    copy: Path, monkeypatch: pytest.MonkeyPatch, cpu: str | None, by: float, code: int, said: str
) -> None:
    """``cpu``: the processor that it says to be of; this one is an AMD, whatever it is."""
    for path in (copy / "outputs" / "verify").rglob("environment.json"):
        content = json.loads(path.read_text()) | {"cpu": "AMD"}
        path.write_text(json.dumps(content))
        _written_anew(path)
    edit(copy, lambda content: [one.update(cpu=cpu or "AMD", vendor=cpu or "AMD") for one in content["environments"]])
    edit(copy, older)
    move(copy, -by)  # an AUROC above 1 is refused
    found = verify(copy, "cells=all", "model=pca")
    assert states(found)["pca 0 0"].startswith(said), found.stdout
    other = "within" if cpu else "equal: AUROC to the last digit, headline and smoothed and squared; published without"
    assert states(found)["pca 1 0"].startswith(other), found.stdout
    assert found.returncode == code


def _written_anew(path: Path) -> None:
    """Let a record take a changed file for the one that was written."""
    import hashlib

    status = path.with_name("status.json")
    content = json.loads(status.read_text())
    del content["digest"]
    content["files"][path.name] = {
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    status.write_text(json.dumps(content))


def other_fingerprint(content: dict[str, Any], **origin: Any) -> None:
    for one in content["origins"]:
        one.update(origin)


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ({"code": "pca"}, "the code of model pca is another than when it was published: git checkout"),
        ({"numerics": 1}, "numerics of version 1, here"),
    ],
)
def test_what_is_other_code_is_not_run(copy: Path, origin: dict[str, Any], said: str) -> None:
    edit(copy, lambda content: other_fingerprint(content, **origin))
    shutil.rmtree(copy / "outputs")
    found = verify(copy, "sample=2", "model=pca")
    assert found.returncode == 1
    assert all(what.startswith(f"not compared: {said}") for what in states(found).values()), found.stdout
    assert len(states(found)) == 2
    assert not (copy / "outputs").exists()


@pytest.mark.parametrize(
    ("origin", "overrides", "said"),
    [
        ({"data_version": "0" * 64}, [], "other images of ours: data of version 0000000000000000 then"),
        ({}, ["model.components=3"], "other settings: epochs=1, and its command gives here: components=3 epochs=1"),
        ({}, ["trainer.score_batch_size=7"], "its command gives another fingerprint here"),
        ({}, ["dataset=ours_too"], "no command of the report gives pca (epochs=1) ours one_vs_rest"),
        ({}, ["+data=.../mine"], "its command names a folder of the machine that it was typed on: +data=.../mine"),
        ({}, ["model.latnet=3"], "its command is refused here: model.latnet"),
    ],
)
def test_what_has_another_fingerprint_here_is_not_run_and_why_is_said(
    copy: Path, origin: dict[str, Any], overrides: list[str], said: str
) -> None:
    rows = read_committed(copy / "claims" / "mine").frame
    names = {name: name[::-1] for name in rows["fingerprint"]}
    rows.assign(fingerprint=rows["fingerprint"].map(names)).to_csv(copy / "claims" / "mine" / "cells.csv", index=False)

    def change(content: dict[str, Any]) -> None:
        other_fingerprint(content, **origin)
        for job in content["jobs"]:
            job["overrides"] += overrides
        for cell in content["cells"]:
            cell["fingerprint"] = names[cell["fingerprint"]]

    edit(copy, change)
    found = verify(copy, "sample=1", "model=pca")
    (what,) = states(found).values()
    assert what.startswith(f"not compared: {said}"), what
    assert found.returncode == 1


def test_a_rule_of_other_code_is_not_compared(copy: Path) -> None:
    edit(copy, lambda content: [rule.update(code="0" * 64) for rule in content["rules"] if rule["name"] == "smoothed"])
    found = verify(copy, "sample=1", "model=pca")
    (what,) = states(found).values()
    assert what.startswith("not compared: rule smoothed: its code or settings are others than at revision"), what


def test_a_committee_is_made_of_its_members_alone(copy: Path) -> None:
    shutil.rmtree(copy / "outputs")
    found = verify(copy, "sample=1", "model=committee")
    assert found.returncode == 0, found.stdout
    assert "2 of 2 cells done" in found.stdout  # its members, of one class and seed
    (what,) = states(found).values()
    assert what.startswith(("equal: bit for bit", "within"))


def test_a_committee_without_its_members_is_not_compared(copy: Path) -> None:
    folder = copy / "claims" / "mine"
    rows = read_committed(folder).frame
    rows[rows["model"] != "pca"].to_csv(folder / "cells.csv", index=False)
    edit(copy, lambda content: content.update(cells=[c for c in content["cells"] if c["model"] != "pca"]))
    found = verify(copy, "sample=1", "model=committee")
    assert found.returncode == 1
    assert list(states(found).values()) == ["not compared: its member pca is no cell of the report"]


def test_a_sample_depends_on_its_seed_alone(submitted: Path) -> None:
    committed = read_committed(submitted / "claims" / "mine")

    def names(**settings: str) -> list[str]:
        return [row["fingerprint"] for row in drawn(committed, settings)]

    assert names(sample="3") == names(sample="3", seed="0")
    assert len(names(sample="3")) == 3
    assert len({tuple(names(sample="3", seed=str(seed))) for seed in range(10)}) > 5
    assert len(names()) == 5
    assert len(names(cells="all")) == 12
    assert len(names(model="pca", sample="9")) == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which report? Type one of experiment=quick"),
        (["claim=claims/mine", "results=claims/mine"], "results, claim name several reports"),
        (["claim=claims/mine", "cells=some"], "cells=some is not allowed"),
        (["claim=claims/mine", "cells=all", "sample=3"], "do not go together"),
        (["claim=claims/mine", "sample=0"], "sample=0 is not allowed: it must be a whole number of at least 1"),
        (["claim=claims/mine", "sample=" + "9" * 5000], "is not allowed: it must be a whole number of at least 1"),
        (["claim=claims/mine", "model=ae"], "model=ae: the report has no such cells. It has: "),
        (["claim=claims"], "claim.yaml cannot be read"),
        (["results=outputs"], "outputs is no published report"),
        (["experiment=nothing"], "there is no folder results/nothing"),
        (
            ["claim=claims/mine", "output_dir=other"],
            "holds experiment quick, whose cells would be compared with themse",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(submitted: Path, words: list[str], said: str) -> None:
    (submitted / "other" / "experiments" / "quick").mkdir(parents=True, exist_ok=True)
    found = run_here(submitted, *words, module="benchmark.verify")
    assert found.returncode == 2
    assert said in found.stderr
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("before", "after", "code", "said"),
    [
        (r"ours: 0\.\d+", "ours: 0.9999", 1, "auroc.ours=0.9999: cells.csv gives 0."),
        (r"model=pca,checked", "model=checked", 1, "its command is none of those that made the report"),
        (r"model: checked", "model: other", 1, "cells.csv has no cell of other on ours"),
        (r"ours: 0\.\d+", "ours: 97", 2, "auroc must be numbers from 0 to 1 by data set"),
        (r"config_dir: checked_conf", "config_dir: ../..", 2, "is outside the folder"),
        (r"model: checked", "modell: checked", 2, "modell is not known. Allowed: model, variant"),
        (r"command: .*", "command: 7", 2, "command must be a text"),
    ],
)
def test_a_claim_that_its_own_report_does_not_give_is_refused(
    copy: Path, before: str, after: str, code: int, said: str
) -> None:
    path = copy / "claims" / "mine" / "claim.yaml"
    path.write_text(re.sub(before, after, path.read_text(), count=1))
    found = verify(copy)
    assert found.returncode == code
    assert said in found.stderr, found.stderr


def test_a_claim_needs_every_class(copy: Path) -> None:
    folder = copy / "claims" / "mine"
    rows = read_committed(folder).frame
    rows[rows["normal_class"] == 0].to_csv(folder / "cells.csv", index=False)
    edit(copy, lambda content: content.update(cells=[c for c in content["cells"] if c["normal_class"] == 0]))
    found = verify(copy)
    assert found.returncode == 1
    assert "cells.csv has 1 of 2 classes. Run the others too" in found.stderr


def test_a_report_of_which_one_file_was_edited_is_not_compared(copy: Path) -> None:
    edit(copy, lambda content: content["cells"][0].update(auroc=0.5))
    found = verify(copy)
    assert found.returncode == 1
    assert "do not name the same cells with the same AUROC" in found.stderr
