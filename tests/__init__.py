"""Tests. This module loads before any other of them, and ``benchmark`` before numpy and torch: it pins them."""

import benchmark  # noqa: F401
