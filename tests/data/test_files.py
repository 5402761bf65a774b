"""The data directory: setting, then variable, then the user's cache."""

from pathlib import Path

from benchmark.data.files import data_dir


def test_setting_wins_then_the_variable_then_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHMARK_DATA", str(tmp_path / "variable"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_dir(str(tmp_path / "setting")) == tmp_path / "setting"
    assert data_dir(None) == tmp_path / "variable"
    monkeypatch.setenv("BENCHMARK_DATA", "")
    assert data_dir(None) == tmp_path / "cache" / "generative-anomaly-benchmark"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_dir(None) == tmp_path / ".cache" / "generative-anomaly-benchmark"
    assert data_dir("~/here") == tmp_path / "here"


def test_relative_setting_is_of_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data_dir("images") == Path(tmp_path) / "images"
