"""Of the overrides of somebody else's report only data are composed, and an odd manifest is refused in one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmark.config import UsageError
from benchmark.report.committed import PLACE, read_committed
from benchmark.report.frame import write_frame
from benchmark.report.packed import read_manifest
from benchmark.report.plain import not_plain
from benchmark.sweep.again import Where, lay_out_again

QUICK = Path(__file__).parents[2] / PLACE / "quick"


@pytest.mark.parametrize(
    "override",
    [
        *("dataset._target_=subprocess.call", "+dataset.options.args=[touch,x]", "++rules.x._target_=evil.M"),
        *("--config-dir=evil", "--cfg", "hydra.run.dir=x", "hydra/launcher=joblib", "++ output_dir=x", "dataset@x=a"),
        *("+dataset={_target_: evil.f}", "model.x={_target_: evil.M}", " dataset._target_=x", "~dataset", "model"),
        *("model=../../evil", "+experiment=/evil", "dataset.sources=[1]", "seed=${oc.env:HOME}", "++rules=[1]"),
    ],
)
def test_what_is_more_than_data_is_told(override: str) -> None:
    assert not_plain(["model=pca", override]) == override


def test_published_commands_are_data() -> None:
    for path in QUICK.parent.glob("*/manifest.json"):
        for job in json.loads(path.read_text())["jobs"]:
            votes = [o for o in job["overrides"] if re.fullmatch(r"models=\[[\w,:@=.\[\]]+\]", o)]  # of a committee
            left = [o for o in job["overrides"] if not o.startswith("tracking.") and o not in votes]
            assert not_plain(left) is None, path


def test_no_function_of_a_report_is_called(tmp_path: Path) -> None:
    committed = read_committed(QUICK)
    call = ["dataset._target_=subprocess.call", f"+dataset.options.args=[touch,{tmp_path / 'ran'}]"]
    for job in committed.manifest["jobs"]:
        job["overrides"] += call
    for cell in committed.manifest["cells"]:
        cell.pop("origin", None)
    rows = committed.frame.to_dict("records")[:1]
    again = lay_out_again(committed, rows, Where(str(tmp_path), "verify_x"), "typed")
    assert not again.jobs
    assert not (tmp_path / "ran").exists()
    (why,) = again.refused.values()
    assert why.startswith("its command has dataset._target_=subprocess.call, which may run code"), why


ODD: dict[str, Callable[[dict[str, Any]], object]] = {
    "jobs": lambda m: m.update(jobs=[5]),
    "environments": lambda m: m.update(environments=[5]),
    "commands": lambda m: m.update(commands={}),
    "origin": lambda m: m["cells"][0].update(origin="x"),
    "command": lambda m: m["jobs"][0].update(command=99),
    "override": lambda m: m["jobs"][0].update(overrides=[5]),
    "no origins": lambda m: [m.update(origins=[]), m["cells"][0].update(origin=0)],
    "a text of origins": lambda m: m.update(origins="x"),
    "rules": lambda m: m.update(rules=5),
    "hashes": lambda m: m["cells"][0].update(scores_sha256=5),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_manifest_is_refused_in_one_line(tmp_path: Path, odd: str) -> None:
    shutil.copytree(QUICK, tmp_path / "odd")
    content = read_manifest(QUICK / "manifest.json")
    ODD[odd](content)
    (tmp_path / "odd" / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="is no published report") as caught:
        read_committed(tmp_path / "odd")
    assert "\n" not in str(caught.value)


def test_an_auroc_that_cannot_be_is_refused(tmp_path: Path) -> None:
    shutil.copytree(QUICK, tmp_path / "odd")
    write_frame(read_committed(QUICK).frame.assign(auroc=7.5), tmp_path / "odd" / "cells.csv")
    with pytest.raises(UsageError, match=r"auroc holds 7.5, which is no AUROC"):
        read_committed(tmp_path / "odd")


@pytest.mark.parametrize("column", ["normal_class", "seed"])
@pytest.mark.parametrize("value", ["-1", "1.5", "a", ""])
def test_an_odd_class_or_seed_is_refused_by_name(tmp_path: Path, column: str, value: str) -> None:
    shutil.copytree(QUICK, tmp_path / "odd")
    table = pd.read_csv(QUICK / "cells.csv", dtype=str, keep_default_na=False)
    table.loc[1, column] = value
    table.to_csv(tmp_path / "odd" / "cells.csv", index=False)
    said = f"({column} holds what is no whole number" if value in ("1.5", "a") else f"({column} in line 3 of"
    with pytest.raises(UsageError, match=re.escape(said)) as caught:
        read_committed(tmp_path / "odd")
    assert "\n" not in str(caught.value)


def test_what_a_report_says_is_printable(tmp_path: Path) -> None:
    shutil.copytree(QUICK, tmp_path / "odd")
    content = json.loads((QUICK / "manifest.json").read_text()) | {"report_git_revision": "\x1b[31m\nred"}
    (tmp_path / "odd" / "manifest.json").write_text(json.dumps(content))
    assert read_committed(tmp_path / "odd").revision == "\\x1b[31m\\nred"
