"""Tables of models and rules by hand: means, marks, the block that all share, what was chosen."""

import numpy as np
import pytest
from scipy import stats

from benchmark.report.crossing import chosen_rule, largest_block, rules_of
from benchmark.report.frame import read_frame, write_frame
from benchmark.report.glossary import GLOSSARY
from benchmark.report.page import build_page
from benchmark.report.statistics import MARK, groups, t_interval
from benchmark.report.tables.auroc import scores_table
from benchmark.report.tables.chosen import chosen_table, gains
from benchmark.report.tables.paired import holm
from benchmark.report.tables.rules import rules_table
from benchmark.report.tables.sections import build_tables
from benchmark.report.tables.table import RULES_SECTION
from benchmark.report.tables.variance import analysis, variance_table

MANIFEST = {"made_by": "x", "report_git_revision": "abc", "warnings": []}


def write(records, model, own, rules=(), **more):
    """Cells of a model: AUROC by class under its own score, and by class under each rule (None: does not apply)."""
    cells = []
    for k, value in enumerate(own):
        judged = {f"auroc/rule_{rule}": values[k] for rule, values in dict(rules).items() if values[k] is not None}
        cells.append({"model": model, "k": k, "auroc": value, "classes": len(own), "metrics": judged} | more)
    records.job(*cells)


def texts(table, row):
    return [entry.text for entry in next(r for r in table.rows if r[0].text == row)][1:]


def bold(table, row):
    return [entry.bold for entry in next(r for r in table.rows if r[0].text == row)][1:]


def notes(table):
    return " ".join(table.notes)


@pytest.fixture
def crossed(records):
    """Three models, of which one has no codes; two data points a class, worked out by hand below."""
    write(records, "pca", [0.8, 0.6], {"squared": [0.8, 0.6], "cosine": [0.9, 0.8], "mahalanobis": [0.5, 0.6]},
          chosen_rule="squared")  # fmt: skip
    write(records, "ae", [0.9, 0.8], {"squared": [0.9, 0.8], "cosine": [0.95, 0.85], "mahalanobis": [0.7, 0.7]},
          chosen_rule="cosine")  # fmt: skip
    write(records, "flow", [0.5, 0.7], {"squared": [None, None]}, chosen_rule="own")
    return records


def test_rows_are_rules_and_margins_are_over_what_all_share(crossed, frame_of):
    table = rules_table(groups(frame_of())[0])
    assert table.columns == ["rule", "pca", "ae", f"flow {MARK}", "mean", "range"]
    assert [row[0].text for row in table.rows] == ["own score", "squared", "cosine", "mahalanobis", "mean", "range"]
    assert texts(table, "own score") == ["0.700", "0.850", "0.600†", "", ""]
    assert texts(table, "squared") == ["0.700†", "0.850", "", "0.775", "0.150"]
    assert texts(table, "cosine") == ["0.850", "0.900†", "", "0.875", "0.050"]
    assert texts(table, "mahalanobis") == ["0.550", "0.700", "", "0.625", "0.150"]
    assert texts(table, "mean") == ["0.700", "0.817", "", "0.758", ""]
    assert texts(table, "range") == ["0.300", "0.200", "", "", ""]
    assert [bold(table, row)[:3] for row in ("own score", "squared", "cosine")] == [
        [False, False, False], [False, False, False], [True, True, False],
    ]  # fmt: skip
    assert table.rules == {1, 4}


def test_the_notes_name_own_scores_the_block_and_the_mark(crossed, frame_of):
    table = build_tables(frame_of())[RULES_SECTION][0]
    assert "reconstruction (pca, ae, flow)" in notes(table)
    assert "2 models (pca, ae) x 3 rules (squared, cosine, mahalanobis) x 2 classes x seed 0" in notes(table)
    assert "† the rule that was chosen for the model beforehand" in notes(table)
    assert f"{MARK} below a floor (pca)" in notes(table)


def test_rules_come_in_a_fixed_order_and_own_is_no_rule(records, frame_of):
    names = ("zeta", "committee", "smoothed_cosine", "smoothed", "smoothed_sigma_2.0", "alpha", "own", "own_score_kl")
    rules = {name: [0.9, 0.9] for name in (*names, "squared", "smoothed_cosine_sigma_2.0")}
    write(records, "ae", [0.9, 0.9], rules)
    (group,) = groups(frame_of())
    assert rules_of(group) == [
        "squared", "smoothed", "smoothed_sigma_2.0", "smoothed_cosine", "smoothed_cosine_sigma_2.0", "committee",
        "alpha", "own_score_kl", "zeta",
    ]  # fmt: skip
    assert [row[0].text for row in rules_table(group).rows] == ["own score", *rules_of(group)]


