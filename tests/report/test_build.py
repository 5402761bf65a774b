"""The whole report, and its command line."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.cells import NUMERICS_VERSION
from benchmark.config import UsageError
from benchmark.report.__main__ import main, parse
from benchmark.report.agreement import EQUAL, Agreement, compare
from benchmark.report.build import NoRecords, build_report
from benchmark.report.committed import read_committed
from benchmark.report.figures import draw
from benchmark.report.frame import read_frame
from benchmark.report.packed import read_manifest
from benchmark.store.experiments import collect
from tests.report.conftest import Records

NAME = "<img src=x onerror=alert(1)>"


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def half(records):
    """Half a sweep, with arrays to draw from."""
    records.job(
        {"model": "ae", "k": 0, "auroc": 0.75, "name": NAME, "arrays": True},
        {"model": "ae", "k": 1, "state": "missing"},
        {"model": "pca", "k": 0, "auroc": 0.875, "name": NAME},
        {"model": "pca", "k": 1, "state": "failed", "reason": "OSError: /home/me/data/x is gone <b>"},
    )
    return records


def test_half_a_sweep_gives_a_whole_report(half, tmp_path):
    half.job({"model": "pca", "k": 0, "auroc": 0.875, "name": NAME, "arrays": True, "version": 2})
    report = build_report("small", half.output_dir, tmp_path / "r")
    files = files_of(tmp_path / "r")
    assert sorted(files) == report.files
    for name in ("cells.csv", "tables.md", "tables.tex", "report.html", "manifest.json"):
        assert files[name], name
    keys = ("heatmap", "roc", "roc_classes", "scores", "training", "sheet_ae", "sheet_pca", "latent")
    for key in keys:
        assert files[f"figures/{key}_mnist_one_vs_rest.png"].startswith(b"\x89PNG")
    assert not any(name.endswith(".pdf") for name in files)
    page = files["report.html"].decode()
    assert "<img src=x" not in page
    assert "OSError: .../x is gone &lt;b&gt;" in page
    shown = re.findall('<img [^>]*src="([^"]*)"', page)
    assert sorted(shown) == sorted(name for name in files if name.endswith(".png"))  # each figure once: not copied
    linked = {text for text in re.findall('href="([^"#]*)"', page) if text}
    assert linked <= files.keys()  # all beside the page, nothing elsewhere
    assert "1 stale cells" in page
    assert list(tmp_path.glob("*.tmp")) == []
    assert list(tmp_path.glob(".*.tmp")) == []


def test_figures_of_means_alone_show_no_image(half, tmp_path):
    report = build_report("small", half.output_dir, tmp_path / "r", figures="means")
    drawn = {name for name in report.files if name.startswith("figures/")}
    assert drawn == {"figures/heatmap_mnist_one_vs_rest.png"}


def test_rules_that_another_experiment_asked_for_stay_out(records, tmp_path):
    """A cell is every experiment's that planned it; its record has what any of them asked for."""
    metrics = {"auroc/rule_own": 0.75, "auroc/rule_ssim": 0.5, "auroc/rule_cosine": 0.625}
    cell = {"model": "ae", "k": 0, "auroc": 0.75, "metrics": metrics, "chosen_rule": "ssim"}
    rules = {"own": {"_target_": "benchmark.rules.own.Own"}}
    records.job(cell, version=2, rules=rules)
    records.experiment = "other"
    records.job(cell, version=2, rules={**rules, "ssim": {}}, chosen_rule="ssim")
    records.job(cell, version=2, rules={})
    records.experiment = "third"  # whose choice was noted before that of another
    records.job(cell, version=2, rules={"cosine": {}}, chosen_rule="cosine")
    records.experiment = "old"
    records.job(cell, rules={})
    columns = {}
    for name in ("small", "other", "third", "old"):
        frame = build_report(name, records.output_dir, tmp_path / name, figures=False).frame
        rules_of_it = {c.removeprefix("auroc_rule_") for c in frame if c.startswith("auroc_rule_")}
        columns[name] = rules_of_it, *frame.chosen_rule
    assert columns["small"] == ({"own"}, "")
    assert columns["other"] == ({"own", "ssim"}, "ssim")  # what any of its jobs asked for
    assert columns["third"] == ({"cosine"}, "cosine")
    assert columns["old"] == ({"own", "ssim", "cosine"}, "ssim")  # from before each noted what it asked for


