"""``conf/chosen``: what Hydra makes of it, what ``benchmark.select`` writes, and that the committed cells say so."""

from __future__ import annotations

import re
import shutil
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from benchmark import chosen
from benchmark.chosen import CHOSEN_ON, chosen_path, read_chosen
from benchmark.config import CONF_DIR, UsageError
from benchmark.models import constructor, model_names
from benchmark.models.refusals import is_shipped
from benchmark.report.choice import choose, chosen_yaml, parsed
from benchmark.report.frame import build_frame, read_frame, write_frame
from benchmark.store.experiments import collect
from benchmark.sweep.compose import compose_jobs, through_hydra
from benchmark.sweep.job import variant
from tests.faults.helpers import run_here

RESULTS = CONF_DIR.parent / "results"
CELLS = RESULTS / "selection" / "cells.csv"
# the cells that conf/chosen was chosen from
BEHIND = (CELLS, *(RESULTS / name / "cells.csv" for name in ("selection_slow", "selection_conditional")))


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``conf`` without any choice, which the command line and ``benchmark.select`` take for ours."""
    folder = Path(shutil.copytree(CONF_DIR, tmp_path / "conf"))
    for path in (folder / "chosen").glob("*.yaml"):
        if path.stem != chosen.NONE:
            path.unlink()
    for module in ("benchmark.chosen", "benchmark.sweep.compose"):
        monkeypatch.setattr(f"{module}.CONF_DIR", folder)
    return folder


def choice(conf: Path, name: str, content: str) -> None:
    (conf / "chosen" / f"{name}.yaml").write_text(f"# @package _global_\n{content}\n")


@pytest.fixture
def some(conf: Path) -> Path:
    choice(conf, "mnist_ae", "model: {latent: 7, hidden: [99]}\nchosen_rule: smoothed")
    choice(conf, "fashion_mnist_ae", "model: {latent: 8}")
    choice(conf, "mnist_vae", "model: {latent: 9}\nchosen_rule: own")
    return conf


# ---- what Hydra makes of it

MNIST, KMNIST = "dataset=mnist", "dataset=kmnist"


@pytest.mark.parametrize(
    ("words", "latent"),
    [
        (["model=ae", MNIST], [7]),
        (["model=ae", MNIST, "chosen=none"], [16]),
        (["model=ae", MNIST, "model.latent=3"], [3]),
        (["model=ae", KMNIST], [16]),  # without a choice: the model as in its YAML
        (["model=ae", KMNIST, "chosen=mnist_ae"], [7]),
        (["-m", "model=ae,vae", "dataset=mnist,fashion_mnist,kmnist"], [7, 8, 16, 9, 16, 16]),
        (["-m", "model=ae", "chosen=none,mnist_ae"], [16, 7]),
        (["-m", "model=ae,vae", "+experiment=latent2d"], [2, 2]),  # a preset's values of a sweep
        (["-m", "model=ae", MNIST, "+experiment=latent2d", "model.latent=3,4"], [3, 4]),
    ],
)
def test_it_stands_above_the_model_and_below_presets_and_what_is_typed(
    words: list[str], latent: list[int], some: Path
) -> None:
    assert [job.config.model.latent for job in compose_jobs(words)] == latent


def test_hydras_own_main_gives_each_job_its_own(some: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As launchers run the jobs of a sweep."""
    monkeypatch.chdir(tmp_path)
    ran = []
    words = ["-m", "model=ae,vae", "dataset=mnist,fashion_mnist"]
    assert through_hydra(words, lambda job: ran.append((job.model.latent, job.chosen_rule))) == 0
    assert ran == [(7, "smoothed"), (8, None), (9, "own"), (16, None)]


