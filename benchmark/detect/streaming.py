"""Score images as they are read, and keep what is said at the end: how many were flagged, the highest, the bad ones."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from benchmark.data.reading import Unreadable
from benchmark.detect.arrays import Range, Shape
from benchmark.detect.conformal import flagged, p_values
from benchmark.detect.scorer import Scorer
from benchmark.detect.sources import Item, Source
from benchmark.detect.table import Row


@dataclass(frozen=True)
class Judge:
    """What turns images into rows."""

    scorer: Scorer
    calibration: np.ndarray  # float64 (n,)
    alpha: float
    shape: Shape
    keep_aspect: bool = False
    levels: Range | None = None

    def rows(self, source: Source) -> Iterator[list[tuple[Row, np.ndarray | None]]]:
        """The rows of a source with the pixels that were scored, uint8 (C, H, W), a batch at once."""
        items, size = iter(source.items), self.scorer.batch_size
        for found in source.read(self.shape, self.keep_aspect, self.levels, size):
            yield self._judged([next(items) for _ in found], found)

    def again(self, rows: Sequence[Row]) -> list[Row]:
        """Rows that have scores, with p-values and verdicts by this judge."""
        scores = np.array([np.nan if row.score is None else row.score for row in rows])
        verdicts = zip(rows, *self.verdicts(scores), strict=True)
        return [row if row.score is None else row._replace(p_value=p, flagged=flag) for row, p, flag in verdicts]

    def verdicts(self, scores: np.ndarray) -> tuple[list[float], list[bool]]:
        """The p-value of each score (N,), and whether it is flagged; of one that is none, of no use."""
        return p_values(scores, self.calibration).tolist(), flagged(scores, self.calibration, self.alpha).tolist()

    def _judged(
        self, items: Sequence[Item], found: Sequence[np.ndarray | Unreadable]
    ) -> list[tuple[Row, np.ndarray | None]]:
        images = [image for image in found if not isinstance(image, Unreadable)]
        scores = self.scorer.scores(torch.from_numpy(np.stack(images))) if images else np.zeros(0, np.float32)
        known = zip(scores.tolist(), np.isfinite(scores).tolist(), *self.verdicts(scores), strict=True)
        rows: list[tuple[Row, np.ndarray | None]] = []
        for item, image in zip(items, found, strict=True):
            if isinstance(image, Unreadable):
                rows.append((Row(item.name, label=item.label, reason=str(image)), None))
                continue
            score, is_finite, p, flag = next(known)
            if is_finite:
                row = Row(item.name, score, p, flag, item.label)
            else:
                row = Row(item.name, label=item.label, reason=f"its score is {score}")
            rows.append((row, image))
        return rows


@dataclass
class Tally:
    """What is known of all rows so far."""

    most: int = 0  # rows that are kept with their pixels, those with the highest scores
    count: int = 0  # scored
    flagged: int = 0
    bad: list[Row] = field(default_factory=list)
    labels: list[tuple[str, float]] = field(default_factory=list)
    p_values: list[float] = field(default_factory=list)
    _top: list[tuple[float, int, Row, np.ndarray | None]] = field(default_factory=list)

    def add(self, rows: Sequence[tuple[Row, np.ndarray | None]]) -> None:
        for row, image in rows:
            if row.score is None:
                self.bad.append(row)
                continue
            self.count += 1
            self.flagged += bool(row.flagged)
            if row.p_value is not None:
                self.p_values.append(row.p_value)
            if row.label is not None:
                self.labels.append((row.label, row.score))
            if self.most:
                entry = (row.score, -self.count, row, image)  # of equal ones the first
                if len(self._top) < self.most:
                    heapq.heappush(self._top, entry)
                else:
                    heapq.heappushpop(self._top, entry)

    @property
    def top(self) -> list[tuple[Row, np.ndarray | None]]:
        """The rows with the highest scores and their pixels, if there still are any, the highest first."""
        return [(row, image) for _, _, row, image in sorted(self._top, key=lambda entry: entry[:2], reverse=True)]
