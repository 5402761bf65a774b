"""Programs: which cells of a job are trained as one, and how many such programs run at once.

On a CPU a cell has the same bits in every program, alone or beside others, with instruction sets pinned
(``benchmark/instructions.py``): dense autoencoders and VAEs at any width, AAEs and GANs at any width with batches of a
multiple of 16 (elements at the end of a stack round otherwise), with batch normalisation at widths that are multiples
of 32 (torch sums the columns of a stack in blocks of 32). Models as shipped are of that kind; models with convolutions
train one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

import torch
from torch import nn

from benchmark.engine.device import available_cores
from benchmark.models.base import Model
from benchmark.sweep.signals import wait_for_threads

Item = TypeVar("Item")
Result = TypeVar("Result")
CPU_FLEET = 5  # cells in one program on a CPU: more no longer fit its caches, fewer spend their time in Python


@dataclass(frozen=True)
class Plan:
    """How a job's cells are trained."""

    strategy: str  # loop: cell after cell | vmap: the cells of a program as one
    workers: int  # programs at once; on a CPU each has one thread
    size: int  # cells in a program

    def programs(self, cells: Sequence[Item]) -> list[Sequence[Item]]:
        """The cells, in order, in parts of ``size``."""
        return [cells[i : i + self.size] for i in range(0, len(cells), self.size)]


def make_plan(
    model: Model,
    device: str,
    cells: int,
    strategy: str = "auto",
    workers: int | None = None,
    cores: int | None = None,
) -> Plan:
    """Strategy, workers and size of the programs for so many cells of a model.

    On a CPU every program has one thread, so that its numbers do not depend on the number of cores, and dense models
    train as stacked fleets, models with convolutions one by one: stacked convolutions become grouped ones, which are
    slower there. Elsewhere all cells are one program. ``strategy`` (auto | loop | vmap) and ``workers`` override that.
    ``cores`` are those that the job may use; None: all.
    """
    on_cpu = torch.device(device).type == "cpu"
    if not model.vmappable or not model.phases:
        strategy = "loop"
    elif strategy == "auto":
        strategy = "loop" if on_cpu and _has_convolutions(model) else "vmap"
    if workers is None:
        workers = (cores if cores is not None else available_cores()) if on_cpu else 1
    if strategy == "loop":
        size = 1
    elif on_cpu:
        size = min(CPU_FLEET, max(2, -(-cells // workers)))
    else:
        size = -(-cells // workers)
    return Plan(strategy, max(1, min(workers, -(-cells // max(size, 1)))), max(size, 1))


def _has_convolutions(model: Model) -> bool:
    return any(isinstance(module, nn.Conv2d | nn.ConvTranspose2d) for module in model.modules())


def run_programs(
    function: Callable[[Sequence[Item], Event], Result], programs: Sequence[Sequence[Item]], workers: int, device: str
) -> Iterator[Result]:
    """Yield ``function(program, stop)`` of every program as it ends, ``workers`` of them at once in threads.

    On a CPU each has one thread. If the caller gives up, ``stop`` is set, and no further program is started.
    """
    stop, threads = Event(), torch.get_num_threads()
    one_thread = torch.device(device).type == "cpu"
    each = 1 if one_thread else threads
    torch.set_num_threads(each)
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(each,))
    futures = [pool.submit(function, program, stop) for program in programs]
    waiting = set(futures)
    try:
        while waiting:
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in ended:
                yield future.result()
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        wait_for_threads(future for future in futures if not future.cancelled())
        torch.set_num_threads(threads)