def test_a_preset_counts_more(some: Path, tmp_path: Path) -> None:
    (tmp_path / "presets" / "experiment").mkdir(parents=True)
    first = "# @package _global_\n"
    for name, text in {
        "sets": "model: {latent: 5}\ndefaults:\n  - override /model: ae",
        "none": "defaults:\n  - override /model: vae\n  - override /chosen: none",
        "vae": "defaults:\n  - override /model: vae",
        "wrong": "defaults:\n  - override /chosen: nonne",
    }.items():
        (tmp_path / "presets" / "experiment" / f"my_{name}.yaml").write_text(first + text)

    def latent(preset: str) -> int:
        return compose_jobs([f"--config-dir={tmp_path / 'presets'}", f"+experiment={preset}"])[0].config.model.latent

    assert [latent(f"my_{name}") for name in ("sets", "none", "vae")] == [5, 16, 9]
    with pytest.raises(UsageError, match="chosen=nonne: there is no such chosen; did you mean chosen=none"):
        latent("my_wrong")


def test_a_rule_comes_with_it(some: Path) -> None:
    rules = [compose_jobs(["model=ae", *words])[0].config.chosen_rule for words in ([], ["chosen=none"], [KMNIST])]
    assert rules == ["smoothed", None, None]
    with pytest.raises(UsageError, match=r"chosen_rule=smothed: there is no such rule\. There is: absolute, "):
        compose_jobs(["chosen_rule=smothed"])


def test_a_variant_says_what_is_not_as_in_the_yaml_chosen_or_typed(some: Path) -> None:
    def said(*words: str) -> str:
        return variant(compose_jobs(["model=ae", *words])[0].config)

    assert said() == "hidden=[99] latent=7"
    assert said("chosen=none") == ""
    assert said("model.latent=16") == "hidden=[99]"
    assert said(KMNIST, "model.latent=3") == "latent=3"
    assert said("chosen=none", "model.latent=8") == "latent=8"


def test_what_is_chosen_needs_no_look_at_the_class(some: Path) -> None:
    """Which would import torch before a refusal is said."""
    shipped = [
        is_shipped(compose_jobs([*words])[0].config.model) for words in ([], ["chosen=none"], ["dataset=kmnist"])
    ]
    assert shipped == [True, True, True]
    assert not is_shipped(compose_jobs(["model.latent=3"])[0].config.model)
    assert not is_shipped(compose_jobs(["model.hidden=[99]", "chosen=none"])[0].config.model)


# ---- what benchmark.select writes


def test_the_words_of_a_variant_lead_back_to_the_settings(conf: Path) -> None:
    """Through a written file: the same model is composed as was compared."""
    compared = ["model=anogan", "model.latent=3", "model.hidden=[64,32]", "model.learning_rate=1e-05",
                "model.batch_norm=false", "model.objective=minimax", "model.betas=[0.0,0.9]"]  # fmt: skip
    config = compose_jobs([*compared, "split.evaluate_on=validation"])[0].config
    settings = OmegaConf.to_yaml({"model": parsed(variant(config))})
    choice(conf, "mnist_anogan", settings)
    assert compose_jobs(["model=anogan"])[0].config.model == config.model
    assert len(read_chosen("mnist", "anogan").settings) == 6


def test_committed_cells_are_read_and_written_from(conf: Path, tmp_path: Path) -> None:
    done = run_here(
        tmp_path, f"cells={CELLS}", "model=vae", "write=true", "table=tables/vae.md", module="benchmark.select"
    )
    assert done.returncode == 0, done.stderr
    assert "Chosen for MNIST on Fashion-MNIST" in done.stdout
    table = (tmp_path / "tables" / "vae.md").read_text()
    assert len(re.findall(r"^\| .* \*\*chosen\*\* ", table, re.MULTILINE)) == 2
    written = sorted(path.name for path in (conf / "chosen").glob("*.yaml"))
    assert written == ["fashion_mnist_vae.yaml", "mnist_vae.yaml", "none.yaml"]


