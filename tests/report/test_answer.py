"""What a report begins with: sentences that say what the cells say, and change when these do."""

from __future__ import annotations

from benchmark.chosen import CHOSEN_ON, read_chosen
from benchmark.report.answer import answer_of
from benchmark.report.statistics import groups

CLASSES = range(7)


def answer(records, frame_of):
    return answer_of(groups(frame_of()), records.experiment)


def column(model, value, dataset="mnist", rules=None, **more):
    """Cells of seven classes around ``value``; ``rules`` are added to it, each under its name."""
    return [
        {
            "model": model, "k": k, "auroc": value + 0.001 * k, "classes": 7, "dataset": dataset,
            "metrics": {f"auroc/rule_{name}": value + gap + 0.001 * k for name, gap in (rules or {}).items()}, **more,
        }
        for k in CLASSES
    ]  # fmt: skip


def as_chosen(dataset, model):
    return " ".join(sorted(read_chosen(dataset, model).worded))


def test_the_best_model_is_named_with_its_mean_and_from_whom_the_tests_separate_it(records, frame_of):
    uneven = [{**cell, "auroc": cell["auroc"] + (0.01 if cell["k"] % 2 else -0.013)} for cell in column("vae", 0.92)]
    records.job(*column("pca", 0.8), *column("ae", 0.92), *uneven)
    found = answer(records, frame_of)
    best, separated, _ = found.sentences
    assert best == "The largest AUROC by the models' own scores: on MNIST ae has 0.923, mean over 7 classes."
    assert separated.startswith(
        "Is that more than chance? On MNIST ae is separated from pca and not from vae (Wilcoxon"
    )
    assert [[entry.text for entry in row] for row in found.table.rows] == [
        ["ae", "0.923"],
        ["vae", "0.920"],
        ["pca", "0.803"],
    ]
    assert [row[1].bold for row in found.table.rows] == [True, False, False]


def test_where_classes_are_too_few_for_all_pairs_that_is_said_and_data_sets_are_taken_together(records, frame_of):
    for dataset in ("mnist", "digits"):
        records.job(
            *(c for i, name in enumerate(("pca", "ae", "vae", "aae")) for c in column(name, 0.8 + i / 100, dataset))
        )
    said = answer(records, frame_of).sentences[1]
    assert "On MNIST no two can be told apart: 6 pairs over 7 classes leave p at 0.094; on digits no two can" in said
    assert "; over the classes of all data sets together aae is separated from all others (Wilcoxon" in said


def test_each_data_set_has_its_own_best_and_what_all_share_is_said_once(records, frame_of):
    records.job(*column("pca", 0.8, variant="epochs=5"), *column("ae", 0.9, variant="epochs=5"))
    records.job(*column("pca", 0.7, "digits", variant="epochs=5"), *column("ae", 0.6, "digits", variant="epochs=5"))
    found = answer(records, frame_of)
    assert found.shared == ("one_vs_rest", "epochs=5")
    assert (
        "on MNIST ae has 0.903, mean over 7 classes; on digits pca has 0.703, mean over 7 classes."
        in found.sentences[0]
    )
    assert "On MNIST ae is separated from pca; on digits pca is separated from ae (" in found.sentences[1]
    assert found.table.columns == ["model", "MNIST, own score", "digits, own score"]
    assert [row[0].text for row in found.table.rows] == ["ae ▽", "pca"]


def test_few_classes_are_tested_by_nothing_and_columns_of_equal_means_are_named_together(records, frame_of):
    records.job(*({"model": model, "k": k, "auroc": 0.9} for model in ("ae", "vae") for k in (0, 1)))
    best, separated, rule = answer(records, frame_of).sentences
    assert "on MNIST ae and vae have 0.900, mean over 2 classes." in best
    assert separated == "No test says whether that is more than chance: it takes 6 classes and two models."
    assert "python -m benchmark.rescore experiment=small rule=all does" in rule


def test_what_the_rule_is_worth_is_the_median_of_the_crossing(records, frame_of):
    rules = {"squared": 0.0, "smoothed": 0.04}
    records.job(*column("ae", 0.90, rules=rules, chosen_rule="smoothed"), *column("vae", 0.91, rules=rules))
    found = answer(records, frame_of)
    assert found.sentences[2] == (
        "What is the rule worth? On MNIST a model moves by 0.040 when only the rule changes (2 rules), and by 0.010 "
        "when only the model does (2 models), in the median. The rule chosen beforehand brings +0.040 on MNIST."
    )
    assert found.table.columns == ["model", "MNIST, own score", "MNIST, chosen"]
    assert [entry.text for entry in found.table.rows[1]] == ["ae", "0.903", "0.943"]


def test_a_column_without_all_its_classes_is_not_the_best_and_without_any_there_is_no_answer(records, frame_of):
    records.job({"model": "ae", "k": 0, "auroc": 0.99}, {"model": "ae", "k": 1, "state": "failed", "reason": "x"})
    assert answer(records, frame_of) is None
    records.job({"model": "vae", "k": 0, "auroc": 0.6}, {"model": "vae", "k": 1, "auroc": 0.7})
    assert "on MNIST vae has 0.650" in answer(records, frame_of).sentences[0]


def test_where_rules_were_chosen_the_best_is_the_best_under_them(records, frame_of):
    """By their own scores vae is ahead, as chosen ae is: with another setting on each data set, in one row."""
    for dataset in CHOSEN_ON:
        records.job(
            *column("ae", 0.80, dataset, {"smoothed": 0.15}, chosen_rule="smoothed", variant=as_chosen(dataset, "ae")),
            *column(
                "vae", 0.90, dataset, {"smoothed": 0.02}, chosen_rule="smoothed", variant=as_chosen(dataset, "vae")
            ),
        )
    found = answer(records, frame_of)
    assert found.sentences[0] == (
        "The largest AUROC with settings and rules that were chosen on other images: on MNIST ae has 0.953, mean over "
        "7 classes; on Fashion-MNIST ae has 0.953, mean over 7 classes."
    )
    assert found.sentences[1].startswith(
        "Is that more than chance? On MNIST ae is separated from vae; on Fashion-MNIST"
    )
    assert [[entry.text for entry in row] for row in found.table.rows] == [
        ["vae (chosen)", "0.903", "0.923", "0.903", "0.923"],
        ["ae (chosen)", "0.803", "0.953", "0.803", "0.953"],
    ]
