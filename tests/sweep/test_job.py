"""How a job lays out its cells."""

from __future__ import annotations

import pytest

from benchmark.sweep.compose import compose_jobs
from benchmark.sweep.job import variant


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], ""),
        (["precision=auto"], ""),
        (["precision=fp32"], ""),  # what auto stands for
        (["precision=bf16"], "precision=bf16"),
        (["model.latent=2", "trainer.epochs=3", "precision=tf32"], "latent=2 epochs=3 precision=tf32"),
        (["split.train_fraction=0.5", "split.contamination=0.1"], "train_fraction=0.5 contamination=0.1"),
    ],
)
def test_a_variant_says_what_is_not_as_shipped(overrides: list[str], name: str) -> None:
    assert variant(compose_jobs(["model=ae", *overrides])[0].config) == name
