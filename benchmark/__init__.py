"""Which generative anomaly detector to trust: one runner, one protocol, one report."""

__version__ = "0.1.0"
