"""Which cells count, and the frame that every table is made from."""

import pandas as pd

from benchmark.report.frame import read_frame, write_frame
from benchmark.report.statistics import groups
from benchmark.report.tables.sections import build_tables
from benchmark.report.tables.table import group_title
from benchmark.store.experiments import collect, hide_paths


def test_missing_failed_and_unreadable_cells_are_rows_with_state_and_reason(records, frame_of):
    entries = records.job(
        {"model": "ae", "k": 0, "auroc": 0.9},
        {"model": "ae", "k": 1, "state": "missing"},
        {"model": "vae", "k": 0, "state": "diverged", "reason": "loss is NaN in epoch 3", "metrics": {"auroc": 0.1}},
        {"model": "vae", "k": 1, "auroc": 0.8},
    )
    (records.output_dir / entries[3]["path"] / "metrics.json").write_text("{")
    frame = frame_of()
    assert frame["state"].tolist() == ["done", "missing", "diverged", "unreadable"]
    assert frame["auroc"].notna().tolist() == [True, False, False, False]  # no number of a cell that is not done
    assert frame["reason"][2] == "loss is NaN in epoch 3"
    assert "metrics.json" in frame["reason"][3]


def test_models_come_in_a_fixed_order_with_pca_first(records, frame_of):
    names = ["zebra", "anogan", "aae", "pca", "vae", "flow", "ae"]
    records.job(*({"model": name, "k": 0, "auroc": 0.5} for name in names))
    assert frame_of()["model"].tolist() == ["pca", "ae", "vae", "aae", "anogan", "flow", "zebra"]


def test_the_latest_configuration_counts_and_the_stale_one_is_named(records):
    old = records.job({"model": "ae", "k": 0, "auroc": 0.1}, {"model": "ae", "k": 1, "auroc": 0.2})
    new = records.job({"model": "ae", "k": 0, "auroc": 0.9, "version": 2})
    found = collect(records.output_dir, "small")
    assert {c.fingerprint for c in found.cells} == {new[0]["fingerprint"], old[1]["fingerprint"]}
    assert len(found.warnings) == 1
    assert old[0]["fingerprint"][:12] in found.warnings[0]
    assert "\n" not in found.warnings[0]


def test_running_the_older_configuration_again_makes_it_the_one_that_counts(records):
    records.job({"model": "ae", "k": 0, "auroc": 0.1})
    second = records.job({"model": "ae", "k": 0, "auroc": 0.9, "version": 2})
    third = records.job({"model": "ae", "k": 0, "auroc": 0.1})
    found = collect(records.output_dir, "small")
    assert [c.fingerprint for c in found.cells] == [third[0]["fingerprint"]]
    assert second[0]["fingerprint"][:12] in found.warnings[0]
    assert len(found.warnings) == 1


def test_a_stale_record_never_fills_the_place_of_a_new_cell_that_is_missing(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.1})
    records.job({"model": "ae", "k": 0, "state": "missing", "version": 2})
    assert frame_of()["state"].tolist() == ["missing"]


def test_a_variant_is_a_column_of_its_own(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.7})
    records.job({"model": "ae", "k": 0, "auroc": 0.8, "variant": "latent=2"})
    table = next(iter(build_tables(frame_of()).values()))[0]
    assert table.columns[1:] == ["ae", "ae (latent=2)"]
    assert [entry.text for entry in table.rows[0][1:]] == ["0.700", "0.800"]


def test_cells_csv_reads_back_exactly_and_gives_the_same_tables(records, frame_of, tmp_path):
    awkward = 0.1 + 0.2
    records.job(
        {"model": "ae", "k": 0, "auroc": awkward / 1.7, "name": "NA", "metrics": {"train/kl": 1 / 3, "epochs": 3.0}},
        {"model": "ae", "k": 1, "state": "failed", "reason": 'a, "quoted" reason', "name": "null"},
        {"model": "vae", "k": 0, "auroc": 0.9999999999999999, "name": "NA"},
    )
    frame = frame_of()
    write_frame(frame, tmp_path / "cells.csv")
    back = read_frame(tmp_path / "cells.csv")
    pd.testing.assert_frame_equal(back, frame, check_exact=True)
    assert back["normal_class_name"].tolist() == ["NA", "null", "NA"]
    assert build_tables(back) == build_tables(frame)


def test_the_columns_that_the_issue_names_are_there(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9, "metrics": {"auroc/cosine": 0.8}})
    wanted = [
        "dataset",
        "split",
        "normal_class",
        "model",
        "seed",
        "n_train",
        "auroc",
        "average_precision",
        "fpr95",
        "train_reconstruction",
        "test_reconstruction_normal",
        "test_reconstruction_anomalous",
        "train_kl",
        "test_kl_normal",
        "test_kl_anomalous",
        "train_seconds",
        "score_seconds",
        "fingerprint",
        "auroc_reconstruction",
        "auroc_cosine",
    ]
    assert set(wanted) <= set(frame_of().columns)


def test_absolute_paths_are_cut_and_other_slashes_kept():
    assert hide_paths("output_dir=/home/me/runs/a model=ae") == "output_dir=.../a model=ae"
    assert hide_paths("FileNotFoundError: '/root/.cache/data/x.npz'") == "FileNotFoundError: '.../x.npz'"
    assert hide_paths("see https://example.org/a/b, train/kl and outputs/cells/x") == (
        "see https://example.org/a/b, train/kl and outputs/cells/x"
    )


def test_settings_that_all_columns_share_stand_above_the_table_and_not_in_its_labels(records, frame_of):
    for model, own in (("ae", ""), ("ae", "latent=2 "), ("vae", "")):
        records.job({"model": model, "k": 0, "auroc": 0.9, "variant": f"{own}train_fraction=0.2"})
    (group,) = groups(frame_of())
    assert group.labels == ["ae (latent=2)", "ae", "vae"]
    assert {cell.label for cell in collect(records.output_dir, "small").cells} == set(group.labels)
    assert group_title(group) == "MNIST, one_vs_rest, train_fraction=0.2"
    records.job({"model": "pca", "k": 0, "auroc": 0.9})
    group = groups(frame_of())[0]
    assert group.labels == [
        "pca",
        "ae (latent=2 train_fraction=0.2)",
        "ae (train_fraction=0.2)",
        "vae (train_fraction=0.2)",
    ]
    assert group_title(group) == "MNIST, one_vs_rest"
