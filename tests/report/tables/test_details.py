"""Tables of latent codes and of kinds of anomalies against numbers worked out by hand."""

from benchmark.report.statistics import groups
from benchmark.report.tables.details import detail_tables, judged_tables, kinds_table, latent_table
from benchmark.report.tables.sections import build_tables


def texts(table):
    return [[entry.text for entry in row] for row in table.rows]


def test_latent_table_by_hand(records, frame_of):
    codes = {"latent/prior_mmd2": 0.01, "latent/prior_kl": 3.0, "latent/active_units": 16.0}
    more = {"latent/prior_mmd2": 0.03, "latent/prior_kl": 4.0, "latent/active_units": 15.0}
    records.job({"model": "vae", "k": 0, "auroc": 0.9, "metrics": codes})
    records.job({"model": "vae", "k": 1, "auroc": 0.9, "metrics": more}, {"model": "ae", "k": 0, "auroc": 0.9})
    mixture = {"latent/prior_mmd2": 0.5, "latent/active_units": 4.0}  # has no KL
    records.job({"model": "aae", "k": 0, "auroc": 0.9, "metrics": mixture})
    (group,) = groups(frame_of())
    assert texts(latent_table(group)) == [["vae", "0.0200", "3.50", "15.5"], ["aae", "0.5000", "", "4.0"]]


def test_kinds_table_by_hand(records, frame_of):
    for k, (digits, motion) in enumerate(((0.9, 0.7), (0.8, 0.5))):
        kinds = {"against/auroc_other_class": digits, "against/auroc_other_motion": motion}
        records.job({"model": "ae", "k": k, "auroc": 0.9, "metrics": kinds})
    records.job({"model": "vae", "k": 0, "auroc": 0.9, "metrics": {"against/auroc_other_class": 0.6}})
    (group,) = groups(frame_of())
    table = kinds_table(group)
    assert table.columns == ["model", "other class", "other motion"]
    assert texts(table) == [["ae", "0.850", "0.600"], ["vae", "0.600 (1/2)", "— (0/2)"]]


def test_bits_per_dimension_by_hand(records, frame_of):
    for k, (normal, anomalous) in enumerate(((2.4, 2.2), (2.0, 2.8))):
        bits = {"train/bits_per_dim": 2.1, "test/bits_per_dim_normal": normal, "test/bits_per_dim_anomalous": anomalous}
        records.job({"model": "flow", "k": k, "auroc": 0.9, "metrics": bits})
    records.job({"model": "ae", "k": 0, "auroc": 0.9})
    (group,) = groups(frame_of())
    (table,) = judged_tables(group)
    assert table.columns == ["model", "training", "normal", "anomalous", "updates"]
    assert texts(table) == [["flow", "2.1", "2.2", "2.5", "—"]]
    assert "No histogram was run" in table.notes[-1]
    for model, steps, levels in (("histogram", 0.0, (2.1, 2.1)), ("diffusion", 750.0, (1.9, 2.1))):
        for k, normal in enumerate(levels):
            bits = {"test/bits_per_dim_normal": normal, "test/bits_per_dim_anomalous": 3.0, "steps": steps}
            records.job({"model": model, "k": k, "auroc": 0.95, "metrics": bits})
    (table,) = judged_tables(groups(frame_of())[0])
    assert texts(table) == [  # ▽: in AUROC below the histogram, ‡: more bits than it
        ["histogram", "", "2.1", "3", "fit"],
        ["diffusion", "", "2", "3", "750"],
        ["flow ▽ ‡", "2.1", "2.2", "2.5", "—"],
    ]
    assert "‡ more bits" in table.notes[-1]
    assert "exact for the flow and the histogram" in table.notes[0]
    assert "bound may be looser than another's" in table.notes[0]


def test_a_bound_names_its_steps_and_draws(records, frame_of):
    exact = {"test/bits_per_dim_normal": 1.5, "test/bits_per_dim_anomalous": 3.0, "steps": 10.0}
    bound = exact | {"bound/chain_steps": 1000.0, "bound/draws": 21.0}
    records.job({"model": "flow", "k": 0, "auroc": 0.9, "metrics": exact})
    records.job({"model": "diffusion", "k": 0, "auroc": 0.8, "metrics": bound})
    (table,) = judged_tables(groups(frame_of())[0])
    assert table.columns == ["model", "training", "normal", "anomalous", "steps of the bound", "draws", "updates"]
    assert texts(table) == [
        ["diffusion", "", "1.5", "3", "1,000", "21", "10"],
        ["flow", "", "1.5", "3", "", "", "10"],
    ]
    assert "Steps of the bound" in table.notes[1]


def test_groups_without_such_quantities_have_no_such_tables(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.9})
    frame = frame_of()
    assert detail_tables(groups(frame)[0]) == []
    assert not any("latent" in table.key for tables in build_tables(frame).values() for table in tables)


def test_tables_of_generated_images_and_gradients_by_hand(records, frame_of):
    judged = {
        "generation/modes_hit": 8.0, "generation/modes": 9.0, "generation/mode_entropy": 1.5,
        "generation/mode_entropy_real": 2.197, "generation/share_other": 0.01, "generation/frechet_classifier": 40.0,
        "generation/frechet_classifier_real": 0.5,
    }  # fmt: skip
    slopes = {"gan/d_fake": 0.02, "gan/gradient_norm_minimax": 0.004, "gan/gradient_norm_non_saturating": 1.25}
    other = judged | {"generation/modes_hit": 7.0, "generation/frechet_classifier": 50.0}
    split = {"split": "leave_one_out"}
    records.job({"model": "gan", "k": 0, "auroc": 0.9, "metrics": judged | slopes} | split)
    records.job({"model": "gan", "k": 1, "auroc": 0.9, "metrics": other | slopes} | split)
    records.job(
        {"model": "vae", "k": 0, "auroc": 0.9, "metrics": judged} | split, {"model": "ae", "k": 0, "auroc": 0.9} | split
    )
    (group,) = groups(frame_of())
    generation, gradients = judged_tables(group)
    assert texts(generation) == [
        ["vae", "8", "9", "1.5", "2.2", "0.01", "40", "0.5"],
        ["gan", "7.5", "9", "1.5", "2.2", "0.01", "45", "0.5"],
    ]
    assert texts(gradients) == [["gan", "0.02", "0.004", "1.25"]]


def test_one_normal_class_has_no_modes_to_hit(records, frame_of):
    judged = {"generation/modes_hit": 1.0, "generation/modes": 1.0, "generation/mode_entropy": 0.0}
    judged |= {"generation/mode_entropy_real": 0.0, "generation/share_other": 0.25}
    judged |= {"generation/frechet_classifier": 40.0, "generation/frechet_classifier_real": 0.5}
    records.job({"model": "gan", "k": 0, "auroc": 0.9, "metrics": judged})
    (table,) = judged_tables(groups(frame_of())[0])
    assert table.columns == ["model", "other class", "Frechet (classifier)", "of real images"]
    assert texts(table) == [["gan", "0.25", "40", "0.5"]]
    assert "1% of them" not in table.notes[0]