def test_a_model_without_a_choice_has_no_mark_and_cells_that_disagree_are_named(records, frame_of):
    rules = {"squared": [0.9, 0.9], "cosine": [0.8, 0.8]}
    write(records, "pca", [0.9, 0.9], rules)
    write(records, "ae", [0.9, 0.9], rules, chosen_rule="squared")
    write(records, "ae", [0.9, 0.9], rules, chosen_rule="cosine", seed=1)
    (group,) = groups(frame_of())
    assert [chosen_rule(group, label) for label in group.labels] == [None, None]
    table = rules_table(group)
    assert not any("†" in entry.text for row in table.rows for entry in row)
    assert "none is shown (ae: cosine, squared)" in notes(table)
    assert chosen_table(group) is None


def test_a_part_of_the_classes_is_marked_never_bold_and_a_missing_cell_is_a_dash(records, frame_of):
    write(records, "pca", [0.8, 0.6], {"squared": [0.8, 0.6], "cosine": [0.99, None]})
    write(records, "ae", [0.9, 0.8], {"squared": [0.9, 0.8]}, state="missing")
    table = rules_table(groups(frame_of())[0])
    assert texts(table, "squared") == ["0.700", "—"]
    assert texts(table, "cosine") == ["0.990 (1/2)", "—"]
    assert (bold(table, "squared"), bold(table, "cosine")) == ([True, False], [False, False])
    assert "do not compare it with a full one" in notes(table)
    assert "no two models share two rules" in notes(table)
    assert table.columns == ["rule", "pca", "ae"]


def test_different_seeds_are_said_and_only_shared_ones_are_in_the_block(records, frame_of):
    rules = {"squared": [0.9, 0.8, 0.7], "cosine": [0.8, 0.9, 0.6]}
    for seed in (0, 1):
        write(records, "pca", [0.9, 0.8, 0.7], rules, seed=seed)
    write(records, "ae", [0.9, 0.8, 0.7], rules, seed=1)
    (group,) = groups(frame_of())
    assert largest_block(group).seeds == (1,)
    assert "The columns have different seeds" in notes(rules_table(group))
    assert "pca: 0, 1; ae: 1" in notes(rules_table(group))


def test_unbalanced_cells_leave_the_largest_block(records, frame_of):
    """Every rule for two models in four classes (2 x 3 x 4 = 24), or two rules for three models (3 x 2 x 3 = 18)."""
    full = {"squared": [0.9, 0.8, 0.7, 0.6], "cosine": [0.8, 0.9, 0.6, 0.7], "ssim": [0.7, 0.6, 0.5, 0.9]}
    write(records, "pca", [0.9] * 4, full)
    write(records, "ae", [0.9] * 4, full)
    write(records, "gan", [0.9] * 4, {name: [*full[name][:3], None] for name in ("squared", "cosine")})
    block = largest_block(groups(frame_of())[0])
    assert (block.labels, block.rules) == (("pca", "ae"), ("squared", "cosine", "ssim"))
    assert block.classes == (0, 1, 2, 3)
    np.testing.assert_array_equal(block.values[1, 2, :, 0], full["ssim"])
    write(records, "vae", [0.9] * 4, {name: full[name] for name in ("squared", "cosine")})
    write(records, "aae", [0.9] * 4, {name: full[name] for name in ("squared", "cosine")})
    block = largest_block(groups(frame_of())[0])  # 4 x 2 x 4 = 32 beside 5 x 2 x 3 = 30 and 24
    assert (block.labels, block.rules) == (("pca", "ae", "vae", "aae"), ("squared", "cosine"))
    assert len(block.classes) == 4


def test_mean_image_is_shown_and_has_no_part_in_the_block(records, frame_of):
    for model in ("mean_image", "pca", "ae"):
        write(records, model, [0.9, 0.8], {"squared": [0.9, 0.8], "cosine": [0.8, 0.9]})
    (group,) = groups(frame_of())
    assert largest_block(group).labels == ("pca", "ae")
    assert texts(rules_table(group), "mean")[0] == ""
    assert texts(rules_table(group), "squared")[0] == "0.850"


def additive(records, models, rules, classes, both):
    """Cells of 0.7 + effects, without a residual."""
    for m, (model, of_model) in enumerate(models.items()):
        judged = {
            rule: [0.7 + of_model + of_rule + of_class + both[m][r] for of_class in classes]
            for r, (rule, of_rule) in enumerate(rules.items())
        }
        write(records, model, [0.7 + of_model + of_class for of_class in classes], judged)


