"""From a data set of good images alone to a chosen detector: whole commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmark.data.synthetic import KINDS
from benchmark.engine.evaluate import judge_again
from benchmark.engine.fleet import Fleet
from benchmark.engine.score import Scoring
from benchmark.report.frame import build_frame, write_frame
from benchmark.store.experiments import collect
from benchmark.sweep.compose import compose_jobs
from benchmark.sweep.job import lay_out_job
from benchmark.sweep.steps import build_model
from tests.faults.helpers import run_here

DATA = '''
import numpy as np


def load():
    """Sixty RGB images of stripes; one image of a second class stands for a test split that nobody reads."""
    draw = np.random.default_rng(0)
    wave = np.sin(np.arange(16) + draw.uniform(0, 6, (60, 1, 1, 1)))
    images = (128 + 80 * wave + draw.normal(0, 8, (60, 3, 16, 16))).clip(0, 255).astype(np.uint8)
    return images, np.zeros(60, int), images[:1], np.zeros(1, int)
'''
DATASET = "name: parts\n_target_: parts_of_mine.load\nclasses: [good]\nimage_size: 16\n"
SMALL = ("--config-dir=my", "dataset=parts", "tracking=off", "chosen=none", "split.evaluate_on=synthetic")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two settings of pca and one of ae were compared on synthetic anomalies, under three rules."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "my" / "dataset").mkdir(parents=True)
    (folder / "my" / "dataset" / "parts.yaml").write_text(DATASET)
    (folder / "parts_of_mine.py").write_text(DATA)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        rules = ("rule=[cosine,smoothed,committee]", "experiment_name=parts")
        for words in (("model=pca", "model.components=2,4"), ("model=ae", "trainer.epochs=1")):
            done = run_here(folder, "-m", *SMALL, *rules, *words)
            assert done.returncode == 0, done.stderr
        yield folder


def records(folder: Path) -> list:
    found = [cell.record for cell in collect(folder / "outputs", "parts").cells]
    assert len(found) == 3
    return found


def test_a_record_says_what_each_image_was_made_of_and_into(folder):
    for record in records(folder):
        arrays, metrics = record.scores(), record.metrics
        assert np.array_equal(np.bincount(arrays["target"]), [12] * (1 + len(KINDS)))
        assert np.array_equal(arrays["label"], arrays["target"] > 0)
        normal = set(arrays["index"][arrays["label"] == 0])
        assert set(arrays["index"][arrays["label"] == 1]) == normal
        assert not normal & set(np.load(record.path / "calibration.npz")["index"])
        for number, kind in enumerate(KINDS, start=1):
            chosen = np.isin(arrays["target"], (0, number))
            label, scores = arrays["label"][chosen], arrays["score/reconstruction"][chosen]
            above = (scores[label == 1][:, None] > scores[label == 0]).mean()
            assert metrics[f"against/auroc_{kind}"] == pytest.approx(above, abs=1e-6)


def test_pictures_show_the_made_images(folder):
    """Not the rows of the training split that these were made of."""
    for record in records(folder):
        shown = record.images()
        by_row = {}
        for index, target, image in zip(shown["index"], shown["target"], shown["input"], strict=True):
            by_row.setdefault(int(index), {})[int(target)] = image
        pairs = [(kinds[0], kinds[t]) for kinds in by_row.values() if 0 in kinds for t in kinds if t]
        assert pairs, "no image is shown beside what was made of it"
        assert all((one != other).any() for one, other in pairs)


def test_rescoring_makes_the_same_images_and_every_model_sees_them(folder):
    before = {record.path: dict(np.load(record.path / "rules.npz")) for record in records(folder)}
    done = run_here(folder, "experiment=parts", "rule=[squared,ssim]", module="benchmark.rescore")
    assert done.returncode == 0, done.stderr
    for record in records(folder):
        now = np.load(record.path / "rules.npz")
        assert all(np.array_equal(now[key], before[record.path][key]) for key in before[record.path])
        assert np.allclose(now["score/squared"], record.scores()["score/reconstruction"], rtol=1e-5)


def test_cells_that_are_judged_together_each_see_their_own_images():
    """On a GPU the cells of a fleet are; here a CPU judges two at once and one after the other."""
    words = ["dataset=digits", "model=ae", "split.normal_class=[3,8]", "split.evaluate_on=synthetic", "rule=squared"]
    job = lay_out_job(compose_jobs(words)[0].config)
    models = [build_model(job, cell) for cell in job.cells]
    how = Scoring(100, rules=job.rules_built(job.rules))
    both = judge_again(Fleet(models, "cpu"), job.cells, job.data, job.images, how)
    for cell, model, found in zip(job.cells, models, both, strict=True):
        (alone,) = judge_again(Fleet([model], "cpu"), [cell], job.data, job.images, how)
        assert np.allclose(found.scores["squared"], alone.scores["squared"], rtol=1e-5)


def test_a_choice_is_written_into_a_folder_of_ones_own_and_used_from_there(folder, tmp_path, monkeypatch):
    said = run_here(folder, "experiment=parts", "conf_dir=mine", module="benchmark.select")
    assert said.returncode == 0, said.stderr
    assert "Chosen for parts on synthetic anomalies" in said.stdout
    frame = build_frame(collect(folder / "outputs", "parts").cells)
    columns = [name for name in frame if name == "auroc" or name.startswith("auroc_rule_")]
    best = frame.loc[frame[columns].max(axis=1).idxmax()]
    rule = best[columns].astype(float).idxmax().removeprefix("auroc_rule_").replace("auroc", "own")
    assert f"The best for parts: {best['model']} ({best['variant'] or 'as in its YAML'}, {rule})" in said.stdout
    use = (
        f"--config-dir=mine model={best['model']} chosen=parts_{best['model']} and the data set as it was typed before"
    )
    assert use in said.stdout
    assert sorted(path.name for path in (folder / "mine" / "chosen").iterdir()) == ["parts_ae.yaml", "parts_pca.yaml"]
    monkeypatch.chdir(folder)
    config = compose_jobs(["--config-dir=mine", f"model={best['model']}", f"chosen=parts_{best['model']}"])[0].config
    assert config.chosen_rule == rule
    if best["model"] == "pca":
        assert f"components={config.model.components}" == best["variant"]


def test_a_choice_for_a_data_set_that_has_a_shipped_one_gets_a_name_of_its_own(folder, monkeypatch):
    frame = build_frame(collect(folder / "outputs", "parts").cells)
    write_frame(frame.assign(dataset="mnist"), folder / "mnist.csv")
    said = run_here(folder, "cells=mnist.csv", "model=pca", "conf_dir=other", module="benchmark.select")
    assert said.returncode == 0, said.stderr
    assert [path.name for path in (folder / "other" / "chosen").iterdir()] == ["my_mnist_pca.yaml"]
    assert "--config-dir=other model=pca chosen=my_mnist_pca" in said.stdout
    monkeypatch.chdir(folder)
    (job,) = compose_jobs(["--config-dir=other", "model=pca", "dataset=mnist", "chosen=my_mnist_pca"])
    assert job.config.model.components in (2, 4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("write=true",), "write=true writes into conf/chosen, which holds what is chosen on another data set; these"),
        (("write=true", "conf_dir=mine"), "write=true writes into conf/chosen, conf_dir= into a folder of your own"),
        (("dataset=mnist",), "dataset=mnist: no cell is of it. There is: parts"),
        (("against=nothing.csv",), "against=nothing.csv is no cells.csv of a report (FileNotFoundError"),
        (
            ("against=own.csv",),
            "against= must be cells on real anomalies (split.evaluate_on=validation), not synthetic",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(folder, words, said):
    write_frame(build_frame(collect(folder / "outputs", "parts").cells), folder / "own.csv")
    done = run_here(folder, "experiment=parts", *words, module="benchmark.select")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_the_benchmarks_own_conf_is_no_folder_of_ones_own(folder):
    from benchmark.config import CONF_DIR

    done = run_here(folder, "experiment=parts", f"conf_dir={CONF_DIR}", module="benchmark.select")
    assert done.returncode == 2
    assert "is the benchmark's own. Type a folder of yours: conf_dir=my_conf" in done.stderr


def test_what_it_was_worth_on_real_anomalies_stands_beside_it(folder):
    frame = build_frame(collect(folder / "outputs", "parts").cells)
    real = frame.assign(evaluate_on="validation", auroc=[0.5, 0.6, 0.9])
    write_frame(real, folder / "real.csv")
    said = run_here(folder, "experiment=parts", "against=real.csv", "table=all.md", module="benchmark.select")
    assert said.returncode == 0, said.stderr
    assert "How far a choice on synthetic anomalies can be trusted" in said.stdout
    text = (folder / "all.md").read_text()
    assert text.index("## How far a choice") < text.index("## Chosen for parts on synthetic anomalies")
    refused = run_here(folder, "cells=real.csv", "against=real.csv", module="benchmark.select")
    assert "against= is for cells on synthetic anomalies (split.evaluate_on=synthetic): leave it out" in refused.stderr


def test_the_preset_compares_models_as_shipped_under_every_rule():
    jobs = [job.config for job in compose_jobs(["-m", "+experiment=selection/synthetic"])]
    assert [job.model.name for job in jobs] == ["pca", "ae", "vae", "aae"]
    assert {(job.split.evaluate_on, job.chosen_rule, len(job.rules) > 20) for job in jobs} == {
        ("synthetic", None, True)
    }
