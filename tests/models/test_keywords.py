"""Keywords of models: what their kinds refuse, and that a constructor and its YAML say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import pytest
import yaml
from hydra.utils import instantiate

from benchmark.config import CONF_DIR, UsageError
from benchmark.models import constructor, model_class, model_names
from benchmark.models.keywords import AUTO, Count, Range, read_constructor
from benchmark.models.refusals import arguments_of, chooses_network
from benchmark.sweep.compose import compose_jobs


@pytest.mark.parametrize(
    ("model", "setting", "allowed"),
    [
        ("ocsvm", "nu=0", "a number above 0 and at most 1"),
        ("kde", "bandwidth=0", "a number above 0"),
        ("gmm", "floor=0", "a number above 0"),
        ("knn", "neighbours=0", "a whole number of at least 1"),
        ("iforest", "subsample=1", "a whole number of at least 2"),
        ("histogram", "smoothing=0", "a number above 0"),
        ("flow", "bins=2", "a whole number from 3 to 32"),
        ("fanogan", "gan_share=1", "a number above 0 and below 1"),
        ("cond_aae", "label_share=1.5", "a number from 0 to 1"),
        ("diffusion", "noise_level=0", "a number above 0 and at most 1"),
        ("diffusion", "noise_draws=-1", "a whole number of at least 0"),
        ("diffusion", "bound_steps=0", "a whole number of at least 1"),
        ("vae", "hidden=[8,0]", "a list of whole numbers, each at least 1"),
        ("gan", "betas=[0.5,0.9,0.9]", "a list of 2 numbers, each at least 0 and below 1"),
    ],
)
def test_a_value_outside_its_range_is_refused(model: str, setting: str, allowed: str) -> None:
    with pytest.raises(UsageError, match=f"is not allowed: it must be {allowed}. Type for example: model."):
        compose_jobs([f"model={model}", f"model.{setting}"])


def test_a_keyword_cannot_be_left_out() -> None:
    with pytest.raises(UsageError, match=r"~model\.latent: model\.latent cannot be left out\. Type model\.latent="):
        compose_jobs(["model=vae", "~model.latent"])


@pytest.mark.parametrize("name", model_names())
def test_defaults_of_the_constructor_are_the_values_of_the_yaml(name: str) -> None:
    written = yaml.safe_load((CONF_DIR / "model" / f"{name}.yaml").read_text("utf-8"))
    defaults = {key: keyword.default for key, keyword in constructor(name).items()}
    if written.get("network") == AUTO:  # by the images, which the constructor leaves to whoever calls it
        assert chooses_network(constructor(name))
        written["network"] = defaults["network"]
    assert arguments_of(written) == {k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()}


def test_a_yaml_is_what_hydra_instantiates() -> None:
    written = yaml.safe_load((CONF_DIR / "model" / "pca.yaml").read_text("utf-8"))
    written.pop("name")
    assert type(instantiate(written, (1, 4, 4))) is model_class("pca")


class Every:
    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent: Count = 3,
        rate: Annotated[float, Range(0, 1)] = 0.5,
        name: str | None = None,
        kind: Literal["a", "b"] = "a",
        widths: Sequence[int] = (3,),
        pairs: list[str] | None = None,
    ) -> None: ...


def test_a_signature_is_read_with_its_kinds() -> None:
    found = read_constructor(Every)
    assert list(found) == ["latent", "rate", "name", "kind", "widths", "pairs"]
    good = {"latent": 1, "rate": 1, "name": None, "kind": "b", "widths": [0], "pairs": ["x"]}
    bad = {"latent": 0, "rate": 1.5, "name": 3, "kind": "c", "widths": [0.5], "pairs": [1]}
    assert all(found[key].accepts(value) for key, value in good.items())
    assert not any(found[key].accepts(value) for key, value in bad.items())
    assert found["rate"].allowed(2) == "a number from 0 to 1"
    assert found["pairs"].allowed([1]) == "a list, each a string or null"


def test_an_objective_of_ones_own_sets_keywords(tmp_path) -> None:
    (tmp_path / "objective").mkdir()
    (tmp_path / "objective" / "ours.yaml").write_text("# @package model\nobjective: minimax\ncloseness: 4\n")
    (job,) = compose_jobs([f"--config-dir={tmp_path}", "model=gan", "+objective=ours"])
    assert (job.config.model.objective, job.config.model.closeness) == ("minimax", 4)
