"""The data command, from its arguments to its exit code."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time

import pytest
from omegaconf import OmegaConf

from benchmark import prepare
from benchmark.config import UsageError
from benchmark.data import load_dataset_config
from benchmark.data.files import refuse_faults
from tests.conftest import IDX_NAMES


@pytest.fixture
def offered(tiny, web, tmp_path, monkeypatch):
    """The tiny data set as the only one there is, its files on the local server."""
    for name, content in tiny.files.items():
        web.files[f"{name}.gz"] = gzip.compress(content)
    folder = tmp_path / "conf" / "dataset"
    folder.mkdir(parents=True)
    OmegaConf.save(tiny.config({"kind": "url", "url": web.url}), folder / "tiny.yaml")
    monkeypatch.setattr("benchmark.data.CONF_DIR", tmp_path / "conf")
    return tmp_path / "data"


def run(*arguments):
    return prepare.main(list(arguments))


def test_prepare_fetches_verifies_and_then_leaves_alone(offered, web, capsys):
    assert run("dataset=tiny", f"data_dir={offered}") == 0
    captured = capsys.readouterr()
    raw = offered / "MNIST" / "raw"
    assert captured.out == f"tiny: fetched 4 files, all verified; 40 training and 20 test images in {raw}\n"
    assert f"tiny: web folder {web.url}" in captured.err
    for name in IDX_NAMES:
        assert any(line.startswith(f"  {name}: ") and line.endswith(" MB/s") for line in captured.err.splitlines())
    assert "\r" not in captured.err
    before = dict(web.asked)
    assert run("dataset=all", f"data_dir={offered}") == 0
    captured = capsys.readouterr()
    assert captured.out == f"tiny: already there, verified; 40 training and 20 test images in {raw}\n"
    assert captured.err == ""
    assert web.asked == before


def test_server_that_truncates_once(offered, web, capsys):
    name = f"{IDX_NAMES[0]}.gz"
    good = web.files[name]
    web.files[name] = lambda request: good[:999] if request == 1 else good
    web.promised[name] = len(good)
    assert run("dataset=tiny", f"data_dir={offered}") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"it broke off after 999 of {len(good):,} bytes" in captured.err
    assert f"By hand: place these files, plain or as .gz, in {offered / 'MNIST' / 'raw'}" in captured.err
    assert run("dataset=tiny", f"data_dir={offered}") == 0
    assert "all verified; 40 training and 20 test images" in capsys.readouterr().out


def test_server_that_serves_a_short_file_as_if_it_were_whole(offered, web, tiny, capsys):
    name = f"{IDX_NAMES[0]}.gz"
    good = web.files[name]
    short = gzip.compress(tiny.files[IDX_NAMES[0]][:5000])
    web.files[name] = lambda request: short if request == 1 else good
    assert run("dataset=tiny", f"data_dir={offered}") == 1
    assert f"{IDX_NAMES[0]} arrived with SHA-256" in capsys.readouterr().err
    assert run("dataset=tiny", f"data_dir={offered}") == 0


def test_corrupt_file_is_named_and_replaced(offered, tiny, capsys):
    raw = offered / "MNIST" / "raw"
    tiny.write(raw)
    (raw / IDX_NAMES[2]).write_bytes(b"short")
    assert run("dataset=tiny", f"data_dir={offered}") == 0
    captured = capsys.readouterr()
    assert f"{raw / IDX_NAMES[2]} is corrupt: 5 bytes with SHA-256" in captured.err
    assert "fetching it again" in captured.err
    assert captured.out.startswith("tiny: fetched 1 files, all verified")
    assert (raw / IDX_NAMES[2]).read_bytes() == tiny.files[IDX_NAMES[2]]


def test_variable_moves_the_data(offered, monkeypatch):
    monkeypatch.setenv("BENCHMARK_DATA", str(offered / "elsewhere"))
    assert run("dataset=tiny") == 0
    assert (offered / "elsewhere" / "MNIST" / "raw" / IDX_NAMES[0]).is_file()


def test_digits_need_nothing(tmp_path, capsys):
    assert run("dataset=digits", f"data_dir={tmp_path}") == 0
    assert capsys.readouterr().out == (
        "digits: nothing to fetch; 1,252 training and 545 test images from benchmark.data.images.digits\n"
    )


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("dataset=cifar", "prepare: dataset=cifar: there is no such dataset. There is: digits, "),
        (
            "data=mnist",
            "prepare: data=mnist is not known; did you mean dataset=...? Allowed: dataset=..., data_dir=..., ",
        ),
        ("mnist", "prepare: mnist is not known; Allowed: dataset=..., data_dir=..., dataset.path=..., "),
        ("data_dir=", "prepare: data_dir= has no value. Type data_dir=<a value>, or leave it out\n"),
    ],
)
def test_wrong_argument_is_one_line_and_exit_code_2(argument, text, capsys):
    assert run(argument) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(text)
    assert captured.err.count("\n") == 1


def test_folder_that_cannot_be_made_is_one_line_and_exit_code_2(offered, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run("dataset=tiny", f"data_dir={tmp_path / 'file'}") == 2
    captured = capsys.readouterr()
    assert "cannot be made or written to" in captured.err
    assert captured.err.count("\n") == 1


def test_help_answers_at_once_without_torch():
    code = "import sys; from benchmark.prepare import main; main(['--help']); sys.exit('torch' in sys.modules)"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - start < 5
    assert "python -m benchmark.prepare" in done.stdout
    assert "emnist_letters, fashion_mnist" in done.stdout


def test_command_line_says_that_the_real_data_is_there(data_dir):
    done = subprocess.run([sys.executable, "-m", "benchmark.prepare"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["mnist", "fashion_mnist"]
    assert all("already there, verified; 60,000 training and 10,000 test images" in line for line in lines)


def test_a_data_set_of_ones_own_is_prepared_from_its_folder(offered, tmp_path, capsys):
    own = tmp_path / "mine" / "dataset"
    own.mkdir(parents=True)
    (tmp_path / "conf" / "dataset" / "tiny.yaml").rename(own / "tiny.yaml")
    assert run("dataset=tiny", f"data_dir={offered}") == 2
    assert "there is no such dataset" in capsys.readouterr().err
    for flag in (["--config-dir", str(own.parent)], [f"--config-dir={own.parent}"]):
        assert run(*flag, "dataset=tiny", f"data_dir={offered}") == 0
        assert "40 training and 20 test images" in capsys.readouterr().out
    config = load_dataset_config("tiny", own.parent)
    with pytest.raises(UsageError, match=r"prepare dataset=tiny --config-dir <the folder of its YAML>$"):
        refuse_faults(config, tmp_path)
    assert run("dataset=tiny", "--config-dir") == 2
    assert "--config-dir has no value. Type for example: --config-dir my_conf" in capsys.readouterr().err
    assert run("--config-dir", str(tmp_path / "none"), "dataset=tiny") == 2
    assert "there is no such folder" in capsys.readouterr().err
