"""Choices on the other data set against means worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.config import UsageError
from benchmark.report.choice import Choice, best_model, choose, chosen_yaml, parsed
from benchmark.report.tables.choice import choices_table, compared_table


def cell(setting: str, dataset: str, k: int, auroc: float = 0.5, *, model: str = "ae", **more: Any) -> dict[str, Any]:
    rules = {f"auroc/rule_{name}": more.pop(name) for name in ("cosine", "smoothed", "own") if name in more}
    axes = {"model": model, "variant": setting, "dataset": dataset, "k": k, "evaluate_on": "validation"}
    return {**axes, "auroc": auroc, "metrics": rules, **more}


def on(dataset: str, choices: list[Choice], model: str = "ae") -> Choice:
    return next(one for one in choices if (one.dataset, one.model) == (dataset, model))


def test_each_data_set_gets_the_best_setting_and_rule_of_the_other(records, frame_of):
    records.job(
        *(cell("", "mnist", k, 0.9, smoothed=0.95) for k in (0, 1)),
        *(cell("latent=2", "mnist", k, 0.8, smoothed=0.6) for k in (0, 1)),
        *(cell("", "fashion_mnist", k, 0.5, smoothed=0.4) for k in (0, 1)),
        cell("latent=2", "fashion_mnist", 0, 0.6, smoothed=0.3),
        cell("latent=2", "fashion_mnist", 1, 0.7, smoothed=0.9),
    )
    choices, lines = choose(frame_of())
    assert lines == []
    mnist, fashion = on("mnist", choices), on("fashion_mnist", choices)
    assert (mnist.chosen.setting, mnist.chosen.rule) == ("latent=2", "own")
    assert [(one.setting, one.rule, one.mean, one.tested) for one in mnist.candidates] == [
        ("latent=2", "own", pytest.approx(0.65), pytest.approx(0.8)),
        ("latent=2", "smoothed", pytest.approx(0.6), pytest.approx(0.6)),
        ("", "own", pytest.approx(0.5), pytest.approx(0.9)),
        ("", "smoothed", pytest.approx(0.4), pytest.approx(0.95)),
    ]
    assert (fashion.chosen.setting, fashion.chosen.rule) == ("", "smoothed")
    assert fashion.best_tested == pytest.approx(0.65)
    row = [entry.text for entry in choices_table([mnist]).rows[0]]
    assert row == ["ae", "latent=2", "own", "2", "2", "0.6500", "0.8000", "0.5000", "0.9000", "0.9500"]
    table = compared_table(fashion)
    assert [entry.text for entry in table.rows[0]] == ["as in its YAML", "smoothed", "chosen", "0.9500", "0.4000"]
    assert [row[2].text for row in table.rows] == ["chosen", "", "", ""]


def test_a_choice_at_an_edge_of_what_was_compared_is_said(records, frame_of):
    """Of three values or more; the one of the YAML, which no setting names, is among them."""

    def notes(*compared: tuple[str, float]) -> list[str]:
        records.job(*(cell(setting, "fashion_mnist", 0, auroc) for setting, auroc in compared))
        records.job(*(cell(setting, "mnist", 0, 0.5) for setting, _ in compared))
        table = choices_table([on("mnist", choose(frame_of())[0])])
        return [note for note in table.notes if "at an edge" in note]

    assert notes(("latent=8 noise_std=0.2", 0.7), ("", 0.6)) == [], "of two values each is an edge"
    (said,) = notes(("latent=24", 0.6))  # 16 in the YAML
    assert said.endswith("may choose otherwise: ae (latent=8, smallest of 3).")
    assert notes(("latent=4", 0.5)) == []
    (said,) = notes(("latent=64", 0.8))
    assert said.endswith(": ae (latent=64, largest of 5).")


def test_what_the_tested_data_set_says_changes_no_choice(records, frame_of):
    settings = ("", "latent=2", "latent=4")
    records.job(*(cell(s, "fashion_mnist", 0, 0.6 + i / 10, cosine=0.5) for i, s in enumerate(settings)))
    without = on("mnist", choose(frame_of())[0]).chosen
    records.job(*(cell(s, "mnist", 0, 0.9 - i / 10, cosine=0.99) for i, s in enumerate(settings)))
    chosen = on("mnist", choose(frame_of())[0]).chosen
    assert (chosen.setting, chosen.rule, chosen.mean) == (without.setting, without.rule, without.mean)
    assert (chosen.setting, chosen.rule) == ("latent=4", "own")


def test_a_mean_is_over_classes_each_over_its_seeds_that_all_settings_have(records, frame_of):
    records.job(
        *(cell("", "mnist", 0, auroc, seed=seed) for seed, auroc in enumerate((0.5, 0.7))),
        cell("", "mnist", 1, 0.9),
        cell("", "mnist", 2, 1.0),  # a class that the other setting lacks
        *(cell("latent=2", "mnist", 0, 0.7, seed=seed) for seed in (0, 1)),
        cell("latent=2", "mnist", 1, 0.7),
        cell("latent=2", "mnist", 2, state="missing"),
    )
    choices, lines = choose(frame_of())
    choice = on("fashion_mnist", choices)
    assert {one.setting: one.mean for one in choice.candidates} == pytest.approx({"": 0.75, "latent=2": 0.7})
    assert (choice.classes, choice.cells) == ((0, 1), 3)
    assert any("compared on 3 of the 4 cells a setting on mnist" in line for line in lines)
    assert any(line.startswith("ae on mnist: no cells on fashion_mnist, on which") for line in lines)


def test_no_model_chooses_by_more_classes_than_another(records, frame_of):
    """Here class 1 alone says latent=2; the other model lacks it."""
    records.job(
        *(cell("", "mnist", k, auroc) for k, auroc in enumerate((0.8, 0.1))),
        *(cell("latent=2", "mnist", k, auroc) for k, auroc in enumerate((0.7, 0.9))),
        {**cell("", "mnist", 0, 0.5), "model": "vae"},
    )
    choices, lines = choose(frame_of())
    assert {one.model: (one.classes, one.chosen.setting) for one in choices} == {"ae": ((0,), ""), "vae": ((0,), "")}
    assert any("ae on fashion_mnist: compared on 1 of the 2 cells a setting on mnist" in line for line in lines)


def test_equal_ones_are_taken_by_name_and_said(records, frame_of):
    records.job(*(cell(s, "mnist", 0, 0.8, cosine=0.8, smoothed=0.1) for s in ("latent=4", "latent=2")))
    choice = on("fashion_mnist", choose(frame_of())[0])
    assert (choice.chosen.setting, choice.chosen.rule) == ("latent=2", "cosine")
    assert [one.name for one in choice.tied] == ["latent=2, own", "latent=4, cosine", "latent=4, own"]
    assert "ae: equal to (latent=2, own), (latent=4, cosine), (latent=4, own)" in choices_table([choice]).notes[1]


def test_a_rule_counts_where_it_scores_every_cell_and_the_own_one_once(records, frame_of):
    records.job(
        cell("", "mnist", 0, 0.5, cosine=0.9, own=0.1),
        cell("", "mnist", 1, 0.5),
        *(cell("latent=2", "mnist", k, 0.4, cosine=0.6, own=0.1) for k in (0, 1)),
    )
    choices, lines = choose(frame_of())
    candidates = on("fashion_mnist", choices).candidates
    assert [(one.setting, one.rule) for one in candidates] == [("latent=2", "cosine"), ("", "own"), ("latent=2", "own")]
    assert [one.mean for one in candidates] == pytest.approx([0.6, 0.5, 0.4])
    assert any("rule cosine is left out for as in its YAML: some cells on mnist" in line for line in lines)


def test_a_rule_that_asks_the_model_nothing_is_not_chosen(records, frame_of):
    records.job(cell("", "mnist", 0, 0.5, cosine=0.6, image_neighbours=0.9))
    candidates = on("fashion_mnist", choose(frame_of())[0]).candidates
    assert [one.rule for one in candidates] == ["cosine", "own"]


def test_a_rule_of_other_settings_has_no_name_to_be_chosen_by(records, frame_of):
    more = {"auroc/rule_smoothed_sigma_2.0": 0.99, "auroc/rule_smoothed": 0.6}
    records.job(cell("", "mnist", 0, 0.5) | {"metrics": more})
    choices, lines = choose(frame_of())
    assert on("fashion_mnist", choices).chosen.rule == "smoothed"
    assert lines[0].startswith("left out: smoothed_sigma_2.0. A rule is chosen by its name: one of other settings")


def test_a_setting_that_diverged_is_not_chosen_and_does_not_narrow_the_others(records, frame_of):
    records.job(
        *(cell("", "mnist", k, 0.5) for k in (0, 1)),
        cell("latent=2", "mnist", 0, 0.9),
        cell("latent=2", "mnist", 1, state="diverged"),
    )
    choices, lines = choose(frame_of())
    choice = on("fashion_mnist", choices)
    assert (choice.chosen.setting, choice.classes, choice.settings) == ("", (0, 1), 2)
    assert "ae on fashion_mnist: latent=2 diverged on mnist and cannot be chosen" in lines


def test_no_cell_that_all_settings_have_is_no_choice(records, frame_of):
    records.job(cell("", "mnist", 0, 0.5), cell("latent=2", "mnist", 1, 0.9))
    choices, lines = choose(frame_of())
    assert choices == []
    assert any("no class and seed on mnist that all 2 settings have" in line for line in lines)


def test_other_numbers_of_settings_are_said(records, frame_of):
    both = ("mnist", "fashion_mnist")
    records.job(*(cell(s, d, 0, 0.5) for s in ("", "latent=2") for d in both))
    assert choose(frame_of())[1] == []
    records.job(*(cell("", d, 0, 0.5, model="pca") for d in both))
    (line,) = choose(frame_of())[1]
    assert "not as many settings of every model were compared" in line
    assert line.endswith(": 1 of pca; 2 of ae")
    records.job(cell("latent=3", "mnist", 0, 0.5))
    (line,) = choose(frame_of())[1]
    assert line.endswith(": 1 of pca; 2 of ae on mnist; 3 of ae on fashion_mnist")


def test_conditions_are_no_settings(records, frame_of):
    records.job(*(cell(f"{s}train_fraction=0.5", "mnist", 0, 0.5) for s in ("", "latent=2 ")))
    records.job(*(cell(s, "fashion_mnist", 0, 0.6) for s in ("", "latent=2")))
    choice = on("fashion_mnist", choose(frame_of())[0])
    assert choice.conditions == ("train_fraction=0.5",)
    assert [(one.setting, one.tested) for one in choice.candidates] == [("", 0.6), ("latent=2", 0.6)]
    assert "train_fraction=0.5" in compared_table(choice).title
    records.job(cell("latent=8", "mnist", 0, 0.9))
    with pytest.raises(UsageError, match=r"ae on mnist: cells were compared under several conditions \(train_f"):
        choose(frame_of())


def test_epochs_are_a_setting_of_a_model_that_has_them(records, frame_of):
    records.job(*(cell(s, "mnist", 0, 0.5) for s in ("", "epochs=40")))
    assert on("fashion_mnist", choose(frame_of())[0]).settings == 2
    records.job(cell("components=16 epochs=3", "mnist", 0, 0.5, model="pca"))
    records.job(cell("components=8", "mnist", 0, 0.6, model="pca"))  # has no epochs: they change nothing
    chosen = on("fashion_mnist", choose(frame_of())[0], "pca")
    assert (chosen.conditions, chosen.settings, chosen.chosen.setting) == ((), 2, "components=8")


def test_cells_on_test_images_choose_nothing(records, frame_of):
    records.job(cell("", "mnist", 0, 0.5), cell("latent=2", "mnist", 0, 0.9) | {"evaluate_on": "test"})
    with pytest.raises(UsageError, match="1 of the 2 cells are evaluated on test images, which choose nothing"):
        choose(frame_of())


def test_a_data_set_without_another_one_is_refused_or_left_out(records, frame_of):
    records.job(cell("", "kmnist", 0, 0.5))
    with pytest.raises(UsageError, match=r"kmnist has no other data set to be chosen on\. There is: mnist \(chosen on"):
        choose(frame_of())
    records.job(cell("", "mnist", 0, 0.5))
    choices, lines = choose(frame_of())
    assert [one.dataset for one in choices] == ["fashion_mnist"]
    assert lines[0].startswith("left out: kmnist has no other data set")


def test_the_usual_split_counts_where_there_are_several(records, frame_of):
    both = ("one_vs_rest", "leave_one_out")
    records.job(*(cell(s, "mnist", 0, a, split=b) for b in both for s, a in (("", 0.5), ("latent=2", 0.6))))
    records.job(cell("", "mnist", 0, 0.7, split="leave_one_out", model="cond_aae"))
    choices, lines = choose(frame_of())
    assert on("fashion_mnist", choices).split == "one_vs_rest"
    assert on("fashion_mnist", choices, "cond_aae").split == "leave_one_out"
    assert "ae: chosen on cells of one_vs_rest; those of leave_one_out are left out" in lines


def test_settings_are_read_back_from_the_words_of_a_variant():
    words = "latent=2 hidden=[256,128] betas=[0.5,0.999] learning_rate=1e-05 batch_norm=False objective=minimax x=None"
    assert parsed(words) == {
        "latent": 2,
        "hidden": [256, 128],
        "betas": [0.5, 0.999],
        "learning_rate": 1e-05,
        "batch_norm": False,
        "objective": "minimax",
        "x": None,
    }
    assert parsed("") == {}


# ---- on synthetic anomalies


def made(setting: str, k: int, auroc: float, *, dataset: str = "parts", **more: Any) -> dict[str, Any]:
    return cell(setting, dataset, k, auroc, **more) | {"evaluate_on": "synthetic"}


def test_synthetic_anomalies_choose_for_their_own_data_set_and_the_model_too(records, frame_of):
    records.job(
        *(made("", k, 0.6, smoothed=0.7) for k in (0, 1)),
        *(made("latent=2", k, 0.65, smoothed=0.8 - k / 10) for k in (0, 1)),
        *(made("", k, 0.78, model="pca", smoothed=0.5) for k in (0, 1)),
        made("", 0, 0.9, dataset="mnist"),  # mnist is a data set as any other here: fashion_mnist has no part
    )
    choices, lines = choose(frame_of())
    assert [(one.dataset, one.model, one.chosen_on) for one in choices] == [
        *(("mnist", "ae", "mnist"), ("parts", "ae", "parts"), ("parts", "pca", "parts"))
    ]
    parts = choices[1:]
    assert [(one.chosen.setting, one.chosen.rule) for one in parts] == [("latent=2", "smoothed"), ("", "own")]
    assert parts[0].chosen.mean == pytest.approx(0.75)
    best = best_model(parts)
    assert best is not None
    assert best.model == "pca"
    assert "not as many settings of every model were compared" in lines[0]
    rows = [[entry.text for entry in row] for row in choices_table(parts).rows]
    assert rows[0] == ["ae", "latent=2", "smoothed", "2", "2", "0.7500", "0.6000"]
    assert [row[0].bold for row in choices_table(parts).rows] == [False, True]
    assert [entry.text for entry in compared_table(parts[1]).rows[0]] == [
        "as in its YAML",
        "own (its headline)",
        "chosen",
        "0.7800",
    ]


def test_models_are_compared_on_the_cells_that_all_have(records, frame_of):
    records.job(
        *(made("", k, auroc) for k, auroc in enumerate((0.6, 0.9, 0.9))),
        made("", 0, 0.7, model="pca"),
    )
    choices, lines = choose(frame_of())
    assert [(one.model, one.chosen.mean, one.classes) for one in choices] == [("pca", 0.7, (0,)), ("ae", 0.6, (0,))]
    assert any("ae on parts: compared on 1 of the 3 cells a setting on parts" in line for line in lines)
    records.job(made("", 5, 0.99, model="vae"))
    choices, _ = choose(frame_of())
    assert [one.classes for one in choices] == [(0,), (0, 1, 2), (5,)], "no class that all have"
    assert best_model(choices) is None
    assert "none is the best" in choices_table(choices).notes[1]


def test_epochs_that_a_model_does_not_have_keep_it_from_no_comparison(records, frame_of):
    records.job(made("epochs=3", 0, 0.6), made("epochs=3", 0, 0.7, model="pca"))
    choices, _ = choose(frame_of())
    assert {one.conditions for one in choices} == {()}
    best = best_model(choices)
    assert best is not None
    assert best.model == "pca"
    records.job(made("train_fraction=0.5", 0, 0.9, model="vae"))
    assert best_model(choose(frame_of())[0]) is None


def test_real_and_synthetic_anomalies_do_not_mix(records, frame_of):
    records.job(cell("", "mnist", 0, 0.5), made("latent=2", 0, 0.9, dataset="mnist"))
    with pytest.raises(UsageError, match=r"1 of the 2 cells are evaluated on real anomalies, 1 on synthetic ones"):
        choose(frame_of())
    records.job(made("", 0, 0.9) | {"evaluate_on": "test"})
    with pytest.raises(UsageError, match="1 of the 3 cells are evaluated on test images, which choose nothing"):
        choose(frame_of())


def test_what_is_written_says_on_what_it_was_chosen(records, frame_of):
    records.job(made("latent=2", 0, 0.9, smoothed=0.95), made("", 0, 0.5, smoothed=0.6))
    (choice,), _ = choose(frame_of())
    text = chosen_yaml(choice, "experiment parts", "python -m benchmark.select ...", "parts_ae")
    assert "# python -m benchmark model=ae dataset=... chosen=parts_ae --config-dir=..." in text
    assert "# Chosen on parts, synthetic anomalies made from held-out normal images (one_vs_rest)," in text
    assert text.endswith("model:\n  latent: 2\nchosen_rule: smoothed\n")
