"""The table of bad inputs: what is given, how it is laid out, what is said, and the exit code.

``docs/bad_input.md`` is made from it: ``python -m tests.faults.bad_input``.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmark.code_hash import model_code
from tests.faults import own_images

PAGE = Path(__file__).parents[2] / "docs" / "bad_input.md"
KMNIST = Path("data", "KMNIST", "raw")
MNIST = Path("data", "MNIST", "raw")
TRAIN, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


@dataclass(frozen=True)
class Bad:
    """One bad input. ``lay_out`` damages a folder that holds good data and a finished experiment."""

    kind: str
    given: str  # in the words of the page
    arguments: tuple[str, ...]
    says: str  # part of the one line
    code: int = 2
    module: str = "benchmark"
    lay_out: Callable[[Path], object] | None = None


def typed(kind: str, *cases: tuple[str, str]) -> list[Bad]:
    """Words of a command line of the runner, refused with exit code 2."""
    return [Bad(kind, f"`{words}`", tuple(words.split()), says) for words, says in cases]


def write_idx(path: Path, array: np.ndarray) -> None:
    path.write_bytes(
        bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()
    )


def labels(count: int, classes: int = 10) -> np.ndarray:
    return np.arange(count, dtype=np.uint8) % classes


def lay_out_data(folder: Path) -> None:
    """A small KMNIST as torchvision lays it out, and an MNIST of the same files, which are not the real ones."""
    draw = np.random.default_rng(0)
    for raw in (KMNIST, MNIST):
        (folder / raw).mkdir(parents=True)
        for images, classes, count in ((TRAIN, TRAIN_LABELS, 40), (TEST, TEST_LABELS, 20)):
            write_idx(folder / raw / images, draw.integers(0, 256, (count, 28, 28), dtype=np.uint8))
            write_idx(folder / raw / classes, labels(count))


def cut(name: str, raw: Path = KMNIST) -> Callable[[Path], object]:
    return lambda folder: (folder / raw / name).write_bytes((folder / raw / name).read_bytes()[:-100])


def flip(folder: Path) -> None:
    path = folder / MNIST / TRAIN
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)


def legacy(folder: Path) -> None:
    """Random pixels where older versions of torchvision kept a data set's tensors."""
    processed = folder / KMNIST.parent / "processed"
    processed.mkdir()
    for name, count in (("training.pt", 40), ("test.pt", 20)):
        pixels = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8)
        torch.save((pixels, torch.from_numpy(labels(count)).long()), processed / name)


def rewrite(name: str, array: np.ndarray) -> Callable[[Path], object]:
    return lambda folder: write_idx(folder / KMNIST / name, array)


def data(given: str, says: str, lay_out: Callable[[Path], object], dataset: str = "kmnist", *more: str) -> Bad:
    return Bad("Data", given, (f"dataset={dataset}", "data_dir=data", *more), says, lay_out=lay_out)


def cell(folder: Path) -> Path:
    """The record of class 0."""
    return next((folder / "outputs" / "cells").rglob("class0-*/status.json")).parent


def job(folder: Path) -> Path:
    return next((folder / "outputs" / "experiments").rglob("*.json"))


def edited(path: Path, change: Callable[[dict], object]) -> None:
    """Another content, as if it had been written so."""
    content = json.loads(path.read_text())
    content.pop("digest", None)
    change(content)
    path.write_text(json.dumps(content))


def other_weights(folder: Path) -> None:
    """Weights of the same size that would load."""
    path = cell(folder) / "weights.pt"
    weights = torch.load(path, weights_only=True)
    weights["mean"] += 1
    size = path.stat().st_size
    torch.save(weights, path)
    assert path.stat().st_size == size


def other_auroc(folder: Path) -> None:
    path = cell(folder) / "metrics.json"
    path.write_text(re.sub(r'(?<="auroc": )\d', lambda digit: str(1 - int(digit[0])), path.read_text()))


def other_state(folder: Path) -> None:
    path = cell(folder) / "status.json"
    path.write_text(path.read_text().replace('"done"', '"failed"'))


