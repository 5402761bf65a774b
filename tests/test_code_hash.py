"""A model's code is its program and its parts: not the text around it, and not what it does not use."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.code_hash import ROOT, code_of, model_code
from benchmark.models import model_names
from benchmark.store import environment

MODELS = {
    "models/one.py": '"""One."""\nfrom benchmark.models.layers import wide\nfrom .base import Model\n\n'
    "class One(Model):\n"
    '    """It is one."""\n\n    sign = 1\n\n    def score(self, x):\n        return self.sign * wide(x)\n',
    "models/layers.py": "import benchmark.models.parts.distances\n\ndef wide(x):\n    return x\n",
    "models/base.py": "class Model:\n    pass\n",
    "models/two.py": "class Two:\n    pass\n",
    "models/parts/distances.py": "def distance():\n    return 1\n",
    "train.py": "pass\n",
}


def code(folder: Path, name: str = "", before: str = "", after: str = "") -> str:
    """The code of the model ``one`` in a new package, after one change."""
    for path, content in MODELS.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        assert before in content or path != name
        (folder / path).write_text(content.replace(before, after) if path == name else content)
    return code_of("benchmark.models.one", folder)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("models/one.py", "sign = 1", "sign = -1"),
        ("models/layers.py", "return x", "return 2 * x"),
        ("models/base.py", "pass", "learnt = True"),
        ("models/parts/distances.py", "return 1", "return 2"),
        ("models/one.py", "sign = 1", "sign = 1 1"),  # half written
    ],
)
def test_another_program_is_another_code(tmp_path: Path, name: str, before: str, after: str) -> None:
    assert code(tmp_path / "a") != code(tmp_path / "b", name, before, after)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("models/one.py", "sign = 1", "sign = (1)  # a comment"),
        ("models/one.py", '"""It is one."""', '"""It is\n    said otherwise."""'),
        ("models/one.py", '    """It is one."""\n', ""),
        ("models/one.py", '"""One."""\n', "\n\n"),
        ("models/two.py", "pass", "sign = 1"),
        ("train.py", "pass", "raise"),
    ],
)
def test_another_text_of_the_same_program_is_the_same_code(tmp_path: Path, name: str, before: str, after: str) -> None:
    assert code(tmp_path / "a") == code(tmp_path / "b", name, before, after)


def test_every_model_has_its_own_code(tmp_path: Path) -> None:
    codes = {name: model_code(name) for name in model_names()}
    assert len({*codes.values()}) == len(codes)
    assert model_code("none") == ""
    copy = shutil.copytree(ROOT, tmp_path / "benchmark")
    search = copy / "models" / "parts" / "search.py"
    search.write_text(search.read_text() + "\nX = 1\n")
    changed = {name for name in codes if code_of(f"benchmark.models.{name}", copy) != codes[name]}
    assert {"anogan"} <= changed
    assert not changed & {"ae", "pca", "vae"}


def test_a_file_that_is_not_committed_is_no_clean_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "benchmark" / "models").mkdir(parents=True)
    (tmp_path / "benchmark" / "seeds.py").write_text("")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "benchmark" / "store" / "environment.py"))
    found = []
    for file in ("notes.txt", "benchmark/models/mine.py"):
        (tmp_path / file).write_text("x = 1\n")
        environment.git_revision.cache_clear()
        found.append(environment.git_revision())
    environment.git_revision.cache_clear()
    assert found[1] == f"{found[0]}+changes"
    assert len(found[0]) == 40
