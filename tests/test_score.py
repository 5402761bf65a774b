"""``python -m benchmark.score``: new images by a finished cell, from the command line to the table and the page."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from sklearn.metrics import roc_auc_score

from benchmark import Detector, load_detector
from benchmark.detect.table import drop_unfinished, is_table
from tests.detect.conftest import Cells, finished_cells  # noqa: F401 (the fixture `cells`)
from tests.faults.helpers import run_here
from tests.faults.warm import Forked

Run = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def parts(cells: Cells, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of the class and of another, in class folders; its name is parts."""
    folder = tmp_path_factory.mktemp("new") / "parts"
    for name, label in (("good", 3), ("defect", 0)):
        (folder / name).mkdir(parents=True)
        for i in np.flatnonzero(cells.labels == label):
            PIL.Image.fromarray(cells.test[i]).save(folder / name / f"{i:03d}.png")
    return folder


def run(folder: Path, *arguments: object) -> Run:
    return run_here(folder, *map(str, arguments), module="benchmark.score")


def images_of(frame: pd.DataFrame) -> np.ndarray:
    return np.stack([np.asarray(PIL.Image.open(path)) for path in frame["path"]])


@pytest.mark.parametrize("rule", [None, "ssim"])
def test_the_table_says_what_the_detector_says(cells: Cells, parts: Path, tmp_path: Path, rule: str | None) -> None:
    words = [f"cell={cells.paths['vae']}", f"images={parts}", "out=new.csv", *([f"rule={rule}"] if rule else [])]
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    table, detector = pd.read_csv(tmp_path / "new.csv"), load_detector(cells.paths["vae"], rule=rule)
    images = images_of(table)
    assert len(table) == len(list(parts.rglob("*.png")))
    assert np.array_equal(table["score"].astype(np.float32), detector.anomaly_scores(images).astype(np.float32))
    assert table["p_value"].tolist() == pytest.approx(detector.p_values(images).tolist(), rel=1e-8)
    assert table["flagged"].tolist() == detector.flag(images, alpha=0.05).tolist()
    truth = (table["label"] == "defect").astype(int)
    auroc = roc_auc_score(truth, table["score"])
    assert (
        f"AUROC {auroc:.4f} against its class folders ({(truth == 0).sum()} normal: good; {truth.sum()}" in done.stderr
    )
    assert f"Flagged {table['flagged'].sum()} of {len(table)}" in done.stderr
    assert ("by ssim" if rule else "by its own score (") in done.stderr


def test_bad_images_are_named_and_do_not_stop_the_rest(cells: Cells, parts: Path, tmp_path: Path) -> None:
    listed = sorted(parts.rglob("*.png"))[:3]
    (tmp_path / "cut.png").write_bytes(listed[0].read_bytes()[:60])
    rows = [f"{listed[0]},good", "cut.png,good", f"{listed[1]},good", "none.png,", f"{listed[2]},"]
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    done = run(tmp_path, f"cell={cells.paths['pca']}", "images=list.csv", "out=new.parquet")
    assert done.returncode == 1
    table = pd.read_parquet(tmp_path / "new.parquet")
    assert table["score"].notna().tolist() == [True, False, True, False, True]
    assert table["flagged"].isna().tolist() == [False, True, False, True, False]
    assert table["reason"][3] == "no such file or directory"
    assert "3 of 5 images scored" in done.stderr
    last = done.stderr.strip().splitlines()[-2:]
    assert last[0].startswith("benchmark.score: cut.png: ")
    assert last[1] == "benchmark.score: none.png: no such file or directory"


