"""Fleets: which cells of a job are trained as one, and how many fleets train at once.

On a CPU a cell has the same bits in every fleet, alone or beside others, with instruction sets pinned
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

from benchmark.engine.device import available_cores
from benchmark.engine.strategy import strategy_of
from benchmark.models.base import Model
from benchmark.sweep.signals import wait_for_threads

Item = TypeVar("Item")
Result = TypeVar("Result")
CPU_FLEET = 5  # cells in one fleet on a CPU: more no longer fit its caches, fewer spend their time in Python


@dataclass(frozen=True)
class Fleets:
    """How a job's cells are trained."""

    strategy: str  # loop: cell after cell | vmap: the cells of a fleet as one
    workers: int  # fleets at once; on a CPU each has one thread
    size: int  # cells in a fleet

    def of(self, cells: Sequence[Item]) -> list[Sequence[Item]]:
        """The cells, in order, in parts of ``size``."""
        return [cells[i : i + self.size] for i in range(0, len(cells), self.size)]


def lay_out_fleets(model: Model, device: str, cells: int, strategy: str = "auto", workers: int | None = None) -> Fleets:
    """Strategy, workers and size of the fleets for so many cells of a model.

    On a CPU every fleet has one thread, so that its numbers do not depend on the number of cores, and dense models
    train as stacked fleets, models with convolutions one by one: stacked convolutions become grouped ones, which are
    slower there. Elsewhere all cells are one fleet. ``strategy`` (auto | loop | vmap) and ``workers`` override that;
    None: one worker a core on a CPU, else one.
    """
    on_cpu = torch.device(device).type == "cpu"
    strategy = strategy_of(model, device, strategy)
    if workers is None:
        workers = available_cores() if on_cpu else 1
    if strategy == "loop":
        size = 1
    elif on_cpu:
        size = min(CPU_FLEET, max(2, -(-cells // workers)))
    else:
        size = -(-cells // workers)
    return Fleets(strategy, max(1, min(workers, -(-cells // max(size, 1)))), max(size, 1))


def run_fleets(
    function: Callable[[Sequence[Item], Event], Result], fleets: Sequence[Sequence[Item]], workers: int, device: str
) -> Iterator[Result]:
    """Yield ``function(fleet, stop)`` of every fleet as it ends, ``workers`` of them at once in threads.

    On a CPU each has one thread. If the caller gives up, ``stop`` is set, and no further fleet is started.
    """
    stop, threads = Event(), torch.get_num_threads()
    one_thread = torch.device(device).type == "cpu"
    each = 1 if one_thread else threads
    torch.set_num_threads(each)
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(each,))
    futures = [pool.submit(function, fleet, stop) for fleet in fleets]
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
