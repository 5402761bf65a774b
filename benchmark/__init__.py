"""Which generative anomaly detector to trust: one runner, one protocol, one report."""

from benchmark.instructions import pin

__version__ = "0.1.0"

pin()  # before anything imports numpy or torch
