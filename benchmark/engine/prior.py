"""How far pictures of a two-dimensional latent space reach: told to what decodes and to what draws them."""

from __future__ import annotations

import math

PRIOR_RADIUS = math.sqrt(-2 * math.log(0.05))  # 2.45: of the circle that holds 95% of N(0, I) in two dimensions
