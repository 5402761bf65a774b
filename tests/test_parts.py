"""A table made in parts by the real commands: what is published is not trained again, and both halves are one table."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

from tests.faults.helpers import run_here as run
from tests.store.test_records import edit

COMMON = [
    *("-m", "dataset=digits", "model=pca,ae", "trainer.epochs=1", "trainer.workers=1", "split.test_limit=100"),
    *("tracking=off", "experiment_name=parts", "rule=smoothed"),
]
TIMED = ("_seconds", "images_per_second", "peak_memory_mib", "peak_memory_cells")  # end names of what a run costs
WITH_SECONDS = ("costs_", "losses_")  # begin names of tables that show them


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "cells.csv").open(encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if not k.endswith(TIMED)} for row in csv.DictReader(file)]


def tables(folder: Path) -> dict[str, str]:
    found = (path for path in (folder / "tables").glob("*.csv") if not path.name.startswith(WITH_SECONDS))
    return {path.name: path.read_text(encoding="utf-8") for path in found}


def test_a_table_made_in_two_places_is_that_of_one_go(tmp_path: Path) -> None:
    report = {"module": "benchmark.report"}
    assert run(tmp_path, *COMMON, "split.normal_class=[0,1]", "output_dir=first").returncode == 0
    assert (
        run(tmp_path, "experiment=parts", "output_dir=first", "publish=true", "figures=false", **report).returncode == 0
    )

    rest = [*COMMON, "split.normal_class=[0,1,2]", "output_dir=second", "published=skip"]
    done = run(tmp_path, *rest)
    assert done.returncode == 0, done.stderr
    assert "2 of 6 cells done, 4 published in results/parts and not trained again" in done.stdout
    assert "output_dir=second publish=true carry=true" in done.stdout
    assert done.stderr.count("2 cells published in results/parts, not trained again") == 2
    assert len(list((tmp_path / "second" / "cells").rglob("status.json"))) == 2
    status = run(tmp_path, "experiment=parts", "output_dir=second", module="benchmark.status")
    assert status.returncode == 0
    assert "2 of 6 cells done, 4 published in results/parts." in status.stdout

    lacking = run(tmp_path, "experiment=parts", "output_dir=second", "publish=true", "figures=false", **report)
    assert lacking.returncode == 2  # four done cells would be lost
    words = ("experiment=parts", "output_dir=second", "publish=true", "carry=true", "figures=false")
    assert run(tmp_path, *words, **report).returncode == 0
    assert run(tmp_path, *COMMON, "split.normal_class=[0,1,2]", "output_dir=first").returncode == 0
    words = ("experiment=parts", "output_dir=first", "results_dir=whole", "figures=false")
    assert run(tmp_path, *words, **report).returncode == 0
    assert rows(tmp_path / "results" / "parts") == rows(tmp_path / "whole")
    assert tables(tmp_path / "results" / "parts") == tables(tmp_path / "whole")
    assert {name.split("_")[0] for name in tables(tmp_path / "whole")} >= {"auroc", "rules", "intervals"}

    judged = [word.replace("pca,ae", "pca") for word in COMMON if not word.startswith("rule=")]
    more = run(
        tmp_path, *judged, "rule=[smoothed,squared]", "split.normal_class=0", "output_dir=third", "published=skip"
    )
    assert "1 of 1 cells done in" in more.stdout, more.stderr  # a rule that did not judge the published cell


def test_a_published_cell_that_failed_here_stands_and_can_be_tried_again(tmp_path: Path) -> None:
    """Sweep and status say the same, and the command that status names does it."""
    words = [word.replace("pca,ae", "pca") for word in COMMON if not word.startswith("rule=")]
    words = [*words, "split.normal_class=0"]
    assert run(tmp_path, *words, "rule=smoothed", "output_dir=first").returncode == 0
    report = ("experiment=parts", "output_dir=first", "publish=true", "figures=false")
    assert run(tmp_path, *report, module="benchmark.report").returncode == 0

    here = [*words, "output_dir=second"]
    assert run(tmp_path, *here).returncode == 0
    judged = run(tmp_path, *here, "rule=smoothed", "published=skip")  # its own record counts, once it is judged as well
    assert "1 of 1 cells done (1 of them finished before)" in judged.stdout
    assert "judged from its weights" in judged.stderr
    (path,) = (tmp_path / "second" / "cells").rglob("status.json")
    edit(path, lambda content: content.update(state="failed", reason="no memory"))
    done = run(tmp_path, *here, "rule=smoothed", "published=skip")
    assert done.returncode == 0
    assert "0 of 1 cells done, 1 published in results/parts and not trained again" in done.stdout
    assert "1 with a record here that is not finished: published=retry tries such cells again" in done.stderr
    status = run(tmp_path, "experiment=parts", "output_dir=second", module="benchmark.status")
    assert status.returncode == 0
    assert "failed: pca digits one_vs_rest 0 seed 0: no memory" in status.stdout
    command = status.stdout.partition("To try them again, type:\n")[2].split("\n")[0]
    again = run(tmp_path, *shlex.split(command)[3:])
    assert command.endswith("published=retry")
    assert "1 of 1 cells done in" in again.stdout
