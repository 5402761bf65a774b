"""What labels say of the scores, where somebody has labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.engine.metrics import auroc
from benchmark.store.format import Status

USUAL = ("good", "normal", "0")  # labels that stand for normal where the class's own name is not among them


def auroc_line(labels: Sequence[tuple[str, float]], status: Status, typed: str | None, where: str) -> str | None:
    """The AUROC of scores against labels in one line, or why there is none; None without labels.

    ``labels`` are of each image its label and score, ``typed`` is the label of normal images if somebody says it,
    ``where`` the labels come from.
    """
    if not labels:
        return None
    names = sorted({label for label, _ in labels})
    normal = _normal(names, status, typed)
    if not normal:
        return (
            f"No AUROC: of the labels ({where}) {', '.join(names[:5])} none is {typed or _own(status)}. Type "
            "normal=<the label of normal images>"
        )
    truth = np.array([label not in normal for label, _ in labels]).astype(np.uint8)
    if truth.all() or not truth.any():
        return f"No AUROC: by {where} all {len(labels):,} images are {'anomalous' if truth.all() else 'normal'}"
    found = auroc(truth, np.array([score for _, score in labels]))
    return (
        f"AUROC {found:.4f} against {where} ({int((truth == 0).sum()):,} normal: {', '.join(sorted(normal)[:5])}; "
        f"{int(truth.sum()):,} anomalous)"
    )


def _normal(names: Sequence[str], status: Status, typed: str | None) -> set[str]:
    """The labels that are normal, none if that cannot be told."""
    if typed is not None:
        return {typed} & {*names}
    own = _own(status)
    if status.axes.split == "leave_one_out":
        return {*names} - {own} if own in names else set()
    return {own} if own in names else {next((name for name in USUAL if name in names), own)} & {*names}


def _own(status: Status) -> str:
    return status.axes.normal_class_name or str(status.axes.normal_class)
