"""A CPU run's bits: the same whatever the processor can do and the environment asks for, and whatever trains beside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark import instructions
from benchmark.data import load_dataset_config
from benchmark.data.images import load_images
from benchmark.engine.state import Settings
from benchmark.models import model_class
from benchmark.store.environment import environment
from tests.bits import KINDS, digest, digests, digits, trained_scores
from tests.tiny_models import build

VARIABLES = (*instructions.LIBRARIES, instructions.NUMPY, instructions.VARIABLE)
ASKED = {
    "default": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "avx512": {"ATEN_CPU_CAPABILITY": "avx512", "OPENBLAS_CORETYPE": "SkylakeX"},
}  # what a user's environment may ask for
on_pinned = pytest.mark.skipif(instructions.in_force() != "pinned", reason="nothing is pinned on this processor")
together = pytest.mark.xdist_group("bits")  # on one worker, which then needs its own hashes once
with_avx512 = pytest.mark.skipif("avx512f" not in instructions.processor_flags(), reason="no AVX-512 here")


GOLDEN = {
    ("GenuineIntel", "2.15"): {
        "ae": "45c33760853064aaedc958bb0f81ce3897f1d7b837c58e556b023e62c3f7da3a",
        "vae": "7664aeb15f7caeced840e8dd24f97770854cf0df7990aea4ee530597741a4152",
        "anogan": "15e4e99fe458496927a77ddd18c3a746f96cdfabced8b232dedb6ef17615434e",
    }
}  # (vendor of the processor, torch) -> hashes of the golden cells' scores: made on a Xeon with AVX-512, pinned


@cache
def ours() -> dict[str, str]:
    return digests(list(KINDS))


def elsewhere(*kinds: str, **asked: str) -> dict[str, str]:
    """``tests.bits`` of a process with an environment of its own, without what this one has pinned."""
    own = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "-m", "tests.bits", *kinds]
    done = subprocess.run(command, env={**own, **asked}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@together
@on_pinned
@pytest.mark.parametrize("asked", ["default", pytest.param("avx512", marks=with_avx512)])
def test_the_bits_are_the_same_whatever_the_environment_asks_for(asked: str) -> None:
    assert elsewhere(**ASKED[asked]) == ours()


@together
@on_pinned
@with_avx512
def test_the_fastest_instructions_have_bits_of_their_own() -> None:
    """Otherwise the test above would hold without any pins, and the fingerprint say too much.

    Of one kind at least: what MKL has for processors of another vendor may be the same with and without.
    """
    kinds = ("ae", "conv ae", "pca")
    machine = elsewhere(*kinds, BENCHMARK_INSTRUCTIONS="machine")
    assert any(machine[kind] != ours()[kind] for kind in kinds)


def alone_and_in_company(kind: str, batch_size: int, **changes: Any) -> list[bool]:
    """Whether cells 0 to 4 have the scores of the lone cell, in fleets of two, three and five of both orders."""
    images, test = digits(), torch.arange(300, 350)
    rows = [torch.arange(n) for n in (96, 70, 50, 83, 61)]
    settings = Settings(2, batch_size, 64)

    def scores(first: int, count: int) -> list[str]:
        models = [build(kind, cell, **changes) for cell in range(first, first + count)]
        found = trained_scores(models, images, rows[first : first + count], test, settings, first)
        return [digest(entry) for entry in found]

    lone = [scores(cell, 1)[0] for cell in range(5)]
    return [scores(first, count) == lone[first : first + count] for first, count in ((0, 2), (3, 2), (2, 3), (0, 5))]


@on_pinned
@pytest.mark.parametrize("kind", ["ae", "vae", "aae", "anogan"])
def test_a_cell_has_the_same_bits_alone_and_in_company_at_any_width(kind: str) -> None:
    odd = {"latent": 3, "hidden": [50], "discriminator_hidden": [50], "batch_norm": False}
    assert all(alone_and_in_company(kind, 16, **odd))


@on_pinned
def test_with_batch_normalisation_it_has_them_at_multiples_of_32() -> None:
    odd = {"latent": 3, "discriminator_hidden": [50], "batch_norm": True}
    assert all(alone_and_in_company("anogan", 16, hidden=[64, 32], **odd))
    assert not all(alone_and_in_company("anogan", 16, hidden=[50], **odd))


@on_pinned
def test_a_gan_has_them_with_batches_that_are_multiples_of_16() -> None:
    odd = {"latent": 3, "hidden": [50], "discriminator_hidden": [50], "batch_norm": False}
    assert not all(alone_and_in_company("anogan", 15, **odd))


@on_pinned
def test_three_committed_cells_have_the_committed_scores(data_dir: Path) -> None:
    """As shipped, two epochs on 512 images of MNIST's class 3, 200 test images, seeds as in ``tests.bits``.

    Hashes are of one vendor and one torch: MKL has kernels of its own for other processors than Intel's, and new
    versions may round otherwise. For others there is nothing to compare with, and what was found is said.
    """
    data = load_images(load_dataset_config("mnist"), data_dir)
    rows = (data.train_labels == 3).nonzero().flatten()[:712]
    found = {}
    for name in ("ae", "vae", "anogan"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = model_class(name)(data.image_shape)
        scores = trained_scores([model], data.train_images, [rows[:512]], rows[512:], Settings(2, 128, 512))
        found[name] = digest(scores[0])
    here = instructions.vendor(), ".".join(torch.__version__.split(".")[:2])
    if here not in GOLDEN:
        pytest.skip(f"no hashes are committed for {here}, only for {list(GOLDEN)}; found here: {found}")
    assert found == GOLDEN[here], f"this machine has other scores than those committed: {environment('cpu', 'fp32')}"