def test_variance_of_known_effects_by_hand(records, frame_of):
    additive(records, {"pca": 0.01, "ae": -0.01}, {"squared": 0.03, "cosine": -0.03}, [0.1, 0.0, -0.1],
             [[0.02, -0.02], [-0.02, 0.02]])  # fmt: skip
    (group,) = groups(frame_of())
    # twelve values: model 12 x .01^2, rule 12 x .03^2, model x rule 12 x .02^2, class 4 x (.1^2 + .1^2)
    squares = {"model": 0.0012, "rule": 0.0108, "class": 0.08, "model x rule": 0.0048, "residual": 0.0}
    found = {source.name: source for source in analysis(largest_block(group))}
    assert {name: source.squares for name, source in found.items()} == pytest.approx(squares, abs=1e-15)
    table = variance_table(group)
    assert table.columns == ["source", "df", "share", "share within classes"]
    assert f"{MARK} below a floor by its own score: ae" in notes(table)  # and nothing is left without it
    assert texts(table, "model") == ["1", "1.2%", "7.1%"]  # 0.0012 of 0.0968, and of 0.0168
    assert texts(table, "rule") == ["1", "11.2%", "64.3%"]
    assert texts(table, "class") == ["2", "82.6%", ""]
    assert texts(table, "model x rule") == ["1", "5.0%", "28.6%"]
    assert texts(table, "residual") == ["6", "0.0%", "0.0%"]
    assert "seed" not in [row[0].text for row in table.rows]
    # pca: 0.01 + .05 and 0.01 - .05; ae: -.01 + .01 and -.01 - .01
    assert "over the 2 rules: a range of 0.060 in the median, 0.020 (ae) to 0.100 (pca)" in notes(table)
    assert "over the 2 models: 0.040 in the median, 0.020 (cosine) to 0.060 (squared)" in notes(table)
    assert "2 models (pca, ae) x 2 rules (squared, cosine) x 3 classes x seed 0" in notes(table)


def test_columns_below_a_floor_stand_beside_an_analysis_without_them(records, frame_of):
    additive(records, {"pca": 0.1, "ae": 0.12, "vae": 0.11, "gan": -0.3}, {"squared": 0.02, "cosine": -0.02},
             [0.05, -0.05], [[0.0, 0.0]] * 4)  # fmt: skip
    (group,) = groups(frame_of())
    assert set(group.below) == {"gan"}
    table = build_tables(frame_of())[RULES_SECTION][1]
    assert table.columns[4:] == [
        f"df, without {MARK}",
        f"share, without {MARK}",
        f"share within classes, without {MARK}",
    ]
    # of four models 4 x (.0925^2 + .1125^2 + .1025^2 + .3075^2), rule 16 x .02^2, class 16 x .05^2
    squares = np.square([0.0925, 0.1125, 0.1025, -0.3075]).sum() * 4
    assert texts(table, "model")[1] == f"{100 * squares / (squares + 0.0064 + 0.04):.1f}%"
    # of three models 4 x (.01^2 + .01^2), rule 12 x .02^2, class 12 x .05^2
    assert texts(table, "model")[3:] == ["2", f"{100 * 0.0008 / 0.0356:.1f}%", f"{100 * 0.0008 / 0.0056:.1f}%"]
    assert f"{MARK} below a floor by its own score: gan" in notes(table)


def test_several_seeds_have_a_row(records, frame_of):
    for seed, shift in ((0, 0.0), (1, 0.02)):
        for model in ("pca", "ae"):
            rules = {"squared": [0.9 - shift, 0.8 - shift], "cosine": [0.9 - shift, 0.8 - shift]}
            write(records, model, [0.9, 0.8], rules, seed=seed)
    table = variance_table(groups(frame_of())[0])
    assert texts(table, "seed")[:2] == ["1", "3.8%"]  # 16 x .01^2 of that and 16 x .05^2
    assert texts(table, "model")[:2] == ["1", "0.0%"]
    assert "2 seeds (0, 1)" in notes(table)


OWN = [0.90, 0.80, 0.70, 0.60, 0.85, 0.75, 0.65]
BETTER = [0.92, 0.83, 0.74, 0.65, 0.91, 0.82, 0.64]  # more by .02 .03 .04 .05 .06 .07, less by .01


