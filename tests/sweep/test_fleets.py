"""Programs: the plan, the threads, and that a cell's numbers do not depend on its company."""

from __future__ import annotations

import threading
from threading import Event

import pytest
import torch

from benchmark.engine.fleet import Fleet
from benchmark.engine.state import Settings
from benchmark.engine.train import Member, train_in_company
from benchmark.models import model_class
from benchmark.sweep.fleets import make_plan, run_programs
from tests.tiny_models import build

IMAGES = torch.randint(0, 256, (400, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def shipped(name: str, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return model_class(name)((1, 28, 28))


@pytest.mark.parametrize(
    ("cells", "cores", "size", "workers"), [(10, 2, 5, 2), (3, 2, 2, 2), (1, 2, 2, 1), (100, 2, 5, 2), (10, 16, 2, 5)]
)
def test_dense_models_train_in_small_fleets_on_a_cpu(cells: int, cores: int, size: int, workers: int) -> None:
    plan = make_plan(build("ae", 0), "cpu", cells, workers=cores)
    assert (plan.strategy, plan.size, plan.workers) == ("vmap", size, workers)
    parts = plan.programs(list(range(cells)))
    assert [cell for part in parts for cell in part] == list(range(cells))


def test_convolutions_and_fits_in_one_call_go_cell_by_cell_on_a_cpu() -> None:
    assert make_plan(build("ae", 0, network="conv"), "cpu", 10, workers=2).strategy == "loop"
    assert make_plan(build("pca", 0), "cpu", 10, workers=2).size == 1
    assert make_plan(build("ae", 0), "cpu", 10, "loop", 2).size == 1


def test_elsewhere_all_cells_are_one_program() -> None:
    for network in ("dense", "conv"):
        plan = make_plan(build("ae", 0, network=network), "cuda", 50)
        assert (plan.strategy, plan.size, plan.workers) == ("vmap", 50, 1)


@pytest.mark.parametrize("name", ["ae", "vae", "aae", "anogan"])
def test_a_cell_is_the_same_bit_for_bit_in_every_company(name: str) -> None:
    """Shipped networks on a CPU: alone beside its copy, in twos, in threes, in another order."""

    def weights(*members: int) -> dict[str, torch.Tensor]:
        fleet = Fleet([shipped(name, seed) for seed in members])
        settings = Settings(1, fleet.model.batch_size, 8 * fleet.model.batch_size)
        those = [Member(torch.arange(40 * k, 40 * k + 180), k, k + 9) for k in members]
        train_in_company(fleet, IMAGES, those, settings)
        return fleet.state(members.index(2))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = weights(2)
        for members in ((1, 2), (2, 3, 4), (4, 3, 2, 1, 0)):
            beside = weights(*members)
            assert all(torch.equal(alone[key], beside[key]) for key in alone), members
    finally:
        torch.set_num_threads(threads)


def test_programs_run_at_once_with_one_thread_each() -> None:
    barrier = threading.Barrier(2, timeout=30)

    def program(items: list[int], stop: Event) -> tuple[int, int]:
        barrier.wait()  # passes only if two are running
        return sum(items), torch.get_num_threads()

    before = torch.get_num_threads()
    found = sorted(run_programs(program, [[1, 2], [3, 4]], 2, "cpu"))
    assert found == [(3, 1), (7, 1)]
    assert torch.get_num_threads() == before


def test_giving_up_stops_the_rest() -> None:
    ran = []

    def program(items: list[int], stop: Event) -> list[int]:
        if items == [0]:
            return items
        stop.wait(timeout=30)
        ran.append(items)
        return items

    results = run_programs(program, [[0], [1], [2]], 1, "cpu")
    assert next(results) == [0]
    results.close()
    assert len(ran) <= 1, "what was running has ended, what was waiting never began"
