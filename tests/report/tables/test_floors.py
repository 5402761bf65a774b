"""Which columns are below a trivial detector, by hand, and where that is said."""

from benchmark.report.statistics import MARK, above_histogram, groups
from benchmark.report.tables.auroc import auroc_table
from benchmark.report.tables.floors import floor_note
from benchmark.report.tables.losses import loss_table
from benchmark.report.tables.sections import build_tables


def write(records, **columns):
    """Cells of each model: AUROC by class, None for one that is missing."""
    for model, values in columns.items():
        cells = [{"model": model, "k": k, "classes": len(values), "auroc": v} for k, v in enumerate(values)]
        records.job(*(cell | ({"state": "missing"} if cell["auroc"] is None else {}) for cell in cells))


def test_below_a_floor_is_what_its_mean_says_by_hand(records, frame_of):
    write(records, mean_image=[0.8, 0.6], histogram=[0.9, 0.3], pca=[0.9, 0.7], ae=[0.9, 0.44], vae=[0.99, 0.7])
    (group,) = groups(frame_of())
    assert group.below == {"ae": ["mean_image", "pca"]}  # 0.67 beside 0.70, 0.60 and 0.80
    assert group.shown("ae") == f"ae {MARK}"
    assert group.shown("vae") == "vae"
    assert auroc_table(group).columns[1:] == ["histogram", "mean_image", "pca", f"ae {MARK}", "vae"]
    assert [row[0].text for row in loss_table(group).rows] == ["histogram", "mean_image", "pca", f"ae {MARK}", "vae"]


def test_only_classes_that_both_have_count(records, frame_of):
    write(records, mean_image=[0.9, 0.5], ae=[0.8, None], vae=[None, 0.6])
    (group,) = groups(frame_of())
    assert group.below == {"ae": ["mean_image"]}  # the VAE's only class is above


def test_a_tie_with_a_floor_is_not_below_it(records, frame_of):
    write(records, pca=[0.75, 0.5], ae=[0.75, 0.5])
    assert groups(frame_of())[0].below == {}


def test_mean_image_and_histogram_are_never_marked_and_pca_is_where_it_is_below_them(records, frame_of):
    write(records, mean_image=[0.5, 0.5], histogram=[0.9, 0.9], pca=[0.7, 0.7])
    assert groups(frame_of())[0].below == {"pca": ["histogram"]}


def test_a_floor_with_other_settings_is_no_floor(records, frame_of):
    write(records, ae=[0.5, 0.5])
    records.job(*({"model": "pca", "k": k, "auroc": 0.9, "variant": "components=2"} for k in (0, 1)))
    (group,) = groups(frame_of())
    assert group.below == {}
    assert "No floor (mean_image, histogram, pca) was run" in floor_note(group)


def test_the_note_names_who_is_below_what(records, frame_of):
    write(records, pca=[0.9, 0.9], ae=[0.5, 0.5])
    note = floor_note(groups(frame_of())[0])
    assert "ae (pca)" in note
    assert "Nothing is concluded" in note
    write(records, ae=[0.95, 0.95])  # the later job counts
    assert "No column is below" in floor_note(groups(frame_of())[0])


def test_every_table_that_shows_the_mark_says_what_it_means(records, frame_of):
    gan = {"gan/value": -1.3, "gan/d_fake": 0.4, "gan/gradient_norm_minimax": 1.0}
    gan |= {"gan/gradient_norm_non_saturating": 2.0, "latent/active_units": 3.0, "against/auroc_other_class": 0.5}
    records.job(*({"model": "pca", "k": k, "auroc": 0.9} for k in (0, 1)))
    records.job(*({"model": "gan", "k": k, "auroc": 0.5, "metrics": gan} for k in (0, 1)))
    tables = [table for tables in build_tables(frame_of()).values() for table in tables]
    marked = [t for t in tables if any(f"gan {MARK}" in x for x in (*t.columns, *(row[0].text for row in t.rows)))]
    kinds = {table.key.split("_")[0] for table in marked}
    assert {"auroc", "losses", "scores", "detection", "gan", "gradients", "latent", "kinds"} <= kinds
    for table in marked:
        assert sum(MARK in note for note in table.notes) == 1, table.key


def test_densities_above_the_histogram_by_hand(records, frame_of):
    for model, values in {"histogram": [2.0, 3.0], "flow": [1.9, 3.2], "diffusion": [1.5, 3.4], "ae": []}.items():
        cells = [{"model": model, "k": k, "auroc": 0.9} for k in (0, 1)]
        bits = [{"metrics": {"test/bits_per_dim_normal": value}} for value in values] or [{}, {}]
        records.job(*(cell | more for cell, more in zip(cells, bits, strict=True)))
    (group,) = groups(frame_of())
    assert above_histogram(group) == {"flow": ["histogram"]}  # 2.55 and 2.45 beside 2.50
