"""Values that several models' keywords may take; apart from the networks so that they load without torch."""

from typing import Literal

Network = Literal["dense", "conv"]
Activation = Literal["relu", "leaky_relu", "silu"]
Schedule = Literal["constant", "cosine"]
PixelLoss = Literal["l2", "l1", "bernoulli"]
GanObjective = Literal["non_saturating", "minimax", "wasserstein_clipping", "wasserstein_penalty"]
SearchStart = Literal["encoder", "candidates"]
SearchLoss = Literal["squared", "absolute"]
Features = Literal["pixels", "pca"]