def test_chosen_beside_own_by_hand_and_against_scipy(records, frame_of):
    write(records, "pca", OWN, {"cosine": BETTER}, chosen_rule="cosine")
    write(records, "ae", OWN, {"cosine": OWN[:], "ssim": [v - 0.1 for v in OWN]}, chosen_rule="ssim")
    write(records, "vae", OWN, {"cosine": BETTER}, chosen_rule="own")
    write(records, "aae", OWN, {"cosine": BETTER})
    (group,) = groups(frame_of())
    gap = [b - a for a, b in zip(OWN, BETTER, strict=True)]
    first, second, third = gains(group)
    assert first.gap == pytest.approx(gap)
    assert first.p == pytest.approx(stats.wilcoxon(np.round(gap, 12)).pvalue)
    assert [first.p_holm, second.p_holm] == pytest.approx(holm([first.p, second.p]))
    assert np.isnan(third.p)
    table = chosen_table(group)
    assert [row[0].text for row in table.rows] == ["pca", "ae", "vae"]
    low, high = t_interval(gap)
    assert texts(table, "pca") == [
        "as in the YAML", "reconstruction", "cosine",
        "0.750", "0.108", "0.787", "0.114", "+0.0371", f"[{low:+.4f}, {high:+.4f}]", "6/7",
        f"{first.p:.4f}", f"{first.p_holm:.4f}",
    ]  # fmt: skip
    assert texts(table, "vae")[6:] == ["0.108", "+0.0000", "[+0.0000, +0.0000]", "0/7", "—", "—"]
    assert "—: nothing to test" in notes(table)
    assert bold(table, "pca")[-1] == (first.p_holm < 0.05)
    assert bold(table, "ae")[-1]  # worse in every class: 2 / 2^7, twice


def test_a_chosen_rule_that_was_not_used_shows_as_missing(records, frame_of):
    write(records, "ae", OWN, {"cosine": BETTER}, chosen_rule="ssim")
    table = chosen_table(groups(frame_of())[0])
    assert texts(table, "ae")[5:] == ["—", "—", "—", "—", "—", "—", "—"]


def test_several_seeds_are_averaged_and_only_shared_ones_paired(records, frame_of):
    write(records, "ae", [0.5] * 6, {"cosine": [0.6] * 6}, chosen_rule="cosine", seed=0)
    write(records, "ae", [0.5] * 6, {"cosine": [0.8] * 6}, chosen_rule="cosine", seed=1)
    write(records, "ae", [0.9] * 6, {"cosine": [None] * 6}, chosen_rule="cosine", seed=2)
    (gain,) = gains(groups(frame_of())[0])
    assert gain.gap == pytest.approx([0.2] * 6)  # the mean of 0.1 and 0.3, without seed 2
    assert texts(chosen_table(groups(frame_of())[0]), "ae")[5] == "0.700 ± 0.141 (n=2)"


def test_the_section_comes_first_on_the_page_and_rules_are_no_scores(crossed, frame_of, tmp_path):
    write(crossed, "ae", [0.9, 0.8], {"squared": [0.9, 0.8]}, dataset="fashion_mnist")
    frame = frame_of()
    sections = build_tables(frame)
    assert list(sections)[:3] == [RULES_SECTION, "MNIST, one_vs_rest", "Fashion-MNIST, one_vs_rest"]
    assert [table.key for table in sections[RULES_SECTION]] == [
        "rules_mnist_one_vs_rest", "variance_mnist_one_vs_rest", "chosen_mnist_one_vs_rest",
        "rules_fashion_mnist_one_vs_rest",
    ]  # fmt: skip
    page = build_page("small", frame, sections, [], MANIFEST)
    assert page.index('<h2 id="section-0">Models and rules</h2>') < page.index('<h2 id="section-1">MNIST')
    assert [row[0].text for row in scores_table(groups(frame)[0]).rows] == ["reconstruction"]
    write_frame(frame, tmp_path / "cells.csv")
    back = read_frame(tmp_path / "cells.csv")
    assert back["chosen_rule"].tolist() == ["squared"] * 2 + ["cosine"] * 2 + ["own"] * 2 + [""] * 2
    assert build_tables(back) == sections


def test_without_rules_nothing_is_added(records, frame_of):
    write(records, "ae", [0.9, 0.8], chosen_rule="squared")
    frame = frame_of()
    assert next(iter(build_tables(frame))) == "MNIST, one_vs_rest"
    keys = {table.key.split("_")[0] for tables in build_tables(frame).values() for table in tables}
    assert not keys & {"rules", "variance", "chosen"}
    page = build_page("small", frame, build_tables(frame), [], MANIFEST).split('<h2 id="glossary">')[0]
    assert RULES_SECTION not in page


def test_validation_cells_are_said_to_be_no_results(records, frame_of):
    for model in ("pca", "ae"):
        rules = {"squared": OWN, "cosine": BETTER}
        write(records, model, OWN, rules, evaluate_on="validation", chosen_rule="cosine")
    (group,) = groups(frame_of())
    for table in (rules_table(group), chosen_table(group)):
        assert "are no results" in notes(table)
        assert table.key.endswith("mnist_one_vs_rest_validation")


def test_what_the_tables_show_is_explained(crossed, frame_of):
    named = {name.strip() for key, _, _ in GLOSSARY for name in key.split(",")}
    (group,) = groups(frame_of())
    assert {"auroc_rule_<rule>", "own score", "chosen_rule", "chosen rule (†)", "mean", "range"} <= named
    assert set(variance_table(group).columns) <= named | {"source"}
