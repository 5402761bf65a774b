"""docs/your_own.md: its files and commands run as they stand, and each error of a first attempt says what to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.store.experiments import collect
from benchmark.store.records import read_record
from tests.faults.helpers import run_here
from tests.faults.warm import python

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "your_own.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.]+\.(?:py|yaml))`[^\n]*:\n\n```\w+\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS, (JUDGED,) = (block.splitlines() for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL))
QUICK = ["tracking=off", "split.normal_class=0", "trainer.epochs=1"]


def lay_out(folder: Path, **names: str) -> None:
    """The page's files, with other module names: a test's modules stay imported."""
    for name, content in FILES.items():
        for old, new in names.items():
            name, content = name.replace(old, new), content.replace(old, new)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def test_the_page_has_its_files() -> None:
    assert sorted(FILES) == [
        "my_conf/dataset/ours.yaml",
        "my_conf/experiment/my_preset.yaml",
        "my_conf/model/mine.yaml",
        "my_conf/rule/largest_error.yaml",
        "my_data.py",
        "my_models.py",
        "my_rules.py",
    ]


def test_the_page_runs_in_a_folder_of_ones_own(tmp_path: Path) -> None:
    """As typed, in processes of their own: a sweep with workers, status, report."""
    lay_out(tmp_path)
    for command in COMMANDS[2:]:  # the first two have tests of their own
        words = shlex.split(command, comments=True)[1:]
        if words[1] == "benchmark":
            words += QUICK
        if "benchmark.report" in words:
            words += ["figures=false"]
        done = python(tmp_path, *words)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    records = {cell.axes.model: cell.record for cell in collect(tmp_path / "outputs", "first").cells}
    assert set(records) == {"mine", "pca"}
    assert records["mine"].status.code.startswith("my_models.Mine:")
    assert records["pca"].status.code.isalnum()
    tables = (tmp_path / "outputs" / "reports" / "first" / "cells.csv").read_text()
    assert "mine" in tables

    # another class at the same place is other code
    (tmp_path / "my_models.py").write_text(FILES["my_models.py"].replace(".sum(1).mean()", ".mean(1).mean()"))
    stale = python(tmp_path, "-m", "benchmark.status", "experiment=first")
    assert "stale: mine ours one_vs_rest 0 seed 0: its code changed" in stale.stdout


def test_the_rule_of_the_page_judges(tmp_path: Path) -> None:
    lay_out(tmp_path)
    words = [*shlex.split(JUDGED)[1:], *QUICK]
    done = python(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "outputs" / "cells").rglob("status.json")
    record = read_record(path.parent)
    assert record.rules().keys() == {"largest_error", "squared"}
    said = record.rule_scores()
    assert said["score/largest_error"].shape == said["score/squared"].shape
    assert ((said["score/largest_error"] > 0) & (said["score/largest_error"] <= 1)).all()


def test_workers_train_a_model_of_ones_own(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    lay_out(tmp_path)
    words = ["-m", "--config-dir", "my_conf", "model=mine", "dataset=ours", "seed=0,1", "+launcher=joblib", *QUICK]
    done = python(tmp_path, "-m", "benchmark", *words)
    assert "2 of 2 cells done" in done.stdout, done.stderr


MODEL, YAML, DATA = "my_models.py", "my_conf/model/mine.yaml", "my_conf/dataset/ours.yaml"


def edit(name: str, before: str, after: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = next(folder.rglob(Path(name).name.replace("my_", "own_")), None) or folder / name
        assert before in path.read_text(), (before, path.read_text())
        path.write_text(path.read_text().replace(before, after))

    return change


MISTAKES = {
    "no annotation": (edit(MODEL, "latent: Count = 8", "latent=8"), "latent has no annotation. Write for"),
    "no default": (edit(MODEL, "latent: Count = 8,", "*, latent: Count,"), "latent has no default. Write latent: "),
    "another kind": (edit(MODEL, "latent: Count", "latent: dict"), "allowed are int, float, str, bool, Literal"),
    "no YAML": (lambda folder: (folder / YAML).unlink(), "model=mine: there is no such model"),
    "no _target_": (edit(YAML, "_target_:", "target_:"), "mine.yaml has no _target_. Write there the path"),
    "no name": (edit(YAML, "name: mine", "nam: mine"), "Write into the model's YAML: name: mine"),
    "a shipped name": (edit(YAML, "name: mine", "name: vae"), "is the name of a model of this package"),
    "no learnt": (edit(MODEL, 'learnt = "reconstruction"', 'learnt = "error"'), "which is none of its scores. Write"),
    "no score_names": (edit(MODEL, "score_names = RECONSTRUCTION_SCORES", "score_names = ()"), "names no scores."),
    "no headline": (edit(MODEL, "        headline: str", "        head: str"), 'Write behind image_shape: headline'),
    "no assess": (edit(MODEL, "def assess", "def asses"), "has no assess. Write: def assess(self, images, noise)"),
    "no loss": (edit(MODEL, "def loss", "def los"), "cannot be trained. Write: def loss(self, phase, images, noise)"),
    "no phases": (edit(MODEL, "self.phases", "self.phase"), "it has a loss but no phases. Write in __init__"),
    "a wrong phase": (edit(MODEL, '("encoder", "decoder")', '("encoder", "head")'), "trains head, which it lacks"),
    "no epochs": (edit(MODEL, "self.epochs,", "self.epoch,"), "its epochs are not set. Write in __init__"),
    "no such keyword": (edit(YAML, "latent: 8", "latnet: 8"), "model.latnet: model mine has no such key; did you mean"),
    "a keyword less": (edit(YAML, "latent: 8\n", ""), "model/mine.yaml lacks latent. Write there: latent: 8"),
    "no model": (edit(MODEL, "class Mine(Model)", "class Mine(nn.Module)"), "is no model: write class Mine(Model)"),
    "no such class": (edit(YAML, ".Mine", ".Mime"), "has no Mime. It has: Mine"),
    "no such module": (edit(YAML, "own_models", "own_model"), "there is no module own_model"),
    "syntax": (edit(MODEL, "import torch\n", "import torch torch\n"), "py, line 3: invalid syntax"),
    "import": (edit(MODEL, "import torch\n", "import torhc\n"), "line 3: ModuleNotFoundError: No module named 'torhc'"),
    "a shipped file": (
        lambda folder: (folder / "my_conf" / "model" / "vae.yaml").write_text("name: vae\n"),
        "model/vae.yaml has the name of a file of this project",
    ),
    "no images": (edit(DATA, "_target_: own_data.load", "raw_dir: x"), "ours.yaml names no images. Write there: _t"),
    "an error in it": (edit("my_data.py", "parts = []", "parts = 1 / 0"), "ZeroDivisionError: division by zero"),
    "float images": (edit("my_data.py", "parts += [pixels", "parts += [pixels / 255"), "images as uint8 of shape"),
    "three arrays": (edit("my_data.py", "return parts", "return parts[:3]"), "test_images, test_labels, as four"),
    "unknown labels": (edit(DATA, "[upright, lying]", "[upright]"), "labels must be 0 to 0, the 1 names"),
    "text labels": (edit("my_data.py", "% 2\n", "% 2 / 1\n"), "labels as whole numbers of shape (N,)"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_a_first_attempt_is_one_line_that_says_what_to_type(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, says = MISTAKES[mistake]
    number = list(MISTAKES).index(mistake)
    lay_out(tmp_path, my_models="own_models", my_data="own_data")
    change(tmp_path)
    for path in [*tmp_path.glob("*.py")]:  # modules stay imported
        path.rename(path.with_stem(f"{path.stem}{number}"))
    for path in tmp_path.rglob("*.yaml"):
        text = path.read_text()
        path.write_text(re.sub(r"(own_models|own_data|own_model)\.", rf"\g<1>{number}.", text))
    monkeypatch.syspath_prepend(str(tmp_path))
    done = run_here(tmp_path, "--config-dir=my_conf", "model=mine", "dataset=ours", *QUICK)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr
    assert says in done.stderr
    assert not (tmp_path / "outputs" / "cells").exists()


SCORES = '"scores": reconstruction_scores(images, reconstruction)'
NOISY = '"scores": {k: v + torch.rand(()) for k, v in reconstruction_scores(images, reconstruction).items()}'


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("", "", "mine: 17 of 17 checks passed"),
        ("error = (", "error = 0 * (", "failed  training improves what it is for on normal images: reconstruction of"),
        (SCORES, NOISY, "failed  scores are the same when asked twice: reconstruction is"),
        ('("encoder", "decoder")', '("encoder",)', "failed  every parameter belongs to a phase: decoder.weight is tr"),
        ("images.flatten(1))\n        rec", "images.flatten(1) - images.flatten(1).mean(0))\n        rec",
         "failed  scores do not depend on the batch: reconstruction of an image depends on the others"),
    ],
)  # fmt: skip
def test_checks_of_a_model_of_ones_own(
    before: str, after: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from benchmark.check import main

    module = f"checked{abs(hash((before, after)))}"
    lay_out(tmp_path, my_models=module)
    path = tmp_path / f"{module}.py"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code = main(["--config-dir", "my_conf", "model=mine"])
    said = capsys.readouterr().out
    assert says in said
    assert code == (1 if before else 0)


def test_a_trained_model_called_with_images_gives_its_headline_scores() -> None:
    from tests.tiny_models import build

    images = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for name in ("vae", "anogan", "pca"):
        model = build(name).train()
        scores = model(images)
        assert model.training
        noise = {
            key: one.draw(generator=torch.Generator().manual_seed(0)) for key, one in sorted(model.score_noise.items())
        }
        with torch.no_grad():
            expected = model.eval().assess(images, noise)["scores"][model.headline]
        assert torch.equal(scores, expected)
        assert scores.shape == (6,)