def test_a_table_is_judged_again_without_the_images(cells: Cells, parts: Path, tmp_path: Path) -> None:
    cell = f"cell={cells.paths['vae']}"
    for name, alpha in (("strict", 0.05), ("loose", 0.5)):
        assert run(tmp_path, cell, f"images={parts}", f"out={name}.csv", f"alpha={alpha}").returncode == 0
    done = run(tmp_path, cell, "scores=strict.csv", "alpha=0.5", "out=again.csv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "loose.csv").read_text()
    assert (tmp_path / "again.csv").read_text() != (tmp_path / "strict.csv").read_text()
    other = run(tmp_path, f"cell={cells.paths['pca']}", "scores=strict.csv", "out=again.csv")
    assert other.returncode == 2
    assert "scores=strict.csv was not written with this cell and rule" in other.stderr


def test_a_table_whose_p_values_tell_nothing_is_warned_of(cells: Cells, parts: Path, tmp_path: Path) -> None:
    cell = f"cell={cells.paths['vae']}"
    assert run(tmp_path, cell, f"images={parts}", "out=new.csv").returncode == 0
    table = pd.read_csv(tmp_path / "new.csv")
    quiet = run(tmp_path, cell, "scores=new.csv", "out=again.csv")
    assert "nothing tells whether" not in quiet.stderr
    table[table["p_value"] == table["p_value"].min()].assign(score=1e9).head(3).to_csv(
        tmp_path / "far.csv", index=False
    )
    done = run(tmp_path, cell, "scores=far.csv", "out=far_again.csv")
    assert (
        "scores=far.csv: every image scores above or below all calibration images, so that nothing tells" in done.stderr
    )


def test_normal_images_alone_calibrate(cells: Cells, parts: Path, tmp_path: Path) -> None:
    cell = f"cell={cells.paths['pca']}"
    before = run(tmp_path, cell, f"images={parts / 'defect'}", "out=before.csv")
    after = run(tmp_path, cell, f"images={parts / 'defect'}", f"calibrate={parts / 'defect'}", "out=after.csv")
    tables = [pd.read_csv(tmp_path / f"{name}.csv") for name in ("before", "after")]
    assert tables[0]["score"].equals(tables[1]["score"])
    assert tables[0]["flagged"].mean() > 0.9
    assert tables[1]["flagged"].mean() <= 0.05
    assert "more than of normal images alone: there are anomalies among them" in before.stderr
    assert "54 normal images given with calibrate=" in after.stderr
    again = run(tmp_path, cell, "scores=before.csv", f"calibrate={parts / 'defect'}", "out=again.csv")
    assert again.returncode == 0
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "after.csv").read_text()


def test_without_out_the_table_is_on_stdout(cells: Cells, parts: Path, tmp_path: Path) -> None:
    image = sorted(parts.rglob("*.png"))[0]
    done = run(tmp_path, f"cell={cells.paths['pca']}", f"images={image}")
    head, row = done.stdout.splitlines()
    assert head == "path,score,p_value,flagged,label,reason"
    assert row.startswith(f"{image},")
    assert "Flagged" not in done.stderr  # of one image


def test_a_saved_detector_scores_too(cells: Cells, parts: Path, tmp_path: Path) -> None:
    detector = Detector("pca", components=4, calibration_share=0.25, device="cpu", alpha=0.2).fit(cells.normal)
    detector.save(tmp_path / "mine")
    done = run(tmp_path, "cell=mine", f"images={parts}", "out=new.csv")
    assert done.returncode == 0
    assert "alpha=0.2\n" in done.stderr
    table = pd.read_csv(tmp_path / "new.csv")
    assert table["flagged"].tolist() == detector.flag(images_of(table)).tolist()
    assert "alpha=0.1\n" in run(tmp_path, "cell=mine", "scores=new.csv", "alpha=0.1", "out=again.csv").stderr
    assert np.array_equal(
        table["score"].astype(np.float32), detector.anomaly_scores(images_of(table)).astype(np.float32)
    )


def test_an_experiment_gives_its_best_cell(cells: Cells, parts: Path, tmp_path: Path) -> None:
    image = sorted(parts.rglob("*.png"))[0]
    words = ("experiment=default", f"output_dir={cells.folder}", f"images={image}")
    several = run(tmp_path, *words)
    assert several.returncode == 2
    assert "has 2 cells that are done: " in several.stderr
    assert "Type choose=best, narrow it with model=, or name one: cell=" in several.stderr
    aurocs = {model: cells.record(model).metrics["auroc"] for model in cells.paths}
    best = max(aurocs, key=lambda model: aurocs[model])
    done = run(tmp_path, *words, "choose=best")
    assert f"the highest AUROC, {aurocs[best]:.4f}, of 2 on test images, which chose it" in done.stderr
    assert f"Scores: {best} trained on digits" in done.stderr
    other = min(aurocs, key=lambda model: aurocs[model])
    assert f"Scores: {other} trained on digits" in run(tmp_path, *words, f"model={other}").stderr