def test_a_paper_has_its_figures_as_pdf_beside_the_pages_own(records, tmp_path):
    records.job({"model": "ae", "k": 0, "auroc": 0.75, "arrays": True})
    report = build_report("small", records.output_dir, tmp_path / "r", figures="pdf")
    files = files_of(tmp_path / "r")
    drawn = {name.removesuffix(".png") for name in report.files if name.endswith(".png")}
    assert drawn
    assert {name.removesuffix(".pdf") for name in report.files if name.endswith(".pdf")} == drawn
    assert all(files[f"{name}.pdf"].startswith(b"%PDF") for name in drawn)
    assert files["report.html"].decode().count('.pdf">PDF</a>') == len(drawn)
    report = build_report("small", records.output_dir, tmp_path / "r")
    assert not any(name.endswith(".pdf") for name in files_of(tmp_path / "r"))  # of the report before: removed


def test_the_same_records_give_the_same_bytes_in_one_process_and_in_several(half, tmp_path, monkeypatch):
    half.job({"model": "pca", "k": 0, "auroc": 0.875, "name": NAME, "arrays": True, "version": 2})
    build_report("small", half.output_dir, tmp_path / "a", command="c")
    time.sleep(1.1)  # a date in seconds would differ
    monkeypatch.setattr(draw, "MANY", 1)
    monkeypatch.setattr(draw, "available_cores", lambda: 2)
    monkeypatch.setattr(draw, "save", None)  # of this process: nothing is drawn here
    build_report("small", half.output_dir, tmp_path / "b", command="c")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_manifest_names_what_made_it_and_no_folder_of_this_machine(half, tmp_path):
    command = f"python -m benchmark.report results_dir={tmp_path}/r"
    build_report("small", half.output_dir, tmp_path / "r", figures=False, command=command)
    text = (tmp_path / "r" / "manifest.json").read_text()
    manifest = read_manifest(tmp_path / "r" / "manifest.json")
    assert str(tmp_path) not in text
    assert "/home/" not in text
    assert manifest["commands"] == ["python -m benchmark -m output_dir=.../outputs"]
    assert manifest["environments"][0]["cells"] == 2
    frame = read_frame(tmp_path / "r" / "cells.csv")
    assert [c["fingerprint"] for c in manifest["cells"]] == frame["fingerprint"].tolist()
    assert sorted(c["auroc"] for c in manifest["cells"] if c["auroc"] is not None) == [0.75, 0.875]


def test_a_new_report_removes_what_the_old_one_wrote_and_nothing_else(half, tmp_path):
    target = tmp_path / "r"
    build_report("small", half.output_dir, target, figures=False)
    (target / "notes.md").write_text("mine")
    (target / "tables" / "mine.csv").write_text("mine")
    assert (target / "tables" / "losses_mnist_one_vs_rest.csv").exists()
    for folder in half.output_dir.glob("experiments/small/*.json"):
        folder.unlink()
    half.job({"model": "ae", "k": 0, "auroc": 0.5, "dataset": "digits"})
    build_report("small", half.output_dir, target, figures=False, replace=True)
    assert not (target / "tables" / "losses_mnist_one_vs_rest.csv").exists()
    assert (target / "tables" / "losses_digits_one_vs_rest.csv").exists()
    assert (target / "notes.md").read_text() == "mine"
    assert (target / "tables" / "mine.csv").read_text() == "mine"


