"""Nothing that is read can run code, leave its folder, or put markup into a page."""

from __future__ import annotations

import ast
import html.parser
import io
import json
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

import benchmark
from benchmark.data.files import sha256_of
from benchmark.data.sources import Unreachable, fetch
from benchmark.report.build import build_report
from benchmark.store.records import RecordError, read_record
from benchmark.tracking.figure import cell_figure
from tests.data.test_sources import executable
from tests.report.conftest import Records
from tests.store.test_records import edit, write
from tests.tools.audit import judge

SOURCES = sorted(Path(benchmark.__file__).parent.rglob("*.py"))
PICKLERS = {"pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
MARK = "<script>alert(1)</script>"


class Bomb:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> object:
        return Path.touch, (self.target,)


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == name), None)


def test_every_source_was_found() -> None:
    assert {"records.py", "train.py", "page.py"} <= {path.name for path in SOURCES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(SOURCES[0].parent).as_posix())
def test_no_source_can_run_what_it_reads(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {
        node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module, [a.name for a in node.names]) != ("joblib", ["cpu_count"])
    }
    assert not {name.split(".")[0] for name in imported} & PICKLERS
    for name, call in calls(tree):
        if name == "torch.load":
            assert keyword(call, "weights_only") == "True"
        elif name in ("np.load", "numpy.load"):
            assert keyword(call, "allow_pickle") == "False"
        elif name.endswith(".extractall"):
            assert keyword(call, "filter") == "'data'"
        elif name.startswith("subprocess."):
            assert keyword(call, "shell") is None
        assert name not in ("exec", "os.system", "yaml.load", "yaml.unsafe_load", "pd.read_pickle", "torch.hub.load")
        if name == "eval":  # of the annotations in our own sources
            assert path.parts[-2:] == ("models", "__init__.py")


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    """Also with a matching SHA-256: whoever can change the one can change the other."""
    path, ran = write(tmp_path / "cell"), tmp_path / "ran"
    weights = path / "weights.pt"
    torch.save({"weight": Bomb(ran)}, weights)
    written = {"bytes": weights.stat().st_size, "sha256": sha256_of(weights)}
    edit(path / "status.json", lambda status: status["files"].update({"weights.pt": written}))
    with pytest.raises(RecordError, match=r"weights\.pt cannot be read"):
        read_record(path).weights()
    assert not ran.exists()
    pickle.loads(pickle.dumps(Bomb(ran)))
    assert ran.exists(), "the bomb is none"


def deb(path: Path, data: bytes) -> None:
    """A Debian package by hand: an ar archive of a version, an empty control archive and ``data`` (a tar)."""
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    content = b"!<arch>\n"
    for name, part in (("debian-binary", b"2.0\n"), ("control.tar", empty.getvalue()), ("data.tar", data)):
        content += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n".encode() + part + b"\n" * (len(part) % 2)
        )
    path.write_bytes(content)


def escaping_tar(escape: str, outside: Path) -> bytes:
    """A tar with a member that leads to ``outside``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        name = {"dots": "./" + "../" * 40 + str(outside)[1:] + "/escaped", "absolute": f"{outside}/escaped"}.get(escape)
        if escape in ("symlink", "hardlink"):
            link = tarfile.TarInfo("./way")
            link.type = tarfile.SYMTYPE if escape == "symlink" else tarfile.LNKTYPE
            link.linkname = str(outside if escape == "symlink" else outside / "mine")
            archive.addfile(link)
            name = "./way/escaped" if escape == "symlink" else "./way"
        member = tarfile.TarInfo(name)
        member.size = 3
        archive.addfile(member, io.BytesIO(b"bad"))
    return buffer.getvalue()


def fetch_debian(tiny, tmp_path: Path, monkeypatch, data: bytes) -> list[str]:
    """Fetch the tiny data set from a package with the tar ``data``."""
    deb(tmp_path / "tiny.deb", data)
    executable(tmp_path / "bin", "apt-get", f"cp {tmp_path / 'tiny.deb'} .")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = {"kind": "debian", "package": "tiny"}
    return fetch(tiny.config(source), tmp_path / "data", lambda text: None, lambda *progress: None)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_a_package_made_by_hand_is_one(tiny, tmp_path, monkeypatch) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in tiny.files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert sorted(fetch_debian(tiny, tmp_path, monkeypatch, buffer.getvalue())) == sorted(tiny.files)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
@pytest.mark.parametrize("escape", ["dots", "absolute", "symlink", "hardlink"])
def test_members_of_a_debian_package_stay_in_their_folder(tiny, tmp_path, monkeypatch, escape) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    with pytest.raises(Unreachable, match="Debian package tiny"):
        fetch_debian(tiny, tmp_path, monkeypatch, escaping_tar(escape, outside))
    assert [path.name for path in outside.iterdir()] == ["mine"]
    assert (outside / "mine").read_text() == "mine"


def test_members_of_a_zip_stay_in_their_folder(tmp_path: Path) -> None:
    """EMNIST is a zip that torchvision unpacks, after a look at its MD5."""
    from torchvision.datasets.utils import extract_archive

    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    with zipfile.ZipFile(tmp_path / "it.zip", "w") as archive:
        for name in ("../outside/escaped", f"{outside}/escaped", "good"):
            archive.writestr(name, "bad")
    extract_archive(str(tmp_path / "it.zip"), str(folder))
    assert (folder / "good").exists()
    assert list(outside.iterdir()) == []


class Tags(html.parser.HTMLParser):
    """Every element of a page, and every attribute that would run code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.handlers: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.handlers += [name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]