def refused(folder: Path, *words: str) -> str:
    done = run_here(folder, *words, module="benchmark.select")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_cannot_be_chosen_is_refused_in_a_line(conf: Path, tmp_path: Path) -> None:
    assert "dataset=kmnist has no other data set to be chosen on. There is: mnist (chosen on" in refused(
        tmp_path, "experiment=selection", "dataset=kmnist"
    )
    test = read_frame(CELLS).assign(evaluate_on="test")
    write_frame(test, tmp_path / "test.csv")
    assert "are evaluated on test images, which choose nothing" in refused(tmp_path, "cells=test.csv")
    nothing = run_here(tmp_path, "experiment=selection", module="benchmark.select")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (1, 1)
    assert "no cells of experiment selection in outputs" in nothing.stderr
    assert not list((conf / "chosen").glob("*mnist*"))


# ---- conf/chosen and the committed cells


def disagreements(*cells: Path) -> list[str]:
    """Where the files in ``conf/chosen`` are not, word by word, what the cells choose. Without any file, nothing.

    Those of the data sets that choose for each other: a choice for another one says that it was written by hand.
    """
    files = {path for name in CHOSEN_ON for path in (chosen.CONF_DIR / "chosen").glob(f"{name}_*.yaml")}
    if not files:
        return []
    choices = [one for path in cells if path.is_file() for one in choose(read_frame(path))[0]]
    made = {chosen_path(one.dataset, one.model): one for one in choices if one.model in model_names()}
    said = [f"{path.name}: no cells behind it" for path in sorted(files - set(made))]
    said += [f"{path.name}: the cells choose, and it is not there" for path in sorted(set(made) - files)]
    for path in sorted(files & set(made)):
        text = path.read_text("utf-8")
        origin = re.search(r"^# Cells: (.*)\. Written by:\n# (python -m benchmark\.select .*)$", text, re.MULTILINE)
        if origin is None or text != chosen_yaml(made[path], *origin.groups()):
            said.append(f"{path.name}: is not what the cells choose")
    return said


def test_conf_says_what_the_committed_cells_choose() -> None:
    assert disagreements(*BEHIND) == [], "type: python -m benchmark.select cells=results/selection/cells.csv write=true"


def test_models_take_what_is_chosen_for_them() -> None:
    """It is not compared with the constructor when a command is composed: that would import torch."""
    for dataset, model in product(CHOSEN_ON, model_names()):
        keywords, settings = constructor(model), read_chosen(dataset, model).settings
        assert {key: keywords[key].allowed(value) for key, value in settings.items()} == dict.fromkeys(settings)


def test_a_disagreement_is_found(conf: Path, tmp_path: Path) -> None:
    """In made-up cells with rules, of two models, and the files that are written from them."""
    rows = [
        {"model": model, "variant": setting, "dataset": dataset, "normal_class": k, "auroc": auroc / (k + 1),
         "auroc_rule_cosine": auroc / 2, "auroc_rule_smoothed": smoothed}
        for model in ("ae", "pca")
        for dataset in CHOSEN_ON
        for setting, auroc, smoothed in (("", 0.7, 0.6), ("latent=4" if model == "ae" else "components=16", 0.6, 0.9))
        for k in (0, 1)
    ]  # fmt: skip
    frame = read_frame(CELLS).iloc[: len(rows)].reset_index(drop=True)
    frame = frame.drop(columns=[name for name in frame if name.startswith("auroc")])
    cells = tmp_path / "cells.csv"
    write_frame(frame.assign(**pd.DataFrame(rows), state="done", evaluate_on="validation", split="one_vs_rest"), cells)
    assert disagreements(cells) == []
    done = run_here(tmp_path, "cells=cells.csv", "write=true", module="benchmark.select")
    assert done.returncode == 0, done.stderr
    assert read_chosen("mnist", "ae") == chosen.Chosen({"latent": 4}, "smoothed")
    assert read_chosen("fashion_mnist", "pca") == chosen.Chosen({"components": 16}, "smoothed")
    assert compose_jobs(["model=ae"])[0].config.model.latent == 4
    assert disagreements(cells) == []

    path = conf / "chosen" / "mnist_ae.yaml"
    text = path.read_text()
    for before, after in (("latent: 4", "latent: 5"), ("smoothed", "cosine"), ("there 0.9000", "there 0.9001")):
        assert before in text
        path.write_text(text.replace(before, after))
        assert disagreements(cells) == ["mnist_ae.yaml: is not what the cells choose"]
    path.unlink()
    assert disagreements(cells) == ["mnist_ae.yaml: the cells choose, and it is not there"]
    (conf / "chosen" / "mnist_vae.yaml").write_text(text)
    path.write_text(text)
    assert disagreements(cells) == ["mnist_vae.yaml: no cells behind it"]
    (conf / "chosen" / "mnist_vae.yaml").unlink()
    others = read_frame(cells)
    others.loc[(others["dataset"] == "fashion_mnist") & (others["variant"] == ""), "auroc_rule_smoothed"] = 0.99
    write_frame(others, cells)
    assert disagreements(cells) == [f"mnist_{model}.yaml: is not what the cells choose" for model in ("ae", "pca")]
    cells.unlink()
    assert len(disagreements(cells)) == 4


