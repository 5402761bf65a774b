"""Isolation forest: an anomalous image is cut off from the others by few random cuts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.models.base import Model
from benchmark.models.keywords import Count, Features, TwoOrMore
from benchmark.models.parts.fitted import Fitted, exact
from benchmark.models.parts.networks import ImageShape


class IForest(Fitted, Model):
    """Isolation forest, grown in one call by scikit-learn and kept as arrays.

    Each of ``trees`` trees cuts a random ``subsample`` of the training images at random values of random features until
    every image is alone or the depth is log2(subsample). h(x) is the number of cuts above the leaf that x falls into,
    plus c(n) where n > 1 training images share it; c(n) = 2 (ln(n - 1) + 0.5772) - 2 (n - 1) / n is the mean depth of
    a search that fails in a binary tree of n.

    Scores: ``isolation`` = 2^(-mean h(x) / c(subsample)), in (0, 1): near 1 for images isolated at once.

    References
    ----------
    Liu, Ting & Zhou 2008, Isolation Forest, ICDM.

    Differences from the paper
    --------------------------
    1. scikit-learn's trees pass over features that are constant in a node, as black borders are; the paper draws from
       all of them.
    2. The features may be principal components of the images instead of pixels.
    """

    score_names = ("isolation",)
    learnt = "isolation"
    random = True

    def __init__(
        self,
        image_shape: ImageShape,
        headline: str = "isolation",
        features: Features = "pixels",
        components: Count = 32,
        whiten: bool = False,
        trees: Count = 200,
        subsample: TwoOrMore = 256,
    ) -> None:
        super().__init__()
        self.headline, self.trees, self.subsample = headline, trees, subsample
        self._prepare(image_shape, features, components, whiten)
        for name in ("feature", "left", "right"):  # of the nodes of each tree: (T, M), int64
            self.register_buffer(name, torch.zeros(0, 0, dtype=torch.long))
        self.register_buffer("threshold", torch.zeros(0, 0))  # go left where the feature is at most this
        self.register_buffer("length", torch.zeros(0, 0))  # h(x) in a leaf
        self.register_buffer("depth", torch.zeros((), dtype=torch.long))
        self.register_buffer("usual_length", torch.zeros(()))  # c(subsample)

    def fit(self, images: Tensor, seed: int) -> None:
        from sklearn.ensemble import IsolationForest

        x = self.fit_features(images)
        size = min(self.subsample, len(x))
        forest = IsolationForest(n_estimators=self.trees, max_samples=size, random_state=seed % 2**32).fit(x)
        trees = [_as_arrays(estimator.tree_) for estimator in forest.estimators_]
        nodes = max(len(tree["left"]) for tree in trees)
        self.keep(
            **{
                name: np.stack([np.pad(tree[name], (0, nodes - len(tree[name]))) for tree in trees])
                for name in ("feature", "left", "right", "threshold", "length")
            },
            depth=max(int(estimator.tree_.max_depth) for estimator in forest.estimators_),
            usual_length=float(_search_length(np.array([size]))[0]),
        )

    def assess(self, images: Tensor, noise: Mapping[str, Tensor]) -> dict[str, Any]:
        x = self.as_features(images).float()  # (B, d), as the trees saw them
        tree = torch.arange(len(self.feature), device=x.device)  # (T,)
        node = torch.zeros(len(x), len(tree), dtype=torch.long, device=x.device)  # (B, T), the roots
        for _ in range(int(self.depth)):
            low = x.gather(1, self.feature[tree, node]) <= self.threshold[tree, node]
            node = torch.where(low, self.left[tree, node], self.right[tree, node])
        mean = exact(self.length)[tree, node].mean(1)  # (B,)
        return {"scores": {"isolation": torch.exp2(-mean / exact(self.usual_length))}}


def _as_arrays(tree: Any) -> dict[str, np.ndarray]:
    """Nodes of one of scikit-learn's trees: (M,) each. A leaf leads to itself."""
    own = np.arange(tree.node_count)
    leaf = tree.children_left < 0
    left, right = (np.where(leaf, own, side) for side in (tree.children_left, tree.children_right))
    depth = np.zeros(tree.node_count)
    for node in own[~leaf]:  # a parent comes before its children
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    threshold = tree.threshold.astype(np.float32)
    above = threshold.astype(np.float64) > tree.threshold
    return {
        "feature": np.where(leaf, 0, tree.feature),
        "left": left,
        "right": right,
        # rounded down, so that a float32 feature is at most the one where it is at most the other
        "threshold": np.where(above, np.nextafter(threshold, np.float32(-np.inf)), threshold),
        "length": depth + _search_length(tree.n_node_samples),
    }


def _search_length(count: np.ndarray) -> np.ndarray:
    """c(n), with c(1) = 0 and c(2) = 1."""
    n = np.maximum(count, 3).astype(np.float64)
    return np.select([count <= 1, count == 2], [0.0, 1.0], 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n)