def test_a_brief_report_keeps_what_others_compute_from_and_no_hash_of_scores(records, tmp_path, capsys):
    target = tmp_path / "r"
    records.job(*({"model": "ae", "k": k, "auroc": 0.75, "arrays": True, "cpu": "AMD EPYC"} for k in (0, 1)))
    build_report("small", records.output_dir, target, figures=False)
    (target / "chosen.md").write_text("of benchmark.select")
    before, former = files_of(target), read_manifest(target / "manifest.json")
    assert {"report.html", "tables.tex", "tables/losses_mnist_one_vs_rest.csv"} <= before.keys()
    where = ["experiment=small", f"output_dir={records.output_dir}", f"results_dir={target}"]
    assert main([*where, "brief=true", "replace=true"]) == 0
    assert "xdg-open" not in capsys.readouterr().out  # there is no page
    after, manifest = files_of(target), read_manifest(target / "manifest.json")
    assert sorted(path.name for path in target.iterdir()) == ["cells.csv", "chosen.md", "manifest.json", "tables.md"]
    assert all(after[name] == before[name] for name in after.keys() - {"manifest.json"})
    assert manifest["files"] == ["cells.csv", "manifest.json", "tables.md"]
    assert [cell.pop("scores_sha256").keys() for cell in former["cells"]] == [{"headline"}] * 2
    own = ("files", "made_by")
    assert {k: v for k, v in manifest.items() if k not in own} == {k: v for k, v in former.items() if k not in own}
    committed = read_committed(target)
    found = [
        compare(committed.done[cell.fingerprint], committed, cell.record, {})
        for cell in collect(records.output_dir, "small").cells
    ]
    said = "AUROC to the last digit, headline; published without hashes of scores"
    assert found == [Agreement(EQUAL, said)] * 2
    build_report("small", records.output_dir, target, figures=False)
    (target / "tables" / "mine.csv").write_text("mine")
    build_report("small", records.output_dir, target, brief=True)
    assert files_of(target).keys() == {*after, "tables/mine.csv"}


def test_a_brief_report_minds_no_page_that_no_report_wrote(half, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "report.html").write_text("my own")
    build_report("small", half.output_dir, mine, brief=True)
    assert (mine / "report.html").read_text() == "my own"
    (mine / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match=r"files that no report wrote: cells\.csv, manifest\.json, tables\.md"):
        build_report("small", half.output_dir, mine, brief=True)


@pytest.mark.parametrize("asked", ["figures=true", "figures=pdf", "explorer=true"])
def test_a_brief_report_is_asked_for_no_page_and_no_figure(half, tmp_path, capsys, asked):
    assert main(["experiment=small", f"output_dir={half.output_dir}", "brief=true", asked]) == 2
    error = capsys.readouterr().err
    assert f"brief=true leaves out the page and what it shows, {asked} asks for it: leave out one of the two" in error
    assert main(["experiment=small", f"output_dir={half.output_dir}", "brief=true", "figures=false"]) == 0


def test_a_brief_report_has_the_figures_of_means_that_were_asked_for(half, tmp_path):
    target = tmp_path / "r"
    build_report("small", half.output_dir, target, brief=True, figures="means")
    files = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert {name for name in files if "/" not in name} == {"cells.csv", "manifest.json", "tables.md"}
    assert {name.partition("/")[0] for name in files if "/" in name} == {"figures"}
    assert set(read_manifest(target / "manifest.json")["files"]) == files


def test_an_interrupted_report_leaves_the_old_one(half, tmp_path, monkeypatch):
    target = tmp_path / "r"
    build_report("small", half.output_dir, target, figures=False)
    before = files_of(target)
    half.job({"model": "ae", "k": 0, "auroc": 0.1, "version": 2})

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmark.report.build.build_page", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_report("small", half.output_dir, target, figures=False)
    assert files_of(target) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["outputs", "r"]


