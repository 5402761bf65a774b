"""What columns are called: a model as chosen has one name on both data sets, whatever was chosen."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmark.chosen import CHOSEN_ON, read_chosen
from benchmark.models import model_names
from benchmark.store.naming import members_of, names_of

MODELS = [
    model
    for model in model_names()
    if model != "pca" and all(read_chosen(dataset, model).settings for dataset in CHOSEN_ON)
]


def frame(*columns, rule="committee"):
    """Columns of a cell each, which note that ``rule`` was chosen for them; those of pca and gan do not."""
    made = pd.DataFrame(columns, columns=["dataset", "model", "variant"])
    return made.assign(chosen_rule=["" if model in ("pca", "gan") else rule for model in made["model"]])


def as_chosen(dataset, model, *more):
    return dataset, model, " ".join([*sorted(read_chosen(dataset, model).worded), *more])


@pytest.mark.parametrize("model", MODELS)
def test_a_model_as_chosen_has_one_name_whatever_was_chosen(model):
    """In committed choices, none of which is of the model's YAML on both data sets."""
    rows = [as_chosen(dataset, model) for dataset in CHOSEN_ON]
    names, shared = names_of(frame(*rows, ("mnist", "gan", "clip=1")))
    assert [names[row] for row in rows] == [f"{model} (chosen)"] * 2
    assert names["mnist", "gan", "clip=1"] == "gan (clip=1)"
    assert shared == ()


def test_what_is_typed_beside_a_choice_stands_in_the_name():
    dataset, model, typed = as_chosen("mnist", MODELS[0], "epochs=3")
    names, _ = names_of(frame((dataset, model, typed), ("mnist", "pca", "")))
    assert names[dataset, model, typed] == f"{model} ({typed})"


def test_what_all_columns_have_is_in_no_name_and_hides_no_choice():
    rows = [as_chosen("mnist", MODELS[0], "train_fraction=0.2"), ("mnist", "pca", "train_fraction=0.2")]
    names, shared = names_of(frame(*rows))
    assert list(names.values()) == [f"{MODELS[0]} (chosen)", "pca"]
    assert shared == ("train_fraction=0.2",)


def test_a_setting_that_is_chosen_for_the_other_data_set_alone_keeps_its_name():
    dataset, other = CHOSEN_ON
    model = next(name for name in MODELS if read_chosen(dataset, name) != read_chosen(other, name))
    _, _, variant = as_chosen(other, model)
    assert names_of(frame((dataset, model, variant), (dataset, "gan", "")))[0][dataset, model, variant] == (
        f"{model} ({variant})"
    )


def test_a_setting_that_was_typed_and_happens_to_be_the_chosen_one_keeps_its_name():
    column = as_chosen("mnist", MODELS[0])
    assert names_of(frame(column, ("mnist", "pca", ""), rule=""))[0][column] == f"{MODELS[0]} ({column[2]})"


def test_the_only_committee_is_called_that_and_two_keep_their_members_in_their_names():
    first, second = ("mnist", "committee", "members=[ae,ae:ssim]"), ("mnist", "committee", "members=[ae@latent=2,knn]")
    names, _ = names_of(frame(first, ("mnist", "ae", ""), ("fashion_mnist", *first[1:])))
    assert list(names.values()) == ["committee", "ae", "committee"]
    names, _ = names_of(frame(first, second))
    assert list(names.values()) == ["committee (members=[ae,ae:ssim])", "committee (members=[ae@latent=2,knn])"]
    assert members_of(second[2]) == "ae@latent=2,knn"