def test_the_page_is_written_beside_the_table(cells: Cells, parts: Path, tmp_path: Path) -> None:
    done = run(tmp_path, f"cell={cells.paths['vae']}", f"images={parts}", "out=new.csv", "page=deep/new.html")
    assert done.returncode == 0
    assert done.stderr.endswith("Table: new.csv\nPage: deep/new.html\n")
    text = (tmp_path / "deep" / "new.html").read_text()
    assert text.count('<p class="name">') == 24
    highest = pd.read_csv(tmp_path / "new.csv").sort_values("score", ascending=False, kind="stable")["path"].iloc[0]
    assert f"1. {highest}" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["images=parts"], "which cell scores? Type either cell=outputs/cells/... or experiment="),
        (["cell=CELL"], "what is to be scored? Type either images="),
        (["cell=CELL", "images=parts", "scores=new.csv"], "what is to be scored?"),
        (["cell=nowhere", "images=parts"], "cell=nowhere does not exist"),
        (["cell=parts", "images=parts"], "cell=parts is no folder of a cell"),
        (["cell=CELL", "images=nowhere"], "images=nowhere does not exist. Type images=<a folder, an image, a CSV"),
        (["cell=CELL", "images=empty"], "images=empty has no images in it"),
        (["cell=CELL", "images=note.txt"], "images=note.txt is no image: its name ends in none of"),
        (["cell=CELL", "images=note.csv"], "images=note.csv has no column path; its first line is 'hello'"),
        (["cell=CELL", "images=parts", "calibrate=empty"], "calibrate=empty has no images in it"),
        (["cell=CELL", "images=parts", "alpha=1"], "alpha=1 is not allowed: it must be a number above 0 and below 1"),
        (["cell=CELL", "images=parts", "alpha=high"], "alpha=high is not allowed"),
        (
            ["cell=CELL", "images=parts", "alpha=0.03"],
            "alpha=0.03 flags nothing: with 32 calibration images the",
        ),
        (["cell=CELL", "images=parts", "out=new.txt"], "out=new.txt is not allowed: it must end in .csv or .parquet"),
        (["cell=CELL", "images=parts", "page=new.csv"], "page=new.csv is not allowed: it must end in .html"),
        (
            ["cell=CELL", "images=parts", "out=" + "y" * 250 + ".csv"],
            "yyy... is too long: a file's name has at most 200",
        ),
        (["cell=CELL", "images=" + "y" * 300], "yyy... is too long for a path. Type images=<a shorter one>"),
        (["cell=~nobody_here/x", "images=parts"], "cell='~nobody_here/x' cannot be a path: Could not determine home"),
        (
            ["experiment=e", "class=" + "9" * 5000, "images=parts"],
            "experiment=e: there is none of this name in outputs",
        ),
        (["cell=CELL", "images=parts", "out=empty"], "out=empty is a folder"),
        (["cell=CELL", "images=note.csv", "out=note.csv"], "out=note.csv is what images= names"),
        (["cell=CELL", "images=parts", "watch=true"], "watch=true looks at a folder and writes a table"),
        (["cell=CELL", "images=parts", "interval=2"], "interval= is of watch=true, which is not typed"),
        (
            ["cell=CELL", "images=parts", "watch=true", "out=new.csv", "interval=0"],
            "interval=0 is not allowed: it must be a number of seconds, 0.01 to 86,400. Type: interval=2",
        ),
        (["cell=CELL", "images=parts", "watch=true", "out=new.csv", "interval=nan"], "interval=nan is not allowed"),
        (["cell=CELL", "images=parts", "rule=nosuch"], "rule=nosuch: there is no such rule"),
        (["cell=CELL", "images=parts", "choose=best"], "choose= is of an experiment, and cell= names a cell"),
        (["cell=CELL", "scores=note.csv"], "scores=note.csv is no table of scores"),
        (
            ["cell=CELL", "scores=inf.csv"],
            "scores=inf.csv is no table of scores: row 2 has the score -inf, and a score",
        ),
        (["cell=CELL", "scores=far.csv"], "scores=far.csv is no table of scores: row 1 has the score 1e+39, and a"),
        (["cell=CELL", "images=long.csv"], "images=long.csv: line 3 has 3 cells, and the first line names 2, so that"),
        (["cell=CELL", "images=floats.npz"], "Divide them by what is white, or save whole numbers from 0 to 255"),
        (["experiment=none", "images=parts"], "experiment=none: there is none of this name in outputs"),
        (["cell=CELL", "images=parts", "device=tpu"], "device=tpu"),
        (["cell=CELL", "imags=parts"], "imags=parts is not known; did you mean images=...?"),
    ],
)
def test_bad_input_is_one_line_before_any_work(cells: Cells, parts: Path, words: list[str], says: str) -> None:
    folder = parts.parent
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "note.txt").write_text("hello")
    (folder / "note.csv").write_text("hello\n")
    (folder / "inf.csv").write_text("path,score,label\na.png,1,3\nb.png,-inf,4\n")
    (folder / "far.csv").write_text("path,score,label\na.png,1e39,3\nb.png,2,4\n")
    (folder / "long.csv").write_text("path,label\na.png,good,\nb.png,bad,very\n")
    np.savez(folder / "floats.npz", images=np.full((2, 28, 28), 255.0))
    done = run(folder, *[word.replace("CELL", str(cells.paths["pca"])) for word in words])
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert not list(folder.glob("new.*"))


