"""How the members of a committee are typed, and which columns are meant."""

from __future__ import annotations

import pytest

from benchmark.cells import Axes
from benchmark.config import UsageError
from benchmark.store.experiments import PlannedCell
from benchmark.sweep.members import committee_variant, find_members, read_members


def column(model: str, variant: str = "") -> PlannedCell:
    axes = Axes(model=model, dataset="mnist", split="one_vs_rest", normal_class=0, seed=0)
    return PlannedCell(axes, variant, "0" * 64, "done", "")


CELLS = [
    *(column("ae"), column("ae", "latent=2"), column("ae", "hidden=[64,32] latent=2"), column("vae", "beta=4")),
    *(column("knn"), column("pca"), column("committee", "members=[knn,pca]")),
]


def names(models: str, rules: str | None = None, cells: list[PlannedCell] = CELLS) -> list[str]:
    return [found.name for found in find_members(read_members(models, rules), cells, "e")]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("[pca,knn]", ["knn", "pca"]),
        ("knn, pca", ["knn", "pca"]),
        ("[pca:smoothed,pca]", ["pca", "pca:smoothed"]),
        ("[pca:own,knn:own]", ["knn", "pca"]),
        ("[ae@shipped,ae@latent=2:ssim]", ["ae", "ae@latent=2:ssim"]),
        ("[ae@latent=2@hidden=[64,32]:ssim,knn]", ["ae@hidden=[64,32]@latent=2:ssim", "knn"]),
        ("[vae,knn]", ["knn", "vae@beta=4"]),
    ],
)
def test_what_is_typed_is_found(typed: str, found: list[str]) -> None:
    assert names(typed) == found
    assert names(f"[{','.join(found)}]".replace("[ae,", "[ae@shipped,")) == found, "a name can be typed"


def test_rules_are_for_members_without_one() -> None:
    assert names("[pca,knn:kth]", "[own,ssim]") == ["knn:kth", "pca", "pca:ssim"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("[pca,knn", "models=[pca,knn: this is no list. Type for example: models=[pca,knn]"),
        ("[pca,,knn]", "this is no list"),
        ("[]", "this is no list"),
        ("[pca:,knn]", "models: pca: is no member. Type for example: pca, pca:smoothed or ae@latent=32:smoothed"),
        ("[@latent=2,knn]", "@latent=2 is no member"),
        ("[ae@,knn]", "ae@ is no member"),
        ("[pca]", "a committee has two members or more"),
        ("[pca,pca:own]", "models: pca:own stands there twice. Leave one of them out"),
        ("[gan,pca]", "models: experiment e has no cell of gan. It has: ae, vae, knn, pca"),
        ("[committee,pca]", "models: committee: a committee is no member of another. Name its members instead"),
        (
            "[ae:ssim,pca]",
            "models: ae:ssim may be one of 3 variants. Type one of: ae@shipped:ssim, ae@latent=2:ssim, "
            "ae@hidden=[64,32]@latent=2:ssim",
        ),
        ("[ae@latent=3,pca]", "ae@latent=3 is no variant of experiment e. Type one of: ae@shipped, ae@latent=2, ae@hi"),
        ("[knn@shipped,vae@shipped]", "vae@shipped is no variant of experiment e. Type one of: vae@beta=4"),
    ],
)
def test_what_is_refused(typed: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        names(typed)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_of_all_cells_need_not_be_typed_and_stay_apart_from_the_members() -> None:
    """So that a committee hides what its members share where they do (``shared_settings``)."""
    cells = [column("ae", "epochs=1"), column("ae", "latent=2 epochs=1"), column("knn", "epochs=1")]
    for typed in ("[ae@latent=2,knn]", "[ae@latent=2@epochs=1,knn@epochs=1]"):
        found = find_members(read_members(typed), cells, "e")
        assert committee_variant(found) == "epochs=1 members=[ae@latent=2,knn]"
    assert names("[ae@shipped,knn]", cells=cells) == ["ae", "knn"]
