"""Which generative anomaly detector to trust: one runner, one protocol, one report."""

import sys

from benchmark.early import end_in_one_line
from benchmark.instructions import pin

__version__ = "0.1.0"

if sys.argv[:1] == ["-m"]:  # so Python has it while it looks for the module of python -m
    end_in_one_line()
pin()  # before anything imports numpy or torch