def test_labels_that_are_not_normal_give_no_auroc(cells: Cells, parts: Path, tmp_path: Path) -> None:
    files = sorted(parts.rglob("*.png"))[:4]
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(f"{path},kind {i}\n" for i, path in enumerate(files)))
    words = f"cell={cells.paths['pca']}", "images=list.csv", "out=new.csv"
    assert (
        "No AUROC: of the labels (its column label) kind 0, kind 1, kind 2, kind 3 none is 3."
        in run(tmp_path, *words).stderr
    )
    assert "AUROC" in (said := run(tmp_path, *words, "normal=kind 2").stderr)
    assert "(1 normal: kind 2; 3 anomalous)" in said


def test_a_folder_that_fills_is_watched_until_it_is_told(cells: Cells, parts: Path, tmp_path: Path) -> None:
    files = sorted(parts.rglob("*.png"))
    new, out = tmp_path / "new", tmp_path / "new.csv"
    new.mkdir()
    (new / "first.png").write_bytes(files[0].read_bytes())
    words = [f"cell={cells.paths['pca']}", f"images={new}", f"out={out}", f"page={tmp_path / 'new.html'}"]
    words += ["watch=true", "interval=0.1"]
    log = tmp_path / "log"
    log.write_text("")
    process = Forked(tmp_path, "-m", "benchmark.score", *words, out=log, err=log)

    def wait_for(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    try:
        wait_for(lambda: log.read_text().count("\n") >= 2)
        first, second = log.read_text().splitlines()
        assert "Ctrl-C ends it" in first
        assert "first.png: score " in second
        (new / "second.png").write_bytes(files[1].read_bytes())
        wait_for(lambda: log.read_text().count("\n") >= 3)
        assert "second.png: score " in log.read_text().splitlines()[2]
        wait_for((tmp_path / "new.html").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
    assert "2 of 2 images scored" in log.read_text()
    assert [Path(path).name for path in pd.read_csv(out)["path"]] == ["first.png", "second.png"]


def test_nothing_but_a_table_of_scores_is_replaced(cells: Cells, parts: Path, tmp_path: Path) -> None:
    image = min(parts.rglob("*.png"))
    cell, listed, table = f"cell={cells.paths['pca']}", tmp_path / "lab.csv", tmp_path / "new.csv"
    listed.write_text(f"path\n{image}\n")
    (tmp_path / "link.csv").symlink_to(listed)
    (tmp_path / "foreign.csv").write_text("a,b\n1,2\n")
    kept = {path: path.read_bytes() for path in (listed, tmp_path / "foreign.csv")}
    for out, says in (
        (listed, "is what images= names"),
        ("link.csv", "is what images= names"),
        ("foreign.csv", "exists and is no table of scores: it is left as it is"),
        (cells.paths["pca"] / "history.csv", "lies in the folder of a record"),
    ):
        done = run(tmp_path, cell, "images=lab.csv", f"out={out}")
        assert done.returncode == 2, out
        assert says in done.stderr
    assert all(path.read_bytes() == content for path, content in kept.items())
    for _ in range(2):
        assert run(tmp_path, cell, "images=lab.csv", f"out={table}").returncode == 0


def test_no_page_but_our_own_is_replaced(cells: Cells, parts: Path, tmp_path: Path) -> None:
    words = [f"cell={cells.paths['pca']}", f"images={parts / 'good'}"]
    (tmp_path / "mine.html").write_text("<html>my page</html>")
    done = run(tmp_path, *words, "out=new.csv", "page=mine.html")
    assert done.returncode == 2
    assert "page=mine.html exists and is no page of this command: it is left as it is" in done.stderr
    assert (tmp_path / "mine.html").read_text() == "<html>my page</html>"
    assert not (tmp_path / "new.csv").exists()
    for _ in range(2):
        assert run(tmp_path, *words, "out=new.csv", "page=new.html").returncode == 0


def test_links_are_written_through(cells: Cells, parts: Path, tmp_path: Path) -> None:
    words = [f"cell={cells.paths['pca']}", f"images={parts / 'good'}"]
    (tmp_path / "deep").mkdir()
    (tmp_path / "new.csv").symlink_to(tmp_path / "deep" / "table.csv")
    (tmp_path / "new.html").symlink_to(tmp_path / "deep" / "page.html")
    for _ in range(2):
        assert run(tmp_path, *words, "out=new.csv", "page=new.html").returncode == 0
        assert (tmp_path / "new.csv").is_symlink()
        assert (tmp_path / "new.html").is_symlink()
    assert is_table(tmp_path / "deep" / "table.csv")
    assert "images with the highest scores" in (tmp_path / "deep" / "page.html").read_text()


def test_images_that_calibrate_themselves_are_warned_of(cells: Cells, parts: Path, tmp_path: Path) -> None:
    words = [f"cell={cells.paths['pca']}", f"images={parts / 'good'}"]
    says = "warning: images= and calibrate= have images in common: of these at most alpha is flagged"
    for calibrate in (parts / "good", parts):
        assert says in run(tmp_path, *words, f"calibrate={calibrate}", "out=new.csv").stderr
    assert says not in run(tmp_path, *words, f"calibrate={parts / 'defect'}", "out=new.csv").stderr


def test_the_rate_is_of_images_after_the_first(cells: Cells, parts: Path, tmp_path: Path) -> None:
    words = [f"cell={cells.paths['pca']}", "images=list.csv", "out=new.csv"]
    files = [*parts.rglob("*.png")]
    (tmp_path / "list.csv").write_text("path\n" + "".join(f"{path}\n" for path in files[:12]))
    done = run(tmp_path, *words)
    assert re.search(r"12 of 12 images scored in [\d.]+ s\n", done.stderr)
    many = (files * 600)[:600]
    (tmp_path / "list.csv").write_text("path\n" + "".join(f"{path}\n" for path in many))
    done = run(tmp_path, *words)
    assert re.search(r"600 of 600 images scored in [\d.]+ s \([\d,]+ a second, after the first 500\)", done.stderr)


def test_a_table_that_another_cell_calibrated_is_refused(cells: Cells, parts: Path, tmp_path: Path) -> None:
    calibrate = f"calibrate={parts / 'good'}"
    words = [f"cell={cells.paths['pca']}", calibrate, "out=c.csv"]
    assert run(tmp_path, *words, f"images={parts / 'good'}").returncode == 0
    assert run(tmp_path, *words, "scores=c.csv").returncode == 0
    done = run(tmp_path, f"cell={cells.paths['vae']}", "scores=c.csv", calibrate, "out=other.csv")
    assert done.returncode == 2
    assert "scores=c.csv was not written with this cell and rule" in done.stderr


def test_an_unfinished_last_line_is_dropped(tmp_path: Path) -> None:
    path, head = tmp_path / "w.csv", "path,score,p_value,flagged,label,reason\n"
    for torn in ("", "b.png,0.", '"c\n', '"c\nd'):
        path.write_text(f"{head}a.png,1,0.5,false,,\n{torn}")
        drop_unfinished(path)
        assert path.read_text() == f"{head}a.png,1,0.5,false,,\n"
    path.write_text("path,sco")
    assert is_table(path)
    drop_unfinished(path)
    assert path.read_text() == ""