def test_the_figure_of_a_cell_takes_any_name(tmp_path: Path) -> None:
    hostile(tmp_path)
    for folder in sorted(path.parent for path in tmp_path.rglob("scores.npz")):
        assert cell_figure(read_record(folder), tmp_path / "cell.png").read_bytes().startswith(b"\x89PNG")


def hostile(output_dir: Path) -> Records:
    """An experiment in whose records every text that a user or a file can choose holds markup."""
    records = Records(output_dir, f"a{MARK.replace('/', '')}")
    attribute = "x' onmouseover='alert(1)"
    common = {"k": 0, "name": MARK, "dataset": f"d{MARK}{attribute}", "split": f"s{MARK}"}
    records.job(
        {"model": f"m{MARK}", "auroc": 0.75, "variant": f"latent={MARK}", "arrays": True, **common},
        {"model": "..m/x", "auroc": 0.75, "variant": f"{attribute} $\\frac$", "arrays": True, **common},
        {"model": "pca", "state": "failed", "reason": f"it failed: {MARK}{attribute}", **common},
        {"model": "vae", "state": "missing", **common, "k": 1},
    )
    earlier = {"auroc": 0.7, "variant": f"latent={MARK}", "arrays": True, "version": 2}
    records.job({"model": f"m{MARK}", **earlier, **common})
    for path in (output_dir / "experiments").rglob("*.json"):
        edit(path, lambda job: job.update({"command": f"python {MARK}", "overrides": [MARK], "git_revision": MARK}))
    return records


def test_the_page_escapes_everything_that_records_hold(tmp_path: Path) -> None:
    records = hostile(tmp_path / "outputs")
    report = build_report(records.experiment, records.output_dir, tmp_path / "deep" / "r", command=f"python {MARK}")
    page = (tmp_path / "deep" / "r" / "report.html").read_text(encoding="utf-8")
    found = Tags(page)
    assert "script" not in found.names
    assert found.handlers == []
    assert page.count("&lt;script&gt;") > 10
    for text in ("m&lt;script&gt;", "latent=&lt;script&gt;", "it failed: &lt;script&gt;", "s&lt;script&gt;"):
        assert text in page, f"{text} is not shown"
    markdown = (tmp_path / "deep" / "r" / "tables.md").read_text(encoding="utf-8")
    assert MARK not in markdown
    assert {path.name for path in tmp_path.iterdir()} == {"outputs", "deep"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["r"], "a file left the report's folder"
    assert all(".." not in name for name in report.files)
    assert json.loads((tmp_path / "deep" / "r" / "manifest.json").read_text())["files"] == report.files


def test_an_audit_that_looked_nothing_up_is_no_all_clear() -> None:
    clean = {"name": "a", "version": "1", "vulns": []}
    found = {"name": "b", "version": "2", "vulns": [{"id": "X-1", "fix_versions": ["3"]}]}
    unknown = {"name": "c", "skip_reason": "not on the index"}
    assert judge([clean], {}) == (["1 of 1 locked packages were looked up; 0 findings without an explanation."], 0)
    assert judge([clean, found], {})[1] == 1
    assert "b 2: X-1, fixed in 3" in judge([clean, found], {})[0]
    assert judge([clean, found], {"X-1": "not used"})[1] == 0
    assert judge([clean, unknown], {})[1] == 2
    assert judge([], {})[1] == 2
