"""How a learning rate falls: along a half cosine."""

from __future__ import annotations

from math import cos, pi


def half_cosine(done: float, whole: float = 1.0) -> float:
    """The share of a rate that is left when ``done`` of ``whole`` is behind it: 1 at the start, 0 at the end.

    1/2 (1 + cos(pi done / whole)); Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts.

    >>> half_cosine(0.0), round(half_cosine(5, 10), 6), half_cosine(1.0)
    (1.0, 0.5, 0.0)
    """
    return 0.5 * (1 + cos(pi * done / whole))