# ---- no test image has a part

DATA = '''
import numpy as np
from sklearn.datasets import load_digits


def load(turned=False, spoilt=False):
    """Small digits, or these turned; spoilt: the test split's labels are shuffled, and its images are noise."""
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) * 15).astype(np.uint8)
    images = images[:, ::-1].transpose(0, 2, 1).copy() if turned else images
    train, test = slice(0, 1300), slice(1300, None)
    test_images, test_labels = images[test], labels[test]
    if spoilt:
        draw = np.random.default_rng(0)
        test_images = draw.integers(0, 256, test_images.shape, dtype=np.uint8)
        test_labels = draw.permutation(test_labels)
    return images[train], labels[train], test_images, test_labels
'''
DATASET = """
name: {name}
_target_: {module}.load
options: {{turned: {turned}, spoilt: {spoilt}}}
classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']
image_size: 12
"""


def test_no_test_image_has_a_part_in_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test label and image is spoilt: the same is chosen, by the same numbers."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "digits_to_spoil.py").write_text(DATA)
    small = ["--config-dir=my", "model=ae", "split.normal_class=[0,1]", "trainer.epochs=1", "tracking=off"]
    compared = ["dataset=one,turned", "model.headline=reconstruction,reconstruction_cosine", "chosen=none"]
    compared.append("rule=[smoothed,ssim,code_neighbours,committee]")
    said, on_test = [], []
    for spoilt in (False, True):
        folder = tmp_path / f"spoilt_{spoilt}"
        (folder / "my" / "dataset").mkdir(parents=True)
        for name, stem in (("mnist", "one"), ("fashion_mnist", "turned")):
            text = DATASET.format(name=name, module="digits_to_spoil", turned=stem == "turned", spoilt=spoilt)
            (folder / "my" / "dataset" / f"{stem}.yaml").write_text(text)
        done = run_here(folder, "-m", *small, *compared, "split.evaluate_on=validation", "experiment_name=selection")
        assert done.returncode == 0, done.stderr
        selected = run_here(folder, "experiment=selection", "table=all.md", module="benchmark.select")
        assert selected.returncode == 0, selected.stderr
        frame = build_frame(collect(folder / "outputs", "selection").cells)
        columns = [name for name in frame if name.startswith("auroc")]
        assert {"auroc_rule_smoothed", "auroc_rule_code_neighbours", "auroc_rule_committee"} <= set(columns)
        said.append((selected.stdout, (folder / "all.md").read_text(), frame[columns].to_numpy().tolist()))
        assert run_here(folder, *small, "dataset=one", "experiment_name=tested").returncode == 0
        on_test.append(build_frame(collect(folder / "outputs", "tested").cells)["auroc"].tolist())
        assert "2 of the 2 cells are evaluated on test images" in refused(folder, "experiment=tested")
    assert repr(said[0]) == repr(said[1])
    assert "Chosen for Fashion-MNIST on MNIST" in said[0][0]
    assert on_test[0] != on_test[1]  # what was spoilt is what tests are made of
