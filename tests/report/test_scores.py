"""The file of every image's scores, and the hashes that a kept report has of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmark.config import UsageError
from benchmark.engine.metrics import delong_se, fpr_at_tpr
from benchmark.report.build import build_report
from benchmark.report.hashes import score_hash
from benchmark.report.measures.levels import levels
from benchmark.report.packed import read_manifest
from benchmark.store.files import RecordError
from benchmark.store.records import add_rules, read_record
from tests.report.conftest import Records

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"


@pytest.fixture
def judged(records: Records) -> Records:
    """Two cells of two seeds with scores, judged by two rules, of which one was chosen; and one that is missing."""
    entries = records.job(
        {"model": "ae", "k": 0, "auroc": 0.7, "arrays": True, "chosen_rule": "ssim"},
        {"model": "ae", "k": 0, "seed": 1, "auroc": 0.7, "arrays": True, "chosen_rule": "ssim"},
        {"model": "ae", "k": 1, "state": "missing"},
    )
    draw = np.random.default_rng(1)
    for entry in entries[:2]:
        scores = {f"score/{name}": draw.normal(size=50).astype(np.float32) for name in ("ssim", "smoothed")}
        rules = {name: {"code": "a" * 64, "config": {"name": name}} for name in ("ssim", "smoothed")}
        rules["kl"] = {"code": "a" * 64, "config": {"name": "kl"}, "reason": "it has no code"}
        add_rules(read_record(records.output_dir / entry["path"]), rules, {}, scores)
    return records


def write(judged: Records, tmp_path: Path, **settings: Any) -> tuple[Any, dict[str, Any]]:
    import pandas as pd

    settings = {"scores": tmp_path / "scores.parquet", "results_dir": tmp_path / "r", **settings}
    build_report("small", judged.output_dir, figures=False, **settings)
    manifest = read_manifest(tmp_path / "r" / "manifest.json")
    return pd.read_parquet(settings["scores"]), manifest


def test_scores_under_rules_that_others_asked_for_stay_out(judged: Records, tmp_path: Path) -> None:
    (path,) = (judged.output_dir / "experiments" / "small").glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 2, "rules": {"smoothed": {}, "kl": {}}}))
    frame, manifest = write(judged, tmp_path, scores_of="all")
    assert set(frame["score"]) == {"headline", "smoothed"}
    assert [rule["name"] for rule in manifest["rules"]] == ["smoothed"]  # kl does not apply
    hashed = [set(cell["scores_sha256"]) for cell in manifest["cells"] if cell["state"] == "done"]
    assert hashed == [{"headline", "smoothed"}] * 2


def test_the_file_has_the_scores_that_were_recorded_and_the_manifest_their_hashes(
    judged: Records, tmp_path: Path
) -> None:
    frame, manifest = write(judged, tmp_path, scores_of="all")
    assert len(frame) == 2 * 3 * 50
    assert manifest["scores"]["rows"] == len(frame)
    assert manifest["scores"]["bytes"] == (tmp_path / "scores.parquet").stat().st_size
    assert frame["value"].dtype == np.float32
    hashes = {cell["seed"]: cell["scores_sha256"] for cell in manifest["cells"] if cell["state"] == "done"}
    found: dict[int, dict[str, str]] = {}
    for (seed, score), one in frame.groupby(["seed", "score"]):
        assert list(one["index"]) == list(range(50))
        assert list(one["label"]) == [0] * 20 + [1] * 30
        found.setdefault(seed, {})[score] = score_hash(one["value"].to_numpy())
    assert {seed: {name: one[:32] for name, one in of.items()} for seed, of in found.items()} == hashes
    assert set(hashes[0]) == {"headline", "ssim", "smoothed"}
    assert hashes[0]["ssim"] != hashes[1]["ssim"]
    assert [rule["name"] for rule in manifest["rules"]] == ["smoothed", "ssim"]
    assert {rule["cells"] for rule in manifest["rules"]} == {2}


def test_it_is_narrowed_to_scores_and_seeds(judged: Records, tmp_path: Path) -> None:
    frame, _ = write(judged, tmp_path)
    assert set(frame["score"]) == {"headline", "ssim"}
    frame, manifest = write(judged, tmp_path, scores_of="headline", scores_seed="1")
    assert set(frame["score"]) == {"headline"}
    assert set(frame["seed"]) == {1}
    assert manifest["scores"]["seeds"] == [1]


def test_as_levels_what_follows_from_the_order_of_labels_is_the_same_to_the_last_digit(
    judged: Records, tmp_path: Path
) -> None:
    values, _ = write(judged, tmp_path, scores_of="all")
    whole = (tmp_path / "scores.parquet").stat().st_size
    found, manifest = write(judged, tmp_path, scores_of="all", scores_as="levels")
    assert (manifest["scores"]["as"], manifest["scores"]["rows"]) == ("levels", len(values))
    assert manifest["scores"]["bytes"] < whole
    keys = ["seed", "score", "index", "label"]
    assert found[keys].equals(values[keys])
    for level, value in zip(of_scores(found, "level"), of_scores(values, "value"), strict=True):
        labels, one, other = level[0], level[1].astype(float), value[1].astype(float)
        for statistic in (roc_auc_score, delong_se, fpr_at_tpr):
            assert statistic(labels, one) == pytest.approx(statistic(labels, other), abs=1e-12)
        assert len(np.unique(one)) < len(np.unique(other))


def of_scores(frame: Any, column: str) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(one["label"].to_numpy(), one[column].to_numpy()) for _, one in frame.groupby(["seed", "score"])]


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_levels_keep_the_order_of_every_normal_and_anomalous_image_with_its_ties(digits: int) -> None:
    draw = np.random.default_rng(digits)
    labels = draw.integers(0, 2, 300)
    scores = np.round(draw.normal(size=300) + labels, digits).astype(np.float32)
    found = levels(labels, scores)
    expected = np.sign(scores[labels == 1][:, None] - scores[labels == 0][None])
    assert (np.sign(found[labels == 1][:, None] - found[labels == 0][None]) == expected).all()
    assert sorted(set(found)) == list(range(found.max() + 1))


def test_without_anomalies_there_is_one_level() -> None:
    assert levels(np.zeros(4, np.uint8), np.arange(4.0)).tolist() == [0] * 4


def test_the_reader_of_the_page_reads_it(
    judged: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(judged, tmp_path, scores_of="all")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(code, "docs/verify.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("mnist one_vs_rest test 0 ") for line in lines) == 6
    (formula,) = re.findall(r"`(hashlib\..*?)`", PAGE.read_text())
    one = {"hashlib": __import__("hashlib"), "one": __import__("pandas").read_parquet("scores.parquet").iloc[:50]}
    assert eval(formula, one) == read_manifest(Path("r/manifest.json"))["cells"][0]["scores_sha256"]["headline"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scores": "scores.csv"}, r"must be a file whose name ends with \.parquet"),
        ({"scores_of": "rules"}, "one of headline, chosen, all"),
        ({"scores_seed": "x"}, "one seed or several"),
        ({"scores_as": "ranks"}, "values or levels"),
        ({"scores": None, "scores_as": "levels"}, "scores_as= narrows scores=FILE, which is missing"),
        ({"scores_seed": "9"}, "no done cell of these seeds"),
        ({"scores": None, "scores_seed": "0"}, "scores_seed= narrows scores=FILE, which is missing"),
        ({"scores": "mine.parquet"}, "a file that no report wrote"),
    ],
)
def test_what_cannot_be_is_refused(
    judged: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.parquet").write_text("mine")
    with pytest.raises(UsageError, match=said):
        write(judged, tmp_path, **settings)
    assert Path("mine.parquet").read_text() == "mine"
    assert not (tmp_path / "r").exists()


def test_scores_that_are_damaged_are_not_published(judged: Records, tmp_path: Path) -> None:
    path = next(judged.output_dir.rglob("scores.npz"))
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"scores\.npz"):
        write(judged, tmp_path, scores=None)