def other_model(change: Callable[[dict], object]) -> Callable[[Path], object]:
    """The record of class 0 once more as one of knn, with something changed in its status."""

    def lay_out(folder: Path) -> None:
        there, outputs = cell(folder), folder / "outputs"
        other = there.parent.with_name("knn") / f"class0-seed0-{12 * '1'}"
        shutil.copytree(there, other)
        identity = {"fingerprint": 64 * "1", "code": model_code("knn")}
        edited(other / "status.json", lambda status: (status.update(identity), status["axes"].update(model="knn")))
        edited(other / "status.json", change)
        planned = json.loads(job(folder).read_text())["cells"][0]
        planned |= {"axes": {**planned["axes"], "model": "knn"}, "fingerprint": identity["fingerprint"]}
        planned |= {"path": other.relative_to(outputs).as_posix()}
        edited(job(folder), lambda content: content["cells"].append(planned))

    return lay_out


def committee(given: str, models: str, says: str, lay_out: Callable[[Path], object] | None = None) -> Bad:
    arguments = ("experiment=bad", f"models={models}")
    return Bad("Committees", given or f"`models={models}`", arguments, says, 2, "benchmark.committee", lay_out)


def overwritten(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (cell(folder) / name).write_text(text)


def record(given: str, says: str, lay_out: Callable[[Path], object], *more: str) -> Bad:
    return Bad("Records", given, ("experiment=bad", *more), says, 1, "benchmark.status", lay_out)


def without_mlflow(folder: Path) -> None:
    """What an older MLflow's store looks like from outside: its revision."""
    with contextlib.closing(sqlite3.connect(folder / "old.db")) as database, database:
        database.execute("PRAGMA journal_mode=WAL")  # as this project's stores are
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        database.execute("CREATE TABLE experiments (experiment_id INTEGER)")
        database.execute("INSERT INTO alembic_version VALUES ('451aebb31d03')")  # MLflow 1.0


def newer_store(folder: Path) -> None:
    without_mlflow(folder)
    with contextlib.closing(sqlite3.connect(folder / "old.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")


def a_file(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text("a file")


def own_file(name: str) -> Callable[[Path], object]:
    """A file of somebody's own in a folder of his own."""

    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("a file")

    return write


def preset(given: str, says: str, text: str, head: str = "# @package _global_\n") -> Bad:
    """A preset of one's own, with ``text`` in it."""

    def write(folder: Path) -> None:
        (folder / "presets" / "experiment").mkdir(parents=True)
        (folder / "presets" / "experiment" / "mine.yaml").write_text(f"{head}{text}\n")

    return Bad("Presets", given, ("--config-dir=presets", "+experiment=mine"), says, lay_out=write)


CASES = [
    *typed(
        "Names",
        ("model=vea", "model=vea: there is no such model; did you mean model=vae? There is: aae, ae, anogan,"),
        ("dataset=mnits", "dataset=mnits: there is no such dataset; did you mean dataset=mnist?"),
        ("split=all", "split=all: there is no such split. There is: leave_one_out, one_vs_rest"),
        ("trainer=fast", "trainer=fast: there is no such trainer. There is: default"),
        ("+experiment=quik", "experiment=quik: there is no such experiment; did you mean -m +experiment=quick?"),
        ("experiment=quick", "experiment is chosen with a plus sign. Type: -m +experiment=quick"),
        ("+experiment=quick", "is a sweep (over dataset, model), which needs -m. Type: python -m benchmark -m +experi"),
        ("trainer.epochz=3", "trainer.epochz: there is no such key; did you mean trainer.epochs?"),
        ("model=vae model.latnet=3", "model.latnet: there is no such key; did you mean model.latent?"),
        ("epochs=3", "epochs: there is no such key; did you mean trainer.epochs?"),
        ("+trainer.foo=2", "trainer.foo: there is no such key. There is: epochs, batch_size,"),
        ("++split.sed=2", "split.sed: there is no such key. There is: name, normal_class,"),
        ("~seed", "~seed: seed cannot be left out. Type seed=<a value>, or leave out ~seed"),
        ("~model.latent", "~model.latent: model.latent cannot be left out. Type model.latent=<a value>, or"),
        ("~tracking", "~tracking: tracking cannot be left out. Type tracking=<a value>, or leave out ~tracking"),
        ("-m ~hydra/launcher", "~hydra/launcher: hydra/launcher cannot be left out"),
        ("+seed=1", "+seed: seed has a value already. Type it without the plus sign: seed=<a value>"),
        ("+model=vae", "+model=vae: model has a value already. Type it without the plus sign: model=vae"),
        ("model=", "model=: there is no such model. There is: aae, ae, anogan,"),
        ("model=null", "model=null: there is no such model. There is: aae, ae, anogan,"),
        ("chosen=nonne", "chosen=nonne: there is no such chosen; did you mean chosen=none? There is:"),
        ("chosen_rule=squarred", "chosen_rule=squarred: there is no such rule. There is: absolute,"),
        ("+model.foo=1", "model.foo: model ae has no such key; It has: headline, network, hidden,"),
        ("-m model=ae,vea", "model=vea: there is no such model"),
        ("vae", "vae: this is not key=value"),
        ("=vae", "=vae: this is not key=value"),
        ("-m +experiment=quick,paper", "names several presets, and each has its own models and data sets"),
        ("+launcher=joblib", "the launcher joblib runs the jobs of a sweep: add -m"),
        ("model=ae,vae", "model=ae,vae names several values: to sweep over them add -m"),
        ("model=glob(k*)", "model=glob(k*) names several values: to sweep over them add -m"),
        ("-m model=glob(z*)", "nothing to sweep over: a list of values, or glob(...), that matches nothing"),
        ("-m seed=interval(0,1)", "seed=interval(...) has no end of values: a sweep lists them. Type for"),
        ("seed=[0,1", "seed=[0,1: this list does not end. Type for example: seed=[0,1,2]"),
        ("dataset=digits,", "a value is missing after the comma. Type: dataset=digits"),
        ("output_dir=wü", """with such characters must be in quotes of its own. Type: 'output_dir="wü"'"""),
        ("experiment_name=${nope}", "experiment_name: Interpolation key 'nope' not found"),
        ("hydra.mode=MULTIRUN", "hydra.mode is not allowed: -m makes a sweep of a command"),
        ("model.headline=auroc", "model.headline=auroc is not a score of model ae; it has: reconstruction,"),
        ("split.normal_class=12", "split.normal_class=12 is not a class of this data set; allowed: all, or an index"),
        ("dataset=fashion_mnist split.normal_class=Sneeker", "5 (Sandal), 6 (Shirt), 7 (Sneaker)"),
        ("split=leave_one_out split.anomalous_class=12", "split.anomalous_class=12 is not a class of this data set"),
        ("split.anomalous_class=3", "is of split=leave_one_out, one_vs_rest names the class it trains on. Type"),
        ("split.name=mine", "split.name=mine is not allowed; it must be one of"),
        ("split.normal_class=[1,1]", "split.normal_class=[1, 1] must name at least one class, and none twice"),
        ("experiment_name=../x", "experiment_name='../x' is not allowed: it must be a name for a folder"),
        ("experiment_name=", "experiment_name='' is not allowed"),
        ("dataset.name=../../../../evil", "dataset.name='../../../../evil' is not allowed: it must be a name"),
        ("experiment_name=" + 300 * "x", "of at most 100 bytes. Type for example: experiment_name=latent"),
        ("dataset.name=''", "dataset.name='' is not allowed"),
        ("dataset.classes=[a,a,a,a,a,a,a,a,a,a]", "dataset.classes names 'a' twice: every class and kind needs a name"),
        ("dataset.classes=['=cmd|x',b]", "dataset.classes: '=cmd|x' is not allowed: a class name must be not empty,"),
        ("dataset.classes=['[x](javascript:a)',b]", "dataset.classes: '[x](javascript:a)' is not allowed: a class"),
    ),
    *typed(
        "Flags",
        ("--epochs 3", "--epochs: there is no such flag; settings are typed key=value. Type: trainer.epochs=3"),
        ("--latent=8", "--latent=8: there is no such flag; settings are typed key=value. Type: model.latent=8"),
        ("--xyz", "--xyz: there is no such flag. Settings are typed key=value: python -m benchmark --help"),
        ("--config", "ambiguous option: --config could match --config-path, --config-name, --config-dir"),
        ("--config-dir nowhere", "--config-dir=nowhere: there is no such folder"),
        ("--config-name nope", "Cannot find primary config 'nope'"),
        ("--config-name schema", "--config-name=schema is no whole configuration: it chooses no model, dataset,"),
        ("--config-name=dataset/digits --cfg job", "--config-name=dataset/digits is no whole configuration"),
        ("--config-path conf", "--config-path is not allowed: the models and data sets are in our own folder"),
        ("--experimental-rerun x", "--experimental-rerun is not allowed: it would execute what its file says"),
        ("--cfg everything", "argument --cfg/-c: invalid choice: 'everything'"),
        ("--cfg job model=vea", "model=vea: there is no such model; did you mean model=vae?"),
        ("--cfg job -m", "--cfg runs nothing: leave out -m"),
        ("--resolve", "--resolve belongs to --cfg"),
        ("-m --run", "--run is one job, -m a sweep: leave out one of them"),
        ("-sc", "--shell-completion needs install=SHELL, uninstall=SHELL or query=SHELL. Type for example:"),
        ("-sc install=tcsh", "No completion plugin for 'tcsh' found, available : bash fish zsh"),
    ),
    preset("`dataset: digits`", "experiment/mine.yaml: dataset: digits chooses no dataset. Write below defaults: "
           "- override /dataset: digits", "dataset: digits"),
    preset("`model: pca`", "model: pca chooses no model. Write below defaults: - override /model: pca", "model: pca"),
    preset("`- /dataset: digits`", "choose dataset once more. Write there: - override /dataset: digits",
           "defaults:\n  - /dataset: digits"),
    preset("`- override dataset: digits`", "experiment/mine.yaml: override dataset lacks a slash. Write there: "
           "- override /dataset:", "defaults:\n  - override dataset: digits"),
    preset("`- override /dataset: digitz`", "dataset=digitz: there is no such dataset; did you mean dataset=digits?",
           "defaults:\n  - override /dataset: digitz"),
    preset("`trainer: {epochz: 3}`", "experiment/mine.yaml: trainer.epochz: there is no such key; did you mean "
           "trainer.epochs?", "trainer: {epochz: 3}"),
    preset("`trainer: {epochs: abc}`", "experiment/mine.yaml: trainer.epochs=abc is not allowed: it must be a whole",
           "trainer: {epochs: abc}"),
    preset("no first line", "experiment/mine.yaml: its first line must be: # @package _global_", "seed: 1", ""),
    preset("an open bracket", "mine.yaml is not valid YAML: line 3:", "seed: [1"),
    *typed(
        "Types",
        ("trainer.epochs=abc", "trainer.epochs=abc is not allowed: it must be a whole number"),
        ("trainer.epochs=1.5", "trainer.epochs=1.5 is not allowed: it must be a whole number"),
        ("model.latent=x", "model.latent=x is not allowed: it must be a whole number. Type for example: model.latent="),
        ("model.hidden=400", "model.hidden=400 is not allowed: it must be a list of whole numbers such as [400,200]"),
        ("model.loss=l3", "model.loss=l3 is not allowed: it must be one of l2, l1, bernoulli"),
        ("published=maybe", "published=maybe is not allowed: it must be one of train, skip, retry"),
        ("resume=maybe", "resume=maybe is not allowed: it must be true or false"),
        ("seed=1.5", "seed=1.5 is not allowed: it must be a whole number of at least 0, or a list of them"),
        ("split.normal_class=1.5", "split.normal_class=1.5 is not a class of this data set"),
        ("split.train_fraction=half", "split.train_fraction=half is not allowed: it must be a number"),
    ),
    *typed(
        "Ranges",
        ("trainer.epochs=0", "trainer.epochs=0 is not allowed: it must be a whole number of at least 1"),
        ("seed=-1", "seed=-1 is not allowed: it must be a whole number of at least 0"),
        ("dataset.image_size=0", "dataset.image_size=0 is not allowed: it must be a whole number of at least 1"),
        ("seed=4294967296", "seed is too large: it must be below 2**32 = 4294967296. Type for example: seed=[0,1,2]"),
        ("seed=[0,0]", "seed=[0, 0] is not allowed: it must be different seeds, at least one"),
        ("trainer.checkpoint_seconds=-1", "trainer.checkpoint_seconds=-1.0 is not allowed: it must be a number of"),
        ("split.train_fraction=nan", "split.train_fraction=nan is not allowed: it must be a number above 0 and at"),
        ("split.contamination=0.9", "split.contamination=0.9 is not allowed: it must be a number from 0 to 0.5"),
        ("split.test_limit=1", "anomalous of 1 evaluated ones; at least one of each is needed"),
        ("model.learning_rate=nan", "model.learning_rate=nan is not allowed: it must be a number above 0"),
        ("model.hidden=[64,0]", "model.hidden=[64, 0] is not allowed: it must be a list of whole numbers, each at"),
        ("model.masking=2", "model.masking=2 is not allowed: it must be a number of at least 0 and below 1"),
        ("model=vae model.beta=-1", "model.beta=-1 is not allowed: it must be a number of at least 0"),
        ("model=anogan model.betas=[0.5]", "model.betas=[0.5] is not allowed: it must be a list of 2 numbers, each at"),
        ("model=anogan model.restarts=600", "model=anogan cannot be built for images of 1 x 28 x 28: restarts must be"),
        ("model=flow trainer.batch_size=1", "trainer.batch_size=1 is not allowed: model flow normalises over the"),
        ("model=gan model.batch_size=1", "so it must be at least 2. Type for example: model.batch_size=64"),
        ("model.network=conv model.channels=[8,8,8,8,8,8]", "6 channels halve a 28 x 28 image below one pixel"),
        ("model=cond_aae model.label_share=1.5", "model.label_share=1.5 is not allowed: it must be a number from 0 to"),
        ("model=cond_aae model.classes=7", "has 10 classes. Type: model.classes=10"),
        ("model=gan model.closeness=3 model.objective=wasserstein_penalty", "Type: model.closeness=0"),
        ("device=tpu", "device=tpu is not allowed: it must be auto, cpu, cuda, cuda:N or mps"),
        ("device=cuda:77", "device=cuda:77 is not on this machine; there is:"),
        ("-m +launcher=joblib hydra.launcher.n_jobs=0", "hydra.launcher.n_jobs=0 is not allowed: it must be a number"),
        ("device=cpu precision=tf32", "precision=tf32 is of CUDA devices, not of cpu. Type: precision=fp32"),
        ("precision=fp16", "precision=fp16 is not allowed: it must be one of auto, fp32, tf32, bf16"),
    ),
    *(Bad(own_images.KIND, *row[:3], lay_out=row[3]) for row in own_images.ROWS),
    data("no data at all", "train-images-idx3-ubyte is missing. Type: python -m benchmark.prepare dataset=mnist",
         lambda folder: shutil.rmtree(folder / "data"), "mnist"),
    data("a data set of torchvision that was not prepared", "data set kmnist is not in",
         lambda folder: shutil.rmtree(folder / KMNIST)),
    data("a truncated file", "is corrupt: ", cut(TRAIN, MNIST), "mnist"),
    data("one flipped bit", "is corrupt: 31,376 bytes with SHA-256", flip, "mnist"),
    data("a truncated file of a data set without checksums", "data/KMNIST/raw cannot be read", cut(TRAIN)),
    data("a file that is no IDX file", "data/KMNIST/raw cannot be read", lambda f: (f / KMNIST / TEST).write_text("x")),
    data("fewer labels than images", "kmnist: 40 images but 30 labels", rewrite(TRAIN_LABELS, labels(30))),
    data("labels without a name", "kmnist: labels must be 0 to 9, the 10 names in its `classes`",
         rewrite(TEST_LABELS, labels(20, 20))),
    data("images of another shape", "data/KMNIST/raw cannot be read", rewrite(TRAIN, np.zeros((40, 28), np.uint8))),
    data("processed files of an older torchvision", "KMNIST/processed holds files of an older torchvision,",
         legacy),
    data("`dataset.torchvision_class=Nist`", "dataset.torchvision_class=Nist: torchvision has no such data set",
         lambda folder: None, "kmnist", "dataset.torchvision_class=Nist"),
    data("a class without training images", "split.normal_class=9 is not allowed: no training images would be left",
         rewrite(TRAIN_LABELS, labels(40, 9)), "kmnist", "split.normal_class=9"),
    data("a test split of one class, with others trained on", "and 20 anomalous of 20 evaluated ones; at",
         rewrite(TEST_LABELS, np.zeros(20, np.uint8))),
    record("`status.json` cut off", "status.json is not valid JSON", overwritten("status.json", '{"state": "done", ')),
    record("`status.json` of another schema", "status.json: lacks axes, fingerprint, state",
           overwritten("status.json", '{"version": 7}')),
    record("an unknown state", "state is 'fine', allowed: done, failed, diverged",
           lambda folder: edited(cell(folder) / "status.json", lambda status: status.update(state="fine"))),
    record("`metrics.json` cut off", "metrics.json has 12 bytes, written were",
           overwritten("metrics.json", '{"auroc": 0.')),
    record("`metrics.json` edited by hand, of the same size", "metrics.json cannot be read (its SHA-256 is",
           other_auroc),
    record("`status.json` edited by hand", "status.json is not what was written",
           other_state),
    record("a reason that is no text", "status.json: reason holds a mapping",
           lambda folder: edited(cell(folder) / "status.json", lambda status: status.update(reason={}))),
    record("a folder whose name is too long", "cannot be read (File name too long)",
           lambda folder: edited(job(folder), lambda content: content["cells"][0].update(path="cells/" + "x" * 300))),
    record("missing weights", "weights.pt is missing", lambda folder: (cell(folder) / "weights.pt").unlink()),
    record("tampered weights (`verify=true`)", "weights.pt cannot be read (its SHA-256 is", other_weights,
           "verify=true"),
    record("scores cut off", "scores.npz has 99 bytes, written were",
           lambda folder: (cell(folder) / "scores.npz").write_bytes(b"x" * 99)),
    record("a record of another cell in its place", "its folder holds a cell of another fingerprint",
           lambda folder: edited(cell(folder) / "status.json", lambda status: status.update(fingerprint="0" * 64))),
    record("a job file cut off", "is not valid JSON", lambda folder: job(folder).write_text('{"job": "a", "cel')),
    record("a job file of another schema", "lacks cells; delete it and type the command of the sweep again",
           lambda folder: edited(job(folder), lambda content: content.pop("cells"))),
    record("a job file that leads outside", "outside the output directory",
           lambda folder: edited(job(folder), lambda content: content["cells"][0].update(path="../../x"))),
    Bad("Records", "`benchmark.report` of an experiment that is not there", ("experiment=none", "figures=false"),
        "no records of experiment none in outputs. Make them with: python", 1, "benchmark.report"),
    Bad("Records", "`benchmark.report` of scores with a flipped bit", ("experiment=bad",),
        "scores.npz cannot be read", 1, "benchmark.report",
        lambda folder: (cell(folder) / "scores.npz").write_bytes(bytes((cell(folder) / "scores.npz").stat().st_size))),
    Bad("Folders", "`output_dir` that cannot be made", ("output_dir=/proc/nowhere",),
        "output_dir=/proc/nowhere cannot be written"),
    Bad("Folders", "`output_dir` that is a file", ("output_dir=taken",),
        "output_dir=taken cannot be written (File exists", lay_out=a_file("taken")),
    Bad("Folders", "`benchmark.report` into a folder with a file that no report wrote",
        ("experiment=bad", "results_dir=mine", "figures=false"), "mine holds files that no report wrote: tables.md. ",
        module="benchmark.report", lay_out=own_file("mine/tables.md")),
    Bad("Folders", "a file in `--config-dir` with the name of one of ours", ("--config-dir=mine",),
        "mine/model/vae.yaml has the name of a file of this project", lay_out=own_file("mine/model/vae.yaml")),
    Bad("Folders", "`benchmark.status` of an `output_dir` of 300 letters",
        ("experiment=bad", "output_dir=" + "x" * 300),
        "cannot be read (File name too long). Type output_dir=<a folder>", 1, "benchmark.status"),
    Bad("Folders", "`benchmark.prepare` into a folder that cannot be made", ("dataset=mnist", "data_dir=taken"),
        "cannot be made or written to", module="benchmark.prepare", lay_out=a_file("taken")),
    Bad("Folders", "`benchmark.report` into a folder that cannot be made",
        ("experiment=bad", "results_dir=taken/x", "figures=false"), "results_dir=taken/x cannot be written",
        module="benchmark.report", lay_out=a_file("taken")),
    *typed(
        "Tracking",
        ("tracking.uri=ftp://host", "tracking.uri=ftp://host is of scheme 'ftp'; allowed: sqlite:////absolute/path.db"),
        ("output_dir=a%b", "output_dir=a%b is not allowed with MLflow on SQLite: its path must hold no ? and no %"),
        ("tracking.uri=mlruns", "tracking.uri=mlruns is a file store, which MLflow no longer supports"),
    ),
    Bad("Tracking", "an SQLite store of an older MLflow", ("tracking.uri=sqlite:///old.db",),
        "has the tables of an older MLflow (revision 451aebb31d03). Keep a copy of the file, then type: mlflow db",
        lay_out=without_mlflow),
    Bad("Tracking", "an SQLite store of a newer MLflow", ("tracking.uri=sqlite:///old.db",),
        "has the tables of a newer MLflow (revision ffffffffffff)", lay_out=newer_store),
    Bad("Tracking", "`benchmark.sync` to a store of an older MLflow", ("experiment=bad", "uri=sqlite:///old.db"),
        "revision 451aebb31d03). Keep a copy of the file, then type: mlflow db upgrade sqlite:///old.db. Or type uri=",
        module="benchmark.sync", lay_out=without_mlflow),
    Bad("Tracking", "a server that refuses the account (401)", ("tracking.uri=URL/401",),
        "refuses a client without an account. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    Bad("Tracking", "a server that forbids it (403)", ("tracking.uri=URL/403",), "refuses a client without an account"),
    Bad("Tracking", "`benchmark.report` from a store that is not there", ("experiment=bad", "source=mlflow",
        "uri=sqlite:///none.db"), "there is no MLflow store", module="benchmark.report"),
    Bad("Small commands", "`benchmark.status experimnt=quick`", ("experimnt=quick",), "did you mean experiment=...?",
        module="benchmark.status"),
    Bad("Small commands", "`benchmark.status` of nothing", (), "experiment=... is missing. There is: bad.",
        module="benchmark.status"),
    Bad("Small commands", "`benchmark.status verify=perhaps`", ("experiment=bad", "verify=perhaps"),
        "verify=perhaps is not allowed: it must be true or false", module="benchmark.status"),
    Bad("Small commands", "`benchmark.status` of an experiment of 300 letters", ("experiment=" + "x" * 300,),
        "is no name of an experiment, which has at most 100 bytes", module="benchmark.status"),
    Bad("Small commands", "`benchmark.status experiment=`", ("experiment=",), "experiment= has no value. Type",
        module="benchmark.status"),
    Bad("Small commands", "`benchmark.status experiment=../x`", ("experiment=../x",), "experiment=../x is not a name",
        module="benchmark.status"),
    Bad("Small commands", "`benchmark.check -m model=ae,vae`", ("-m", "model=ae,vae"), "2 models are one too many",
        module="benchmark.check"),
    Bad("Small commands", "`benchmark.forget job=a cells=b`", ("experiment=bad", "job=a", "cells=b"),
        "job=... and cells=... are two ways to choose", module="benchmark.forget"),
    Bad("Small commands", "`benchmark.forget job=none`", ("experiment=bad", "job=none", "yes=true"),
        "job=none is no job of the experiment", module="benchmark.forget"),
    Bad("Small commands", "`benchmark.forget cells=vae`", ("experiment=bad", "cells=vae", "yes=true"),
        'no cell is called cells="vae". Columns are: pca.', module="benchmark.forget"),
    Bad("Small commands", "`benchmark.forget yes=true` of a whole experiment", ("experiment=bad", "yes=true"),
        "yes=true needs job=... or cells=...", module="benchmark.forget"),
    Bad("Small commands", "`benchmark.select` of cells on test images", ("experiment=bad",),
        "2 of the 2 cells are evaluated on test images, which choose nothing", module="benchmark.select"),
    Bad("Small commands", "`benchmark.select dataset=kmnist`", ("experiment=bad", "dataset=kmnist"),
        "2 of the 2 cells are evaluated on test images, which choose nothing. Compare", module="benchmark.select"),
    Bad("Small commands", "`benchmark.select cells=none.csv`", ("cells=none.csv",),
        "cells=none.csv is no cells.csv of a report (FileNotFoundError", module="benchmark.select"),
    Bad("Small commands", "`benchmark.select experiment=bad cells=x.csv`", ("experiment=bad", "cells=x.csv"),
        "cells=x.csv is one place to read from, experiment=bad another: leave out one", module="benchmark.select"),
    Bad("Small commands", "`benchmark.select` of an experiment that is not there", ("experiment=none",),
        "no cells of experiment none in outputs. There is: bad.", 1, "benchmark.select"),
    Bad("Committees", "`benchmark.committee` without members", ("experiment=bad",),
        "models=... is missing. There is: pca. Type for example: models=[pca,knn]", module="benchmark.committee"),
    committee("", "[pca,,knn]", "models=[pca,,knn]: this is no list. Type for example: models=[pca,knn]"),
    committee("", "[pca]", "a committee has two members or more. Type for example: models=[pca,knn] or pca:smoothed"),
    committee("", "[pca,vae]", "models: experiment bad has no cell of vae. It has: pca"),
    committee("", "[pca,pca:own]", "models: pca:own stands there twice. Leave one of them out"),
    committee("", "[pca,pca@latent=2]", "models: pca@latent=2 is no variant of experiment bad. Type one of: pca@shipp"),
    committee("", "[pca,pca:ssim]", "models: no cell of pca was judged under rule ssim, but under: own. Type: python"),
    committee("", "[pca,committee]", "models: committee: a committee is no member of another. Name its"),
    committee("cells of other splits", "[pca,knn]", "make no committee: their splits differ. Run both with the same",
              other_model(lambda status: status["split"].update(hash=64 * "0"))),
    committee("cells of other data", "[pca,knn]", "make no committee: their data sets differ. Run both with the same",
              other_model(lambda status: status.update(data_version=64 * "0"))),
    Bad("Committees", "`benchmark.committee into=../x`", ("experiment=bad", "models=[pca,knn]", "into=../x"),
        "into='../x' is not allowed: it must be a name for a folder", module="benchmark.committee"),
    Bad("Small commands", "`benchmark.report figures=maybe`", ("figures=maybe",),
        "it must be true, false, pdf, means, rules or sensitivity", module="benchmark.report"),
    Bad("Small commands", "`benchmark.report publish=perhaps`", ("publish=perhaps",), "it must be true or false",
        module="benchmark.report"),
    Bad("Small commands", "`benchmark.report publish=true results_dir=x`", ("publish=true", "results_dir=x"),
        "publish=true writes to results/quick: leave out results_dir=x", module="benchmark.report"),
    Bad("Small commands", "`benchmark.report source=cloud`", ("source=cloud",), "it must be folders or mlflow",
        module="benchmark.report"),
    Bad("Small commands", "`benchmark.prepare --config-dir nowhere`", ("--config-dir", "nowhere"),
        "--config-dir=nowhere: there is no such folder", module="benchmark.prepare"),
    Bad("Small commands", "`benchmark.prepare dataset=cifar`", ("dataset=cifar",), "there is no such dataset",
        module="benchmark.prepare"),
]  # fmt: skip


def page() -> str:
    """``docs/bad_input.md``."""
    lines = [
        "# Bad input",
        "",
        "What is said of input that cannot be used: one line, with what to do, before any work. The exit code is 2 for",
        "what was typed or pointed to, 1 for what was found broken. Nothing stored is changed. With",
        "`python -m benchmark`, `debug=true` shows the traceback instead.",
        "`tests/faults/test_bad_input.py` runs every row, `tests/test_your_own.py` those of the last table.",
    ]
    for kind in dict.fromkeys(case.kind for case in CASES):
        lines += ["", f"## {kind}", "", "| given | said (in part) | exit code |", "| --- | --- | ---: |"]
        lines += [
            f"| {case.given} | {case.says.replace('|', chr(92) + '|')} | {case.code} |"
            for case in CASES
            if case.kind == kind
        ]
    from tests.test_your_own import MISTAKES

    head = ["", "## Models and data of your own", "", "| given | said (in part) | exit code |", "| --- | --- | ---: |"]
    lines += [*head, *(f"| {given} | {says} | 2 |" for given, (_, says) in MISTAKES.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