def test_without_records_the_message_says_how_to_make_them(tmp_path, capsys):
    with pytest.raises(NoRecords, match="python -m benchmark"):
        build_report("nothing", tmp_path, tmp_path / "r")
    assert main(["experiment=nothing", f"output_dir={tmp_path}"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("experimnt=x", "did you mean experiment"),
        ("figures=maybe", "true, false, pdf, means, rules or sensitivity"),
        ("publish=maybe", "true or false"),
        ("brief=maybe", "true or false"),
        ("source=cloud", "folders or mlflow"),
        ("experiment=", "no value"),
        ("experiment=../x", "not a name"),
        ("quick", "Allowed: experiment=..."),
    ],
)
def test_a_bad_argument_is_refused_in_one_line(argument, said, capsys):
    assert main([argument]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_arguments_are_parsed():
    assert parse(["experiment=a", "figures=false"]) == {"experiment": "a", "figures": False}
    with pytest.raises(UsageError):
        parse(["figures"])


def test_console_shows_the_table_what_is_not_done_and_what_comes_next(half, tmp_path, capsys):
    arguments = ["experiment=small", f"output_dir={half.output_dir}", f"results_dir={tmp_path / 'r'}", "figures=false"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "0.875" in shown
    assert "2 of 4 cells are done" in shown
    assert "missing: ae mnist one_vs_rest class 1 seed 0" in shown
    assert "failed: pca mnist one_vs_rest class 1 seed 0: OSError" in shown
    assert "report.html" in shown
    assert "mlflow ui" not in shown  # nothing was tracked
    (half.output_dir / "mlflow.db").touch()
    assert main(arguments) == 0
    assert f"mlflow ui --backend-store-uri sqlite:///{half.output_dir}/mlflow.db" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("on", "more", "said"),
    [
        (["validation"], [], "select experiment=small"),
        (["synthetic"], ["output_dir=outputs"], "select experiment=small output_dir=outputs"),
        (["validation"], ["publish=true", "carry=true"], "select cells=results/small/cells.csv"),
        (["test"], [], " -m model="),
        (["test", "validation"], [], " -m model="),
        (["synthetic", "validation"], [], " -m model="),  # which benchmark.select refuses
    ],
)
def test_what_comes_next_after_cells_to_choose_by_is_the_choice(records, tmp_path, monkeypatch, capsys, on, more, said):
    monkeypatch.chdir(tmp_path)
    records.job(*({"model": "pca", "k": 0, "auroc": 0.75, "evaluate_on": each} for each in on))
    arguments = ["experiment=small", "brief=true", *more]
    assert main([*arguments[:2], "publish=true"]) == 0
    capsys.readouterr()
    assert main(arguments) == 0
    assert f"Next:\n  python -m benchmark{'' if said[0] == ' ' else '.'}{said}" in capsys.readouterr().out


def test_own_trials_go_below_the_output_folder(half, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["experiment=small", "figures=false"]) == 0
    assert (tmp_path / "outputs" / "reports" / "small" / "report.html").exists()
    assert not (tmp_path / "results").exists()
    elsewhere = build_report("small", half.output_dir, tmp_path / "mine", figures=False)
    assert elsewhere.results_dir == tmp_path / "mine"


def test_only_publishing_writes_results_and_no_published_cell_is_lost_unasked(records, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    published = ["experiment=small", "figures=false", "publish=true"]
    cells = [{"model": "ae", "k": k, "auroc": 0.75} for k in range(6)]
    records.job(*cells)
    assert main(published) == 0
    assert capsys.readouterr().out.count("Warning") == 0
    before = files_of(tmp_path / "results" / "small")
    for job in records.output_dir.glob("experiments/small/*.json"):
        job.unlink()
    records.job(
        *cells[:2], {"model": "vae", "k": 0, "auroc": 0.5}, {"model": "ae", "k": 2, "version": 2, "state": "failed"}
    )
    assert main(published) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "4 of the 6 done cells in results/small are not done here: ae mnist one_vs_rest test 2 0, " in error
    assert " and 1 more. " in error
    assert "Or type replace=true" in error
    assert files_of(tmp_path / "results" / "small") == before
    assert main([*published, "replace=true"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Warning: 4 of the 6 done cells in results/small are not done here" in out
    assert "Warning: 1 of the 3 done cells are new in results/small: vae mnist one_vs_rest test 0 0" in out
    assert files_of(tmp_path / "results" / "small") != before
    assert main([*published, "results_dir=mine"]) == 2
    assert "publish=true writes to results/small: leave out results_dir=mine" in capsys.readouterr().err


def test_a_folder_that_was_named_loses_no_done_cell_unasked(records, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    records.job(*({"model": "ae", "k": k, "auroc": 0.75} for k in (0, 1)))
    assert main(["experiment=small", "figures=false", "publish=true"]) == 0
    before = files_of(tmp_path / "results" / "small")
    other = Records(tmp_path / "other")
    other.job({"model": "ae", "k": 0, "auroc": 0.5})
    trial = ["experiment=small", "figures=false", "output_dir=other", "results_dir=results/small"]
    assert main(trial) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "1 of the 2 done cells in results/small are not done here: ae mnist one_vs_rest test 1 0. " in error
    assert files_of(tmp_path / "results" / "small") == before
    assert main([*trial, "replace=true"]) == 0
    assert files_of(tmp_path / "results" / "small") != before


def test_files_that_no_report_wrote_are_not_overwritten_unasked(half, tmp_path, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "tables.md").write_text("my own")
    (mine / "manifest.json").write_text('{"files": 3}')
    arguments = ["experiment=small", "figures=false", f"output_dir={half.output_dir}", f"results_dir={mine}"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{mine} holds files that no report wrote: manifest.json, tables.md. " in error
    assert "replace=true" in error
    assert files_of(mine) == {"tables.md": b"my own", "manifest.json": b'{"files": 3}'}
    assert main([*arguments, "replace=true"]) == 0
    assert main(arguments) == 0  # they are a report's now
    table = mine / "tables" / "mine.csv"
    table.write_text("mine")
    assert main(arguments) == 0  # in nobody's way
    assert table.read_text() == "mine"


def test_after_an_interruption_while_files_move_the_next_report_knows_its_own(half, tmp_path, monkeypatch):
    moved, replace = [], os.replace

    def interrupted(source, target):
        if len(moved) == 3:
            raise KeyboardInterrupt
        moved.append(replace(source, target))

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_report("small", half.output_dir, tmp_path / "r", figures=False)
    monkeypatch.undo()
    assert len(files_of(tmp_path / "r")) == 3
    report = build_report("small", half.output_dir, tmp_path / "r", figures=False)
    assert sorted(files_of(tmp_path / "r")) == report.files


@pytest.mark.parametrize("where", ["publish=true", "results_dir=results/of_mine"])
def test_cells_of_other_code_are_not_published_unasked(records, tmp_path, monkeypatch, capsys, where):
    monkeypatch.chdir(tmp_path)
    records.job({"model": "ae", "k": 0, "auroc": 0.75}, {"model": "ae", "k": 1, "auroc": 0.75, "code": "f" * 64})
    assert main(["experiment=small", "figures=false", where]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "1 of the 2 done cells are stale (1: its code changed) and not published unasked. See what" in error
    assert not (tmp_path / "results").exists()
    assert main(["experiment=small", "figures=false"]) == 0  # a report of one's own only warns
    assert main(["experiment=small", "figures=false", where, "stale=true"]) == 0
    (manifest,) = (tmp_path / "results").glob("*/manifest.json")
    assert "other code" in json.loads(manifest.read_text())["warnings"][0]


def test_cells_of_other_numerics_are_named_and_not_published_unasked(records, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.report.stale.NUMERICS_VERSION", 10**6)
    records.job({"model": "ae", "k": 0, "auroc": 0.75})
    assert main(["experiment=small", "figures=false", "publish=true"]) == 2
    assert "1 of the 1 done cells are stale (1: numerics of version" in capsys.readouterr().err
    assert main(["experiment=small", "figures=false", "publish=true", "stale=true"]) == 0
    warnings = json.loads((tmp_path / "results" / "small" / "manifest.json").read_text())["warnings"]
    assert warnings == [f"1 cells are stale: numerics of version {NUMERICS_VERSION}, here 1000000"]


def test_help_is_quick_and_loads_nothing_heavy():
    """Nor does a report load torch before it draws an image or reads a score."""
    code = (
        "import sys; from benchmark.report.__main__ import main; main(['--help']); "
        "print(sorted({'torch', 'pandas', 'matplotlib', 'mlflow', 'scipy'} & set(sys.modules))); "
        "assert main(['experiment=nobody']) == 1; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "experiment" in done.stdout
