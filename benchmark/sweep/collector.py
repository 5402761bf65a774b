"""Python's cyclic garbage collector, told to look seldom while the program starts.

Modules and configurations only grow then, and by default the collector goes through them again and again: an eighth of
the time to the first training step. While a job trains the default stands, since a cycle may hold tensors.
"""

from __future__ import annotations

import atexit
import gc

SELDOM = 100_000  # new objects between two looks: bounds what cycles can hold, unlike switching it off
_usual = gc.get_threshold()


def collect_seldom() -> None:
    """Look at every ``SELDOM`` new objects from now on."""
    gc.set_threshold(SELDOM, *_usual[1:])


def collect_as_usual() -> None:
    """Look as often as before ``collect_seldom``, and no more at what there is by now: modules, which stay."""
    if gc.get_threshold() != _usual:
        gc.freeze()
        atexit.register(gc.unfreeze)  # at its end the interpreter takes all down, and libraries warn of what it leaves
        gc.set_threshold(*_usual)
